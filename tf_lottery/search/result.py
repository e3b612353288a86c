"""The result of a search: table, picture, tickets, trained networks."""

from pathlib import Path
from typing import cast

import keras

from tf_lottery.analysis.notebook import Table, page
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import collect
from tf_lottery.method.results import Results
from tf_lottery.search.directory import Temporary
from tf_lottery.search.network import Network
from tf_lottery.search.picture import draw_search
from tf_lottery.search.record import FitRecord, SearchStore
from tf_lottery.search.table import cells, header, longest_name, names, row
from tf_lottery.store.tickets import ticket_of
from tf_lottery.ticket import Ticket

_MODEL = "model/"


class SearchResult:
    """The finished rounds of a `LotterySearch`.

    Attributes:
        records: The records of all runs, the dense network's first.
        monitor: The quantity that rounds are compared by, under the name that `fit` logs.
        theta_0: A description of the weights at step 0, in words.
        directory: The directory that keeps the runs.
        ended: Why the search ended early, None if it didn't.
    """

    def __init__(
        self,
        study: StudyConfig,
        store: SearchStore,
        network: Network,
        temporary: Temporary | None,
        ended: str | None = None,
    ):
        self._study, self._store, self._network = study, store, network
        self._temporary = temporary  # lives as long as the result
        self._results = Results(collect(study, cast(list[FitRecord], store.records())))
        self.records: list[FitRecord] = self._results.records
        self.monitor = self.records[0].monitor
        self.theta_0, self.directory, self.ended = network.theta_0, store.paths.root, ended

    @property
    def rounds(self) -> list[FitRecord]:
        """The runs of the ticket arm by round; round 0 is the dense network."""
        return list(self._results.rounds().values())

    @property
    def densities(self) -> list[float]:
        """The fraction of prunable weights that remain, by round."""
        return [record.density for record in self.rounds]

    @property
    def history(self) -> list[dict[str, list[float | None]]]:
        """The history that `fit` returned, by round."""
        return [record.history for record in self.rounds]

    @property
    def arms(self) -> list[str]:
        """The names of the arms that have finished runs; `ticket`, the dense network's, is the first."""
        return [arm for arm in self._study.arms if arm in self._results.arms]

    def arm(self, name: str) -> list[FitRecord]:
        """Return the records of an arm's own runs, by round and trial; the dense network is the tickets'.

        Args:
            name: The name of the arm, such as `shuffled`.

        Raises:
            LotteryError: If no arm of that name has finished runs.
        """
        self._check_arm(name)
        return [record for record in self.records if record.spec.arm == name]

    def matching_round(self, tolerance: float = 0.0, arm: str | None = None) -> int | None:
        """Return the sparsest round that does as well as the dense network, as every denser round does.

        Args:
            tolerance: How much worse the monitored quantity may be, in its own units.
            arm: The arm whose rounds are meant. Default: the tickets.

        Returns:
            The round's number; None if no pruned round does as well.
        """
        self._check_arm(arm)
        return self._results.matching_round(tolerance, arm)

    def matching_ticket(self, tolerance: float = 0.0) -> Ticket:
        """Return the sparsest matching ticket.

        Args:
            tolerance: The tolerance, as in `matching_round`.

        Raises:
            LotteryError: If no pruned round matches.
        """
        return self.ticket(tolerance=tolerance)

    def ticket(
        self,
        round: int | None = None,
        density: float | None = None,
        tolerance: float = 0.0,
        arm: str | None = None,
    ) -> Ticket:
        """Return a round's ticket: its masks, the weights it starts from, and those at early stop.

        Without `round` and `density` it is the ticket of the sparsest matching round.

        Args:
            round: The round's number.
            density: A density near the round's.
            tolerance: The tolerance, as in `matching_round`.
            arm: The arm whose first trial is meant. Default: the tickets.

        Raises:
            LotteryError: If both are given, there is no such round, no round has nearly that density, no
                round matches, or the arm starts from weights that aren't kept.
        """
        record = self._chosen(round, density, tolerance, arm)
        provenance = {
            "search": str(self.directory),
            "seed": self._study.seed,
            "round": record.spec.round,
            "density": record.density,
            "rewind_to": (record.spec.rewind or self._study.rewind).to,
            "theta_0": self.theta_0,
            "monitor": record.monitor,
            "value": record.value,
            "run": record.key,
            "environment": record.environment,
        }
        if record.spec.start == "trained":
            provenance["rewind_weights"] = "trained"
        if record.spec.arm != self._results.main:
            provenance["arm"] = record.spec.arm
        if self._network.given:
            provenance["given"] = [name.removeprefix(_MODEL) for name in self._network.given]
        if self._network.architecture is not None:
            provenance["architecture"] = self._network.architecture
        return ticket_of(self._store, record, provenance)

    def trained(
        self,
        round: int | None = None,
        density: float | None = None,
        tolerance: float = 0.0,
        control: int | None = None,
        arm: str | None = None,
    ) -> keras.Model:
        """Return a round's trained network at early stop: a plain Keras model, zeros baked in.

        Without `round` and `density` it is the network of the sparsest matching round.

        Args:
            round: The round's number.
            density: A density near the round's.
            tolerance: The tolerance, as in `matching_round`.
            control: Which of the round's random reinitializations to return instead of the ticket, counted
                from 0. Default: the ticket.
            arm: The arm whose first trial is meant. Default: the tickets.

        Raises:
            LotteryError: In the cases in which `ticket` raises it; also if the model can't be built again (a
                subclassed model without a configuration: give a function that builds it).
        """
        if control is not None and arm not in (None, self._results.main):
            raise LotteryError(f"Expected one of control and arm. Received: {control=}, {arm=}")
        record = self._chosen(round, density, tolerance, arm)
        if control is not None:
            record = self._control(record.spec.round, control)
        masks, weights = self._store.masks(record.key), self._store.weights(record.key, "early_stop")
        return self._network.plain(masks, weights)

    def summary(self, tolerance: float = 0.0) -> str:
        """Return the table of runs, followed by the findings in words.

        Args:
            tolerance: The tolerance, as in `matching_round`.
        """
        best = self.matching_round(tolerance)
        longest = longest_name(self._study)
        lines = [f"theta_0: {self.theta_0}.", *header(self.monitor, longest)]
        for record in self.records:
            star = best is not None and record is self.rounds[best]
            lines.append(row(record, star, longest))
        return "\n".join([*lines, *self._findings(best, tolerance)])

    def _findings(self, best: int | None, tolerance: float) -> list[str]:
        lines = [f"Ended early: {self.ended}"] if self.ended else []
        dense = self.rounds[0]
        lines.append(f"Dense network: {self.monitor} {dense.value:.4g} (epoch {dense.epoch}).")
        if best is None:
            lines.append(f"No pruned round matches it within {tolerance:g}.")
        else:
            ticket = self.rounds[best]
            lines.append(
                f"* Sparsest matching ticket: round {best}, {ticket.density:.1%} of the weights "
                f"({ticket.weights_remaining:,} of {ticket.weights_total:,}): {self.monitor} "
                f"{ticket.value:.4g} (epoch {ticket.epoch})."
            )
            runs = self._results.reinitialized(best)
            controls = [run.value for run in runs]
            if controls:
                lines.append(
                    f"The same mask, randomly reinitialized: {sum(controls) / len(controls):.4g} "
                    f"(mean of {len(controls)})."
                )
            if not_redrawn := next(
                (run.checks["reinit_kept"] for run in runs if run.checks.get("reinit_kept")), None
            ):
                listed = ", ".join(name.removeprefix(_MODEL) for name in not_redrawn[:4])
                more = ", ..." if len(not_redrawn) > 4 else ""
                lines.append(f"Not redrawn, since never drawn: {listed}{more}.")
        return lines

    def plot(self, path: str | Path, tolerance: float = 0.0) -> Path:
        """Draw the monitored quantity, and the epoch at which it is best, against the density.

        Args:
            path: The PNG file to write.
            tolerance: The tolerance, as in `matching_round`.
        """
        return draw_search(self._results, Path(path), self.matching_round(tolerance))

    def _repr_html_(self) -> str:
        """Return the table, the findings and the picture, as a notebook shows them."""
        best = self.matching_round()
        rows = [cells(record) for record in self.records]
        if best is not None:
            place = next(n for n, record in enumerate(self.records) if record is self.rounds[best])
            rows[place][0] = f"* {rows[place][0]}"
        sentences = [f"theta_0: {self.theta_0}.", *self._findings(best, 0.0)]
        return page(Table(names(self.monitor), rows), sentences, self.plot)

    def _chosen(
        self, round: int | None, density: float | None, tolerance: float, arm: str | None
    ) -> FitRecord:
        self._check_arm(arm)
        return self._results.choose(round, density, tolerance=tolerance, arm=arm)

    def _check_arm(self, arm: str | None) -> None:
        if arm is not None and arm not in self.arms:
            raise LotteryError(f"Expected an arm of {', '.join(self.arms)}. Received: {arm!r}")

    def _control(self, round: int, control: int) -> FitRecord:
        runs = self._results.reinitialized(round)
        if isinstance(control, bool) or not isinstance(control, int) or not 0 <= control < len(runs):
            raise LotteryError(
                f"Expected one of the {len(runs)} controls of round {round}, counted from 0. "
                f"Received: {control!r}"
            )
        return runs[control]
