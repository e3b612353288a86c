"""From a study to one of its trained networks, and to what it takes to export it."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_lottery.data import sources
from tf_lottery.data.split import Dataset, split
from tf_lottery.errors import LotteryError
from tf_lottery.layers.copying import settle
from tf_lottery.method.plan import collect
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record
from tf_lottery.models.build import build
from tf_lottery.paths import StudyPaths
from tf_lottery.store import study_file
from tf_lottery.store.store import Store
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
    load: str | None = None,
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
        load: the study's own function that returns its data, likewise.

    Raises:
        LotteryError: no such round, or one whose trained weights weren't kept; a function of the study
            that isn't named, or one that isn't the study's.
    """
    study, store = study_file.load(paths), Store(paths)
    _check_named(paths, "--build", "builder", study.model.build, build)
    results = Results(collect(study, store.records()))
    if any(record.spec.model.build != build for record in results.records):
        raise LotteryError(f"The runs in {paths.root} are of another builder than the study's. Restore them.")
    dense = results.rounds(replicate).get(0)
    if dense is None:
        _check_named(paths, "--data", "function that loads data", study.data.load, load)
        raise LotteryError(
            f"Expected a finished dense run of replicate {replicate}. Received: none in {paths.root}. "
            "`tf-lottery run` goes on with the study."
        )
    _check_finite("density", density)
    _check_finite("within", within)
    record = results.choose(round, density, within, study.tolerance, replicate)
    # The study knows where its data lies now; an arm may have data of its own.
    data = study.data if study.data.digest == record.spec.data.digest else record.spec.data
    _check_named(paths, "--data", "function that loads data", data.load, load)
    examples = sources.load(data)
    provenance = {
        "study": study.name,
        "round": record.spec.round,
        "replicate": replicate,
        "density": record.density,
        "run": record.key,
        "data_digest": record.spec.data.digest,
        "validation_accuracy": record.early_stop_validation_accuracy,
        "dense_validation_accuracy": dense.early_stop_validation_accuracy,
    }
    if standardized := record.resolved.get("standardized"):
        provenance["standardized"] = standardized
    # The run's own share decides what is standardized with which numbers.
    dataset = split(examples, record.spec.data)
    return TrainedRun(_network(store, record), _network(store, dense), dataset, record, provenance)


def _check_named(paths: StudyPaths, option: str, what: str, own: str | None, given: str | None) -> None:
    """Check that the user names the function that a study names."""
    if given and not own:
        raise LotteryError(
            f"Expected no {option}, since {paths.root} has no {what} of its own. Received: {given}. "
            "Leave it out."
        )
    if own != given:
        raise LotteryError(
            f"Expected {option} {own}, as the study {paths.root} has it: no function is called "
            f"because a file names it. Received: {given or 'none'}. Give it if you trust the study."
        )


def _check_finite(name: str, value: float | None) -> None:
    if value is not None and not np.isfinite(value):
        raise LotteryError(f"Expected --{name} as a finite number. Received: {value}")


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
