"""Loading an export in a fresh process and comparing its outputs with its source's, before it counts."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats.registry import Limits
from tf_lottery.exports.signature import BATCH, Inputs

RUNNER = Path(__file__).with_name("runner.py")
SECONDS = 1800
"""How long a job may take before it is stopped."""


@dataclass(frozen=True)
class Verified:
    """The result of verifying an export in a fresh process.

    Attributes:
        load_seconds: Seconds from opening the file to its first outputs.
        peak_memory_bytes: The peak memory of the process until then, runtime included.
        memory_of_model_bytes: The part of that memory that loading the file added.
        difference: The largest difference of any output on any example.
        relative_difference: The largest difference of any output relative to that output's largest value.
        rms: The root mean square of an output's differences relative to its standard deviation; the largest
            of all outputs.
        identical: Whether all outputs equal the source's to the last bit.
        same_class: The fraction of examples on which both predict the same class; None without classes.
        accuracy: The accuracy on the examples; None without labels.
        source_accuracy: The accuracy of the source; None without labels.
        graph_session: Whether the outputs in a graph-mode session are the same, to 1e-6 of the largest
            output; None if the runtime has no such session.
        refused: Why the export isn't the same model; None if it is.
    """

    load_seconds: float
    peak_memory_bytes: int
    memory_of_model_bytes: int
    difference: float
    relative_difference: float
    rms: float
    identical: bool
    same_class: float | None
    accuracy: float | None
    source_accuracy: float | None
    graph_session: bool | None
    refused: str | None


class FreshProcess:
    """Runs jobs of `runner.py`, each in a process of its own.

    Args:
        directory: A directory for temporary files.
        examples: The inputs that exports are run on, by name.
        threads: The number of threads of the runtime.
        modules: Modules that register the model's own layers, for Keras.
        batch: The number of examples a call while outputs are computed.
        stateful: Whether exports keep a state. They are then loaded again before their outputs are computed.
    """

    def __init__(
        self,
        directory: Path,
        examples: Inputs,
        threads: int,
        modules: Sequence[str] = (),
        batch: int = BATCH,
        stateful: bool = False,
    ):
        self._directory, self._threads, self._modules = directory, threads, list(modules)
        self._batch, self._stateful = batch, stateful
        self._inputs = directory / "inputs.npz"
        with zipfile.ZipFile(self._inputs, "w") as file:  # np.savez can't save a name like "file"
            for name, array in examples.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    def load_and_run(self, runtime: str, path: Path) -> tuple[dict, Inputs]:
        """Return what was measured while a file was loaded, and its outputs on all examples.

        Args:
            runtime: The runtime, a name in `runner.RUNTIMES`.
            path: The path of the export.

        Raises:
            LotteryError: If the file can't be loaded or run.
        """
        outputs = self._directory / "outputs.npz"
        measured = self._run(
            {"runtime": runtime, "files": {"file": str(path)}, "outputs": str(outputs)}
            | {"batch": self._batch, "stateful": self._stateful}
        )
        with np.load(outputs, allow_pickle=False) as file:
            return measured, {name: file[f"arr_{n}"] for n, name in enumerate(measured["outputs"])}

    def latency(
        self, runtime: str, files: Mapping[str, Path], batches: Sequence[int], seconds: float
    ) -> dict[str, dict[str, float]]:
        """Return label -> batch size -> median seconds a call. All files take turns in one process.

        Args:
            runtime: The runtime of all files, a name in `runner.RUNTIMES`.
            files: Label -> path.
            batches: The batch sizes.
            seconds: Roughly the longest time to spend on a batch size.

        Raises:
            LotteryError: If a file can't be loaded or run.
        """
        latency = {"batches": list(batches), "seconds": seconds}
        job = {"runtime": runtime, "files": {name: str(path) for name, path in files.items()}}
        return self._run(job | {"latency": latency})["latency"]

    def _run(self, job: dict) -> dict:
        modules = self._modules if job["runtime"] == "keras" else []
        job |= {"inputs": str(self._inputs), "threads": self._threads, "modules": modules}
        description = self._directory / "job.json"
        description.write_text(json.dumps(job), encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, "-P", str(RUNNER), str(description)],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LotteryError(
                f"{job['runtime']} was stopped, since it took more than {SECONDS} s. Use fewer examples."
            ) from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit {done.returncode}"]
            raise LotteryError(
                f"{job['runtime']} can't load or run the file in a fresh process. The cause: "
                f"{' '.join(lines[-1].split())[:240]}"
            )
        return json.loads(done.stdout.splitlines()[-1])


def compare_outputs(
    measured: dict, outputs: Inputs, expected: Inputs, labels: np.ndarray | None, limits: Limits
) -> Verified:
    """Compare an export's outputs with its source's.

    Args:
        measured: What the fresh process measured.
        outputs: Output name -> the export's outputs. If its names differ from the source's, order counts.
        expected: Output name -> the source's outputs.
        labels: The labels of the examples.
        limits: How much the export may differ. One wrong example more is always allowed.
    """
    outputs = _by_name(outputs, expected)
    same_class, accuracy, source_accuracy = _classes(outputs, expected, labels)
    shapes = [(name, outputs[name].shape, expected[name].shape) for name in expected if name in outputs]
    wrong = [f"{name} {shape} instead of {right}" for name, shape, right in shapes if shape != right]
    wrong += [f"no {name}" for name in expected if name not in outputs]
    pairs = [] if wrong else [(outputs[name], source) for name, source in expected.items()]
    numbers = [(output.astype(np.float64), source.astype(np.float64)) for output, source in pairs]
    infinite = any(not np.isfinite(output).all() and np.isfinite(source).all() for output, source in numbers)
    each = [_differences(output, source) for output, source in numbers] or [(np.nan, np.nan, np.nan)]
    difference, relative, rms = (max(column) for column in zip(*each, strict=True))
    refused = None
    if wrong:
        refused = f"its outputs have other shapes: {', '.join(wrong)}"
    elif infinite:
        refused = "its outputs contain NaN or infinity where its source's don't"
    elif relative > limits.difference:
        refused = f"its outputs differ by up to {difference:.3g} ({relative:.1e} of the largest)"
    elif accuracy is not None and source_accuracy - accuracy > max(limits.accuracy, 1 / len(labels)) + 1e-12:
        refused = f"its test accuracy is {accuracy:.2%}, the source's {source_accuracy:.2%}"
    elif rms > limits.rms:
        refused = f"its outputs differ by {rms:.0%} of their standard deviation"
    return Verified(
        load_seconds=measured["load_seconds"],
        peak_memory_bytes=measured["peak_memory_bytes"],
        memory_of_model_bytes=measured["memory_of_model_bytes"],
        difference=difference,
        relative_difference=relative,
        rms=rms,
        identical=not wrong and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs),
        same_class=same_class,
        accuracy=accuracy,
        source_accuracy=source_accuracy,
        graph_session=measured.get("graph_session_same"),
        refused=refused,
    )


def _differences(output: np.ndarray, source: np.ndarray) -> tuple[float, float, float]:
    """Return an output's largest difference, the same relative to its largest value, and its relative rms.

    Each output is compared separately: beside prices in thousands, any error of a probability is small.
    """
    if not source.size:
        return 0.0, 0.0, 0.0
    difference, largest = np.abs(output - source), float(np.abs(source).max()) or 1.0
    rms = float(np.sqrt(np.mean(difference**2))) / (float(source.std()) or largest)
    return float(difference.max()), float(difference.max()) / largest, rms


def _by_name(outputs: Inputs, expected: Inputs) -> Inputs:
    if set(expected) <= set(outputs):
        return {name: outputs[name] for name in expected}
    return dict(zip(expected, outputs.values(), strict=False))


def _classes(
    outputs: Inputs, expected: Inputs, labels: np.ndarray | None
) -> tuple[float | None, float | None, float | None]:
    """Return the fraction of examples with the same class, the export's accuracy and the source's."""
    name, source = next(iter(expected.items()))
    output = outputs.get(name)
    if len(expected) > 1 or source.ndim != 2 or output is None or output.shape != source.shape:
        return None, None, None
    if source.shape[1] == 1:  # two classes, if the labels are 0 and 1
        if labels is None or labels.size != len(source) or not np.isin(labels, (0, 1)).all():
            return None, None, None
        middle = 0.5 if source.min() >= 0 and source.max() <= 1 else 0.0
        labels = labels.ravel().astype(int)
        source, output = (np.eye(2)[(each[:, 0] > middle).astype(int)] for each in (source, output))
    same = float(np.mean(source.argmax(1) == output.argmax(1)))
    if labels is not None and labels.shape == source.shape:
        one_hot = np.isin(labels, (0, 1)).all() and (np.count_nonzero(labels, 1) == 1).all()
        labels = labels.argmax(1) if one_hot else None
    if labels is None or labels.dtype.kind not in "iu" or labels.size != len(source):
        return same, None, None
    labels = labels.ravel()
    return same, float(np.mean(output.argmax(1) == labels)), float(np.mean(source.argmax(1) == labels))
