"""The network of a search: built once, brought to the start of each run."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, mask_slots, set_masks
from tf_lottery.layers.compiled import compile_like, compile_settings, new_optimizer
from tf_lottery.layers.convert import check_kind, make_prunable_choice, strip_copy
from tf_lottery.layers.copying import CannotCopy, carry_state, check_copy, rebuild
from tf_lottery.layers.in_place import calls, held_in_place, strip_in_place
from tf_lottery.layers.kernels import PrunableChoice
from tf_lottery.layers.paths import children
from tf_lottery.layers.redraw import Redrawn, frozen, given, redraw
from tf_lottery.layers.refers import refers
from tf_lottery.models.seeded import seeded
from tf_lottery.pruning.correspond import correspond
from tf_lottery.pruning.masks import Masks
from tf_lottery.search.described import architecture_of, described, theta_0_in_words
from tf_lottery.search.fit_arguments import callbacks_of
from tf_lottery.search.outside import AsItWas, Outside
from tf_lottery.search.peek import inputs_for, make_built
from tf_lottery.seeding import derive
from tf_lottery.training import state

_PREFIX = "model/"


class Network:
    """A compiled prunable model, and how to build its plain one again.

    Args:
        model: a compiled plain model, or a function that returns one.
        seed: of the search, from which a function's weights follow.
        choice: what is prunable.
        arguments: of `fit`: a model that isn't built is built by its data, copies are compared on it.

    Attributes:
        model: prunable.
        theta_0: what the weights at step 0 are, in words.
        architecture: JSON that builds the plain model, None if Keras can't write it.
        initial: the weights at step 0.

    Raises:
        LotteryError: no such model. One that was given is as it was.
    """

    def __init__(
        self,
        model: keras.Model | Callable[[], keras.Model],
        seed: int,
        choice: PrunableChoice,
        arguments: Mapping[str, Any],
    ):
        self._build = None if isinstance(model, keras.Model) else model
        self._seed, self._arguments = seed, arguments
        self._draw = derive(seed, 0, "init")
        if self._build is not None:
            model = self._built(self._draw)
        make_built(model, arguments)
        compile_settings(model)
        self.taken = (
            0 if model.optimizer is None or not model.optimizer.built else int(model.optimizer.iterations)
        )
        self.theta_0 = theta_0_in_words(self._build is not None, seed, self.taken)
        self.architecture = architecture_of(model)
        self.plain_class = type(model)
        self.inputs = inputs_for(model, arguments)
        self._as_it_was = AsItWas(model)
        seen = any(refers(callback, model) for callback in callbacks_of(arguments))
        self._fresh: dict[int, list[np.ndarray]] = {}
        self.given: list[str] = []
        self.model = make_prunable_choice(
            model, choice, self.inputs, in_place="a callback refers to it" if seen else None
        )
        try:
            self._settle()
        except BaseException:
            self.give_back()
            raise

    def _settle(self) -> None:
        """Take note of all that each run begins with."""
        if self.model.optimizer is not None and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        # As they are now: callbacks may change the learning rate later.
        self._twins = {id(found): new_optimizer(found) for found in self.optimizers()}
        self.outside = Outside(self.model, callbacks_of(self._arguments))
        self._flags = self.flags()
        self.variables = state.model_variables(self.model)
        self.initial = self.weights()
        self.frozen = [path for path in frozen(self.model) if not path.startswith("other/")]

    def give_back(self) -> None:
        """Leave a model that was given as it was: plain, with its weights and its optimizer's state."""
        if not held_in_place(self.model):
            return
        for optimizer in self.optimizers():
            if optimizer.built and id(optimizer) in self._fresh:
                self._reset(optimizer, 0)
        strip_in_place(self.model)
        self._as_it_was.restore()

    def why_in_place(self) -> str | None:
        """Return why the user's own model is trained and not a copy, None if it is a copy."""
        return getattr(self.model, "_why_in_place", None) if self._build is None else None

    def flags(self) -> list[bool]:
        """Return which layers are trainable."""
        return [layer.trainable for layer in self.model._flatten_layers()]

    def state(self) -> dict[str, Any]:
        """Return what callbacks may have changed by now, as JSON holds it; `go_on` brings it back."""
        optimizer = self.model.optimizer
        held = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
        rate = float(ops.convert_to_numpy(held)) if isinstance(held, keras.Variable) else None
        return {"learning_rate": rate, "trainable": self.flags(), "outside": self.outside.values()}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Bring back what callbacks had changed by a rewind point. Args: state: of `state`; {} at step 0.

        Raises:
            LotteryError: if they had changed what is trained.
        """
        if not state:
            return
        if state["trainable"] != self._flags:
            raise LotteryError(
                "Expected a rewind point before a callback changes what is trainable. Received: one after it"
            )
        if state["learning_rate"] is not None:
            self.model.optimizer.learning_rate = state["learning_rate"]
        self.outside.reset(state["outside"])

    def described(self) -> dict[str, Any]:
        """Return what determines a run, weights aside, as JSON holds it."""
        return described(self.model, self.plain_class, self.architecture, self.optimizers(), self.frozen)

    def start_from(self, weights: Arrays) -> None:
        """Take other weights at step 0: those of an earlier call of the search."""
        found = self.renamed(weights, _PREFIX)
        if any(found[name].tobytes() != value.tobytes() for name, value in self.initial.items()):
            self.theta_0 = "the weights that the search began with, kept in its directory"
        self.initial = found

    def weights(self) -> Arrays:
        """Return copies of all weights, masks aside."""
        return state.capture(self.variables)

    def begin(self, masks: Masks, weights: Arrays, step: int) -> None:
        """Set masks, weights and a fresh optimizer at a step of its learning-rate schedule.

        Raises:
            LotteryError: if a callback has compiled the model again.
        """
        for layer, trainable in zip(self.model._flatten_layers(), self._flags, strict=True):
            if layer.trainable != trainable:  # a callback's doing
                layer.trainable = trainable
                self.model.make_train_function(force=True)
        self.outside.reset()
        for optimizer in self.optimizers():
            if id(optimizer) not in self._twins:
                raise LotteryError(
                    "Expected callbacks that don't compile the model: each round needs the optimizer that "
                    f"the search began with. Received: another {type(optimizer).__name__} after a round"
                )
            if optimizer.built:
                self._reset(optimizer, step)
        set_masks(self.model, self.renamed(masks, ""))
        state.restore(self.variables, self.renamed(weights, _PREFIX))
        for optimizer in self.optimizers():
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            if inner.built and inner.use_ema:  # an average begins where the weights are
                for variable, average in zip(
                    inner._trainable_variables, inner._model_variables_moving_average, strict=True
                ):
                    average.assign(variable)

    def _reset(self, optimizer: keras.optimizers.Optimizer, step: int) -> None:
        for variable, value in zip(optimizer.variables, self._new(optimizer), strict=True):
            variable.assign(value)
        getattr(optimizer, "inner_optimizer", optimizer)._iterations.assign(step)

    def _new(self, optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
        """Return what an optimizer's variables hold when it is new."""
        if id(optimizer) not in self._fresh:
            twin = self._twins[id(optimizer)]
            main = optimizer is self.model.optimizer
            twin.build(self.model.trainable_variables if main else optimizer._trainable_variables)
            self._fresh[id(optimizer)] = [np.array(ops.convert_to_numpy(v)) for v in twin.variables]
        return self._fresh[id(optimizer)]

    def restore_optimizer(self, values: Arrays) -> None:
        """Bring the optimizer's state of a rewind point back, masked."""
        found = list(self.model.optimizer.variables)
        if [tuple(v.shape) for v in found] != [value.shape for value in values.values()]:
            raise LotteryError("Expected the state of this optimizer. Received: another one's")
        for variable, value in zip(found, values.values(), strict=True):
            variable.assign(value)
        mask_slots(self.model.optimizer, self.model)

    def renamed(self, arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
        """Return stored arrays under the names that they have here: Keras may number layers otherwise."""
        here = self.variables if prefix else get_masks(self.model)
        found = correspond(
            {name: np.shape(value) for name, value in arrays.items()},
            {name: tuple(value.shape) for name, value in here.items()},
        )
        if not found.complete:
            raise LotteryError(
                f"Expected the runs of this network. Received: another's ({found.differences()})"
            )
        return {there: arrays[name] for name, there in found.pairs.items()}

    def redrawn(self, seed: int, theta_0: Arrays) -> Redrawn:
        """Return a random reinitialization of theta_0. Args: seed: of the draw. theta_0: name -> array."""
        return redraw(
            self.model,
            list(get_masks(self.model)),
            self.renamed(theta_0, _PREFIX),
            self._drawn(seed),
            _PREFIX,
        )

    def _drawn(self, seed: int) -> Arrays:
        """Return the weights of the network built anew."""
        if self._build is not None:
            plain = self._built(seed)
        else:
            with seeded(seed):
                plain = rebuild(self.model)
        return self.renamed(state.capture(state.model_variables(plain)), _PREFIX)

    def check(self, controls: bool) -> None:
        """Check before the first round what is needed after it: trained networks, and controls.

        Args:
            controls: whether there are any.

        Raises:
            LotteryError: a copy that isn't the model, weights of which it can't be told that they were drawn.
        """
        self.plain(get_masks(self.model), self.initial)
        if self._build is not None and not controls:
            return
        first = self._drawn(derive(self._seed, 0, "check"))
        if self._build is None:  # for tickets, too
            draws = first, self._drawn(derive(self._seed, 1, "check"))
            trained = {id(variable) for variable in self.model.trainable_variables}
            names = [name for name, variable in self.variables.items() if id(variable) in trained]
            self.given = given(self.initial, draws, names)
        if not controls:
            return
        redraw(self.model, list(get_masks(self.model)), self.initial, first, _PREFIX)
        if found := self.given:
            raise LotteryError(
                "Expected weights as an initializer draws them, since a random reinitialization draws them "
                f"anew. Received: {', '.join(found[:4])}{', ...' * (len(found) > 4)}, given or trained after "
                "the model was built. Freeze them; or give a function that builds the model and loads them "
                "(what it loads is kept); or do without controls."
            )

    def plain(self, masks: Masks, weights: Arrays) -> keras.Model:
        """Return a new plain model with these weights, zeros baked in, compiled as the search's.

        Raises:
            LotteryError: if it can't be built again, or what is built is another model.
        """
        kept = get_masks(self.model), self.weights()
        try:
            set_masks(self.model, self.renamed(masks, ""))
            state.restore(self.variables, self.renamed(weights, _PREFIX))
            if not held_in_place(self.model):
                return self._with_new_optimizer(strip_copy(self.model, self.inputs))
            copy = self._built(self._draw) if self._build is not None else rebuild(self.model)
            self._check_same(copy)
            copy = copy if copy.compiled else compile_like(self.model, copy)
            return self._with_new_optimizer(copy)
        except CannotCopy as error:
            advice = "Give a function that builds it instead of the model."
            if self._build is not None:
                advice = "Leave out what is drawn otherwise than from the seeds of Keras, NumPy and Python."
            raise LotteryError(
                "Expected a model that is the same when it is built again. Received: "
                f"{self.plain_class.__name__} {self.model.name!r} ({error}). {advice}"
            ) from error
        finally:
            set_masks(self.model, kept[0])
            state.restore(self.variables, kept[1])

    def _check_same(self, copy: keras.Model) -> None:
        carry_state(self.model, copy)
        if calls(self.model):
            check_copy(self.model, copy, self.inputs)
            return
        for source, target in zip(children(self.model), children(copy), strict=True):
            if getattr(source, "inputs", None):  # a part that can be called by itself
                check_copy(source, target)

    def _with_new_optimizer(self, copy: keras.Model) -> keras.Model:
        if copy.compiled and copy.optimizer is not None:  # its state is that of the last round
            if not copy.optimizer.built:
                copy.optimizer.build(copy.trainable_variables)
            for variable, value in zip(
                copy.optimizer.variables, self._new(self.model.optimizer), strict=True
            ):
                variable.assign(value)
        return copy

    def _built(self, seed: int) -> keras.Model:
        with seeded(seed):
            model = self._build()
            if not isinstance(model, keras.Model):
                raise LotteryError(f"Expected a function that returns a Keras model. Received: {model!r:.80}")
            check_kind(model)
            make_built(model, self._arguments)
        return model

    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """Return the model's optimizer, and those that a `train_step` of the user's own has besides."""
        found = {id(self.model.optimizer): self.model.optimizer} if self.model.optimizer else {}
        for value in vars(self.model).values():
            if isinstance(value, keras.optimizers.Optimizer):
                found[id(value)] = value
        return list(found.values())
