"""A script that loads, runs and times exported files in a process of its own. It doesn't use tf_lottery.

    python -P runner.py JOB.json

A job has `runtime`, `files` (label -> path), `inputs` (an npz file), `batch`, `stateful` (whether calls leave
a state), `threads`, `modules` (to import first, since they register layers), and one of

    outputs     the npz file to which the outputs of the only file on all inputs are written; load time
                and memory are measured before
    latency     {batches, seconds}: the batch sizes, and the time for each; all files take turns

The last line of its output is a JSON object.
"""

import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

_TURNS = 5, 30  # least and most
_KNOWN = 0.05  # the relative uncertainty of a median at which timing ends
_BRIEF = 0.01  # seconds for which a short call is repeated; a longer call doesn't need warm caches

Arrays = dict[str, np.ndarray]
Call = Callable[[], Arrays]


class SavedModel:
    """A SavedModel, run in TensorFlow."""

    def __init__(self, path: str, threads: int):
        import tensorflow as tf

        self._path, self._loaded = path, tf.saved_model.load(path)
        self._function = self._loaded.signatures["serving_default"]

    def prepare(self, inputs: Arrays) -> Call:
        """Return a function that computes the outputs on these inputs."""
        import tensorflow as tf

        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return lambda: {name: value.numpy() for name, value in self._function(**tensors).items()}

    def run_in_session(self, inputs: Arrays) -> Arrays:
        """Return the outputs of a graph-mode session that runs the initializer, as TensorFlow Serving has."""
        import tensorflow as tf

        v1 = tf.compat.v1
        with v1.Session(graph=tf.Graph()) as session:
            signature = v1.saved_model.load(session, ["serve"], self._path).signature_def["serving_default"]
            feeds = {signature.inputs[name].name: value for name, value in inputs.items()}
            return session.run({name: tensor.name for name, tensor in signature.outputs.items()}, feeds)


class KerasFile:
    """A `.keras` file, run in Keras within a `tf.function`."""

    def __init__(self, path: str, threads: int):
        import keras
        import tensorflow as tf

        model = keras.models.load_model(path, compile=False)
        structure = getattr(model, "_inputs_struct", None)

        def serve(flat):
            inputs = flat[0] if structure is None else keras.tree.pack_sequence_as(structure, flat)
            return keras.tree.flatten(model(inputs, training=False))

        self._function = tf.function(serve, autograph=False)

    def prepare(self, inputs: Arrays) -> Call:
        """Return a function that computes the outputs on these inputs."""
        import tensorflow as tf

        tensors = [tf.constant(value) for value in inputs.values()]
        return lambda: {str(number): value.numpy() for number, value in enumerate(self._function(tensors))}


class LiteRT:
    """A `.tflite` file, run in ai-edge-litert."""

    def __init__(self, path: str, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=path, num_threads=threads)
        self._batch = None

    def prepare(self, inputs: Arrays) -> Call:
        """Return a function that computes the outputs, and converts from and to integers if necessary."""
        runner = self._interpreter.get_signature_runner()
        details, output_details = runner.get_input_details(), runner.get_output_details()
        if len(details) == 1:  # its name depends on the converter
            details = dict(zip(inputs, details.values(), strict=True))
        batch = len(next(iter(inputs.values())))

        def shape() -> None:
            if self._batch != batch:
                for name, value in inputs.items():
                    self._interpreter.resize_tensor_input(details[name]["index"], value.shape)
                self._interpreter.allocate_tensors()
                self._batch = batch

        stored = {name: _quantized(value, details[name]) for name, value in inputs.items()}

        def call() -> Arrays:
            shape()
            for name, value in stored.items():
                self._interpreter.set_tensor(details[name]["index"], value)
            self._interpreter.invoke()
            tensor = self._interpreter.get_tensor
            return {name: _restored(tensor(each["index"]), each) for name, each in output_details.items()}

        return call


