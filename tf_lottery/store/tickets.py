"""From a finished run to its ticket: masks + rewind weights + provenance."""

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import Record
from tf_lottery.pruning.masks import zeroed
from tf_lottery.store.store import Store
from tf_lottery.ticket import Ticket

_MODEL = "model/"


def make_ticket(study: StudyConfig, store: Store, record: Record) -> Ticket:
    """Return the ticket that a run of the `ticket` arm trained.

    Args:
        study: which the record belongs to.
        store: with the run's files.
        record: of a pruned run.

    Returns:
        A ticket with the weights at early stop as its trained weights, if they were kept.

    Raises:
        LotteryError: a run that isn't a ticket's, or a damaged file.
    """
    spec = record.spec
    if spec.start != "rewind":
        raise LotteryError(f"Expected a pruned run of arm 'ticket'. Received: {spec.describe()}")
    masks = store.masks(record.key)
    # The first step of the run is the rewind point; the root's 0it is theta_0.
    state = store.rewind_point(spec.root, record.first_step)
    weights = zeroed(
        {name.removeprefix(_MODEL): value for name, value in state.items() if name.startswith(_MODEL)}, masks
    )
    there = store.paths.run(record.key).weights_early_stop.exists() or store.storage.keep != "masks"
    trained = store.weights(record.key, "early_stop") if there else {}
    provenance = {
        "study": study.name,
        "seed": study.seed,
        "replicate": spec.replicate,
        "round": spec.round,
        "density": record.density,
        "rewind_to": spec.rewind.to,
        "run": record.key,
        "data_digest": spec.data.digest,
        "model": spec.model.model_dump(mode="json", exclude_defaults=True),
        "input_shape": record.resolved["input_shape"],
        "classes": record.resolved["classes"],
        "early_stop_test_accuracy": record.early_stop_test_accuracy,
        "environment": record.environment,
    }
    return Ticket(masks, weights, {name.removeprefix(_MODEL): v for name, v in trained.items()}, provenance)
