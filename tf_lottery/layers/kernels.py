"""Decides which variables of a layer are kernels that can be pruned.

To support another layer of Keras, add a line to `KERNELS`. A user's own layer has a method
`get_prunable_weights()` that returns its kernels, or is declared in a call of `make_prunable`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import keras

from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import named_variables, own_weights, walk
from tf_lottery.pruning.schedules import as_patterns

KERNELS: dict[type | str, tuple[str, ...]] = {
    keras.layers.Dense: ("kernel",),
    keras.layers.EinsumDense: ("kernel",),
    keras.layers.Conv1D: ("kernel",),
    keras.layers.Conv2D: ("kernel",),
    keras.layers.Conv3D: ("kernel",),
    keras.layers.Conv1DTranspose: ("kernel",),
    keras.layers.Conv2DTranspose: ("kernel",),
    keras.layers.Conv3DTranspose: ("kernel",),
    keras.layers.DepthwiseConv1D: ("kernel",),
    keras.layers.DepthwiseConv2D: ("kernel",),
    keras.layers.SeparableConv1D: ("depthwise_kernel", "pointwise_kernel"),
    keras.layers.SeparableConv2D: ("depthwise_kernel", "pointwise_kernel"),
    keras.layers.SimpleRNNCell: ("kernel", "recurrent_kernel"),
    keras.layers.LSTMCell: ("kernel", "recurrent_kernel"),
    keras.layers.GRUCell: ("kernel", "recurrent_kernel"),
    "ConvLSTMCell": ("kernel", "recurrent_kernel"),  # not exported by Keras
}
"""Kernels by layer, including subclasses. Attention, recurrent layers, `Bidirectional` and `TimeDistributed`
contain such layers."""

ON_REQUEST: dict[type, tuple[str, ...]] = {keras.layers.Embedding: ("embeddings",)}
"""Kernels that are pruned only if `include` or `kernels` names their layer."""

DECLARES = "get_prunable_weights"
"""The method of a user's own layer, with the same name as in tensorflow-model-optimization."""

Rule = type | str | Callable[[keras.Layer], bool]


@dataclass(frozen=True)
class PrunableChoice:
    """The kernels to make prunable.

    Attributes:
        include: Layers to prune, each as a class, a name pattern or a predicate. If empty, all layers
            that have kernels. Layers inside a chosen layer are chosen, too.
        exclude: Layers to leave out; this takes precedence over `include`.
        kernels: Further layers: class or class name -> names of their kernels.
        frozen: Whether frozen kernels are prunable, too.
        strict: Whether layers that don't use their kernels directly (LoRA, quantization) raise an error
            instead of being skipped.
    """

    include: tuple[Rule, ...] = ()
    exclude: tuple[Rule, ...] = ()
    kernels: Mapping[type | str, tuple[str, ...]] = field(default_factory=dict)
    frozen: bool = False
    strict: bool = True

    @classmethod
    def of(cls, include: Any, exclude: Any, kernels: Mapping | None, frozen: Any = False) -> "PrunableChoice":
        """Return the choice that the arguments of `make_prunable` describe.

        Raises:
            LotteryError: If an argument has the wrong type.
        """
        if not isinstance(kernels or {}, Mapping):
            raise LotteryError(
                f"Expected kernels to be {{layer class: names of its kernels}}. Received: {kernels!r}"
            )
        declared = {}
        for layer, names in (kernels or {}).items():
            names = tuple(names) if isinstance(names, (list, tuple)) else (names,)
            if not isinstance(layer, (type, str)) or not names or not all(isinstance(n, str) for n in names):
                raise LotteryError(
                    "Expected kernels to be {layer class: names of its kernels}. "
                    f"Received: {layer!r}: {names!r}"
                )
            declared[layer] = names
        if not isinstance(frozen, bool):
            raise LotteryError(f"Expected frozen to be True or False. Received: {frozen!r}")
        return cls(_rules("include", include), _rules("exclude", exclude), declared, frozen)

    def kernels_of(self, model: keras.Layer) -> dict[str, keras.Variable]:
        """Return path -> variable for the chosen kernels of a built model, each once.

        Raises:
            LotteryError: If a rule matches no layer, a declared kernel is missing, or a layer doesn't use its
                kernel directly.
        """
        trained = {id(variable) for variable in model.trainable_variables}
        paths = {id(variable): path for path, variable in named_variables(model).items()}
        chosen_kernels: dict[str, keras.Variable] = {}
        unused = {*self.include, *self.exclude, *self.kernels}
        patterns = self._patterns(model)
        for path, layer, above in walk(model):
            chosen = not self.include
            for rule in self.include:
                if any(_matches(patterns.get(rule, rule), *each) for each in (*above, (path, layer))):
                    unused.discard(rule)
                    chosen = True
            for rule in self.exclude:
                if any(_matches(patterns.get(rule, rule), *each) for each in (*above, (path, layer))):
                    unused.discard(rule)
                    chosen = False
            for declared in self.kernels:
                if _is(layer, declared):
                    unused.discard(declared)
            if not chosen:
                continue
            own = list(self._own_kernels(layer, patterns))
            if own and (why := unfit(layer)):
                if not self.strict:
                    continue
                raise LotteryError(
                    "Expected layers that use their kernels directly. Received: "
                    f"{path or layer.name!r}, {why}. Leave it out with exclude, or prune before that."
                )
            chosen_kernels |= {paths[id(v)]: v for v in own if self.frozen or id(v) in trained}
        for rule in unused:
            layers = [path for path, _, _ in walk(model)]
            raise LotteryError(
                f"Expected include, exclude and kernels to match layers of the model "
                f"({', '.join(layers[:12])}{', ...' if len(layers) > 12 else ''}). "
                f"Received: {getattr(rule, '__name__', rule)!r}, which matches none"
            )
        return chosen_kernels

    def _patterns(self, model: keras.Layer) -> dict[Rule, str]:
        """Return rule -> pattern for the rules that are strings."""
        rules = [rule for rule in (*self.include, *self.exclude) if isinstance(rule, str)]
        return as_patterns(rules, {name for path, layer, _ in walk(model) for name in (path, layer.name)})

    def _own_kernels(self, layer: keras.Layer, patterns: Mapping[Rule, str]) -> Iterator[keras.Variable]:
        if hasattr(layer, DECLARES):
            yield from _declared(layer)
        for known, names in (*self.kernels.items(), *KERNELS.items()):
            if _is(layer, known):
                yield from _named(layer, names)
        for known, names in ON_REQUEST.items():
            if isinstance(layer, known) and self._asks_for(layer, known, patterns):
                yield from _named(layer, names)

    def _asks_for(self, layer: keras.Layer, cls: type, patterns: Mapping[Rule, str]) -> bool:
        """Return whether `include` names this layer itself, not just a block that contains it."""
        return any(isinstance(rule, type) and issubclass(rule, cls) for rule in self.include) or any(
            not isinstance(rule, type) and _matches(patterns.get(rule, rule), layer.name, layer)
            for rule in self.include
        )


