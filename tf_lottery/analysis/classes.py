"""What a ticket loses that its accuracy doesn't show: classes, examples and calibration.

Two networks of one accuracy may be right for other examples, and what is lost may be lost by a few classes
(Hooker et al. 2019, What do compressed deep neural networks forget?). Runs are tested again, with the
early-stop weights that the records' test accuracy is of.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tf_lottery.analysis import class_rows
from tf_lottery.analysis.answers import Answers
from tf_lottery.analysis.class_rows import DENSE, Churn, ClassAccuracy, Summary
from tf_lottery.analysis.shown import round_to_show
from tf_lottery.analysis.stored import check_functions, check_kept
from tf_lottery.config import StudyConfig
from tf_lottery.method.matching import dense_runs
from tf_lottery.method.plan import collect
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record
from tf_lottery.store.store import Store
from tf_lottery.training.quiet_start import start_quietly

if TYPE_CHECKING:
    from tf_lottery.runs.trainers import Trainers


@dataclass(frozen=True)
class Classes:
    """What a study's runs of one round answer to the test set.

    Attributes:
        round: The round.
        summaries: A row for the dense networks, and one for each arm.
        by_class: A row for each of these and each class.
        churn: A row for dense networks of two replicates, if there are several, and one for each arm.
    """

    round: int
    summaries: list[Summary]
    by_class: list[ClassAccuracy]
    churn: list[Churn]


@dataclass(frozen=True)
class _Group:
    """The runs of an arm's round, and the dense networks that they are compared with."""

    runs: list[Record]
    dense: list[Record]

    @property
    def is_dense(self) -> bool:
        return self.runs[0].spec.is_dense


def classes(
    study: StudyConfig,
    store: Store,
    round: int | None = None,
    trainers: "Trainers | None" = None,
    passed: Callable[[int, int], None] = lambda done, runs: None,
    functions: Collection[str] | None = None,
) -> Classes:
    """Test the runs of a round and the dense networks again: what are they right for, and how sure are they?

    An arm on other data is tested on its own, and compared with the dense network that was trained on it, if
    the study has one.

    Args:
        study: The study, with its data's digest.
        store: The store that holds its runs.
        round: The round. Default: that of the sparsest matching ticket, or else the main arm's last.
        trainers: Compiled networks. Default: new ones.
        passed: A function that is called with the number of runs that are tested, and with that of all.
        functions: The functions that a study of a stranger's may call, `package.module:function`. Default:
            all that it names.

    Raises:
        LotteryError: If there is no such round, early-stop weights weren't kept, a run built again isn't
            what its record says, or the study names a function that it may not call.
        DamagedError: If a file of a run fails its checksum.
    """
    results = Results(collect(study, store.records()))
    at = round_to_show(results, study.tolerance, round)
    groups = _groups(results, at)
    runs = {record.key: record for group in groups for record in group.runs}
    check_kept(store, (record.spec for record in runs.values()), "early_stop")
    for record in runs.values():
        check_functions(record.spec, functions)
    start_quietly()
    from tf_lottery.analysis.answer_meter import AnswerMeter
    from tf_lottery.runs.trainers import Trainers

    meter = AnswerMeter(store, trainers or Trainers())
    answers = meter.all(runs.values(), lambda done: passed(done, len(runs)))

    def of(records: list[Record]) -> list[Answers]:
        return [replace(answers[record.key], record=record) for record in records]

    pairs = [(of(group.runs), of(group.dense)) for group in groups]
    names = _names(groups)
    seeds = [
        class_rows.churn_of_seeds(of(group.runs), names[group.runs[0].key])
        for group in groups
        if group.is_dense
    ]
    churn = [class_rows.churn(own, dense, names[dense[0].record.key]) for own, dense in pairs if dense]
    return Classes(
        at,
        [class_rows.summary(own, dense) for own, dense in pairs],
        [row for own, dense in pairs for row in class_rows.by_class(own, dense)],
        [row for row in (*seeds, *churn) if row is not None],
    )


def _names(groups: list[_Group]) -> dict[str, str]:
    """Return key -> what a dense run is called: with its arm where it isn't the first one's."""
    dense = [group.runs for group in groups if group.is_dense]
    return {
        run.key: DENSE if number == 0 else f"{DENSE} of {run.spec.arm}"
        for number, runs in enumerate(dense)
        for run in runs
    }


def _groups(results: Results[Record], round: int) -> list[_Group]:
    """Return the runs to test, by arm: the dense networks that arms are compared with first."""
    own: dict[str, list[Record]] = {}
    for record in results.records:
        if record.spec.round == round and not record.spec.is_dense:
            own.setdefault(record.spec.arm, []).append(record)
    dense = {arm: dense_runs(results.records, runs) for arm, runs in own.items()}
    keys = {record.key for runs in dense.values() for record in runs}
    by_arm: dict[str, list[Record]] = {}
    for record in results.records:
        if record.spec.is_dense and (record.key in keys or round == 0):
            by_arm.setdefault(record.spec.arm, []).append(record)
    return [
        *(_Group(runs, []) for runs in by_arm.values()),
        *(_Group(runs, dense[arm]) for arm, runs in own.items()),
    ]
