"""Tickets of finished runs: masks, the weights that training starts from, and provenance."""

from collections.abc import Callable
from typing import Any

from tf_lottery.arrays import Arrays
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import Finished, Record
from tf_lottery.pruning.correspond import correspond
from tf_lottery.pruning.masks import Masks, zeroed
from tf_lottery.store.store import Store
from tf_lottery.ticket import Ticket

_MODEL = "model/"
_REWIND = "rewind/"


def make_ticket(study: StudyConfig, store: Store, record: Record) -> Ticket:
    """Return the ticket that a run of a study trained.

    Args:
        study: The study that the run belongs to.
        store: The store that holds the run's files.
        record: The record of a pruned run.

    Returns:
        The ticket. Its trained weights are those at early stop, if they were kept.

    Raises:
        LotteryError: If the run didn't train a ticket, or one of its files fails its checksum.
    """
    spec = record.spec
    if spec.start not in STARTED_FROM or not spec.round or spec.small:
        raise LotteryError(
            f"Expected a pruned run whose starting weights are kept. Received: {spec.describe()}, with "
            f"start {spec.start!r}"
        )
    provenance = {
        "study": study.name,
        "arm": spec.arm,
        "seed": study.seed,
        "replicate": spec.replicate,
        "round": spec.round,
        "density": record.density,
        "rewind_to": spec.rewind.to if spec.rewind else "0it",
        "run": record.key,
        "data_digest": spec.data.digest,
        "model": spec.model.model_dump(mode="json", exclude_defaults=True),
        "input_shape": record.resolved["input_shape"],
        "classes": record.resolved["classes"],
        "early_stop_test_accuracy": record.early_stop_test_accuracy,
        "environment": record.environment,
    }
    if standardized := record.resolved.get("standardized"):
        provenance["standardized"] = standardized
    return ticket_of(store, record, provenance)


def ticket_of(store: Store, record: Finished, provenance: dict[str, Any]) -> Ticket:
    """Return the ticket of a finished run, of a study or of a search.

    Args:
        store: The store that holds the run's files.
        record: The run's record.
        provenance: The ticket's provenance, as JSON holds it.

    Raises:
        LotteryError: If the weights that the run started from weren't kept, or a file fails its checksum.
    """
    masks = store.masks(record.key)
    started = STARTED_FROM.get(record.spec.start)
    if started is None:
        raise LotteryError(
            f"The weights that {record.spec.describe()} started from weren't kept. Use the ticket that it "
            "reinitializes."
        )
    has_trained = store.paths.run(record.key).weights_early_stop.exists() or store.storage.keep != "masks"
    trained = _of_model(store.weights(record.key, "early_stop")) if has_trained else {}
    weights = _named_as(_of_model(started(store, record)), trained, masks)
    return Ticket(masks, zeroed(weights, masks), zeroed(trained, masks) if trained else {}, provenance)


def _named_as(weights: Arrays, trained: Arrays, masks: Masks) -> Arrays:
    """Return starting weights under the run's own names: Keras may have numbered layers differently."""
    if masks.keys() <= weights.keys():
        return weights
    found = correspond(_shapes(weights), _shapes(trained))
    if not found.complete:
        raise LotteryError(
            f"The run's weights aren't those of its dense run's network ({found.differences()})."
        )
    return {other: weights[name] for name, other in found.pairs.items()}


def _shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in arrays.items()}


def _initialized(store: Store, record: Finished) -> Arrays:
    return store.rewind_point(record.key, 0)


def _rewound(store: Store, record: Finished) -> Arrays:
    """Return the rewind point that the run returned to, found by the digest that its record holds."""
    digest = record.checks["rewind_digest"]
    points = store.record(record.spec.root).digests
    name = next(name for name, value in points.items() if name.startswith(_REWIND) and value == digest)
    return store.rewind_point(record.spec.root, int(name.removeprefix(_REWIND).removesuffix("it")))


def _trained(store: Store, record: Finished) -> Arrays:
    """Return the last weights of the run that was pruned, if it is still the same."""
    parent = record.spec.parent
    if store.record(parent).digests["weights_last"] != record.checks["started_from"]:
        raise LotteryError(
            f"The run that {record.spec.describe()} started from has been trained anew since, with other "
            "results. Train this run again, too."
        )
    return store.weights(parent)


STARTED_FROM: dict[str, Callable[[Store, Finished], Arrays]] = {
    "initialize": _initialized,
    "rewind": _rewound,
    "trained": _trained,
}
"""Kind of start -> the weights that a run's training started from, before masks are applied."""


def _of_model(arrays: Arrays) -> Arrays:
    return {name.removeprefix(_MODEL): value for name, value in arrays.items() if name.startswith(_MODEL)}
