"""`LotterySearch`: finds the winning tickets of a Keras model, around its own `fit`."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import keras
from pydantic import ValidationError

from tf_lottery.config import RewindConfig, StudyConfig
from tf_lottery.errors import DamagedError, LotteryError, StudyError
from tf_lottery.layers.access import get_masks
from tf_lottery.layers.convert import check_kind
from tf_lottery.layers.kernels import PrunableChoice, Rule
from tf_lottery.lock import held
from tf_lottery.method.plan import plan
from tf_lottery.paths import StudyPaths
from tf_lottery.pruning.criteria import CRITERIA
from tf_lottery.pruning.schedules import layer_rates as rates_of
from tf_lottery.search import fit_arguments
from tf_lottery.search.alone import alone
from tf_lottery.search.directory import FILE, Temporary, check_directory, open_directory, theta_0
from tf_lottery.search.fit_run import FitRun
from tf_lottery.search.loop_run import LoopRun
from tf_lottery.search.monitor import Monitor
from tf_lottery.search.network import Network
from tf_lottery.search.plan import SearchPruning, study_of
from tf_lottery.search.record import SearchStore
from tf_lottery.search.result import SearchResult
from tf_lottery.search.watch import Watch

ENGINES = ("fit", "loop")


class LotterySearch:
    """Iterative magnitude pruning with rewinding (Frankle & Carbin 2018) of any Keras model.

    Round 0 trains the model as it is. Each further round prunes the smallest of the last round's weights,
    returns the survivors to the rewind point, and trains again, all through the model's own `fit`.

    Args:
        model: compiled; or a function without arguments that builds and compiles one, which lets `seed`
            decide the initialization. One that isn't built is built by the data's shapes, as `fit` does. A
            model of which a copy is proven to be the same stays as it is; another one (subclassed, tied) is
            made prunable in place: `lottery.strip` makes it plain again. A search that is refused or
            interrupted leaves it as it was.
        rate: fraction of the remaining weights that is pruned each round.
        rounds: how many prunings at most. Default: 10, unless another rule ends the rounds.
        until: stop after the first round in which the monitored quantity is worse than the dense
            network's by more than this.
        target_density: stop after the first round at or below this fraction of weights.
        rewind_to: the training step that survivors return to: `0it` (the initial weights),
            `500it`, `2ep`. Within an epoch training goes on from the epoch's beginning.
        criterion: `magnitude` or `random`.
        scope: `layer` or `global`: where weights compete.
        layer_rates: layer name pattern -> rate; 0 leaves a layer unpruned.
        min_density: fraction of each layer's weights that stays at least; with scope `global` layers
            may collapse otherwise.
        include, exclude, kernels, frozen: what is prunable, as of `make_prunable`.
        monitor: what rounds are compared by, as `fit` logs it. Default: validation accuracy if it is
            logged, else `val_loss`.
        mode: `max` or `min`: which is better; `auto` tells by the name.
        controls: random reinitializations of each ticket, trained as controls. What was never drawn stays:
            frozen layers, and what a function that builds the model loads.
        rewind_optimizer: `reset` or `restore`, of its state at the rewind point.
        seed: of the order of examples, dropout, and of what is drawn.
        directory: where the runs are kept; called again with the same, the search goes on after its
            last finished run. Default: a temporary one, for the life of the result.
        engine: `fit`, or `loop`: our compiled loop, faster for small models (classes as integers,
            arrays, one input and one output, no callbacks).

    Raises:
        LotteryError: whatever of this is out of range.

    Example:
        >>> import keras, numpy as np, tf_lottery as lottery
        >>> x = np.random.default_rng(0).normal(size=(200, 8)).astype("float32")
        >>> y = x[:, :1] * x[:, 1:2]
        >>> def build():
        ...     hidden, output = keras.layers.Dense(30, "relu"), keras.layers.Dense(1)
        ...     model = keras.Sequential([keras.Input((8,)), hidden, output])
        ...     model.compile("adam", "mse")
        ...     return model
        >>> search = lottery.LotterySearch(build, rate=0.5, rounds=2, verbose=0)
        >>> result = search.fit(x, y, validation_split=0.2, epochs=2)
        >>> [round(density, 2) for density in result.densities]
        [1.0, 0.5, 0.25]
        >>> round(result.ticket(round=2).density, 2)
        0.25
    """

    def __init__(
        self,
        model: keras.Model | Callable[[], keras.Model],
        rate: float = 0.2,
        rounds: int | None = None,
        until: float | None = None,
        target_density: float | None = None,
        rewind_to: str = "0it",
        criterion: str = "magnitude",
        scope: Literal["layer", "global"] = "layer",
        layer_rates: Mapping[str, float] | None = None,
        min_density: float = 0.0,
        include: Rule | Sequence[Rule] | None = None,
        exclude: Rule | Sequence[Rule] | None = None,
        kernels: Mapping[type | str, str | Sequence[str]] | None = None,
        monitor: str | None = None,
        mode: Literal["auto", "max", "min"] = "auto",
        controls: int = 0,
        rewind_optimizer: Literal["reset", "restore"] = "reset",
        seed: int = 0,
        directory: str | Path | None = None,
        engine: Literal["fit", "loop"] = "fit",
        verbose: int = 1,
        frozen: bool = False,
    ):
        if isinstance(model, keras.Model) or hasattr(model, "fit"):  # tf_keras models can be called too
            check_kind(model)
        elif isinstance(model, type) or not callable(model):
            raise LotteryError(
                f"Expected a Keras model, or a function that builds one. Received: {type(model).__name__}"
            )
        if engine not in ENGINES:
            raise LotteryError(f"Expected engine of {', '.join(ENGINES)}. Received: {engine!r}")
        _check_whole("controls", controls, 0)
        _check_whole("seed", seed, 0)
        if criterion not in CRITERIA:
            raise LotteryError(f"Expected a criterion of {', '.join(CRITERIA)}. Received: {criterion!r}")
        if scope not in ("layer", "global"):
            raise LotteryError(f"Expected scope 'layer' or 'global'. Received: {scope!r}")
        if rounds is None and until is None and target_density is None:
            rounds = 10
        if monitor is None and mode != "auto":
            raise LotteryError(f"Expected mode='auto', since no monitor is named. Received: {mode!r}")
        self._monitor = None if monitor is None else Monitor.of(monitor, mode)
        self._pruning = _pruning(
            rate, rounds, until, target_density, criterion, scope, layer_rates, min_density
        )
        self._rewind = _rewind(rewind_to, rewind_optimizer)
        self._model, self._choice = model, PrunableChoice.of(include, exclude, kernels, frozen)
        self._controls, self._seed = controls, seed
        self._directory, self._engine, self._verbose = directory, engine, verbose

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **arguments: Any) -> SearchResult:
        """Search.

        Args:
            x, y, *positional, **arguments: as of `model.fit`: `validation_data`, `epochs`, `callbacks`,
                `class_weight`, ... Keras's own callbacks start each round afresh, and their files get the
                round in their names. `epochs` are those of each round, rewound ones included.

        Returns:
            The table, the tickets, the trained networks.

        Raises:
            LotteryError: data that can be read once only, no validation data, a rewind point past the end of
                training, a directory of another search, a model whose trained copies wouldn't be the model, a
                training that diverges, another search in this thread.
        """
        arguments = {"x": x, "y": y, **fit_arguments.named(positional, arguments)}
        fit_arguments.check(arguments)
        self._check_validation(arguments)
        per_epoch = fit_arguments.steps_per_epoch(arguments)
        self._check_rewind(per_epoch, arguments.get("epochs", 1))
        with alone():
            network = Network(self._model, self._seed, self._choice, arguments)
            try:
                return self._search(network, arguments, per_epoch)
            except BaseException:
                network.give_back()
                raise

    def _search(self, network: Network, arguments: Mapping[str, Any], per_epoch: int | None) -> SearchResult:
        kernels = list(get_masks(network.model))
        rates_of(kernels, self._pruning.rate, self._pruning.layer_rates)
        study = self._study(network, arguments)
        temporary = None if self._directory else Temporary()
        paths = StudyPaths(Path(self._directory or temporary.name))
        check_directory(paths.root)
        store = SearchStore(paths)
        with held(paths.root / ".lock") as mine:
            if not mine:
                raise LotteryError(
                    f"Expected a directory that no other search is at work in. Received: {paths.root}"
                )
            if begins := not (paths.root / FILE).exists():
                network.check(bool(self._controls))  # before anything is written
            open_directory(paths, study, self._settings(network, arguments))
            kept, there = theta_0(paths, network.initial)
            if there:
                network.start_from(kept)
            if not begins:
                network.check(bool(self._controls))
            watch = Watch(study, network, self._verbose)
            run = self._runner(network, store, arguments, per_epoch, watch)
            ended = self._drive(study, store, run, watch)
        return SearchResult(study, store, network, temporary, ended)

    def _drive(self, study: StudyConfig, store: SearchStore, run: FitRun, watch: Watch) -> str | None:
        """Train what the planner asks for; return why it ended early, None if it didn't."""
        with watch:
            while True:
                try:
                    records = store.records()
                    for record in records:
                        if record.spec.parent is None:
                            run.learn(record)
                    waiting = plan(study, records)
                    watch.planned(study, records, waiting)
                    if not waiting:
                        return None
                    watch.finished(run.run(waiting[0]))
                except DamagedError as error:
                    aside = store.set_aside(error)
                    watch.say(f"{error} Set aside as {aside}; the run is trained again.")
                except StudyError:
                    raise
                except LotteryError as error:  # an emptied layer, a training that diverges
                    if not records:
                        raise
                    watch.say(f"The search ends before its {waiting[0].describe()}: {error}")
                    return str(error)

    def _runner(self, network, store, arguments, per_epoch, watch) -> FitRun:
        if self._engine == "loop":
            return LoopRun(network, store, self._monitor, arguments, watch.callback)
        return FitRun(network, store, self._monitor, arguments, per_epoch, watch.callback)

    def _study(self, network: Network, arguments: Mapping[str, Any]) -> StudyConfig:
        return study_of(
            self._settings(network, arguments),
            self._pruning,
            self._rewind,
            arguments.get("epochs", 1),
            self._controls,
            self._seed,
            fit_arguments.digest(arguments),
        )

    def _settings(self, network: Network, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What determines a run besides data, pruning and rewinding, as JSON holds it."""
        return {
            "fit": fit_arguments.described(arguments),
            "network": network.described(),
            "monitor": [self._monitor.name, self._monitor.mode] if self._monitor else None,
            "engine": self._engine,
        }

    def _check_validation(self, arguments: Mapping[str, Any]) -> None:
        name = self._monitor.name if self._monitor else "val_loss"
        if name.startswith("val_") and not fit_arguments.validated(arguments):
            raise LotteryError(
                f"Expected validation_data or validation_split, since {name} is monitored. Received: neither"
            )

    def _check_rewind(self, per_epoch: int | None, epochs: int) -> None:
        point = self._rewind.to
        number, unit = int(point[:-2]), point[-2:]
        last = epochs if unit == "ep" else None if per_epoch is None else epochs * per_epoch
        if last is not None and number >= last:
            raise LotteryError(
                f"Expected a rewind point before the end of training ({epochs} epochs"
                f"{f', {last} steps' if unit == 'it' else ''}). Received: rewind_to={point!r}"
            )


def _pruning(
    rate, rounds, until, target_density, criterion, scope, layer_rates, min_density
) -> SearchPruning:
    for name, value, ends in (("rate", rate, False), ("target_density", target_density, True)):
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not (ends and value is None) and not (number and 0 < value < 1):
            raise LotteryError(f"Expected {name} between 0 and 1, as a fraction. Received: {value!r}")
    if rounds is not None:
        _check_whole("rounds", rounds, 1)
    if until is not None and (isinstance(until, bool) or not isinstance(until, Real) or not until >= 0):
        raise LotteryError(f"Expected until from 0, in units of what is monitored. Received: {until!r}")
    try:
        return SearchPruning(
            criterion=criterion,
            scope=scope,
            rate=float(rate),
            layer_rates={name: float(value) for name, value in (layer_rates or {}).items()},
            rounds=rounds,
            target_density=target_density,
            min_density=min_density,
            max_accuracy_drop=None if until is None else float(until),
        )
    except (ValidationError, TypeError, ValueError) as error:
        raise LotteryError(
            "Expected layer_rates as rates from 0 up to, not including, 1, by layer name (0 only with scope "
            f"'global'), and min_density likewise. Received: {layer_rates!r} and {min_density!r}"
        ) from error


def _rewind(to: Any, optimizer: Any) -> RewindConfig:
    try:
        return RewindConfig(to=to, optimizer=optimizer)
    except ValidationError as error:
        raise LotteryError(
            "Expected rewind_to such as '0it', '500it' or '2ep', and rewind_optimizer 'reset' or 'restore'. "
            f"Received: {to!r} and {optimizer!r}"
        ) from error


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise LotteryError(f"Expected {name}, a whole number from {least}. Received: {value!r}")
