"""The lottery-ticket algorithm on one page: given what is finished, which runs come next.

It is pure: it uses no TensorFlow and no files. Serial loops, processes, clusters and searches all ask `plan`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import (
    ARMS,
    CHAINS,
    FOLLOWING,
    chain_below,
    function_name,
    in_full,
    is_chain,
    matched,
    settings_of,
)
from tf_lottery.method.check import check_arms
from tf_lottery.method.dense import dense, pretraining, rewind_points
from tf_lottery.method.matching import ROUNDING, Run
from tf_lottery.method.place import Place
from tf_lottery.method.spec import Finished, RunSpec

Chain = list[RunSpec]
"""The runs of one chain arm and replicate by round, the dense network first."""
Chains = dict[str, Chain]
"""A replicate's chains by arm."""


def plan(study: StudyConfig, records: Iterable[Finished]) -> list[RunSpec]:
    """Return the runs that can start now, in the order in which to start them.

    Args:
        study: The study, with `data.digest` filled in.
        records: The records of finished runs, in any order; those of other studies are ignored.

    Returns:
        The specs whose every predecessor is finished, by replicate, round, arm and trial. The list is empty
        when the study is finished.

    Examples:
        >>> import tf_lottery as lottery
        >>> study = lottery.load_config("digits_quick", ["replicates=2", "data.digest=unknown"])
        >>> [spec.describe() for spec in lottery.plan(study, [])]
        ['ticket replicate 0 round 0', 'ticket replicate 1 round 0']
    """
    finished = {record.key: record for record in records}
    waiting: dict[str, RunSpec] = {}
    for spec in reached(study, finished):
        awaited = {spec.masks_of, spec.pretrained} - {None}
        if awaited <= finished.keys() and not _is_finished(spec, finished):
            waiting.setdefault(spec.key, _keeping(spec, finished))  # arms may share a run
    return list(waiting.values())


def collect(study: StudyConfig, records: Iterable[Run]) -> list[Run]:
    """Return the study's finished runs, labelled with their place in it, in the same order."""
    finished = {record.key: record for record in records}
    specs = [spec for spec in reached(study, finished) if _is_finished(spec, finished)]
    return [finished[spec.key].model_copy(update={"spec": spec}) for spec in specs]


def expected_runs(study: StudyConfig) -> int | None:
    """Return how many runs the study takes if no stop rule ends it early; None if that is unknown."""
    specs = foreseen(study.with_digests(lambda data: data.digest or f"{data.name} {data.path} {data.load}"))
    return None if specs is None else len({spec.key for spec in specs})


def foreseen(study: StudyConfig) -> list[RunSpec] | None:
    """Return every run of a study if no stop rule ends it early; None if only a rule ends it."""
    _check(study)
    if _ends_by_a_rule(study):
        return None
    rounds = {arm: settings_of(study, arm).pruning.rounds or 0 for arm in study.arms}  # None ends by a rule
    return _grown(study, lambda arm, chain: len(chain) <= rounds[arm], lambda spec: True)


def reached(study: StudyConfig, finished: Mapping[str, Finished]) -> list[RunSpec]:
    """Return every run that the algorithm asks for so far, whether it is finished or ready to start.

    Round 0 trains the dense network. Then, as long as no stop rule holds: prune the last round's trained
    weights, return the survivors to the rewind point, train.

    Raises:
        LotteryError: If there is an unknown arm, or the study's data has no digest yet.
    """
    _check(study)
    settings = {arm: settings_of(study, arm) for arm in study.arms}
    grown: dict[str, list[Chain]] = {}

    def goes_on(arm: str, chain: Chain) -> bool:
        return _goes_on(settings[arm], chain, grown[arm], finished)

    return _grown(study, goes_on, lambda spec: _is_finished(spec, finished), grown)


