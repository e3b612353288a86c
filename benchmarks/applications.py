"""`make_prunable` on networks of keras.applications: what is prunable, and how long each step takes.

    python benchmarks/applications.py [MobileNetV2 ResNet50 ...] [--size 64]

Each network (untrained, 10 classes) is made prunable, pruned by 80% globally (each layer keeps at least 1%,
since depthwise kernels start so small that all would be pruned), trained for one step, stripped, saved,
and loaded in a fresh process without tf_lottery, whose outputs must be equal to the last bit.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import tf_lottery as lottery
from tf_lottery.layers.access import kernels, parameters

NETWORKS = ("MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121", "ConvNeXtTiny")
_LOAD = """
import sys, numpy as np, keras
model = keras.models.load_model(sys.argv[1])
assert "tf_lottery" not in sys.modules
np.save(sys.argv[3], model(np.load(sys.argv[2]), training=False))
"""


def measure(name: str, size: int = 64, eager: bool = False) -> dict[str, float]:
    """Return one network's counts and sparsity, and the seconds of each step.

    Args:
        name: The network's name in keras.applications.
        size: The height and width of its inputs.
        eager: Whether the training step runs without being compiled.

    Raises:
        AssertionError: If outputs aren't equal, or pruned weights aren't zero.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    plain = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    x = np.random.default_rng(0).random((4, size, size, 3), np.float32) * 255
    expected = np.asarray(plain(x, training=False))
    seconds = {}

    def timed(what: str, work):
        began = time.perf_counter()
        result = work()
        seconds[what] = time.perf_counter() - began
        return result

    model = timed("make_prunable", lambda: lottery.make_prunable(plain))
    assert (np.asarray(model(x, training=False)) == expected).all(), "unpruned outputs differ"
    timed("prune", lambda: lottery.prune(model, rate=0.8, scope="global", min_density=0.01))
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=eager)
    timed("step", lambda: model.fit(x, np.arange(4), batch_size=4, verbose=0))
    for path, (kernel, kernel_mask) in kernels(model).items():
        assert not kernel.numpy()[~kernel_mask.numpy()].any(), path
    stripped = timed("strip", lambda: lottery.strip(model))
    outputs = np.asarray(model(x, training=False))
    assert (np.asarray(stripped(x, training=False)) == outputs).all(), "stripped outputs differ"
    with tempfile.TemporaryDirectory() as directory:
        files = [str(Path(directory) / file) for file in ("model.keras", "x.npy", "y.npy")]
        timed("save", lambda: stripped.save(files[0]))
        np.save(files[1], x)
        timed("load", lambda: subprocess.run([sys.executable, "-c", _LOAD, *files], check=True))
        assert (np.load(files[2]) == outputs).all(), "loaded outputs differ"
    prunable = sum(int(np.prod(kernel.shape)) for kernel, _ in kernels(model).values())
    return {
        "kernels": len(kernels(model)),
        "parameters": parameters(model),
        "prunable": prunable / parameters(model),
        "sparsity": lottery.sparsity(model),
        **seconds,
    }


def main() -> None:
    """Measure the networks and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    steps = ("make_prunable", "prune", "step", "strip", "save", "load")
    print(f"{'':<16}{'parameters':>12}{'kernels':>9}{'prunable':>10}" + "".join(f"{s:>15}" for s in steps))
    for name in options.networks:
        result = measure(name, options.size)
        line = f"{name:<16}{result['parameters']:>12,}{result['kernels']:>9}{result['prunable']:>10.2%}"
        print(line + "".join(f"{result[step]:>13.1f} s" for step in steps), flush=True)


if __name__ == "__main__":
    main()
