"""Which variables of a layer are kernels that can be pruned.

A further layer is a line in `KERNELS`. A layer of the user's own says so itself, in a method
`get_prunable_weights()` that returns its kernels, or is declared to `make_prunable`.
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
    "ConvLSTMCell": ("kernel", "recurrent_kernel"),  # Keras doesn't export it
}
"""Subclasses included. Attention, recurrent layers, `Bidirectional` and `TimeDistributed` hold
layers of these."""

ON_REQUEST: dict[type, tuple[str, ...]] = {keras.layers.Embedding: ("embeddings",)}
"""Pruned only where `include` or `kernels` names them."""

DECLARES = "get_prunable_weights"
"""The method of a layer of the user's own; tensorflow-model-optimization calls it so, too."""

Rule = type | str | Callable[[keras.Layer], bool]


@dataclass(frozen=True)
class PrunableChoice:
    """What to prune.

    Attributes:
        include: layers to prune, each a class, a name pattern or a predicate; empty: all that have
            kernels. A layer within a chosen one is chosen too.
        exclude: layers to leave out; wins over `include`.
        kernels: further layers: class or class name -> names of their kernels.
        frozen: whether kernels that aren't trained are prunable, too.
        strict: whether kernels that a layer doesn't compute with as they are (LoRA, quantization) are
            refused, not passed over.
    """

    include: tuple[Rule, ...] = ()
    exclude: tuple[Rule, ...] = ()
    kernels: Mapping[type | str, tuple[str, ...]] = field(default_factory=dict)
    frozen: bool = False
    strict: bool = True

    @classmethod
    def of(cls, include: Any, exclude: Any, kernels: Mapping | None, frozen: Any = False) -> "PrunableChoice":
        """Return the choice that arguments of `make_prunable` make.

        Raises:
            LotteryError: arguments of another kind.
        """
        if not isinstance(kernels or {}, Mapping):
            raise LotteryError(
                f"Expected kernels as {{layer class: names of its kernels}}. Received: {kernels!r}"
            )
        declared = {}
        for layer, names in (kernels or {}).items():
            names = tuple(names) if isinstance(names, (list, tuple)) else (names,)
            if not isinstance(layer, (type, str)) or not names or not all(isinstance(n, str) for n in names):
                raise LotteryError(
                    "Expected kernels as {layer class: names of its kernels}. "
                    f"Received: {layer!r}: {names!r}"
                )
            declared[layer] = names
        if not isinstance(frozen, bool):
            raise LotteryError(f"Expected frozen as True or False. Received: {frozen!r}")
        return cls(_rules("include", include), _rules("exclude", exclude), declared, frozen)

    def kernels_of(self, model: keras.Layer) -> dict[str, keras.Variable]:
        """Return path -> variable of the kernels that are chosen in a built model, each once.

        Raises:
            LotteryError: a rule that concerns no layer, a declared kernel that isn't there, a layer that
                doesn't compute with its kernel as it is.
        """
        trained = {id(variable) for variable in model.trainable_variables}
        paths = {id(variable): path for path, variable in named_variables(model).items()}
        found, unused = {}, {*self.include, *self.exclude, *self.kernels}
        meant = self._meant(model)
        for path, layer, above in walk(model):
            chosen = not self.include
            for rule in self.include:
                if any(_matches(meant.get(rule, rule), *each) for each in (*above, (path, layer))):
                    unused.discard(rule)
                    chosen = True
            for rule in self.exclude:
                if any(_matches(meant.get(rule, rule), *each) for each in (*above, (path, layer))):
                    unused.discard(rule)
                    chosen = False
            for declared in self.kernels:
                if _is(layer, declared):
                    unused.discard(declared)
            if not chosen:
                continue
            own = list(self._own_kernels(layer, meant))
            if own and (why := unfit(layer)):
                if not self.strict:
                    continue
                raise LotteryError(
                    "Expected layers that compute with their kernels as they are. Received: "
                    f"{path or layer.name!r}, {why}. Leave it out with exclude, or prune before."
                )
            found |= {paths[id(v)]: v for v in own if self.frozen or id(v) in trained}
        for rule in unused:
            layers = [path for path, _, _ in walk(model)]
            raise LotteryError(
                f"Expected include, exclude and kernels to concern layers of the model "
                f"({', '.join(layers[:12])}{', ...' if len(layers) > 12 else ''}). "
                f"Received: {getattr(rule, '__name__', rule)!r}, which concerns none"
            )
        return found

    def _meant(self, model: keras.Layer) -> dict[Rule, str]:
        """Rule -> the pattern that is meant, of the rules that are text."""
        rules = [rule for rule in (*self.include, *self.exclude) if isinstance(rule, str)]
        return as_patterns(rules, {name for path, layer, _ in walk(model) for name in (path, layer.name)})

    def _own_kernels(self, layer: keras.Layer, meant: Mapping[Rule, str]) -> Iterator[keras.Variable]:
        if hasattr(layer, DECLARES):
            yield from _declared(layer)
        for known, names in (*self.kernels.items(), *KERNELS.items()):
            if _is(layer, known):
                yield from _named(layer, names)
        for known, names in ON_REQUEST.items():
            if isinstance(layer, known) and self._asks_for(layer, known, meant):
                yield from _named(layer, names)

    def _asks_for(self, layer: keras.Layer, cls: type, meant: Mapping[Rule, str]) -> bool:
        """Whether an Embedding is meant, not just a block that has one in it."""
        return any(isinstance(rule, type) and issubclass(rule, cls) for rule in self.include) or any(
            not isinstance(rule, type) and _matches(meant.get(rule, rule), layer.name, layer)
            for rule in self.include
        )


def unfit(layer: keras.Layer) -> str | None:
    """Return why a layer doesn't compute with its kernel as it is, in words; None if it does."""
    if getattr(layer, "lora_enabled", False):
        return "which has LoRA enabled: what it computes with is the kernel plus a product"
    mode = getattr(layer, "quantization_mode", None)
    if mode:
        return f"which is quantized ({mode}): its kernel holds whole numbers and scales"
    return None


def _declared(layer: keras.Layer) -> Sequence[keras.Variable]:
    weights = getattr(layer, DECLARES)()
    there = {id(v): v for v in layer.weights}
    if not isinstance(weights, Sequence) or not all(id(w) in there for w in weights):
        raise LotteryError(
            f"Expected {DECLARES}() of {type(layer).__name__} to return variables of the layer. "
            f"Received: {weights!r}"
        )
    return weights


def _named(layer: keras.Layer, names: Sequence[str]) -> list[keras.Variable]:
    by_name = {variable.name: variable for variable in own_weights(layer)}
    found = []
    for name in names:
        # An attribute may be a property that hides a variable (Dense.kernel with LoRA).
        variable = by_name.get(name, getattr(layer, name, None))
        if variable is None:
            raise LotteryError(
                f"Expected a built {type(layer).__name__} with a variable {name!r}. "
                f"Received: {layer.name!r} with {', '.join(by_name) or 'none'}. "
                "If it isn't built, call the model once."
            )
        found.append(variable)
    return found


def _rules(argument: str, given: Any) -> tuple[Rule, ...]:
    rules = tuple(given) if isinstance(given, (list, tuple, set)) else () if given is None else (given,)
    for rule in rules:
        is_layer = isinstance(rule, type) and issubclass(rule, keras.Layer)
        if not is_layer and (isinstance(rule, type) or not (isinstance(rule, str) or callable(rule))):
            raise LotteryError(
                f"Expected {argument} as layer classes, name patterns or predicates. Received: {rule!r}"
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
