"""What the benchmarks train: networks, data and optimizers as in the papers."""

from tf_lottery.config import DataConfig, ModelConfig, TrainingConfig

DROPOUT = 0.2


def lenet_dropout(input_shape, classes):
    """Return LeNet-300-100 with a stock Keras Dropout layer after each hidden layer."""
    import keras

    from tf_lottery.models.lenet import lenet_300_100

    stack = []
    for layer in lenet_300_100(input_shape, classes).layers:
        stack.append(layer)
        if layer.name.startswith("hidden"):
            stack.append(keras.layers.Dropout(DROPOUT))
    return keras.Sequential([keras.Input(input_shape), *stack], name="lenet_dropout")


MNIST, CIFAR10 = DataConfig(name="mnist"), DataConfig(name="cifar10")
SGD = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}}
# network -> data, model, training: Frankle & Carbin 2018, Figure 2, but for the transformer.
NETWORKS = {
    "lenet": (MNIST, ModelConfig(), TrainingConfig(batch_size=60, learning_rate=0.0012)),
    "lenet_dropout": (
        MNIST,
        ModelConfig(build="networks:lenet_dropout"),
        TrainingConfig(batch_size=60, learning_rate=0.0012),
    ),
    "conv2": (CIFAR10, ModelConfig(name="conv2"), TrainingConfig(batch_size=60, learning_rate=0.0002)),
    "conv6": (CIFAR10, ModelConfig(name="conv6"), TrainingConfig(batch_size=60, learning_rate=0.0003)),
    "resnet20": (
        CIFAR10,
        ModelConfig(name="resnet20"),
        TrainingConfig(batch_size=128, learning_rate=0.03, **SGD),
    ),
    "transformer": (CIFAR10, ModelConfig(name="vit"), TrainingConfig(batch_size=128, learning_rate=0.001)),
}


def dataset(network):
    """Return the network's data, split as in a study."""
    from tf_lottery.data import sources, split

    config = NETWORKS[network][0]
    return split.split(sources.load(config), config)


def plain(network, data):
    """Return the network as a plain Keras model, untrained."""
    from tf_lottery.models.build import build

    return build(NETWORKS[network][1], data.input_shape, data.classes, seed=0)
