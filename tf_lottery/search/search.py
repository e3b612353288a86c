"""`LotterySearch`: finds the winning tickets of a Keras model through the model's own `fit`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from tf_lottery.config import StudyConfig
from tf_lottery.drivers.driver import Driver
from tf_lottery.drivers.execution import Execution
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.layers.access import get_masks
from tf_lottery.layers.convert import check_kind
from tf_lottery.layers.kernels import PrunableChoice, Rule
from tf_lottery.layers.units import check_units
from tf_lottery.lock import held
from tf_lottery.method.arms import settings_of
from tf_lottery.method.plan import collect
from tf_lottery.paths import StudyPaths
from tf_lottery.pruning.patterns import SINGLE
from tf_lottery.pruning.patterns import pattern as read_pattern
from tf_lottery.pruning.schedules import layer_rates as rates_of
from tf_lottery.search import fit_arguments
from tf_lottery.search.alone import alone
from tf_lottery.search.directory import FILE, Temporary, check_directory, open_directory, theta_0
from tf_lottery.search.executor import SearchExecutor
from tf_lottery.search.fit_run import FitRun
from tf_lottery.search.loop_run import LoopRun
from tf_lottery.search.network import Network
from tf_lottery.search.plan import study_of
from tf_lottery.search.record import SearchStore
from tf_lottery.search.result import SearchResult
from tf_lottery.search.settings import SearchSettings
from tf_lottery.search.watch import Watch


class LotterySearch:
    """Iterative magnitude pruning with rewinding (Frankle & Carbin 2018) of any Keras model.

    Round 0 trains the model as it is. Each further round prunes the smallest of the last round's weights,
    returns the survivors to the rewind point, and trains again, all through the model's own `fit`.

    Args:
        model: A compiled model, or a function without arguments that builds and compiles one, which lets
            `seed` decide the initialization. A model that isn't built is built from the data's shapes, as
            `fit` does. If a copy is proven to be the same model, yours stays as it is; otherwise (subclassed,
            tied) yours is made prunable in place, and `lottery.strip` makes it plain again. A search that is
            refused or interrupted leaves your model as it was.
        rate: The fraction of the remaining weights that is pruned each round.
        rounds: The maximum number of prunings. Default: 10, unless another rule ends the rounds.
        until: Stop after the first round in which the monitored quantity is worse than the dense network's by
            more than this, in the quantity's own units.
        target_density: Stop after the first round at or below this fraction of weights.
        rewind_to: The training step that survivors return to: `0it` (the initial weights), `500it`, `2ep`.
            From a step within an epoch, training goes on at the epoch's beginning.
        criterion: What is pruned first: `magnitude`, `random`, or one of Zhou et al. 2019, such as
            `magnitude_increase` (`tf_lottery.pruning.criteria`; those that need gradients are for studies).
        scope: Where weights compete: `layer` or `global`; or within each layer, with the weights distributed
            by `erk` or `smart_ratio`.
        layer_rates: Layer name pattern -> rate; 0 leaves a layer unpruned.
        min_density: The least fraction of each layer's weights that stays. Without it, layers may collapse
            with scope `global`.
        include: Which layers are prunable, as in `make_prunable`.
        exclude: Which layers aren't.
        kernels: Kernels of further layers, by layer class.
        frozen: Whether frozen layers are pruned, too.
        monitor: The quantity that rounds are compared by, under the name that `fit` logs. Default: the
            validation accuracy if it is logged, else `val_loss`.
        mode: Whether more or less is better, `max` or `min`; `auto` decides by the name.
        controls: How many random reinitializations of each ticket are trained as controls. Weights that were
            never drawn stay: those of frozen layers, and those that the building function loads. The same as
            `arms={"random_reinit": {"trials": controls}}`.
        arms: What is trained besides the tickets: arm -> its settings, as in a study's YAML (`like`, `on`,
            `rounds`, `trials`, `pruning`, `rewind`). Default: nothing else.
            `{"shuffled": {}, "one_shot": {"rounds": [3]}, "dense_longer": {}}` trains each ticket's mask
            shuffled within the layers, one pruning to the density of round 3, and the dense network for as
            long as the tickets; `{"drawn": {"like": "ticket", "pruning": {"criterion": "random"}}}` further
            rounds of random pruning. The others are `at_init`, `smart_ratio`, `static`, `random_reinit`,
            `keep_signs`, `constant_sign`, `reshuffle`, `inverted` and `fork`.
        rewind_weights: What the remaining weights return to: `rewound`, those at the rewind point; `trained`
            keeps the last round's weights, while learning rates and callbacks go on from the rewind point
            (learning-rate rewinding, Renda et al. 2020).
        pattern: What is pruned together, as in a study: `single` weights; whole `units` (of Dense layers and
            convolutions), which `lottery.compact` then removes; blocks such as `block:4x4`; or `2:4`, which
            takes rate=0.5 and one round. `rate` is then the fraction of units or blocks.
        rewind_optimizer: `reset` starts each round with a fresh optimizer, `restore` brings back its state at
            the rewind point.
        seed: The seed of the order of examples, of dropout, and of everything else that is drawn.
        directory: The directory that keeps the runs. Called again with the same one, the search goes on after
            its last finished run. Default: a temporary directory that lives as long as the result.
        engine: `fit`, or `loop` for the library's compiled loop, which is faster for small models (classes as
            integers, arrays, one input and one output, no callbacks). `sparse` is `loop`, but rounds with
            masks are trained on kernels that touch the weights that remain alone, where that is expected to
            be faster (networks of Dense, Conv2D and layers between them; SGD, Adam, AdamW; one thread).
        verbose: 1 shows the search's progress, 0 shows nothing.

    Raises:
        LotteryError: If any of these is out of range.

    Examples:
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
        scope: str = "layer",
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
        engine: Literal["fit", "loop", "sparse"] = "fit",
        verbose: int = 1,
        frozen: bool = False,
        arms: Mapping[str, Mapping[str, Any]] | None = None,
        rewind_weights: Literal["rewound", "trained"] = "rewound",
        pattern: str = "single",
    ):
        if isinstance(model, keras.Model) or hasattr(model, "fit"):  # tf_keras models can be called too
            check_kind(model)
        elif isinstance(model, type) or not callable(model):
            raise LotteryError(
                f"Expected a Keras model, or a function that builds one. Received: {type(model).__name__}"
            )
        self._settings = SearchSettings.of(
            rate=rate,
            rounds=rounds,
            until=until,
            target_density=target_density,
            rewind_to=rewind_to,
            criterion=criterion,
            scope=scope,
            pattern=pattern,
            layer_rates=layer_rates,
            min_density=min_density,
            monitor=monitor,
            mode=mode,
            controls=controls,
            arms=arms,
            rewind_weights=rewind_weights,
            rewind_optimizer=rewind_optimizer,
            seed=seed,
            engine=engine,
        )
        self._model, self._choice = model, PrunableChoice.of(include, exclude, kernels, frozen)
        self._directory, self._verbose = directory, verbose

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **arguments: Any) -> SearchResult:
        """Run the search.

        Args:
            x: The training data, as `model.fit` takes it: arrays, a `tf.data.Dataset` or a `PyDataset`.
            y: The targets, where `x` doesn't have them.
            *positional: Further arguments of `model.fit`, in its order.
            **arguments: Further arguments of `model.fit`: `validation_data`, `epochs`, `callbacks`,
                `class_weight`, ... Keras's own callbacks start each round afresh, and their files get the
                round in their names. `epochs` is the number of epochs of each round, rewound ones included.

        Returns:
            The result, with the table, the tickets and the trained networks.

        Raises:
            LotteryError: If data can be read only once, there is no validation data, the rewind point is past
                the end of training, the directory belongs to another search, the model can't be copied
                faithfully, the training diverges, or another search runs in this thread.
        """
        arguments = {"x": x, "y": y, **fit_arguments.arguments_by_name(positional, arguments)}
        fit_arguments.check_arguments(arguments)
        self._check_validation(arguments)
        per_epoch = fit_arguments.steps_per_epoch(arguments)
        for argument, point in self._settings.arms.rewind_points.items():
            _check_rewind(argument, point, per_epoch, arguments.get("epochs", 1))
        fit_arguments.check_reordered(arguments, self._settings.arms.reordered)
        with alone():
            network = Network(self._model, self._settings.seed, self._choice, arguments)
            try:
                return self._search(network, arguments, per_epoch)
            except BaseException:
                network.give_back()
                raise

    def _search(self, network: Network, arguments: Mapping[str, Any], per_epoch: int | None) -> SearchResult:
        kernels, study = list(get_masks(network.model)), self._study(network, arguments)
        for arm in study.arms:
            pruning = settings_of(study, arm).pruning
            rates, kind = rates_of(kernels, pruning.rate, pruning.layer_rates), read_pattern(pruning.pattern)
            if kind.kind != SINGLE:
                check_units(network.model, kind, rates, f"Pattern {pruning.pattern} of arm {arm!r}")
        temporary: Temporary | None = None
        paths = StudyPaths(Path(self._directory or (temporary := Temporary()).name))
        check_directory(paths.root)
        store = SearchStore(paths)
        with held(paths.root / ".lock") as acquired:
            if not acquired:
                raise StudyError(f"{paths.root} is in use by another search. Stop that search first.")
            if begins := not (paths.root / FILE).exists():
                network.check(self._settings.arms.redrawing)  # before anything is written
            open_directory(paths, study, self._described(network, arguments))
            weights, existed = theta_0(paths, network.initial)
            if existed:
                network.start_from(weights)
            if not begins:
                network.check(self._settings.arms.redrawing)
            watch = Watch(study, network, self._verbose)
            run = self._runner(network, store, arguments, per_epoch, watch)
            ended = self._drive(study, store, run, watch)
        return SearchResult(study, store, network, temporary, ended)

    def _drive(self, study: StudyConfig, store: SearchStore, run: FitRun, watch: Watch) -> str | None:
        """Let the driver train what the planner asks for; return why the search ended early, if it did."""
        executor = SearchExecutor(run)
        with watch:
            try:
                Driver(study, store, executor, watch, Execution(workers=1)).run()
            except StudyError:
                raise
            except LotteryError as error:  # an emptied layer, a training that diverges
                if not collect(study, store.records()):
                    raise
                where = f" before its {executor.spec.describe()}" if executor.spec else ""
                watch.say(f"The search ends{where}: {error}")
                return str(error)
        return None

    def _runner(self, network, store, arguments, per_epoch, watch) -> FitRun:
        if self._settings.engine == "sparse":
            from tf_lottery.search.sparse_run import SparseRun  # it imports numba

            return SparseRun(network, store, self._settings.monitor, arguments, watch.callback)
        if self._settings.engine == "loop":
            return LoopRun(network, store, self._settings.monitor, arguments, watch.callback)
        return FitRun(network, store, self._settings.monitor, arguments, per_epoch, watch.callback)

    def _study(self, network: Network, arguments: Mapping[str, Any]) -> StudyConfig:
        return study_of(
            self._settings,
            self._described(network, arguments),
            arguments.get("epochs", 1),
            fit_arguments.digest_of_data(arguments),
        )

    def _described(self, network: Network, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Describe what determines a run besides data, pruning and rewinding, as JSON holds it."""
        return {
            "fit": fit_arguments.settings_of(arguments),
            "network": network.described(),
            "monitor": [self._settings.monitor.name, self._settings.monitor.mode]
            if self._settings.monitor
            else None,
            "engine": self._settings.engine,
        }

    def _check_validation(self, arguments: Mapping[str, Any]) -> None:
        name = self._settings.monitor.name if self._settings.monitor else "val_loss"
        if name.startswith("val_") and not fit_arguments.validated(arguments):
            raise LotteryError(
                f"Expected validation_data or validation_split, since {name} is monitored. Received: neither"
            )


def _check_rewind(argument: str, point: str, per_epoch: int | None, epochs: int) -> None:
    number, unit = int(point[:-2]), point[-2:]
    last = epochs if unit == "ep" else None if per_epoch is None else epochs * per_epoch
    if last is not None and number >= last:
        raise LotteryError(
            f"Expected a rewind point before the end of training ({epochs} epochs"
            f"{f', {last} steps' if unit == 'it' else ''}). Received: {argument}={point!r}"
        )