def spent(study: StudyConfig, records: Iterable[Finished]) -> set[str]:
    """Return the keys of the finished runs whose last weights no further run of the study will need.

    A run is spent when all runs that build on it are finished. The last run of a chain never is, so that
    more rounds can follow.
    """
    finished = {record.key: record for record in records}
    specs = reached(study, finished)
    coming = foreseen(study) or specs
    unfinished = [spec for spec in coming if not _is_finished(spec, finished)]
    needed = {key for spec in unfinished for key in (spec.parent, spec.pretrained)}
    needed |= {spec.parent for spec in specs if spec.start == "trained"}  # tickets start from these weights
    last: dict[tuple[str, int], str] = {}
    for spec in specs:
        if is_chain(study, spec.arm):
            last[spec.arm, spec.replicate] = spec.key
    # A chain that has no round of its own yet goes on from the dense run that it shares.
    for arm in study.arms:
        for replicate in range(study.replicates) if is_chain(study, arm) else ():
            last.setdefault((arm, replicate), _dense(study, replicate, arm).key)
    if _ends_by_a_rule(study):  # arms that prune the dense network once may still have further rounds
        needed |= {spec.key for spec in specs if spec.round == 0}
    return {spec.key for spec in specs if spec.key in finished} - needed - set(last.values())


def _begun(study: StudyConfig, replicate: int) -> Chains:
    """Return a replicate's chains, each with its dense run. A dense run that several arms build on keeps the
    rewind points of all of them."""
    arms = [arm for arm in study.arms if is_chain(study, arm)]
    arms.sort(key=lambda arm: function_name(study, arm) in FOLLOWING)  # after those that they follow
    chains = {arm: [_dense(study, replicate, arm)] for arm in arms}
    points: dict[str, dict[str, None]] = {}
    for (first,) in chains.values():
        points.setdefault(first.key, {}).update(dict.fromkeys(first.snapshots))
    for arm in study.arms:
        (first,) = chains[chain_below(study, arm)]
        own = rewind_points(in_full(study, arm).rewind)
        points[first.key].update(dict.fromkeys(own))
    for arm, (first,) in chains.items():
        chains[arm] = [first.model_copy(update={"snapshots": tuple(points[first.key])})]
    return chains


def _dense(study: StudyConfig, replicate: int, arm: str) -> RunSpec:
    return dense(settings_of(study, arm), replicate, arm, pretraining(study, replicate))


def _grown(
    study: StudyConfig,
    goes_on: Callable[[str, Chain], bool],
    is_finished: Callable[[RunSpec], bool],
    grown: dict[str, list[Chain]] | None = None,
) -> list[RunSpec]:
    """Return all runs of all arms.

    Args:
        study: The study.
        goes_on: A function that decides whether an arm's chain goes on.
        is_finished: A function that says whether a run is finished.
        grown: A mapping that gets, for each arm, its chains of all replicates as far as they have grown.
    """
    replicates = [_begun(study, replicate) for replicate in range(study.replicates)]
    for arm in replicates[0]:
        settings, chains = settings_of(study, arm), [replicate[arm] for replicate in replicates]
        if grown is not None:
            grown[arm] = chains
        if function_name(study, arm) in FOLLOWING:
            for replicate in replicates:
                chain, followed = replicate[arm], replicate[study.arms[arm].on]
                while len(chain) < len(followed) and is_finished(chain[-1]):
                    chain.append(_next(study, arm, settings, chain))
            continue
        growing = list(chains)
        while growing:
            growing = [chain for chain in growing if goes_on(arm, chain)]
            for chain in growing:
                chain.append(_next(study, arm, settings, chain))
    return [spec for replicate in replicates for spec in _of_replicate(study, replicate, is_finished)]


def _next(study: StudyConfig, arm: str, settings: StudyConfig, chain: Chain) -> RunSpec:
    place = Place(settings, arm, chain[0].replicate, len(chain), trial=0, dense=chain[0], before=chain[-1])
    return CHAINS[function_name(study, arm)](place)


def _of_replicate(
    study: StudyConfig, chains: Chains, is_finished: Callable[[RunSpec], bool]
) -> list[RunSpec]:
    """Return a replicate's runs by round, arm and trial. A dense run that arms share is listed once."""
    specs = _dense_runs(study, chains)
    settings = {arm: settings_of(study, arm) for arm in study.arms}
    for round in range(max(map(len, chains.values()))):
        for arm in study.arms:
            if arm in chains:
                specs += chains[arm][round : round + 1] if round else []
            elif round or is_finished(chains[chain_below(study, arm)][0]):
                specs += _not_chained(study, settings, chains, arm, round)
    return specs


