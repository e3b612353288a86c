"""What a tuning keeps of a candidate: its runs as a study of its own, and of their weights what is needed."""

from tf_lottery.lock import held
from tf_lottery.method.spec import Record
from tf_lottery.paths import StudyPaths
from tf_lottery.store.adopt import link
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import written
from tf_lottery.tuning.candidate import Candidate
from tf_lottery.tuning.outcome import Outcome
from tf_lottery.tuning.paths import TuningPaths


def keep_candidate(
    candidate: Candidate, result: Outcome | None, store: Store, paths: TuningPaths, records: list[Record]
) -> StudyPaths:
    """Make a candidate that is at its end a study of its own, whose files are links into the store.

    With `storage.keep: masks`, the early-stop weights of all runs but its ticket's and the dense ones' are
    deleted, which nothing that is still to be trained needs.

    Args:
        candidate: The candidate.
        result: What it came to.
        store: The tuning's store.
        paths: The tuning's files.
        records: The records of the candidate's runs.

    Returns:
        The paths of the study.
    """
    own, masks_only = paths.candidate(candidate.name), store.storage.keep == "masks"
    kept = Store(own, store.storage)
    if not own.study.exists():
        kept.write_study(written(candidate.study))
    best = _runs_of_the_ticket(candidate, result, records)
    with held(paths.lock, patience=60):  # another process may keep the same candidate at the same moment
        for record in {record.key: record for record in records}.values():
            names = list(record.digests)
            if masks_only:
                left_out = {"weights_last"} if record.key in best else {"weights_last", "weights_early_stop"}
                names = [name for name in names if name not in left_out]
            if not own.run(record.key).record.exists():
                link(paths.run(record.key), own.run(record.key), record, names)
            if masks_only and record.spec.round > 0 and record.key not in best:
                paths.run(record.key).weights_early_stop.unlink(missing_ok=True)
    return own


def drop_weights(store: Store, records: list[Record]) -> None:
    """Delete last weights, with `storage.keep: masks`; those of dense runs stay.

    Args:
        store: The tuning's store.
        records: The records of runs that nothing builds on any more.
    """
    for record in records if store.storage.keep == "masks" else ():
        if record.spec.round > 0:
            store.paths.run(record.key).weights_last.unlink(missing_ok=True)


def _runs_of_the_ticket(candidate: Candidate, result: Outcome | None, records: list[Record]) -> set[str]:
    """Return the keys of the runs that trained a candidate's ticket; arms may share them."""
    ticket = result.ticket.round if result and result.ticket else None
    return {r.key for r in records if (r.spec.arm, r.spec.round) == (candidate.arm, ticket)}
