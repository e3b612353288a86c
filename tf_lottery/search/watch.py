"""A search on the terminal: what theta_0 is, a row for each finished run, a bar for the current one."""

import keras
from rich.console import Console

from tf_lottery.config import StudyConfig
from tf_lottery.live import bars
from tf_lottery.method.plan import expected_runs
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.search.network import Network
from tf_lottery.search.record import FitRecord
from tf_lottery.search.table import header, longest_name, row


class Watch(StudyObserver):
    """Shows a search; used as a context manager.

    Args:
        study: The study that describes the search.
        network: The search's network.
        verbose: Whether to show anything; 0 for nothing.
    """

    def __init__(self, study: StudyConfig, network: Network, verbose: int):
        self._study = study
        self._console = Console(quiet=not verbose, highlight=False, soft_wrap=True)
        self._progress = bars(self._console)
        self._all = self._progress.add_task("search", total=expected_runs(study), count="")
        self._run = self._progress.add_task("", total=1, count="", visible=False)
        self.callback = _Epochs(self)
        self._shown: set[str] = set()
        self._longest = longest_name(study)
        self._theta_0, self._why_in_place = network.theta_0, network.why_in_place()

    def __enter__(self) -> "Watch":
        self._progress.start()
        self.say(f"theta_0: {self._theta_0}.")
        if self._why_in_place:
            self.say(f"Your model itself is pruned and trained, not a copy: {self._why_in_place}.")
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    def noted(self, text: str) -> None:
        """Print a message about something unusual."""
        self.say(text)

    def planned(self, finished: list[FitRecord], waiting: list[RunSpec]) -> None:
        """Show what is finished already, and which run comes next."""
        for record in finished:
            self.finished(record)
        done, total = len(self._shown), expected_runs(self._study)
        self._progress.update(self._all, completed=done, count=f"{done} of {total or '?'} runs")
        if waiting:
            name = waiting[0].describe().replace(" replicate 0", "")
            self._progress.update(self._run, description=name, completed=0, visible=True, count="")

    def finished(self, record: FitRecord) -> None:
        """Show a finished run."""
        if record.key in self._shown:
            return
        if not self._shown:
            for line in header(record.monitor, self._longest):
                self.say(line)
        self._shown.add(record.key)
        self.say(row(record, longest=self._longest))

    def epoch(self, done: int, total: int) -> None:
        """Show how far the run in progress is."""
        self._progress.update(self._run, completed=done, total=total, count=f"epoch {done} of {total}")


class _Epochs(keras.callbacks.Callback):
    def __init__(self, watch: Watch):
        super().__init__()
        self._watch = watch

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._watch.epoch(epoch + 1, self.params["epochs"])
