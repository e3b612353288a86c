"""Optimizers and losses, made from the config."""

import inspect
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from tf_lottery.config import TrainingConfig
from tf_lottery.errors import LotteryError

_REFUSED = {
    "muon": "its update mixes whole matrices, pruned weights among them",
    "schedulefreeadamw": "it keeps a copy of the weights, which a rewind would have to replace",
    "schedule_free_adamw": "it keeps a copy of the weights, which a rewind would have to replace",
}
_WRAPPERS = ("optimizer", "lossscaleoptimizer", "multioptimizer", "optimizermap")
_OPTIMIZERS: dict[str, type[keras.optimizers.Optimizer]] = {
    name.lower(): optimizer
    for name, optimizer in vars(keras.optimizers).items()
    if inspect.isclass(optimizer)
    and issubclass(optimizer, keras.optimizers.Optimizer)
    and name.lower() not in _WRAPPERS
}
_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")


def make_optimizer(config: TrainingConfig, replicas: int = 1) -> keras.optimizers.Optimizer:
    """Return a fresh Keras optimizer.

    Raises:
        LotteryError: If the optimizer is unknown, doesn't work with pruning and rewinding, or doesn't take
            the options, or if gradients are to be clipped with several replicas.
    """
    if config.optimizer.lower() in _REFUSED:
        raise LotteryError(
            f"Expected an optimizer that works with pruning and rewinding. Received: {config.optimizer!r}: "
            f"{_REFUSED[config.optimizer.lower()]}"
        )
    if "learning_rate" in config.optimizer_options:
        raise LotteryError(
            "Expected the learning rate in training.learning_rate, a number. "
            "Received: training.optimizer_options.learning_rate"
        )
    if config.weight_decay and config.optimizer_options.get("weight_decay"):
        raise LotteryError(
            "Expected one weight decay: training.weight_decay (of kernels) or optimizer_options.weight_decay "
            "(Keras's, of all weights). Received: both"
        )
    if config.optimizer_options.get("use_ema") and not config.optimizer_options.get(
        "ema_overwrite_frequency"
    ):
        raise LotteryError(
            "Expected ema_overwrite_frequency with use_ema, since otherwise averages replace no weights. "
            f"Received: training.optimizer_options {config.optimizer_options}"
        )
    clipping = [name for name in _CLIPPING if config.optimizer_options.get(name) is not None]
    if replicas > 1 and clipping:
        raise LotteryError(
            f"Expected no clipping with {replicas} replicas, since Keras would clip before it adds their "
            f"gradients, which trains another network. Received: training.optimizer_options.{clipping[0]}"
        )
    if config.weight_decay and config.weight_decay_kind == "l2" and config.optimizer == "adamw":
        raise LotteryError(
            "Expected training.weight_decay_kind=decoupled with adamw, which decays weights by itself. "
            "Received: l2. Use adam for L2 in the loss."
        )
    settings = {"learning_rate": config.learning_rate, **config.optimizer_options}
    if config.weight_decay_kind == "decoupled" and config.weight_decay:
        settings["weight_decay"] = config.weight_decay
    elif config.optimizer == "adamw":
        settings.setdefault("weight_decay", 0.0)  # no study uses Keras's default: 0.004 of all weights
    try:
        optimizer = _OPTIMIZERS[config.optimizer].from_config(settings)
    except KeyError:
        raise LotteryError(
            f"Expected an optimizer among {', '.join(sorted(_OPTIMIZERS.keys() - _REFUSED.keys()))}. "
            f"Received: {config.optimizer!r}"
        ) from None
    except (ValueError, TypeError) as error:
        raise LotteryError(
            f"Expected a Keras optimizer and its options. Received: {config.optimizer!r} with {settings} "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    return optimizer


def build_optimizer(
    config: TrainingConfig, trainable: list[keras.Variable], replicas: int = 1
) -> keras.optimizers.Optimizer:
    """Return a fresh Keras optimizer, built for these variables.

    With `mixed_float16` it scales the loss, so that small gradients don't vanish. Decoupled
    weight decay applies to kernels only.

    Raises:
        LotteryError: As `make_optimizer` does.
    """
    optimizer = make_optimizer(config, replicas)
    if config.weight_decay and config.weight_decay_kind == "decoupled":
        optimizer.exclude_from_weight_decay([v for v in trainable if not is_kernel(v)])
    if config.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(trainable)
    return optimizer


def is_kernel(variable: keras.Variable) -> bool:
    """Return whether Keras calls a variable a kernel: as in Dense, convolutions, recurrent cells."""
    return variable.name.endswith("kernel")


def l2_penalty(trainable: list[keras.Variable], weight_decay: float) -> list[tf.Tensor]:
    """Return weight_decay / 2 * sum of squares of each kernel, so that the gradient is weight_decay * weight.

    The factor of one half agrees with the papers and with PyTorch's SGD (which decays biases too);
    `keras.regularizers.L2` has no such factor.
    """
    if not weight_decay:
        return []
    return [weight_decay * tf.nn.l2_loss(tf.convert_to_tensor(v)) for v in trainable if is_kernel(v)]


def make_loss(config: TrainingConfig, classes: int) -> Callable:
    """Return `(labels, outputs) -> loss of each example`.

    Labels are integers; losses that aren't `sparse_...` get them in one-hot form.

    Raises:
        LotteryError: If Keras has no loss of that name.
    """
    try:
        function = keras.losses.get(config.loss)
    except ValueError as error:
        raise LotteryError(f"Expected the name of a Keras loss. Received: {config.loss!r}") from error
    if not inspect.isfunction(function):
        raise LotteryError(f"Expected a Keras loss by its function's name. Received: {config.loss!r}")
    options = {}
    if "from_logits" in inspect.signature(function).parameters:
        options["from_logits"] = config.from_logits
    one_hot = not config.loss.startswith("sparse")

    def loss(labels, outputs):
        return function(ops.one_hot(labels, classes) if one_hot else labels, outputs, **options)

    return loss


def outputs_of(config: TrainingConfig) -> str:
    """Return what the loss takes: `logits` or `probabilities` if it is a cross-entropy, else `values`."""
    if "crossentropy" not in config.loss:
        return "values"
    return "logits" if config.from_logits else "probabilities"


def check_outputs(outputs, loss: Callable, config: TrainingConfig) -> None:
    """Check the outputs of an untrained model against the loss and `training.from_logits`.

    Raises:
        LotteryError: If the loss doesn't fit the outputs, or the outputs are probabilities where logits are
            expected, or the other way round.
    """
    values = ops.convert_to_numpy(outputs)
    try:
        shape = tuple(loss(ops.zeros(len(values), "int32"), outputs).shape)
    except Exception as error:  # whatever a loss raises on labels that it wasn't made for
        shape = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    if shape != (len(values),):
        raise LotteryError(
            f"Expected a training.loss that takes class labels and gives one value an example. "
            f"Received: {config.loss!r} ({shape})"
        )
    probabilities = bool((values >= 0).all() and (abs(values.sum(-1) - 1) < 1e-3).all())
    if config.loss.endswith("categorical_crossentropy") and probabilities == config.from_logits:
        kinds = ("logits", "probabilities") if config.from_logits else ("probabilities", "logits")
        raise LotteryError(
            f"Expected outputs that are {kinds[0]}, as training.from_logits={config.from_logits} says. "
            f"Received: {kinds[1]}. Set training.from_logits={str(not config.from_logits).lower()}"
        )
