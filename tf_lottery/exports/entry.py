"""What a model does first with its inputs: whether it uses them as indices, and whether it scales them."""

import keras

from tf_lottery.layers.graph import nodes_of

_SCALES = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.Lambda)
_ARITHMETIC = ("Divide", "TrueDivide", "Multiply", "Subtract", "Add")


def token_inputs(model: keras.Model) -> set[int]:
    """Return the numbers of the inputs that go straight into an Embedding: indices, whatever their type."""
    tensors = [id(tensor) for tensor in getattr(model, "inputs", None) or []]
    numbers = set()
    for node in nodes_of(model) or ():
        for place, tensor in enumerate(node.input_tensors):
            if id(tensor) not in tensors:
                continue
            layer = node.operation
            inside = isinstance(layer, keras.Model) and place in token_inputs(layer)
            if inside or isinstance(layer, keras.layers.Embedding):
                numbers.add(tensors.index(id(tensor)))
    return numbers


def scales_itself(model: keras.Model) -> bool:
    """Return whether a model scales its inputs before the first layer with weights. True if unknown."""
    nodes = nodes_of(model)
    if nodes is None:
        return True
    raw = {id(tensor) for tensor in model.inputs}
    for node in nodes:
        if not any(id(tensor) in raw for tensor in node.input_tensors):
            continue
        operation = node.operation
        known = type(operation).__module__.startswith("keras.")
        if isinstance(operation, keras.Model):
            if scales_itself(operation):
                return True
        elif isinstance(operation, _SCALES) or type(operation).__name__ in _ARITHMETIC:
            return True
        elif not getattr(operation, "weights", None):
            if not known:  # a custom layer may do anything
                return True
            raw |= {id(tensor) for tensor in node.outputs}
    return False
