"""`run_study` as people call it: its records are a list that shows itself in a notebook."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tf_lottery import config_file
from tf_lottery.config import StudyConfig
from tf_lottery.drivers import run_study as drivers
from tf_lottery.drivers.execution import Execution
from tf_lottery.method.spec import Record
from tf_lottery.runs.observe import StudyObserver

MOST_ROWS = 60
"""The most runs that a notebook shows a row of."""


class StudyRecords(list[Record]):
    """The records of a study's finished runs: a list like any other, with a table and a picture in notebooks.

    Args:
        records: The records.
        name: The study's name.
        tolerance: The tolerance of the study's matching rule, as a fraction.
    """

    def __init__(self, records: Iterable[Record] = (), name: str = "study", tolerance: float = 0.0):
        super().__init__(records)
        self.name, self.tolerance = name, tolerance

    def summary(self) -> str:
        """Return what was found, in words: the dense network, the sparsest matching ticket, its control."""
        from tf_lottery.analysis.verdict import verdict

        return "\n".join(verdict(self, self.tolerance))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show IPython, and notebooks without HTML, what was found in place of every record's text."""
        printer.text(f"{len(self)} runs of {self.name}. {self.summary()}")

    def _repr_html_(self) -> str:
        from tf_lottery.analysis import plots, table
        from tf_lottery.analysis.notebook import Table, page
        from tf_lottery.analysis.verdict import verdict

        shown = Table(table.names(), [table.cells(record) for record in self[:MOST_ROWS]])
        more = [f"... and {len(self) - MOST_ROWS:,} more runs"] if len(self) > MOST_ROWS else []
        sentences = [*more, *verdict(self, self.tolerance)]
        if not any(record.spec.is_dense for record in self):
            return page(shown, sentences)
        return page(shown, sentences, lambda path: plots.draw(self, path, self.name, self.tolerance))


def run_study(
    study: StudyConfig | str | Path,
    directory: str | Path | None = None,
    overrides: Iterable[str] = (),
    observer: StudyObserver | None = None,
    execution: Execution = drivers.SERIAL,
) -> StudyRecords:
    """Run a study to its end, or go on where it stopped.

    Several processes may run the same study at once: they share its runs. With
    `training.strategy: multi_worker` all workers call it, and only the chief writes.

    Args:
        study: A config, the name of a shipped one, or a YAML file.
        directory: The study's directory. Default: `saved_models/<name>`.
        overrides: Settings to change, each as `a.b=value`, if `study` is a name or a file.
        observer: The observer that hears of the study's progress. If it raises, the study goes on without it,
            with a warning. Default: none.
        execution: How and where runs are trained. Default: in this process, one after the other.

    Returns:
        The records of the study's finished runs, by replicate, round, arm and trial. Runs that failed are
        missing; `failed.json` in a run's directory says why.

    Raises:
        LotteryError: If settings are wrong, data can't be obtained, the directory holds another study, the
            disk is full, or no run succeeds.

    Examples:
        >>> records = run_study("digits_quick", execution=Execution(workers=2))  # doctest: +SKIP
    """
    if not isinstance(study, StudyConfig):
        study = config_file.load_config(study, overrides)
    records = drivers.run_study(study, directory, (), observer, execution)
    return StudyRecords(records, study.name, study.tolerance)
