"""A run's masks, made from the recipe in its spec."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.layers.units import unit_axes
from tf_lottery.method.recipe import Pruning
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.criteria import CRITERIA, FROM_INITIAL, ITERATED, PROBING, Evidence, Scores
from tf_lottery.pruning.edits import Pruned, edit
from tf_lottery.pruning.groups import Groups, groups
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.patterns import SINGLE
from tf_lottery.pruning.schedules import layer_rates
from tf_lottery.pruning.scopes import Kept
from tf_lottery.runs.subject import MODEL, Subject, part
from tf_lottery.runs.transferred import fitted
from tf_lottery.store.store import Store


def masks_of(spec: RunSpec, store: Store, subject: Subject) -> Masks:
    """Return a run's masks: those of another run, or pruned once more, and edited as the spec says.

    Args:
        spec: The run's spec.
        store: The store that holds the runs that this one builds on.
        subject: The network that will be trained.

    Raises:
        DamagedError: If a file of another run fails its checksum.
        LotteryError: If scores aren't finite, or a layer would be emptied.
    """
    if not spec.trains_under_masks:
        return masks_.ones(subject.shapes())
    pruned = _pruned(spec, store, subject)
    for each in spec.edits:
        pruned = replace(pruned, seed=each.seed)
        pruned = replace(pruned, masks=edit(each.kind, pruned))
    return dict(pruned.masks)


def _pruned(spec: RunSpec, store: Store, subject: Subject) -> Pruned:
    if spec.masks_of is not None:
        return Pruned(fitted(spec, store, subject), seed=0)
    shapes, parent = subject.shapes(), spec.parent
    masks = masks_.ones(shapes) if parent is None else subject.named(store.masks(parent), "")
    if spec.pruning is None:
        return Pruned(masks, seed=0)
    evidence = _evidence(spec, store, subject, masks)
    grouped = _grouped(spec.pruning, shapes, subject)
    counts = grouped.kept(masks, spec.pruning.scope, spec.pruning.rounds, spec.pruning.counted)
    pruned, scores = _prune(spec.pruning, evidence, grouped, counts)
    if not masks_.shrinks(masks, pruned):
        raise RuntimeError("a pruned weight came back: please report this")
    return Pruned(pruned, seed=0, before=masks, scores=scores, groups=grouped)


def _evidence(spec: RunSpec, store: Store, subject: Subject, masks: Masks) -> Evidence:
    """Return what the criterion looks at: the parent's last weights, without one those of step 0."""
    pruning = spec.pruning
    initial = subject.named(part(store.rewind_point(spec.root, 0), MODEL), MODEL) if _looks_back(spec) else {}
    weights = subject.named(store.weights(spec.parent), MODEL) if spec.parent else initial
    probe = subject.probe(weights, pruning.examples, pruning.seed) if pruning.criterion in PROBING else None
    return Evidence(
        weights={path: weights[MODEL + path] for path in masks},
        initial={path: initial[MODEL + path] for path in masks} if initial else {},
        masks=masks,
        seed=pruning.seed,
        probe=probe,
    )


def _looks_back(spec: RunSpec) -> bool:
    return spec.parent is None or spec.pruning.criterion in FROM_INITIAL


def counts_of(pruning: Pruning, masks: Masks) -> Kept:
    """Return how many weights a pruning of single weights leaves in which groups of layers.

    Args:
        pruning: The recipe.
        masks: The masks before the pruning.
    """
    rates = layer_rates(list(masks), pruning.rate, pruning.layer_rates)
    grouped = groups(SINGLE, {path: mask.shape for path, mask in masks.items()}, rates, {})
    return grouped.kept(masks, pruning.scope, pruning.rounds, pruning.counted)


def _grouped(pruning: Pruning, shapes: dict[str, tuple[int, ...]], subject: Subject) -> Groups:
    rates = layer_rates(list(shapes), pruning.rate, pruning.layer_rates)
    axes = {} if pruning.pattern == SINGLE else unit_axes(subject.model)
    return groups(pruning.pattern, shapes, rates, axes)


def _prune(pruning: Pruning, evidence: Evidence, grouped: Groups, counts: Kept) -> tuple[Masks, Scores]:
    """Return the pruned masks and the scores of the first scoring.

    An iterated criterion scores again after each of many small prunings, by an exponential schedule.
    """
    remaining = grouped.remaining(evidence.masks)
    before = {paths: sum(remaining[path] for path in paths) for paths in counts}
    times = ITERATED.get(pruning.criterion, 1)
    masks, first = dict(evidence.masks), None
    for time in range(1, times + 1):
        scores = _scores(pruning.criterion, replace(evidence, masks=masks))
        first = first or scores
        share = {group: (counts[group] / total) ** (time / times) for group, total in before.items()}
        staying = {group: round(total * share[group]) for group, total in before.items()}
        going_on = counts if time == times else staying
        masks = grouped.prune(scores, masks, going_on, pruning.min_density, pruning.criterion)
    return masks, first


def _scores(criterion: str, evidence: Evidence) -> Scores:
    scores = CRITERIA[criterion](evidence)
    if not isinstance(scores, Mapping):
        raise LotteryError(
            f"Expected criterion {criterion!r} to return a mapping from paths to scores. "
            f"Received: {type(scores).__name__}"
        )
    for path, mask in evidence.masks.items():
        score = scores.get(path)
        is_real = isinstance(score, np.ndarray) and score.dtype.kind in "biuf"
        if not is_real or score.shape != mask.shape:
            kind = score.dtype if isinstance(score, np.ndarray) else type(score).__name__
            received = "none" if path not in scores else f"{kind} of shape {np.shape(score)}"
            raise LotteryError(
                f"Expected criterion {criterion!r} to score {path} by a NumPy array of real numbers in the "
                f"shape {mask.shape}. Received: {received}"
            )
    return scores
