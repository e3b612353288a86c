"""Makes exports, verifies each, and times them beside the dense original."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tf_lottery.errors import LotteryError
from tf_lottery.exports import place
from tf_lottery.exports.compact.compact import compact
from tf_lottery.exports.cost import cost
from tf_lottery.exports.formats import registry
from tf_lottery.exports.formats.fits import why_lost
from tf_lottery.exports.formats.keras_file import custom_modules
from tf_lottery.exports.formats.registry import Format
from tf_lottery.exports.source import Source
from tf_lottery.exports.verify.flatbuffer import check_zeros
from tf_lottery.exports.verify.verify import FreshProcess, verified
from tf_lottery.exports.words.rows import DENSE, ExportRow
from tf_lottery.store.environment import environment

BATCHES = (1, 32, 256)
SECONDS = 1.0
"""Spent on a batch size in a runtime at the most, about: where times are steady it takes less."""

PACKAGES = ("ai-edge-litert", "onnxruntime", "openvino")
"""Besides those that a study's runs name."""


class Measurement:
    """Args:
    source: what is exported.
    dense: the dense original.
    work: a directory for files in passing.
    threads: of each runtime.
    noted: hears what is being done.

    Attributes:
        cost: of what is exported.
        stage: how far the whole is, said before each step.
    """

    def __init__(self, source: Source, dense: Source, work: Path, threads: int, noted: Callable[[str], None]):
        work.mkdir()
        self._source, self._dense, self._work = source, dense, work
        self._threads, self._noted = threads, noted
        modules = custom_modules(source.plain)
        self._process = FreshProcess(work, source.examples, threads, modules, source.batch, source.stateful)
        self._baselines: dict[str, Path | None] = {}
        self._memory: dict[str, int] = {}
        self.cost = cost(source.plain)
        self.stage = ""

    def make(self, name: str, kind: Format, path: Path) -> ExportRow:
        """Write an export and hold it against its source.

        Args:
            name: of the format.
            kind: of the format.
            path: where to write.
        """
        row = ExportRow(name, "not made", kind.runtime, cost=self.cost)
        if (install := registry.missing(kind)) is not None:
            return replace(row, reason=f"Expected what {name} needs. Received: not installed. Use {install}")
        try:
            self._noted(f"{self.stage}{name}: writing")
            kind.write(self._source, path)
        except Exception as error:  # what writers, and layers within them, raise has no common kind
            place.delete(path)
            return replace(row, reason=self._reason(name, error))
        row = replace(row, bytes=place.size(path), compressed_bytes=place.compressed(path))
        if kind.write is registry.FORMATS["compact"]["float"].write:
            row = self._with_units(row)
        try:
            if kind.zeros:
                row = replace(row, zeros=check_zeros(path, self._source.kernels()))
            self._noted(f"{self.stage}{name}: loading and running it in a fresh process")
            measured, answers = self._process.answers(kind.runtime, path)
        except LotteryError as error:
            return replace(row, status="refused", reason=str(error))
        found = verified(measured, answers, self._source.outputs, self._source.labels, kind.limits)
        row = replace(row, verified=found, reason=found.refused)
        if found.refused is None and found.graph_session is False:
            row = replace(row, reason="a graph-mode session, as TensorFlow Serving has, answers otherwise")
        if row.reason is not None:
            return replace(row, status="refused", reason=f"{row.reason}{why_lost(self._source, name)}")
        return self._beside_dense(replace(row, status="verified"))

    def timed(self, rows: Sequence[ExportRow], made: Path, batches: Sequence[int]) -> list[ExportRow]:
        """Return rows with latency: all exports of a runtime and the dense original take turns.

        Args:
            rows: as made.
            made: the directory with the exports.
            batches: sizes.
        """
        batches = (self._source.batch,) if self._source.stateful else batches
        found: dict[str, dict[str, dict[str, float]]] = {}
        failed: dict[str, tuple[str, ...]] = {}
        same = [row for row in rows if row.status == "verified"]
        for runtime in dict.fromkeys(row.runtime for row in same):
            files = {row.name: self._file(row, made) for row in same if row.runtime == runtime}
            baseline = self._baselines.get(runtime)
            self._noted(f"{runtime}: latency of {', '.join(files)}, and of the dense original")
            try:
                found[runtime] = self._process.latency(
                    runtime, files | ({DENSE: baseline} if baseline else {}), batches, SECONDS
                )
            except LotteryError as error:  # each runs by itself, but not so
                failed[runtime] = (f"latency couldn't be measured: {error}",)
        return [
            replace(
                row,
                latency=found.get(row.runtime, {}).get(row.name, {}),
                dense_latency=found.get(row.runtime, {}).get(DENSE, {}),
                notes=row.notes + failed.get(row.runtime, ()) + self._only(found, row),
            )
            if row.status == "verified"
            else row
            for row in rows
        ]

    def _only(self, found: dict[str, dict[str, dict[str, float]]], row: ExportRow) -> tuple[str, ...]:
        """Of a stateful model the latency in words: the table has no column for its batch."""
        times = found.get(row.runtime, {})
        batch = str(self._source.batch)
        if not self._source.stateful or row.name not in times:
            return ()
        each = [f"{1e6 * times[name][batch]:,.0f} us ({name})" for name in times if name in (row.name, DENSE)]
        return (f"latency at batch {batch}, the only one that it takes: {', '.join(each)}",)

    def environment(self) -> dict[str, str]:
        """Return processor, threads, versions."""
        found = environment() | {"threads": str(self._threads)}
        for package in PACKAGES:
            with contextlib.suppress(PackageNotFoundError):
                found[package] = version(package)
        return found

    def _reason(self, name: str, error: Exception) -> str:
        if isinstance(error, LotteryError):
            return str(error)
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        model = self._source.model.name
        return f"Expected a model that {name} takes. Received: {model!r}, with which it fails: {said}"

    def _file(self, row: ExportRow, made: Path) -> Path:
        named = made / registry.every()[row.name].file
        return named if named.exists() else next(made.iterdir())

    def _with_units(self, row: ExportRow) -> ExportRow:
        compacted = compact(self._source.plain)
        lost = [f"{layer} {after:,} of {before:,}" for layer, (before, after) in compacted.units.items()]
        kept = f"units left: {', '.join(lost)}" if lost else "no unit could go"
        smaller = cost(compacted.model)
        kept += f"; {smaller.parameters:,} of {self.cost.parameters:,} weights"
        kept += f", {smaller.flops:,} of {self.cost.flops:,} FLOPs an example"
        return replace(row, cost=smaller, notes=(kept, *compacted.left))

    def _beside_dense(self, row: ExportRow) -> ExportRow:
        baseline = self._baseline(row.runtime)
        if baseline is None:
            return row
        return replace(
            row,
            dense_bytes=place.size(baseline),
            dense_compressed_bytes=place.compressed(baseline),
            dense_memory_of_model_bytes=self._memory[row.runtime],
        )

    def _baseline(self, runtime: str) -> Path | None:
        """Return the dense original in a runtime's plain format; None if it can't be had there."""
        if runtime not in self._baselines:
            kind = registry.BASELINES[runtime]
            path = self._work / f"dense_{kind.file}"
            self._noted(f"{runtime}: writing the dense original")
            try:
                kind.write(self._dense, path)
                self._memory[runtime] = self._process.answers(runtime, path)[0]["memory_of_model_bytes"]
                self._baselines[runtime] = path
            except Exception:  # as of `make`
                self._baselines[runtime] = None
        return self._baselines[runtime]