class Onnx:
    """An ONNX file, run in onnxruntime."""

    def __init__(self, path: str, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def prepare(self, inputs: Arrays) -> Call:
        """Return a function that computes the outputs on these inputs."""
        return lambda: dict(zip(self._names, self._session.run(None, inputs), strict=True))


class OpenVino:
    """OpenVINO's own files, run in float32. (By default it uses bfloat16 where the processor has it.)"""

    def __init__(self, path: str, threads: int):
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        self._model = core.compile_model(os.path.join(path, "model.xml"), "CPU", settings)

    def prepare(self, inputs: Arrays) -> Call:
        """Return a function that computes the outputs on these inputs."""

        def call() -> Arrays:
            outputs = self._model(inputs)
            return {output.get_any_name(): outputs[output] for output in self._model.outputs}

        return call


RUNTIMES = {
    "tensorflow": SavedModel,
    "keras": KerasFile,
    "litert": LiteRT,
    "onnxruntime": Onnx,
    "openvino": OpenVino,
}
IMPORTS = {
    "tensorflow": "tensorflow",
    "keras": "keras",
    "litert": "ai_edge_litert.interpreter",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}


def main(job: dict) -> dict:
    """Do a job, and return what was measured."""
    os.environ.update(
        TF_CPP_MIN_LOG_LEVEL="3",
        KERAS_BACKEND="tensorflow",
        OMP_NUM_THREADS=str(job["threads"]),
        TF_NUM_INTRAOP_THREADS=str(job["threads"]),
        TF_NUM_INTEROP_THREADS=str(job["threads"]),
    )
    importlib.import_module(IMPORTS[job["runtime"]])
    before = set(sys.modules)
    if job["modules"]:
        sys.path.insert(0, os.getcwd())
    for module in job["modules"]:
        importlib.import_module(module)
    result = _verify(job) if "outputs" in job else _time(job)
    return result | {"imported": sorted({"keras", "tf_keras", "tf_lottery"} & (sys.modules.keys() - before))}


def _verify(job: dict) -> dict:
    with np.load(job["inputs"], allow_pickle=False) as file:
        first = {name: file[name][: job["batch"] if job["stateful"] else 1] for name in file.files}
    (path,) = job["files"].values()
    before, started = _peak(), time.perf_counter()
    model = RUNTIMES[job["runtime"]](path, job["threads"])
    model.prepare(first)()
    measured = {
        "load_seconds": time.perf_counter() - started,
        "peak_memory_bytes": _peak(),
        "memory_of_model_bytes": max(0, _peak() - before),
    }
    with np.load(job["inputs"], allow_pickle=False) as file:
        inputs = {name: file[name] for name in file.files}
    if job["stateful"]:  # back to the state in which it is loaded
        model = RUNTIMES[job["runtime"]](path, job["threads"])
    batch = job["batch"]
    count = len(next(iter(inputs.values())))
    parts = [
        model.prepare({name: value[start : start + batch] for name, value in inputs.items()})()
        for start in range(0, count, batch)
    ]
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if hasattr(model, "run_in_session"):
        session = model.run_in_session({name: value[:batch] for name, value in inputs.items()})
        measured["graph_session_same"] = all(
            _same(session[name], parts[0][name]) for name in parts[0] if parts[0][name].dtype.kind in "fiu"
        )
    numbers = {name: value for name, value in outputs.items() if value.dtype.kind in "fiu"}
    # They are saved by number, since np.savez takes no array called "file".
    np.savez(job["outputs"], *numbers.values())
    return measured | {"outputs": list(numbers)}


def _same(session: np.ndarray, eager: np.ndarray) -> bool:
    """Return whether outputs are the same up to the last bits: a session folds constants in another order."""
    largest = np.abs(eager).max(initial=0)
    return session.shape == eager.shape and np.allclose(session, eager, rtol=0, atol=1e-6 * largest)


def _time(job: dict) -> dict:
    """Return label -> batch size -> median seconds a call. Files take turns, in an order that rotates."""
    with np.load(job["inputs"], allow_pickle=False) as file:
        inputs = {name: file[name] for name in file.files}
    models = {label: RUNTIMES[job["runtime"]](path, job["threads"]) for label, path in job["files"].items()}
    medians: dict[str, dict[str, float]] = {label: {} for label in models}
    for batch in job["latency"]["batches"]:
        rows = {name: np.resize(value, (batch, *value.shape[1:])) for name, value in inputs.items()}
        calls = {label: model.prepare(rows) for label, model in models.items()}
        for call in calls.values():
            call()
        one = min(_seconds(call, 1) for call in calls.values() for _ in range(2))
        repeats = max(1, int(_BRIEF / one))
        most = int(np.clip(job["latency"]["seconds"] / (len(calls) * repeats * one), *_TURNS))
        seconds: dict[str, list[float]] = {label: [] for label in calls}
        labels = list(calls)
        for turn in range(most):
            for label in labels[turn % len(labels) :] + labels[: turn % len(labels)]:
                if one < _BRIEF:
                    calls[label]()  # fills the caches with its own data again
                seconds[label].append(_seconds(calls[label], repeats))
            if turn + 1 >= _TURNS[0] and max(map(_uncertainty, seconds.values())) < _KNOWN:
                break
        for label, times in seconds.items():
            medians[label][str(batch)] = statistics.median(times)
    return {"latency": medians}


def _uncertainty(times: list[float]) -> float:
    """Return the uncertainty of the median relative to itself, computed like the notches of a box plot."""
    low, middle, high = np.percentile(times, (25, 50, 75))
    return float(1.57 * (high - low) / len(times) ** 0.5 / middle)


def _seconds(call: Call, repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats


def _peak() -> int:
    """Return the peak memory of this process. (`ru_maxrss` of a child starts at its parent's value.)"""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _quantized(value: np.ndarray, detail: dict) -> np.ndarray:
    dtype, (scale, zero) = detail["dtype"], detail["quantization"]
    if dtype == value.dtype or not scale:
        return value.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(value / scale + zero), limits.min, limits.max).astype(dtype)


def _restored(value: np.ndarray, detail: dict) -> np.ndarray:
    scale, zero = detail["quantization"]
    return (value.astype(np.float32) - zero) * np.float32(scale) if scale else value


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as job_file:
        print(json.dumps(main(json.load(job_file))))
