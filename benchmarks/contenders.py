"""The contenders: our loop, Keras `fit`, tfmot, PyTorch; and the least that a step must do.

Each function takes a network's name and returns `train(steps)`.
"""

import itertools
import os

from networks import DROPOUT, NETWORKS, dataset, plain

SPARSITY = 0.8


def loop(network, cores, masks="yes", validate="no"):
    """Train with our compiled loop, with masks at 20% density or without `PrunableLayer`s.

    With `validate=yes` it measures the validation set and checks the zeros every 100 steps, as
    `execute` does.
    """
    import keras

    from tf_lottery.data.order import BatchOrder
    from tf_lottery.layers.access import prune
    from tf_lottery.layers.convert import make_prunable
    from tf_lottery.training import compile_rule, optimizers, strategy
    from tf_lottery.training.evaluate import make_evaluate
    from tf_lottery.training.feed import make_feed
    from tf_lottery.training.loop import Loop
    from tf_lottery.training.stop import Stop

    _, _, training = NETWORKS[network]
    training = training.model_copy(update={"threads": cores})
    data = dataset(network)
    compile_rule.configure(training)
    scope = strategy.make("one_device")
    model = plain(network, data)
    with scope.scope():
        if masks == "yes":
            model = make_prunable(model)
            prune(model, rate=SPARSITY)
        else:
            model = keras.models.clone_model(model)
        optimizer = optimizers.build_optimizer(training, model.trainable_variables)
    loss = optimizers.make_loss(training, data.classes)
    xla = compile_rule.use_xla(model, training.xla, "CPU", 1)
    trained = Loop(model, optimizer, loss, make_feed(data.train, training.batch_size, None), scope, xla)
    order = BatchOrder(0, len(data.train), training.batch_size)
    if validate == "no":
        return lambda steps: trained.run(0, steps, order)
    evaluate = make_evaluate(model, loss, data.validation, xla)

    class Measuring(Stop):
        def steps(self, first, last):
            return range(100, last + 1, 100)

        def act(self, step, passed):
            evaluate()
            trained.check()

    return lambda steps: trained.run(0, steps, order, [Measuring()])


def engine(network, cores, name="sparse", densities="0.2"):
    """Train with one of our engines, behind the face that `execute` knows, on masks drawn at random.

    Args:
        network: A name of `NETWORKS`.
        cores: The number of cores.
        name: `sparse` or `dense`.
        densities: The density of all kernels; or `pattern:density` of some, in order, separated by commas.
    """
    trainer, training, data = trainer_of(network, cores)
    trainer.begin(masks_at(trainer, densities), trainer.initial_weights(0), 0, None)
    trained = trainer
    if name == "sparse":
        from tf_lottery.training.sparse.engine import SparseEngine

        trained = SparseEngine(trainer, training, data)
    from tf_lottery.data.order import BatchOrder

    order = BatchOrder(0, len(data.train), training.batch_size)
    return lambda steps: trained.train(0, steps, order, [])


def trainer_of(network, cores):
    """Return the trainer of a network, its settings and its data."""
    from tf_lottery.training import compile_rule
    from tf_lottery.training.trainer import Trainer

    config, model, training = NETWORKS[network]
    training = training.model_copy(update={"threads": cores})
    compile_rule.configure(training)
    data = dataset(network)
    return Trainer(config, model, training, data), training, data


def masks_at(trainer, densities):
    """Return random masks at the given densities, as in `engine`."""
    from fnmatch import fnmatch

    import numpy as np

    from tf_lottery.pruning.select import select

    given = [part.rpartition(":") for part in densities.split(",")]
    shapes, rng = trainer.shapes(), np.random.default_rng(0)
    rates = {
        path: 1
        - next(float(density) for pattern, _, density in given if fnmatch(path, f"{pattern or '*'}/kernel"))
        for path in shapes
    }
    whole = {path: np.ones(shape, bool) for path, shape in shapes.items()}
    scores = {path: rng.random(shape) for path, shape in shapes.items()}
    pruned = {path: rate for path, rate in rates.items() if rate > 0}
    if not pruned:
        return whole
    chosen = select({p: scores[p] for p in pruned}, {p: whole[p] for p in pruned}, pruned, "layer", 0.0)
    return whole | chosen


def fit(network, cores, source="tf.data", steps_per_execution="1", jit="auto", masks="no"):
    """Train with Keras `model.fit`, in a setting that a user would try, with masks at 20% density or none."""
    import keras
    import tensorflow as tf

    data, training = dataset(network), NETWORKS[network][2]
    model = plain(network, data)
    if masks == "yes":
        import tf_lottery as lottery

        model = lottery.make_prunable(model)
        lottery.prune(model, rate=SPARSITY)
    settings = {"learning_rate": training.learning_rate, **training.optimizer_options}
    model.compile(
        keras.optimizers.get({"class_name": training.optimizer, "config": settings}),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile={"auto": "auto", "on": True, "off": False}[jit],
        steps_per_execution=int(steps_per_execution),
    )
    return _fit(tf, model, data, training.batch_size, source)