def unfit(layer: keras.Layer) -> str | None:
    """Return a reason why a layer doesn't use its kernel directly, or None if it does."""
    if getattr(layer, "lora_enabled", False):
        return "which has LoRA enabled: it uses the sum of its kernel and a product"
    mode = getattr(layer, "quantization_mode", None)
    if mode:
        return f"which is quantized ({mode}): its kernel consists of integers and scales"
    return None


def _declared(layer: keras.Layer) -> Sequence[keras.Variable]:
    weights = getattr(layer, DECLARES)()
    own = {id(v) for v in layer.weights}
    if not isinstance(weights, Sequence) or not all(id(w) in own for w in weights):
        raise LotteryError(
            f"Expected {DECLARES}() of {type(layer).__name__} to return variables of the layer. "
            f"Received: {weights!r}"
        )
    return weights


def _named(layer: keras.Layer, names: Sequence[str]) -> list[keras.Variable]:
    by_name = {variable.name: variable for variable in own_weights(layer)}
    variables = []
    for name in names:
        # An attribute may be a property that hides the variable (Dense.kernel with LoRA).
        variable = by_name.get(name, getattr(layer, name, None))
        if variable is None:
            raise LotteryError(
                f"Expected a built {type(layer).__name__} with a variable {name!r}. "
                f"Received: {layer.name!r} with {', '.join(by_name) or 'none'}. "
                "If it isn't built, call the model once."
            )
        variables.append(variable)
    return variables


def _rules(argument: str, given: Any) -> tuple[Rule, ...]:
    rules = tuple(given) if isinstance(given, (list, tuple, set)) else () if given is None else (given,)
    for rule in rules:
        is_layer = isinstance(rule, type) and issubclass(rule, keras.Layer)
        if not is_layer and (isinstance(rule, type) or not (isinstance(rule, str) or callable(rule))):
            raise LotteryError(
                f"Expected {argument} to be layer classes, name patterns or predicates. Received: {rule!r}"
            )
    return rules


def _matches(rule: Rule, path: str, layer: keras.Layer) -> bool:
    if isinstance(rule, type):
        return isinstance(layer, rule)
    if isinstance(rule, str):
        return fnmatchcase(layer.name, rule) or fnmatchcase(path, rule)
    return bool(rule(layer))


def _is(layer: keras.Layer, declared: type | str) -> bool:
    if isinstance(declared, str):
        return any(cls.__name__ == declared for cls in type(layer).__mro__)
    return isinstance(layer, declared)
