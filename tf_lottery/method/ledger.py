"""The ledger of a study: what each run cost, and what the search that led to its masks cost.

A run's own cost is that of its training. Its search is every other run that it builds on: the dense run of
its replicate, the run whose weights are pruned, the run whose masks it takes, and what those build on in
turn. Each counts once, though several arms may build on it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import mean

from tf_lottery.method.spec import Finished, RunSpec

Combine = Callable[[Sequence[float]], float]

LINKS = ("pretrained", "root", "parent", "masks_of")
"""The fields of a `RunSpec` that name another run which it builds on."""


@dataclass(frozen=True)
class Spending:
    """What trainings cost, by the conventions of `Spent`. None stands for a figure that isn't known.

    Attributes:
        runs: The number of trainings.
        steps: The training steps.
        flops_dense: The training FLOPs of the dense network.
        flops_remaining: The training FLOPs of the weights that remain.
        seconds: The time of the training steps, in seconds.
    """

    runs: float | None
    steps: float | None
    flops_dense: float | None
    flops_remaining: float | None
    seconds: float | None

    @classmethod
    def of(cls, record: Finished) -> "Spending":
        """Return what a run cost. Records of earlier versions know no FLOPs."""
        spent = record.spent
        if spent is None:
            steps = record.last_step - record.first_step
            return cls(1, steps, None, None, record.seconds.get("train"))
        return cls(1, spent.steps, spent.flops_dense, spent.flops_remaining, spent.seconds)

    @classmethod
    def total(cls, costs: Iterable["Spending"]) -> "Spending":
        """Return the sum of costs. A figure that one of them lacks is None: there are no partial sums."""
        return cls._combined(costs, sum)

    @classmethod
    def mean(cls, costs: Iterable["Spending"]) -> "Spending":
        """Return the mean of costs. A figure that one of them lacks is None."""
        return cls._combined(costs, mean)

    @classmethod
    def _combined(cls, costs: Iterable["Spending"], combine: Combine) -> "Spending":
        costs = list(costs)
        return cls(*(_known([getattr(cost, each.name) for cost in costs], combine) for each in fields(cls)))


UNKNOWN = Spending(None, None, None, None, None)


@dataclass(frozen=True)
class Entry:
    """A run, its own cost, and that of its search.

    Attributes:
        record: The run's record.
        own: The cost of the run's own training.
        search: The cost of all other runs that its masks and weights build on; unknown if one of them isn't
            among the records.
    """

    record: Finished
    own: Spending
    search: Spending

    @property
    def all(self) -> Spending:
        """The cost of the run and its search together."""
        return Spending.total([self.own, self.search])


@dataclass(frozen=True)
class Line:
    """The entries of one arm and round: means over replicates, whose trials are averaged first.

    Attributes:
        arm: The arm.
        round: The round.
        replicates: The number of replicates.
        density: The fraction of prunable weights that remain.
        effective_density: The fraction that remain and lie on a path from an input to an output; None if it
            isn't known of every run.
        own: The cost of a run's own training.
        search: The cost of a run's search.
        all: The cost of both.
    """

    arm: str
    round: int
    replicates: int
    density: float
    effective_density: float | None
    own: Spending
    search: Spending
    all: Spending


def ledger(records: Iterable[Finished]) -> list[Entry]:
    """Return what each run of a study cost, and what its search cost.

    Args:
        records: The study's finished runs, as `collect` returns them.

    Returns:
        An entry for each record, in the same order.

    Examples:
        >>> import tf_lottery as lottery
        >>> from tf_lottery.method.ledger import ledger
        >>> small = ["training.steps=20it", "training.evaluate_every=20it", "pruning.rounds=2"]
        >>> records = lottery.run_study("digits_quick", "digits", overrides=small)
        >>> [(entry.record.spec.round, entry.own.steps, entry.search.steps) for entry in ledger(records)][:3]
        [(0, 20, 0), (1, 20, 20), (2, 20, 40)]
    """
    records = list(records)
    by_key = {record.key: record for record in records}
    return [Entry(record, Spending.of(record), _search(record, by_key)) for record in records]


def lines(entries: Iterable[Entry]) -> list[Line]:
    """Return the means of entries by arm and round, in the order in which arms and rounds first come.

    Args:
        entries: The entries of one study.
    """
    places: dict[tuple[str, int], dict[int, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    arms: dict[str, None] = {}
    for entry in entries:
        spec = entry.record.spec
        arms[spec.arm] = None
        places[spec.arm, spec.round][spec.replicate].append(entry)
    order = sorted(places, key=lambda place: (list(arms).index(place[0]), place[1]))
    return [_line(*place, list(places[place].values())) for place in order]


def spent_by(records: Iterable[Finished]) -> Spending:
    """Return what all runs cost together, each counted once, though several arms may share it."""
    by_key = {record.key: record for record in records}
    return Spending.total(map(Spending.of, by_key.values()))


def _search(record: Finished, by_key: Mapping[str, Finished]) -> Spending:
    found: dict[str, Finished] = {}
    waiting = [record]
    while waiting:
        for key in _built_on(waiting.pop().spec, by_key) - {None, record.key} - found.keys():
            if key not in by_key:
                return UNKNOWN
            found[key] = by_key[key]
            waiting.append(by_key[key])
    return Spending.total(map(Spending.of, found.values()))


def _built_on(spec: RunSpec, by_key: Mapping[str, Finished]) -> set[str | None]:
    """Return the keys of the runs whose training a run builds on."""
    built_on = {getattr(spec, link) for link in LINKS}
    root, masks_of = by_key.get(spec.root), by_key.get(spec.masks_of)
    if root is not None and spec.from_initial and (spec.rewind is None or spec.rewind.to == "0it"):
        # It takes the dense run's weights at step 0, which cost no training of that run.
        built_on = built_on - {root.key} | {root.spec.pretrained}
    known = masks_of is not None and not masks_of.spec.learns_masks
    if known and (masks_of.spec.pruning or masks_of.spec.parent):
        # These masks are known before that run's own training.
        built_on = built_on - {masks_of.key} | _built_on(masks_of.spec, by_key)
    return built_on


def _line(arm: str, round: int, replicates: list[list[Entry]]) -> Line:
    def value(read: Callable[[Finished], float | None]) -> float | None:
        trials = [_known([read(entry.record) for entry in entries], mean) for entries in replicates]
        return _known(trials, mean)

    def cost(read: Callable[[Entry], Spending]) -> Spending:
        return Spending.mean(Spending.mean(map(read, entries)) for entries in replicates)

    return Line(
        arm,
        round,
        len(replicates),
        value(lambda record: record.density),
        value(lambda record: record.effective_density),
        cost(lambda entry: entry.own),
        cost(lambda entry: entry.search),
        cost(lambda entry: entry.all),
    )


def _known(values: Sequence[float | None], combine: Combine) -> float | None:
    return None if None in values else combine(values)
