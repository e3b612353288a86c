"""`LotteryTuner`: finds the network, and the settings of its search, that give the best tickets."""

import gc
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import keras

from tf_lottery import config_file
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.search.directory import FILE, Temporary
from tf_lottery.search.result import SearchResult
from tf_lottery.ticket import Ticket
from tf_lottery.tuning.blueprint import Blueprint, in_words
from tf_lottery.tuning.oracle import Asker
from tf_lottery.tuning.search_files import Proposed, SearchFiles
from tf_lottery.tuning.search_result import SearchTune, TriedSearch, TunedSearches
from tf_lottery.tuning.space import DIGITS
from tf_lottery.tuning.tuner import DUPLICATES

if TYPE_CHECKING:
    from keras_tuner import HyperModel, HyperParameters

    Build: TypeAlias = Callable[[HyperParameters], keras.Model] | HyperModel
    Settings: TypeAlias = Callable[[HyperParameters], Mapping[str, Any]] | Mapping[str, Any]

_DECIDING = {"objective", "tolerance", "oracle", "cost", "cost_weight", "seed"}
"""The settings by which a tuning is recognized; more candidates go on from the last."""


class LotteryTuner:
    """Tunes a Keras model together with the search for its tickets, as keras-tuner tunes models.

    Each candidate is one `LotterySearch`, with a directory of its own. The first has the default values of
    all that `hp` is asked for; the others are proposed by one of keras-tuner's oracles. A ticket matches if
    it is as good as the dense network within the tolerance: its own, and the first candidate's, so that no
    candidate wins by a poor dense network.

    Args:
        hypermodel: A function `hp -> compiled model`, or a `keras_tuner.HyperModel`.
        search: A function `hp -> arguments of LotterySearch`, or these arguments: `rate`, `rounds`,
            `rewind_to`, `monitor`, ... A candidate's rounds end at its first that doesn't match (at the
            density of `accuracy_at`), at the latest after `rounds`, which are 10 if nothing else ends them.
        objective: `sparsest_matching`, the least density at which tickets match, interpolated between the
            last round that does and the first that doesn't; or `{"accuracy_at": 0.1}`, the monitored quantity
            at a density.
        tolerance: How much worse than the dense network a matching ticket may be, in units of what is
            monitored. The objective `sparsest_matching` needs it.
        oracle: `bayesian` (its first proposals, three for each thing that is asked of `hp`, are random),
            `random` or `grid`.
        candidates: The most candidates.
        cost: What finding and training a ticket costs: `steps`, `seconds`, `flops` (with `engine="loop"`), or
            None, which doesn't count it.
        cost_weight: How much is made of cost: the density (or the loss, or the accuracy's distance from 1)
            times cost ** cost_weight is minimized.
        seed: The seed of the oracle, and of all searches.
        directory: The directory that keeps the searches. Called again with the same one, the tuning goes on
            where it stopped. Default: a temporary directory that lives as long as the tuner.
        verbose: 0 shows nothing, 1 what each candidate comes to, 2 its rounds, too.

    Raises:
        LotteryError: If any of these is out of range.

    Examples:
        >>> import keras, numpy as np, tf_lottery as lottery
        >>> x = np.random.default_rng(0).normal(size=(200, 8)).astype("float32")
        >>> y = x[:, :1] * x[:, 1:2]
        >>> def build(hp):
        ...     hidden = keras.layers.Dense(hp.Choice("units", [10, 20]), "relu")
        ...     model = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(1)])
        ...     model.compile("adam", "mse")
        ...     return model
        >>> def search(hp):
        ...     return {"rate": hp.Float("rate", 0.3, 0.6), "rounds": 2}
        >>> tuner = lottery.LotteryTuner(build, search, tolerance=1.0, candidates=2, verbose=0)
        >>> result = tuner.search(x, y, validation_split=0.2, epochs=1)
        >>> result.tried[0].values
        {'units': 10, 'rate': 0.3}
        >>> [ticket] = tuner.get_best_tickets(1)
        >>> ticket.density == result.best.outcome.ticket.density
        True
    """

    def __init__(
        self,
        hypermodel: "Build",
        search: "Settings | None" = None,
        objective: str | Mapping[str, float] = "sparsest_matching",
        tolerance: float | None = None,
        oracle: Literal["bayesian", "random", "grid"] = "bayesian",
        candidates: int = 10,
        cost: Literal["steps", "seconds", "flops"] | None = "steps",
        cost_weight: float = 0.5,
        seed: int = 0,
        directory: str | Path | None = None,
        verbose: int = 1,
    ):
        settings = {
            "objective": dict(objective) if isinstance(objective, Mapping) else objective,
            "tolerance": _number(tolerance),
            "oracle": oracle,
            "candidates": candidates,
            "cost": cost,
            "cost_weight": _number(cost_weight),
            "seed": seed,
        }
        self._tune = config_file.validate(settings, "LotteryTuner", SearchTune)
        self._blueprint = Blueprint(hypermodel, {} if search is None else search, self._tune)
        self._verbose = verbose
        self._temporary: Temporary | None = None  # lives as long as the tuner
        if not directory:
            self._temporary = Temporary()
            directory = self._temporary.name
        self._files = SearchFiles(Path(directory))
        self._fit: tuple[tuple, dict[str, Any]] | None = None
        self._result = TunedSearches(self._tune)

    def search(self, x: Any = None, y: Any = None, *positional: Any, **arguments: Any) -> TunedSearches:
        """Try candidates, or go on with a tuning that was interrupted: finished rounds aren't trained again.

        Args:
            x: The training data, as `LotterySearch.fit` takes it.
            y: The targets, where `x` doesn't have them.
            *positional: Further arguments of `model.fit`, in its order.
            **arguments: Further arguments of `model.fit`.

        Returns:
            What the candidates came to. One that fails is in it with the reason.

        Raises:
            LotteryError: If the defaults or the arguments are refused, `hp` is asked for nothing, or the
                directory belongs to another tuning or search.
        """
        self._fit, self._result = ((x, y, *positional), arguments), TunedSearches(self._tune)
        space = self._blueprint.space()
        described = self._tune.model_dump(mode="json", include=_DECIDING)
        with self._files.held(described, space.get_config()["space"]):
            asker = Asker(self._tune, space)
            try:
                self._to_the_end(asker, dict(space.values))
            finally:
                asker.close()
        self._say(f"Ended, since {self._result.ended}.")
        return self._result

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best candidates as a table, and the finding in words.

        Args:
            num_trials: The most candidates that are shown.
        """
        print(self._result.summary(num_trials))

    def get_best_hyperparameters(self, num_trials: int = 1) -> list["HyperParameters"]:
        """Return the hyperparameters of the candidates with the best tickets, the best first.

        Args:
            num_trials: The most candidates.
        """
        return [each.hyperparameters.copy() for each in self._result.ranked[:num_trials]]

    def get_best_tickets(self, num_tickets: int = 1) -> list[Ticket]:
        """Return the tickets of the best candidates, the best first; candidates without one are left out.

        Args:
            num_tickets: The most tickets.

        Raises:
            LotteryError: If `search` wasn't called.
        """
        return [found.ticket(round=round) for found, round in self._best(num_tickets)]

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """Return the trained networks of the best candidates' tickets: plain Keras models, zeros baked in.

        Args:
            num_models: The most models.

        Raises:
            LotteryError: If `search` wasn't called.
        """
        return [found.trained(round=round) for found, round in self._best(num_models)]

    def _to_the_end(self, asker: Asker, defaults: dict[str, Any]) -> None:
        """Try candidates until there are enough, or none is left to be proposed."""
        result, known, looked = self._result, dict[str, TriedSearch](), False
        while len(result.tried) < self._tune.candidates:
            proposal = self._propose(asker, defaults, known)
            if proposal is None:
                return
            name, tried, written = proposal
            self._say(f"Candidate {tried.number}: {tried.describe()}")
            if written.failure is None:
                tried, looked = self._try(tried, first=not looked), True
            else:
                tried = replace(tried, failure=written.failure)
            # A copy, since a grid goes on from the oracle's own.
            tried = replace(tried, hyperparameters=tried.hyperparameters.copy())
            known |= {_identity(values): tried for values in (written.values, tried.values)}
            result.add(tried)
            self._say(f"  {result.in_words(tried)}")
            asker.tell(name, tried.score)
            gc.collect()  # models refer to themselves
        result.ended = f"{len(result.tried)} candidates were tried"

    def _propose(
        self, asker: Asker, defaults: dict[str, Any], known: Mapping[str, TriedSearch]
    ) -> tuple[str, TriedSearch, Proposed] | None:
        """Return the next candidate, with the proposal's name and what is written of it; None at the end."""
        number = len(self._result.tried)
        for _ in range(DUPLICATES):
            proposal = asker.ask()
            if proposal is None:
                self._result.ended = "the ranges hold no more candidates"
                return None
            name, hp = proposal[0], asker.hyperparameters(proposal[0])
            if number == 0:
                hp.values = dict(defaults)
            elif self._tune.oracle != "grid":  # which finds its next values by the last
                _round(hp)
            if (same := known.get(_identity(hp.values))) is not None:
                asker.tell(name, same.score)
                continue
            written = self._files.propose(number, dict(hp.values))
            hp.values = dict(written.values)
            if written.space is not None:
                hp.merge(type(hp).from_config({"space": written.space, "values": {}}), overwrite=False)
            return name, TriedSearch(number, hp, self._files.candidate(number)), written
        self._result.ended = f"the last {DUPLICATES} proposals were known already"
        return None

    def _try(self, tried: TriedSearch, first: bool) -> TriedSearch:
        """Return a candidate with what its search came to.

        Args:
            tried: The candidate.
            first: Whether it is the first that this call looks at: what is refused then, before anything is
                trained, is refused of all.
        """
        builds: list[bool] = []
        try:
            found = self._searched(tried, self._verbose - 1, builds)
        except StudyError:
            raise
        except Exception as error:  # whatever the user's functions, Keras and TensorFlow raise
            if first and not (builds and (tried.directory / FILE).exists()):
                if isinstance(error, LotteryError):
                    raise
                raise LotteryError(f"The first candidate can't be trained: {in_words(error)}") from error
            self._files.fail(tried.number, in_words(error), tried.hyperparameters.get_config())
            return replace(tried, failure=in_words(error))
        return self._result.came_to(tried, found)

    def _searched(
        self, tried: TriedSearch, verbose: int = 0, builds: list[bool] | None = None
    ) -> SearchResult:
        """Run a candidate's search, or go on with it; where it is finished, nothing is trained."""
        noted = [] if builds is None else builds
        search = self._blueprint.search(
            tried.hyperparameters, tried.directory, max(verbose, 0), lambda: noted.append(True)
        )
        assert self._fit is not None  # `search` or `_best` comes first
        data, arguments = self._fit
        return search.fit(*data, **arguments)

    def _best(self, most: int) -> Iterator[tuple[SearchResult, int]]:
        """Open the searches of the best candidates again, one after the other, with the tickets' rounds."""
        if self._fit is None:
            raise LotteryError("Call search first: in the directory of a finished tuning it trains nothing.")
        for each in self._result.ranked[:most]:
            if each.outcome and each.outcome.ticket:  # as those have that are ranked
                yield self._searched(each), each.outcome.ticket.round

    def _say(self, line: str) -> None:
        if self._verbose:
            print(line, flush=True)


def _round(hp: "HyperParameters") -> None:
    """Round numbers that were drawn, so that they can be read and typed."""
    from keras_tuner.engine.hyperparameters import Float

    for each in hp.space:
        if isinstance(each, Float) and each.step is None and each.name in hp.values:
            value = float(f"{hp.values[each.name]:.{DIGITS}g}")
            hp.values[each.name] = min(max(value, each.min_value), each.max_value)


def _identity(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _number(value: Any) -> Any:
    """Return a number of any kind as a float; anything else is returned as it is, to be refused later."""
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value