def _fit(tf, model, data, batch_size, source, callbacks=()):
    x, y = data.train.x, data.train.y
    if source == "numpy":

        def train(steps):
            examples = steps * batch_size
            assert examples <= len(x), "an epoch is the most that NumPy arrays give"
            model.fit(
                x[:examples], y[:examples], batch_size=batch_size, epochs=1, verbose=0, callbacks=[*callbacks]
            )

        return train
    # Each call of fit refills the shuffle buffer, so it is only as large as the measured steps need.
    buffer = len(x) if data.input_shape[-1] == 1 else 5000
    shuffled = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(buffer).repeat()
    batches = shuffled.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return lambda steps: model.fit(
        batches, steps_per_epoch=steps, epochs=1, verbose=0, callbacks=[*callbacks]
    )


def tfmot(network, cores, source="numpy"):
    """Train with tfmot's `prune_low_magnitude` at the same sparsity, under tf_keras's `fit`. LeNet only."""
    assert network == "lenet", "only LeNet has a tf_keras twin here"
    data, training = dataset(network), NETWORKS[network][2]
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # from here on this process uses tf_keras
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    model = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=data.input_shape),
            keras.layers.Dense(300, "relu"),
            keras.layers.Dense(100, "relu"),
            keras.layers.Dense(data.classes),
        ]
    )
    schedule = tfmot.sparsity.keras.ConstantSparsity(SPARSITY, begin_step=0, frequency=100)
    model = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    model.compile(
        keras.optimizers.Adam(training.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    update = tfmot.sparsity.keras.UpdatePruningStep()
    return _fit(tf, model, data, training.batch_size, source, [update])


def torch(network, cores):
    """Train with eager PyTorch and masks, as most lottery-ticket scripts do. LeNet only."""
    assert network in ("lenet", "lenet_dropout"), "only LeNet is written in PyTorch here"
    import numpy as np
    import torch
    from torch import nn

    torch.set_num_threads(cores)
    data, training = dataset(network), NETWORKS[network][2]
    x = torch.from_numpy(data.train.x.reshape(len(data.train), -1))
    y = torch.from_numpy(data.train.y.astype(np.int64))
    dropout = [nn.Dropout(DROPOUT)] if network == "lenet_dropout" else []
    model = nn.Sequential(
        nn.Linear(x.shape[1], 300), nn.ReLU(), *dropout,
        nn.Linear(300, 100), nn.ReLU(), *dropout,
        nn.Linear(100, data.classes),
    )  # fmt: skip
    kernels = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
    masks = [(torch.rand_like(kernel) > SPARSITY).float() for kernel in kernels]
    optimizer = torch.optim.Adam(model.parameters(), training.learning_rate)
    loss = nn.CrossEntropyLoss()

    def train(steps):
        for _ in range(steps):
            rows = torch.randint(len(x), (training.batch_size,))
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
            with torch.no_grad():
                for kernel, kernel_mask in zip(kernels, masks, strict=True):
                    kernel.mul_(kernel_mask)

    return train


def floor(network, cores):
    """Do the least that LeNet's step must do: its matrix products and Adam's update, nothing else.

    Each product or update runs in its own loop under XLA, with its result fed back so that none is skipped.
    """
    assert network == "lenet", "the floor is written for LeNet"
    import numpy as np
    import tensorflow as tf

    from tf_lottery.training import compile_rule

    _, _, training = NETWORKS[network]
    compile_rule.configure(training.model_copy(update={"threads": cores}))
    sizes, batch = [784, 300, 100, 10], training.batch_size
    random = np.random.default_rng(0)

    def tensor(*shape):
        return tf.Variable(random.standard_normal(shape).astype(np.float32) * 0.05)

    def repeated(product, first):
        @tf.function(jit_compile=True)
        def run(count):
            index, result = tf.constant(0), product()
            while index < count:
                first[0, :1].assign(result[0, :1] * 1e-3)
                result = product()
                index += 1
            return result[0, 0]

        return run

    def update(kernel, gradient):
        average, square = (tf.Variable(tf.zeros_like(kernel)) for _ in range(2))

        @tf.function(jit_compile=True)
        def run(count):
            index = tf.constant(0)
            while index < count:
                average.assign_add((gradient - average) * 0.1)
                square.assign_add((gradient * gradient - square) * 0.001)
                kernel.assign_sub(0.0012 * average / (tf.sqrt(square) + 1e-7))
                index += 1
            return kernel[0, 0]

        return run

    parts = []
    for layer, (before, after) in enumerate(itertools.pairwise(sizes)):
        x, kernel, error = tensor(batch, before), tensor(before, after), tensor(batch, after)
        products = [(x, kernel, False, False), (x, error, True, False)]  # forward; of the kernel
        if layer:
            products.append((error, kernel, False, True))  # of the layer below
        for a, b, transpose_a, transpose_b in products:
            parts.append(
                repeated(
                    lambda a=a, b=b, ta=transpose_a, tb=transpose_b: tf.matmul(
                        a, b, transpose_a=ta, transpose_b=tb
                    ),
                    a,
                )
            )
        parts.append(update(tensor(before, after), tensor(before, after)))

    def train(steps):
        for part in parts:
            float(part(tf.constant(steps)))

    return train
