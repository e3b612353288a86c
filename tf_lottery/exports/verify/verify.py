"""Every export is loaded in a fresh process and held against its source before it counts."""

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
"""After which a file that doesn't answer is given up."""


@dataclass(frozen=True)
class Verified:
    """What a fresh process found.

    Attributes:
        load_seconds: from the file to its first answer.
        peak_memory_bytes: of the process, its runtime included, until then.
        memory_of_model_bytes: what of it was added by loading.
        difference: largest, of any output of any example.
        relative_difference: largest, each output's relative to its own largest value.
        rms: root mean square of an output's differences, relative to its deviation; the largest.
        identical: whether all outputs are the source's to the last bit.
        same_class: fraction of the examples with the same largest output; None if there are no classes.
        accuracy: on the examples; None without labels.
        source_accuracy: of the source, likewise.
        graph_session: whether a graph-mode session answers the same, to 1e-6 of the largest output;
            None where there is none.
        refused: why it isn't the same model; None if it is.
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
    """Runs jobs of `runner.py`.

    Args:
        directory: for files in passing.
        examples: that exports are run on.
        threads: of the runtime.
        modules: that register the model's own layers, for Keras.
        batch: examples a call, while answers are compared.
        stateful: whether files keep a state: they are loaded again before what they answer counts.
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
        with zipfile.ZipFile(self._inputs, "w") as file:  # an npz file; savez can't save a name like "file"
            for name, array in examples.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    def answers(self, runtime: str, path: Path) -> tuple[dict, Inputs]:
        """Return what was measured while a file was loaded, and what it answers on all examples.

        Raises:
            LotteryError: if it can't be loaded or run.
        """
        outputs = self._directory / "outputs.npz"
        found = self._run(
            {"runtime": runtime, "files": {"file": str(path)}, "outputs": str(outputs)}
            | {"batch": self._batch, "stateful": self._stateful}
        )
        with np.load(outputs, allow_pickle=False) as file:
            return found, {name: file[f"arr_{n}"] for n, name in enumerate(found["outputs"])}

    def latency(
        self, runtime: str, files: Mapping[str, Path], batches: Sequence[int], seconds: float
    ) -> dict[str, dict[str, float]]:
        """Return label -> batch size -> median seconds a call, of files that take turns in one process.

        Args:
            runtime: of all.
            files: label -> path.
            batches: sizes.
            seconds: to spend on a batch size, about.
        """
        wanted = {"batches": list(batches), "seconds": seconds}
        job = {"runtime": runtime, "files": {name: str(path) for name, path in files.items()}}
        return self._run(job | {"latency": wanted})["latency"]

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
                f"Expected an answer within {SECONDS} s. Received: none, in {job['runtime']}"
            ) from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit {done.returncode}"]
            raise LotteryError(
                f"Expected a file that {job['runtime']} runs in a fresh process. Received: "
                f"{' '.join(said[-1].split())[:240]}"
            )
        return json.loads(done.stdout.splitlines()[-1])


def verified(measured: dict, found: Inputs, expected: Inputs, labels: np.ndarray | None, limits: Limits):
    """Hold answers against the source's; return a `Verified`.

    Args:
        measured: by the process that answered.
        found: output name -> answers; other names are taken in order.
        expected: the source's.
        labels: of the examples.
        limits: within which it is still the same model; one example may always be lost.
    """
    found = _by_name(found, expected)
    same_class, accuracy, source_accuracy = _classes(found, expected, labels)
    shapes = [(name, found[name].shape, expected[name].shape) for name in expected if name in found]
    wrong = [f"{name} {there} for {here}" for name, there, here in shapes if there != here]
    wrong += [f"no {name}" for name in expected if name not in found]
    pairs = [] if wrong else [(found[name], here) for name, here in expected.items()]
    numbers = [(there.astype(np.float64), here.astype(np.float64)) for there, here in pairs]
    infinite = any(not np.isfinite(there).all() and np.isfinite(here).all() for there, here in numbers)
    each = [_differences(there, here) for there, here in numbers] or [(np.nan, np.nan, np.nan)]
    difference, relative, rms = (max(column) for column in zip(*each, strict=True))
    refused = None
    if wrong:
        refused = f"it answers other shapes: {', '.join(wrong)}"
    elif infinite:
        refused = "it answers NaN or infinity where its source doesn't"
    elif relative > limits.difference:
        refused = f"its outputs differ by up to {difference:.3g} ({relative:.1e} of the largest)"
    elif accuracy is not None and source_accuracy - accuracy > max(limits.accuracy, 1 / len(labels)) + 1e-12:
        refused = f"its test accuracy is {accuracy:.2%}, the source's {source_accuracy:.2%}"
    elif rms > limits.rms:
        refused = f"its outputs differ by {rms:.0%} of their deviation"
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


def _differences(there: np.ndarray, here: np.ndarray) -> tuple[float, float, float]:
    """Return an output's largest difference, the same relative to its largest value, and its rms.

    Each output by itself: beside a price in thousands a probability could be anything.
    """
    if not here.size:
        return 0.0, 0.0, 0.0
    difference, largest = np.abs(there - here), float(np.abs(here).max()) or 1.0
    rms = float(np.sqrt(np.mean(difference**2))) / (float(here.std()) or largest)
    return float(difference.max()), float(difference.max()) / largest, rms


def _by_name(found: Inputs, expected: Inputs) -> Inputs:
    if set(expected) <= set(found):
        return {name: found[name] for name in expected}
    return dict(zip(expected, found.values(), strict=False))


def _classes(
    found: Inputs, expected: Inputs, labels: np.ndarray | None
) -> tuple[float | None, float | None, float | None]:
    """Return how often both name the same class, and the accuracy of both."""
    name, here = next(iter(expected.items()))
    there = found.get(name)
    if len(expected) > 1 or here.ndim != 2 or there is None or there.shape != here.shape:
        return None, None, None
    if here.shape[1] == 1:  # two classes, if that is what the labels are
        if labels is None or labels.size != len(here) or not np.isin(labels, (0, 1)).all():
            return None, None, None
        middle = 0.5 if here.min() >= 0 and here.max() <= 1 else 0.0
        labels = labels.ravel().astype(int)
        here, there = (np.eye(2)[(each[:, 0] > middle).astype(int)] for each in (here, there))
    same = float(np.mean(here.argmax(1) == there.argmax(1)))
    if labels is not None and labels.shape == here.shape:
        one_hot = np.isin(labels, (0, 1)).all() and (np.count_nonzero(labels, 1) == 1).all()
        labels = labels.argmax(1) if one_hot else None
    if labels is None or labels.dtype.kind not in "iu" or labels.size != len(here):
        return same, None, None
    labels = labels.ravel()
    return same, float(np.mean(there.argmax(1) == labels)), float(np.mean(here.argmax(1) == labels))