def _dense_runs(study: StudyConfig, chains: Chains) -> list[RunSpec]:
    """Return a replicate's run before round 0 and its dense runs, that of `final` first."""
    replicate = next(iter(chains.values()))[0].replicate
    finals = [arm for arm in study.arms if function_name(study, arm) == "final"]
    full = [_dense(study, replicate, arm) for arm in finals]
    before = filter(None, [pretraining(study, replicate)])
    every = [*before, *full, *(chain[0] for chain in chains.values())]
    points: dict[str, dict[str, None]] = {}
    for spec in every:
        points.setdefault(spec.key, {}).update(dict.fromkeys(spec.snapshots))
    first = {spec.key: spec for spec in reversed(every)}
    return [
        spec.model_copy(update={"snapshots": tuple(points[spec.key])})
        for spec in every
        if first[spec.key] is spec
    ]


def _not_chained(
    study: StudyConfig, settings: Mapping[str, StudyConfig], chains: Chains, arm: str, round: int
) -> list[RunSpec]:
    """Return the trials of an arm that isn't a chain at one round; none if the arm it is `on` has no run."""
    own = study.arms[arm]
    if round not in (own.rounds or range(1, round + 1)):
        return []
    if own.on in chains:
        same = chains[own.on][round : round + 1]
    else:
        same = _not_chained(study, settings, chains, own.on, round)[:1]
    if not same:
        return []
    place = Place(
        settings[arm],
        arm,
        same[0].replicate,
        round,
        trial=0,
        dense=chains[chain_below(study, arm)][0],
        same=same[0],
        matched=matched(study, arm),
    )
    function = ARMS[function_name(study, arm)]
    trials = [function(replace(place, trial=trial)) for trial in range(own.trials)]
    if own.trials > 1 and trials[0].key == trials[1].key:
        raise LotteryError(
            f"Arm {arm!r} draws nothing, so all its trials would be the same run. Leave trials out, or set "
            "data.order: fresh."
        )
    return trials


def _ends_by_a_rule(study: StudyConfig) -> bool:
    """Return whether a chain has no number of rounds, so that only a stop rule ends it."""
    return any(settings_of(study, arm).pruning.rounds is None for arm in study.arms if is_chain(study, arm))


def _is_finished(spec: RunSpec, finished: Mapping[str, Finished]) -> bool:
    """Return whether a run is finished, with all rewind points that it is asked to keep. A dense run that
    lacks one is trained again, to the same bits, so what was trained from it stays valid."""
    record = finished.get(spec.key)
    return record is not None and set(spec.snapshots) <= set(record.spec.snapshots)


def _keeping(spec: RunSpec, finished: Mapping[str, Finished]) -> RunSpec:
    """Return the spec with the rewind points that exist already added to those that it keeps."""
    existing = finished[spec.key].spec.snapshots if spec.key in finished else ()
    return spec.model_copy(update={"snapshots": tuple(dict.fromkeys((*existing, *spec.snapshots)))})


def _goes_on(study: StudyConfig, chain: Chain, chains: list[Chain], finished: Mapping[str, Finished]) -> bool:
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


def _fell(study: StudyConfig, chains: list[Chain], round: int, finished: Mapping[str, Finished]) -> bool:
    """Return whether the mean over replicates fell too far; also True while the mean isn't known yet."""
    if any(len(chain) <= round or chain[round].key not in finished for chain in chains):
        return True

    def mean(at: int) -> float:
        return sum(finished[chain[at].key].monitored for chain in chains) / len(chains)

    return mean(0) - mean(round) > (study.pruning.max_accuracy_drop or 0.0) + ROUNDING


def _check(study: StudyConfig) -> None:
    check_arms(study)
    if study.data.digest is None:
        raise LotteryError("The study has no data.digest yet. Call prepare() first, which fills it in.")
