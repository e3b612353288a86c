"""keras-tuner's oracles, driven by asking for candidates and telling their scores.

keras-tuner's own chief, workers and files aren't used: the tuning trains candidates itself, and what an
oracle knows follows from the scores that it is told again after an interruption.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tf_lottery.config_tune import TuneConfig
from tf_lottery.training.quiet_start import start_quietly
from tf_lottery.tuning.space import hyperparameters

if TYPE_CHECKING:
    from keras_tuner import HyperParameters, Oracle

UNITS = 9
"""The units of a full resource in Hyperband, whose factor is 3: a ninth, a third, all of it."""

_NAME = "score"
_NEVER = 10**9


class Asker:
    """Proposes values, and learns from scores.

    Args:
        tune: The section `tune`.
        space: What is proposed from, if it isn't the section's ranges. It grows by what is asked of the
            proposals' hyperparameters; so one is asked for at a time, and told before the next.
    """

    def __init__(self, tune: TuneConfig, space: "HyperParameters | None" = None):
        self._folder = tempfile.TemporaryDirectory(
            prefix="tf_lottery_"
        )  # an oracle writes its state somewhere
        start_quietly()  # keras-tuner imports TensorFlow
        self._oracle = _oracle(tune, hyperparameters(tune.ranges) if space is None else space)
        self._oracle._set_project_dir(self._folder.name, "oracle")
        self._oracle.verbose = 0
        self._has_resource = tune.oracle == "hyperband"
        self._is_grid = tune.oracle == "grid"
        self._is_bayesian = tune.oracle == "bayesian"
        self._worst: float | None = None
        self._grows = space is not None

    def ask(self) -> tuple[str, dict[str, Any], float] | None:
        """Return the name of a proposal, its values, and its share of the full resource.

        None means that nothing can be proposed before more scores are known, or that nothing is left.
        """
        if self._grows and self._is_grid:
            self._complete()
        with _quiet():
            trial = self._oracle.create_trial(f"tuner{len(self._oracle.start_order)}")
        if trial.status != "RUNNING":
            return None
        if self._is_grid and not self._grows:  # it proposes the next one only once this one has ended
            self._end(trial.trial_id, 0.0)
        values = dict(trial.hyperparameters.values)
        share = values.get("tuner/epochs", UNITS) / UNITS if self._has_resource else 1.0
        return trial.trial_id, values, share

    def correct(self, name: str, values: dict[str, Any]) -> None:
        """Replace a proposal's values: another machine has proposed these in its place."""
        self._oracle.trials[name].hyperparameters.values.update(values)

    def hyperparameters(self, name: str) -> "HyperParameters":
        """Return a proposal's hyperparameters, which a user's functions may ask for further ones."""
        return self._oracle.trials[name].hyperparameters

    def tell(self, name: str, score: float | None) -> None:
        """Tell the score of a proposal; None says that it failed.

        Args:
            name: The name of the proposal.
            score: What is minimized.
        """
        if score is not None:
            self._worst = score if self._worst is None else max(self._worst, score)
        elif self._is_bayesian:  # it leaves out what failed, and would propose the same again and again
            score = self._worst
        if self._grows or not self._is_grid:
            self._end(name, score)

    def _complete(self) -> None:
        """Give proposals the default of what was asked for only later: a grid goes on from all values."""
        for trial in self._oracle.trials.values():
            known = trial.hyperparameters
            for each in self._oracle.hyperparameters.space:
                if known.is_active(each):
                    known.values.setdefault(each.name, each.default)

    def _end(self, name: str, score: float | None) -> None:
        trial = self._oracle.trials[name]
        with _quiet():
            if score is not None:
                self._oracle.update_trial(name, {_NAME: score})
            trial.status = "COMPLETED" if score is not None else "FAILED"
            self._oracle.end_trial(trial)

    def close(self) -> None:
        """Delete the oracle's own files."""
        self._folder.cleanup()


def _oracle(tune: TuneConfig, space: "HyperParameters") -> "Oracle":
    import keras_tuner
    from keras_tuner import oracles

    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(_NAME, "min"),
        "hyperparameters": space,
        "seed": tune.seed + 1,  # 0 would mean any seed
        "max_consecutive_failed_trials": _NEVER,
    }
    if tune.oracle == "hyperband":
        return oracles.HyperbandOracle(max_epochs=UNITS, factor=3, hyperband_iterations=None, **options)
    kinds = {
        "random": oracles.RandomSearchOracle,
        "grid": oracles.GridSearchOracle,
        "bayesian": oracles.BayesianOptimizationOracle,
    }
    return kinds[tune.oracle](max_trials=_NEVER, **options)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated calls of keras-tuner, a Gaussian process's convergence
        yield
