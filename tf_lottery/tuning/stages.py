"""Which runs of a candidate come next.

Its search prunes round by round. Where finals are trained in full, only those are that the objective needs:
the rounds that are left are halved until the one is found at which tickets cease to match. A candidate that
is dominated, whatever it comes to, is given up. All of it follows from records alone, so that it is the same
whoever trains, and after any interruption.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tf_lottery.config import StudyConfig
from tf_lottery.config_tune import ACCURACY, TuneConfig
from tf_lottery.method.arms import settings_of
from tf_lottery.method.plan import collect, plan
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.tuning.candidate import CHAIN, Candidate
from tf_lottery.tuning.outcome import Front, Outcome, Point, needed, outcome, points_of, searched


@dataclass(frozen=True)
class Stage:
    """Where a candidate stands.

    Attributes:
        coming: The runs that can start now; empty if the candidate is at its end, or one of its runs failed.
        outcome: What it came to so far; None if too little is trained.
    """

    coming: list[RunSpec]
    outcome: Outcome | None


def stage(
    candidate: Candidate,
    records: Sequence[Record],
    tune: TuneConfig,
    front: Front,
    reference: float | None,
) -> Stage:
    """Return where a candidate stands.

    Args:
        candidate: The candidate.
        records: The records of all finished runs of the tuning.
        tune: The section `tune`.
        front: The front of the candidates whose results were known when this one was proposed.
        reference: The accuracy of the dense network of the study's own setting, None if this is that one.
    """
    study = candidate.study
    if tune.at_density is not None:  # with a share of the rounds it comes to a greater density
        tune = tune.model_copy(update={"objective": {ACCURACY: candidate.floor}})
    waiting, collected = plan(study, records), collect(study, records)
    chain = searched(candidate, collected, tune)
    found = chain if candidate.arm == CHAIN else points_of(candidate, collected, candidate.arm, tune)
    last = _last_in_a_row(chain)
    goes_on = any(spec.arm == CHAIN and spec.round == last + 1 for spec in waiting)
    limit, wanted, given_up = last + 1, set(), False
    if candidate.arm != CHAIN and 0 not in found and front.entries and tune.at_density is None:
        limit = 0  # when to give up is known with the dense network: what is trained must not depend on speed
    rewinds = _begins_later(study)
    if candidate.arm != CHAIN and 0 in found:
        limit, wanted, given_up = _finals(chain, found, last, goes_on, tune, front, reference, rewinds)
    first = (0, -1)
    coming = [
        spec
        for spec in waiting
        if spec.round in first
        or (spec.arm == CHAIN and spec.round <= limit)
        or (spec.arm == candidate.arm and spec.round in wanted)
    ]
    failed = min((round for round in found if round), default=1)
    assumed = chain[failed - 1].density if given_up and failed - 1 in chain else None
    return Stage(coming, outcome(found, tune, reference, given_up, assumed))


def _begins_later(study: StudyConfig) -> bool:
    """Return whether a final run may take fewer steps than the dense network and what led to it."""
    rewind = settings_of(study, CHAIN).rewind
    return rewind.to != "0it" or rewind.steps is not None or study.pretrain is not None


def _last_in_a_row(chain: dict[int, Point]) -> int:
    """Return the last round that all replicates have finished, with all before; -1 if there is none."""
    last = -1
    while last + 1 in chain:
        last += 1
    return last


def _finals(
    chain: dict[int, Point],
    found: dict[int, Point],
    last: int,
    goes_on: bool,
    tune: TuneConfig,
    front: Front,
    reference: float | None,
    rewinds: bool,
) -> tuple[int, set[int], bool]:
    """Return the last round that the search may train, the rounds whose finals are trained, and whether the
    candidate is given up."""
    if tune.at_density is not None:
        ended = [] if goes_on else [round for round in (last - 1, last) if round > 0]
        exact = ended and abs(chain[last].density / tune.at_density - 1) < 1e-9
        return last + 1, set(ended[-1:] if exact else ended), False
    least = needed(found[0], tune, reference)
    failing = min((round for round in found if round and found[round].accuracy < least), default=None)
    matching = max((round for round in found if failing is None or round < failing), default=0)
    beaten = 0
    while beaten + 1 in chain and front.beats(
        chain[beaten + 1].density, _cost(chain, beaten + 1, found, tune, rewinds)
    ):
        beaten += 1
    hopeful = beaten + 1
    if failing is not None and failing <= hopeful and beaten:
        return 0, set(), failing > matching + 1  # others have come to all that is left, at no greater cost
    if not matching and beaten and failing is None:
        if hopeful in chain:
            return hopeful, {hopeful}, False  # the first round that could be of use decides
        return hopeful, set() if goes_on else {last}, False
    if failing is None and goes_on:
        return last + 1, set(), False
    top = failing if failing is not None else last + 1
    return top, {(matching + top) // 2} - {matching, 0}, False


def _cost(
    chain: dict[int, Point], round: int, found: dict[int, Point], tune: TuneConfig, rewinds: bool
) -> float | None:
    """Return what the ticket of a round costs at least: its search, and in steps its final training, too,
    unless that may be shorter than the dense network's."""
    if round in found and found[round].cost is not None:
        return found[round].cost
    before = chain[round - 1].cost
    if before is None or tune.cost != "steps" or rewinds:
        return before
    return before + (found[0].cost or 0.0)
