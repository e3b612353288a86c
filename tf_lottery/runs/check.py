"""The checks that are made before anything is trained."""

import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.config import StudyConfig
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.layers.redraw import redraw
from tf_lottery.layers.units import check_units, unit_axes
from tf_lottery.length import Length
from tf_lottery.method.arms import chain_below, searched, settings_of
from tf_lottery.method.plan import foreseen
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.models.build import build
from tf_lottery.pruning.criteria import CRITERIA, LOOKING, OUTPUTS, PROBING, Evidence
from tf_lottery.pruning.patterns import SINGLE, pattern
from tf_lottery.runs.check_rounds import check_counts, check_rates, check_span
from tf_lottery.runs.engines import lacking
from tf_lottery.runs.settling import check_looks
from tf_lottery.runs.start import check_start
from tf_lottery.runs.strong import check_kind
from tf_lottery.runs.trainers import Trainers
from tf_lottery.runs.updating import check_growing, update_steps
from tf_lottery.training.optimizers import make_optimizer, outputs_of
from tf_lottery.training.state import model_variables
from tf_lottery.training.supermask import is_constant
from tf_lottery.training.trainer import Trainer


def check_fit(study: StudyConfig, spec: RunSpec, trainers: Trainers, records: list[Record]) -> None:
    """Check that the settings fit the data and the network.

    Args:
        study: The study that is about to begin or to go on.
        spec: The run that is trained first.
        trainers: The study's data and networks.
        records: The records of the study's finished runs.

    Raises:
        LotteryError: If the data doesn't fill a batch, a rewind point is too late, a layer pattern has no
            effect, or the network differs from the one that the finished runs trained, or draws the same
            weights under another seed.
    """
    trainer = trainers.trainer(spec)
    settings = {arm: settings_of(study, arm) for arm in study.arms}
    lengths = {
        arm: Length.of(each.training, len(trainers.dataset(each.data).train))
        for arm, each in settings.items()
    }
    specs = one_of_each_arm(study)
    for arm, each in settings.items():
        make_optimizer(each.training, trainer.strategy.num_replicas_in_sync)
        pruned = next((spec for spec in specs if spec.arm == arm and spec.round > 0), None)
        if pruned is not None:
            check_span(pruned, lengths[arm], lengths[chain_below(study, arm)])
        rates, what = check_rates(study, arm, trainer.kernels), pattern(each.pruning.pattern)
        if what.kind != SINGLE:
            check_units(trainer.model, what, rates, f"Pattern {each.pruning.pattern} of arm {arm!r}")
        _check_outputs(arm, each)
        if each.data.digest != settings[chain_below(study, arm)].data.digest:
            _check_transfer(arm, each, trainers.dataset(settings[chain_below(study, arm)].data), trainers)
    check_counts(study, trainer.shapes(), unit_axes(trainer.model))
    for criterion in {each.pruning.criterion for each in settings.values()} & (PROBING - LOOKING):
        weights = trainer.initial_weights(0)
        kernels = {path: weights["model/" + path] for path in trainer.kernels}
        CRITERIA[criterion](Evidence(kernels, probe=trainer.probe(weights, 0, 0)))  # without data it is quick
    sparse = [each for each in specs if each.training.engine == "sparse"]
    networks = {"".join(part.model_dump_json() for part in (s.data, s.model, s.training)): s for s in sparse}
    for each in networks.values():
        lacking(each, trainers.trainer(each))
    if any(lengths[arm].last > lengths[final].last for arm, final in searched(study)):
        raise LotteryError(
            "The rounds of the search train longer than its final runs. Make search.steps fewer than "
            "training.steps."
        )
    for each in specs:
        check_start(each)
        if each.updates is not None:
            update_steps(each.updates, lengths[each.arm])
            check_growing(each, trainers.trainer(each))
        if each.small is not None:
            trainers.narrowed(_sparsest(study, each))
        if each.until is not None:
            check_looks(each, lengths[each.arm])
        check_kind(each)
    own = [r for r in records if (r.spec.data.digest, r.spec.model) == (spec.data.digest, spec.model)]
    own = [record for record in own if record.spec.small is None]
    if any(r.resolved["architecture"] != trainer.resolved["architecture"] for r in own):
        raise LotteryError(
            f"{study.model.build or study.model.name} builds another network than the one that this study "
            "began with. Use --output to start a study of its own."
        )
    if study.replicates > 1 or len(study.arms) > 1:
        first, second = (trainer.initial_weights(seed) for seed in (0, 1))
        redraw(trainer.model, trainer.kernels, first, second, "model/")
        starts = {spec.start: spec.arm for spec in specs}
        starts.update(("constant_sign", s.arm) for s in specs if s.supermask and is_constant(s.supermask))
        _check_constant(starts, trainer, first)


