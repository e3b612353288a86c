"""From a study to one of its trained networks, and to what it takes to export it."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_lottery.config import StudyConfig
from tf_lottery.data import sources
from tf_lottery.data.split import Dataset, split
from tf_lottery.errors import LotteryError
from tf_lottery.layers.copying import settle
from tf_lottery.method.matching import ROUNDING, matching_round
from tf_lottery.method.plan import collect
from tf_lottery.method.spec import Record
from tf_lottery.models.build import build
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.training import state


@dataclass(frozen=True)
class TrainedRun:
    """Attributes:
    model: the round's network with its weights at early stop; plain.
    original: the dense network of the same replicate, likewise.
    dataset: of the study.
    record: of the round.
    provenance: where it comes from.
    """

    model: keras.Model
    original: keras.Model
    dataset: Dataset
    record: Record
    provenance: dict[str, Any]


def trained_run(
    paths: StudyPaths,
    round: int | None = None,
    density: float | None = None,
    within: float | None = None,
    replicate: int = 0,
    build: str | None = None,
) -> TrainedRun:
    """Return a study's trained network.

    Args:
        paths: of the study.
        round: which; or
        density: the round whose density is nearest; or
        within: the sparsest round whose validation accuracy is at most this far below the dense network's of
            the same replicate. A fraction. Default: the study's winning ticket (`matching_round`).
        replicate: which.
        build: the study's own builder, `package.module:function`, if it has one: a study may be a
            stranger's, and no function is called because a file names it.

    Raises:
        LotteryError: no such round, or one whose trained weights weren't kept; a builder that isn't named, or
            another than the study's.
    """
    study, store = load(paths), Store(paths)
    if build and not study.model.build:
        raise LotteryError(
            f"Expected no --build, since {paths.root} has no builder of its own. Received: {build}. "
            "Leave it out."
        )
    if study.model.build != build:
        raise LotteryError(
            f"Expected --build {study.model.build}, as the study {paths.root} has it: no function is called "
            f"because a file names it. Received: {build or 'none'}. Give it if you trust the study."
        )
    records = [record for record in collect(study, store.records()) if record.spec.arm == "ticket"]
    if any(record.spec.model.build != build for record in records):
        raise LotteryError(
            f"Expected the runs of this study in {paths.root}. Received: those of another builder"
        )
    rounds = {r.spec.round: r for r in records if r.spec.replicate == replicate}
    if 0 not in rounds:
        raise LotteryError(
            f"Expected a finished dense run of replicate {replicate}. Received: none in {paths.root}. "
            "`tf-lottery run` goes on with the study."
        )
    record = rounds[_choose(study, records, rounds, round, density, within)]
    examples = sources.load(study.data)
    provenance = {
        "study": study.name,
        "round": record.spec.round,
        "replicate": replicate,
        "density": record.density,
        "run": record.key,
        "data_digest": study.data.digest,
        "validation_accuracy": record.early_stop_validation_accuracy,
        "dense_validation_accuracy": rounds[0].early_stop_validation_accuracy,
    }
    return TrainedRun(
        _network(store, record), _network(store, rounds[0]), split(examples, study.data), record, provenance
    )


def _choose(
    study: StudyConfig,
    records: list[Record],
    rounds: dict[int, Record],
    round: int | None,
    density: float | None,
    within: float | None,
) -> int:
    if sum(each is not None for each in (round, density, within)) > 1:
        raise LotteryError("Expected one of --round, --density and --within. Received: several")
    for name, value in (("--density", density), ("--within", within)):
        if value is not None and not np.isfinite(value):
            raise LotteryError(f"Expected {name} as a finite number. Received: {value}")
    if round is not None:
        if round not in rounds:
            raise LotteryError(f"Expected a finished round: {_listed(rounds)}. Received: {round}")
        return round
    if density is not None:
        nearest = min(rounds, key=lambda each: abs(rounds[each].density - density))
        if abs(rounds[nearest].density - density) > 0.1 * rounds[nearest].density:
            raise LotteryError(
                "Expected a density near one of "
                f"{', '.join(f'{r.density:.3g}' for r in rounds.values())}. Received: {density}"
            )
        return nearest
    if within is not None:
        return _sparsest(rounds, within)
    found = matching_round(records, study.tolerance)
    if found is None:
        raise LotteryError(
            f"Expected a study with a matching ticket. Received: none within {100 * study.tolerance:g} "
            f"points of dense ({_values(rounds)}). Choose a round with --round or --within."
        )
    return found


def _sparsest(rounds: dict[int, Record], within: float) -> int:
    """The sparsest pruned round that is good enough by itself: it is this network that is shipped."""
    needed = rounds[0].monitored - within - ROUNDING
    good = [round for round, record in rounds.items() if round and record.monitored >= needed]
    if not good:
        raise LotteryError(
            f"Expected a round within {100 * within:g} points of the dense network's validation accuracy. "
            f"Received: none ({_values(rounds)}). Choose one with --round, or a larger --within."
        )
    return max(good)


def _values(rounds: dict[int, Record]) -> str:
    return ", ".join(f"round {round}: {record.monitored:.2%}" for round, record in list(rounds.items())[:4])


def _listed(rounds: dict[int, Record]) -> str:
    return (
        f"{min(rounds)} to {max(rounds)}" if len(rounds) == max(rounds) + 1 else ", ".join(map(str, rounds))
    )


def _network(store: Store, record: Record) -> keras.Model:
    if not store.paths.run(record.key).weights_early_stop.exists():
        raise LotteryError(
            f"Expected a round with its trained weights. Received: {record.spec.describe()}, of which they "
            "weren't kept. Run the study again with --set storage.keep=weights, which trains it."
        )
    resolved = record.resolved
    model = build(record.spec.model, tuple(resolved["input_shape"]), resolved["classes"], seed=0)
    weights = store.weights(record.key, "early_stop")
    state.restore(state.model_variables(model), weights)
    settle(model)
    return model
