"""The lottery-ticket algorithm on one page: given what is finished, which runs come next.

Pure: no TensorFlow, no files. A serial loop, processes and clusters all ask `plan`.
"""

from collections.abc import Iterable

from tf_lottery.config import ArmConfig, StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import ARMS, dense, ticket
from tf_lottery.method.matching import ROUNDING
from tf_lottery.method.spec import Finished, RunSpec


def plan(study: StudyConfig, records: Iterable[Finished]) -> list[RunSpec]:
    """Return the runs that can start now, in the order in which to start them.

    Args:
        study: with `data.digest` filled in.
        records: of finished runs, in any order; those of other studies do no harm.

    Returns:
        Specs whose parents are finished, by replicate, round, arm and trial. Empty when
        the study is finished.

    Example:
        >>> import tf_lottery as lottery
        >>> study = lottery.load_config("digits_quick", ["replicates=2", "data.digest=unknown"])
        >>> [spec.describe() for spec in lottery.plan(study, [])]
        ['ticket replicate 0 round 0', 'ticket replicate 1 round 0']
    """
    finished = {record.key: record for record in records}
    waiting = {}
    for spec in reached(study, finished):
        if not _is_finished(spec, finished):
            waiting.setdefault(spec.key, _keeping(spec, finished))  # arms may share a run
    return list(waiting.values())


def collect(study: StudyConfig, records: Iterable[Finished]) -> list[Finished]:
    """Return the study's finished runs, labelled with their place in it, in the same order."""
    finished = {record.key: record for record in records}
    specs = [spec for spec in reached(study, finished) if _is_finished(spec, finished)]
    return [finished[spec.key].model_copy(update={"spec": spec}) for spec in specs]


def expected_runs(study: StudyConfig) -> int | None:
    """Return how many runs the study takes if no stop rule ends it early, None if unknown."""
    rounds = study.pruning.rounds
    if rounds is None:
        return None
    controls = sum(
        settings.trials
        for arm, settings in study.arms.items()
        for round in range(1, rounds + 1)
        if arm != "ticket" and _at(settings, round)
    )
    return study.replicates * (1 + rounds + controls)


def foreseen(study: StudyConfig) -> list[RunSpec] | None:
    """Return every run of a study if no stop rule ends it early, None if only a rule ends it."""
    _check(study)
    if study.pruning.rounds is None:
        return None
    chains = [[dense(study, replicate)] for replicate in range(study.replicates)]
    for chain in chains:
        chain += (ticket(study, chain, round, 0) for round in range(1, study.pruning.rounds + 1))
    return [spec for chain in chains for spec in _with_arms(study, chain)]


def reached(study: StudyConfig, finished: dict[str, Finished]) -> list[RunSpec]:
    """Return every run that the algorithm asks for so far, finished or ready to start.

    Round 0 trains the dense network. Then, as long as no stop rule holds: prune the last
    round's trained weights, return the survivors to the rewind point, train.

    Raises:
        LotteryError: an unknown arm, or a study whose data has no digest yet.
    """
    _check(study)
    chains = [[dense(study, replicate)] for replicate in range(study.replicates)]
    growing = True
    while growing:
        growing = False
        for chain in chains:
            if _goes_on(study, chain, chains, finished):
                chain.append(ticket(study, chain, len(chain), 0))
                growing = True
    return [spec for chain in chains for spec in _with_arms(study, chain)]


def spent(study: StudyConfig, records: Iterable[Finished]) -> set[str]:
    """Return keys of the finished runs whose last weights no further run of the study will need.

    Those of controls, and of tickets whose next round is finished in all arms. The last
    round's stay, so that more rounds can follow.
    """
    finished = {record.key: record for record in records}
    found = set()
    children: dict[str, list[RunSpec]] = {}
    specs = reached(study, finished)
    for spec in specs:
        if spec.parent:
            children.setdefault(spec.parent, []).append(spec)
    for spec in specs:
        below = children.get(spec.key, [])
        is_control = spec.arm != "ticket"
        goes_on = any(child.arm == "ticket" for child in below)
        if spec.key in finished and (
            is_control or (goes_on and all(_is_finished(child, finished) for child in below))
        ):
            found.add(spec.key)
    return found


def _is_finished(spec: RunSpec, finished: dict[str, Finished]) -> bool:
    """A dense run without a rewind point that is asked for now is trained again, to the same
    bits: what was trained from it stays valid."""
    record = finished.get(spec.key)
    return record is not None and set(spec.snapshots) <= set(record.spec.snapshots)


def _keeping(spec: RunSpec, finished: dict[str, Finished]) -> RunSpec:
    """The spec, also keeping the rewind points that are there already."""
    there = finished[spec.key].spec.snapshots if spec.key in finished else ()
    return spec.model_copy(update={"snapshots": tuple(dict.fromkeys((*there, *spec.snapshots)))})


def _goes_on(study: StudyConfig, chain: list[RunSpec], chains: list[list[RunSpec]], finished) -> bool:
    round = len(chain) - 1
    if not _is_finished(chain[-1], finished):
        return False
    record = finished[chain[-1].key]
    rules = study.pruning
    if rules.rounds is not None and round >= rules.rounds:
        return False
    if rules.target_density is not None and record.density <= rules.target_density:
        return False
    if round and record.weights_remaining == finished[chain[-2].key].weights_remaining:
        return False  # too few weights are left for the rate to take any
    return rules.max_accuracy_drop is None or not _fell(study, chains, round, finished)


def _fell(study: StudyConfig, chains: list[list[RunSpec]], round: int, finished) -> bool:
    """Whether the mean over replicates fell too far; also True while it isn't known yet."""
    if any(len(chain) <= round or chain[round].key not in finished for chain in chains):
        return True

    def mean(at: int) -> float:
        return sum(finished[chain[at].key].monitored for chain in chains) / len(chains)

    return mean(0) - mean(round) > study.pruning.max_accuracy_drop + ROUNDING


def _with_arms(study: StudyConfig, chain: list[RunSpec]) -> list[RunSpec]:
    specs = []
    for round, spec in enumerate(chain):
        specs.append(spec)
        for arm, settings in study.arms.items():
            if arm != "ticket" and round and _at(settings, round):
                specs += [ARMS[arm](study, chain, round, trial) for trial in range(settings.trials)]
    return specs


def _at(settings: ArmConfig, round: int) -> bool:
    return settings.rounds is None or round in settings.rounds


def _check(study: StudyConfig) -> None:
    for arm in study.arms:
        if arm not in ARMS:
            raise LotteryError(f"Expected arms of {', '.join(ARMS)}. Received: {arm!r}")
    if study.data.digest is None:
        raise LotteryError(
            "Expected a study whose data is known (data.digest). Received: none; see prepare()"
        )