def _check_outputs(arm: str, study: StudyConfig) -> None:
    outputs, criterion = outputs_of(study.training), study.pruning.criterion
    if outputs not in OUTPUTS.get(criterion, (outputs,)):
        raise LotteryError(
            f"Criterion {criterion!r} of arm {arm!r} doesn't take {outputs}. Choose another one, or set "
            "training.from_logits: true with a network that returns logits."
        )


def _check_transfer(arm: str, study: StudyConfig, source: Dataset, trainers: Trainers) -> None:
    """Check that a network for other data has a kernel of the same shape.

    Args:
        arm: The arm that is trained on other data.
        study: The study with the arm's settings.
        source: The data of the network that its masks come from.
        trainers: The arm's data.
    """
    networks = (
        build(study.model, data.input_shape, data.classes, seed=0)
        for data in (source, trainers.dataset(study.data))
    )
    first, second = ({k: v.shape for k, v in model_variables(each).items()} for each in networks)
    if not any(len(shape) > 1 and second.get(name) == shape for name, shape in first.items()):
        raise LotteryError(
            f"No kernel of the network for the data of arm {arm!r} has the shape that it has in the network "
            "that the masks come from, so there is nothing to transfer. Choose data with inputs of the same "
            "shape."
        )


def _check_constant(arms: dict[str, str], trainer: Trainer, theta_0: Arrays) -> None:
    """Check that kernels have signs to keep and weights to shuffle, where an arm does so.

    Args:
        arms: Kind of start -> an arm that has it.
        trainer: The trainer of the study's network.
        theta_0: A random initialization.
    """
    paths = [path for path in trainer.kernels if path not in trainer.frozen]
    constant = [path for path in paths if np.ptp(theta_0["model/" + path]) == 0]
    if (constant and "constant_sign" in arms) or ("reshuffle" in arms and constant == paths):
        arm = arms.get("constant_sign") or arms["reshuffle"]
        raise LotteryError(
            f"Arm {arm!r} builds on the initial weights, but kernels are constant at first ({constant[0]} is "
            "one of them). Leave out this arm."
        )


def _sparsest(study: StudyConfig, spec: RunSpec) -> RunSpec:
    """Return the last run of an arm, as far as it is foreseen."""
    runs = [each for each in foreseen(study) or [] if (each.arm, each.replicate) == (spec.arm, 0)]
    return runs[-1] if runs else spec


def one_of_each_arm(study: StudyConfig) -> list[RunSpec]:
    """Return the specs of one replicate and trial, up to the first round of every arm."""
    first = max(1, *(min(arm.rounds or [1]) for arm in study.arms.values()))
    arms = {}
    for name, arm in study.arms.items():
        own = arm.pruning | ({"rounds": first} if "rounds" in arm.pruning else {})
        arms[name] = arm.model_copy(update={"trials": 1, "pruning": own})
    pruning = study.pruning.model_copy(update={"rounds": first})
    return foreseen(study.model_copy(update={"replicates": 1, "arms": arms, "pruning": pruning})) or []
