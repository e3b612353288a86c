"""The network of a search, which is built once and then brought to the start of each run."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, set_masks
from tf_lottery.layers.compiled import compile_like, compile_settings
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
from tf_lottery.search.described import architecture_of, description_of, theta_0_in_words
from tf_lottery.search.fit_arguments import callbacks_of
from tf_lottery.search.optimizers import Optimizers, optimizers_of
from tf_lottery.search.outside import AsItWas, Outside
from tf_lottery.search.peek import inputs_for, make_built
from tf_lottery.seeding import derive
from tf_lottery.training import state

_PREFIX = "model/"


class Network:
    """A compiled prunable model, and the means to build the plain model again.

    Args:
        model: A compiled plain model, or a function that returns one.
        seed: The search's seed. If `model` is a function, its weights follow from it.
        choice: The choice of what is prunable.
        arguments: The arguments of `fit`. Their data builds a model that isn't built yet, and copies are
            compared on it.

    Attributes:
        model: The prunable model.
        theta_0: A description of the weights at step 0, in words.
        architecture: JSON that builds the plain model, None if Keras can't write it.
        plain_class: The class of the plain model.
        inputs: The inputs on which copies are compared.
        initial: The weights at step 0.
        variables: The model's variables by name, except masks.
        frozen: The paths of frozen weights.
        given: The names of weights that were given or trained rather than drawn by an initializer; `check`
            finds them.

    Raises:
        LotteryError: If the search can't use the model. A model that was given is left as it was.
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
        optimizer = model.optimizer
        steps = 0 if optimizer is None or not optimizer.built else int(optimizer.iterations)
        self.theta_0 = theta_0_in_words(self._build is not None, seed, steps)
        self.architecture = architecture_of(model)
        self.plain_class = type(model)
        self.inputs = inputs_for(model, arguments)
        self._as_it_was = AsItWas(model)
        referred_to = any(refers(callback, model) for callback in callbacks_of(arguments))
        self._optimizers: Optimizers | None = None
        self.given: list[str] = []
        self.model = make_prunable_choice(
            model, choice, self.inputs, in_place="a callback refers to it" if referred_to else None
        )
        try:
            self._settle()
        except BaseException:
            self.give_back()
            raise

    def _settle(self) -> None:
        """Record the state that each run begins with."""
        if self.model.optimizer is not None and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        self._optimizers = Optimizers(self.model)
        self.outside = Outside(self.model, callbacks_of(self._arguments))
        self._flags = self.flags()
        self.variables = state.model_variables(self.model)
        self.initial = self.weights()
        self.frozen = [path for path in frozen(self.model) if not path.startswith("other/")]

    def give_back(self) -> None:
        """Bring a model that was changed in place back: plain, with its weights and its optimizer's state."""
        if not held_in_place(self.model):
            return
        if self._optimizers is not None:
            self._optimizers.undo()
        strip_in_place(self.model)
        self._as_it_was.restore()

    def why_in_place(self) -> str | None:
        """Return why the user's own model is trained instead of a copy; None if it is a copy."""
        return getattr(self.model, "_why_in_place", None) if self._build is None else None

    def flags(self) -> list[bool]:
        """Return for each layer whether it is trainable."""
        return [layer.trainable for layer in self.model._flatten_layers()]

    def state(self) -> dict[str, Any]:
        """Return what callbacks may have changed by now, as JSON holds it. `go_on` restores it."""
        optimizer = self.model.optimizer
        variable = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
        rate = float(ops.convert_to_numpy(variable)) if isinstance(variable, keras.Variable) else None
        return {"learning_rate": rate, "trainable": self.flags(), "outside": self.outside.values()}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Restore what callbacks had changed by a rewind point.

        Args:
            state: The state as `state` returned it; empty at step 0.

        Raises:
            LotteryError: If callbacks had changed which layers are trainable.
        """
        if not state:
            return
        if state["trainable"] != self._flags:
            raise LotteryError(
                "A callback had changed which layers are trainable before the rewind point. Rewind to an "
                "earlier step."
            )
        if state["learning_rate"] is not None:
            self.model.optimizer.learning_rate = state["learning_rate"]
        self.outside.reset(state["outside"])

    def described(self) -> dict[str, Any]:
        """Describe everything about the network that determines a run, except weights, as JSON holds it."""
        return description_of(
            self.model, self.plain_class, self.architecture, optimizers_of(self.model), self.frozen
        )

    def start_from(self, weights: Arrays) -> None:
        """Use the weights of an earlier call of the search as those of step 0."""
        renamed = self.named(weights, _PREFIX)
        if any(renamed[name].tobytes() != value.tobytes() for name, value in self.initial.items()):
            self.theta_0 = "the weights that the search began with, kept in its directory"
        self.initial = renamed

    def weights(self) -> Arrays:
        """Return copies of all weights, except masks."""
        return state.capture(self.variables)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return kernel path -> shape, of all prunable kernels."""
        return {path: mask.shape for path, mask in get_masks(self.model).items()}

    def begin(self, masks: Masks, weights: Arrays, step: int, optimizer: Arrays | None) -> None:
        """Set masks, weights and the optimizer, at a step of its learning-rate schedule.

        Args:
            masks: The masks by kernel path.
            weights: The weights by name.
            step: The number of steps that the network has had.
            optimizer: The optimizer's state at that step; None for a fresh optimizer.

        Raises:
            LotteryError: If a callback has compiled the model again.
        """
        for layer, trainable in zip(self.model._flatten_layers(), self._flags, strict=True):
            if layer.trainable != trainable:  # a callback has changed it
                layer.trainable = trainable
                self.model.make_train_function(force=True)
        self.outside.reset()
        self._optimizers.begin(step)
        set_masks(self.model, masks)
        state.restore(self.variables, weights)
        self._optimizers.begin_averages()
        if optimizer is not None:
            self._optimizers.restore(optimizer)

    def named(self, arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
        """Return stored arrays under this network's names, since Keras may number layers differently."""
        own = self.variables if prefix else get_masks(self.model)
        matches = correspond(
            {name: np.shape(value) for name, value in arrays.items()},
            {name: tuple(value.shape) for name, value in own.items()},
        )
        if not matches.complete:
            raise LotteryError(
                f"The stored runs belong to another network ({matches.differences()}). Use another directory."
            )
        return {own_name: arrays[name] for name, own_name in matches.pairs.items()}

    def dense(self, seed: int) -> Arrays:
        """Return the weights that the search began with, which don't depend on the seed."""
        return self.initial

    def redrawn(self, seed: int, theta_0: Arrays) -> Redrawn:
        """Return a random reinitialization of theta_0."""
        kernels = list(get_masks(self.model))
        return redraw(self.model, kernels, self.named(theta_0, _PREFIX), self._drawn(seed), _PREFIX)

    def _drawn(self, seed: int) -> Arrays:
        """Return the weights of the network, built again with this seed."""
        if self._build is not None:
            plain = self._built(seed)
        else:
            with seeded(seed):
                plain = rebuild(self.model)
        return self.named(state.capture(state.model_variables(plain)), _PREFIX)

    def check(self, controls: bool) -> None:
        """Check before the first round that trained networks can be returned and controls can be drawn.

        Args:
            controls: Whether there are any controls.

        Raises:
            LotteryError: If a copy isn't the same model, or a control would redraw weights that were never
                drawn.
        """
        self.plain(get_masks(self.model), self.initial)
        if self._build is not None and not controls:
            return
        first = self._drawn(derive(self._seed, 0, "check"))
        if self._build is None:  # tickets record it, too
            draws = first, self._drawn(derive(self._seed, 1, "check"))
            trained = {id(variable) for variable in self.model.trainable_variables}
            names = [name for name, variable in self.variables.items() if id(variable) in trained]
            self.given = given(self.initial, draws, names)
        if not controls:
            return
        redraw(self.model, list(get_masks(self.model)), self.initial, first, _PREFIX)
        if names := self.given:
            raise LotteryError(
                "Expected weights as an initializer draws them, since a random reinitialization draws them "
                f"anew. Received: {', '.join(names[:4])}{', ...' * (len(names) > 4)}, given or trained after "
                "the model was built. Freeze them; or give a function that builds the model and loads them "
                "(what it loads is kept); or do without controls."
            )

    def plain(self, masks: Masks, weights: Arrays) -> keras.Model:
        """Return a new plain model with these weights, zeros baked in, compiled as the search's model is.

        Raises:
            LotteryError: If the model can't be built again, or comes out as another one.
        """
        masks_before, weights_before = get_masks(self.model), self.weights()
        try:
            set_masks(self.model, self.named(masks, ""))
            state.restore(self.variables, self.named(weights, _PREFIX))
            if not held_in_place(self.model):
                return self._optimizers.make_new(strip_copy(self.model, self.inputs))
            copy = self._built(self._draw) if self._build is not None else rebuild(self.model)
            self._check_same(copy)
            copy = copy if copy.compiled else compile_like(self.model, copy)
            return self._optimizers.make_new(copy)
        except CannotCopy as error:
            advice = "Give a function that builds it instead of the model."
            if self._build is not None:
                advice = "Draw only from the seeds of Keras, NumPy and Python."
            raise LotteryError(
                f"{self.plain_class.__name__} {self.model.name!r} doesn't come out the same when it is built "
                f"again ({error}). {advice}"
            ) from error
        finally:
            set_masks(self.model, masks_before)
            state.restore(self.variables, weights_before)

    def _check_same(self, copy: keras.Model) -> None:
        carry_state(self.model, copy)
        if calls(self.model):
            check_copy(self.model, copy, self.inputs)
            return
        for source, target in zip(children(self.model), children(copy), strict=True):
            if getattr(source, "inputs", None):  # this part can be called by itself
                check_copy(source, target)

    def _built(self, seed: int) -> keras.Model:
        with seeded(seed):
            model = self._build()
            if not isinstance(model, keras.Model):
                raise LotteryError(f"Expected a function that returns a Keras model. Received: {model!r:.80}")
            check_kind(model)
            make_built(model, self._arguments)
        return model
