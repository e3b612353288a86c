"""The functions that a `LotteryTuner` is given: what they ask `hp` for, and what they return."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.layers.compiled import compile_settings
from tf_lottery.models.seeded import seeded
from tf_lottery.pruning.patterns import pattern as read_pattern
from tf_lottery.search.search import LotterySearch
from tf_lottery.search.settings import DEFAULT_ROUNDS
from tf_lottery.seeding import derive
from tf_lottery.tuning.search_result import SearchTune

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

_OURS = ("model", "directory", "verbose", "seed")
"""The arguments of `LotterySearch` that the tuner gives."""


class Blueprint:
    """What a user's functions make of `hp`.

    Args:
        hypermodel: A function `hp -> compiled model`, or a `keras_tuner.HyperModel`.
        search: A function `hp -> arguments of LotterySearch`, or these arguments.
        tune: The settings of the tuning.

    Raises:
        LotteryError: If the model is neither of the two.
    """

    def __init__(self, hypermodel: Any, search: Any, tune: SearchTune):
        self._build, self._settings, self._tune = _build_of(hypermodel), search, tune
        self._declare = getattr(hypermodel, "declare_hyperparameters", None)

    def space(self) -> "HyperParameters":
        """Return what `hp` is asked for by default, with the default values.

        Raises:
            LotteryError: If nothing is asked for, there is no compiled model, or the arguments of the search
                aren't `LotterySearch`'s.
        """
        from keras_tuner import HyperParameters
        from keras_tuner.engine.hyperparameters import Fixed

        hp = HyperParameters()
        try:
            if self._declare is not None:
                self._declare(hp)
            with seeded(derive(self._tune.seed, 0, "init")):
                model = self._build(hp)
            self.settings(hp)
        except LotteryError:
            raise
        except Exception as error:  # whatever the user's functions raise
            raise LotteryError(
                f"The functions can't be called with the default values ({in_words(error)}). Correct them, "
                "or give other defaults."
            ) from error
        if not isinstance(model, keras.Model):
            raise LotteryError(
                f"Expected a function hp -> compiled model. Received: one that returns {model!r:.80}"
            )
        compile_settings(model)
        if all(isinstance(each, Fixed) for each in hp.space):
            raise LotteryError(
                "Expected functions that ask hp for what is tuned, such as hp.Float('rate', 0.1, 0.5). "
                "Received: functions that ask for nothing"
            )
        return hp

    def search(
        self, hp: "HyperParameters", directory: Path, verbose: int, building: Callable[[], Any]
    ) -> LotterySearch:
        """Return the search of a candidate.

        Args:
            hp: Its hyperparameters.
            directory: The search's directory.
            verbose: Whether it shows its rounds.
            building: A function that is called whenever the model is built.

        Raises:
            LotteryError: If an argument of the search is out of range.
        """

        def model() -> keras.Model:
            building()
            return self._build(hp)

        settings = self.settings(hp)
        return LotterySearch(model, **settings, seed=self._tune.seed, directory=directory, verbose=verbose)

    def settings(self, hp: "HyperParameters") -> dict[str, Any]:
        """Return the arguments of a candidate's search.

        Raises:
            LotteryError: If `LotterySearch` doesn't have one of them, or the tuner gives it.
        """
        given = self._settings(hp) if callable(self._settings) else self._settings
        if not isinstance(given, Mapping):
            raise LotteryError(
                "Expected search as arguments of LotterySearch, such as {'rate': 0.2}, or a function "
                f"hp -> these. Received: {given!r:.80}"
            )
        known = [name for name in inspect.signature(LotterySearch).parameters if name not in _OURS]
        for name in given:
            if name in _OURS:
                raise LotteryError(f"Expected search without {name}, which the tuner gives. Received: {name}")
            if name not in known:
                raise LotteryError(
                    f"Expected arguments of LotterySearch in search ({', '.join(known)}). Received: {name!r}"
                )
        if self._tune.cost == "flops" and given.get("engine", "fit") == "fit":
            raise LotteryError(
                "Expected cost='steps' or 'seconds', since a search around fit knows no FLOPs, or "
                "engine='loop' in search. Received: cost='flops'"
            )
        return self._ending(dict(given))

    def _ending(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return settings with which rounds end where the objective needs no more of them."""
        at = self._tune.at_density
        rules = [name for name in ("rounds", "target_density", "until") if settings.get(name) is not None]
        if at is not None:
            return settings if "target_density" in rules else {**settings, "target_density": at}
        if not rules and read_pattern(settings.get("pattern", "single")).is_whole:
            settings["rounds"] = DEFAULT_ROUNDS
        return settings if "until" in rules else {**settings, "until": self._tune.tolerance}


def in_words(error: Exception) -> str:
    """Return an error's reason on one line."""
    return str(error) if isinstance(error, LotteryError) else f"{type(error).__name__}: {reason_of(error)}"


def _build_of(given: Any) -> "Callable[[HyperParameters], keras.Model]":
    from keras_tuner import HyperModel

    if isinstance(given, HyperModel):
        if type(given).fit is not HyperModel.fit:
            raise LotteryError(
                "Expected a HyperModel without a fit of its own, since LotterySearch trains each round. "
                f"Received: {type(given).__name__}"
            )
        return given.build
    if isinstance(given, keras.Model | type) or not callable(given):
        raise LotteryError(
            "Expected a function hp -> compiled model, or a keras_tuner.HyperModel. "
            f"Received: {getattr(given, '__name__', type(given).__name__)}"
        )
    return given
