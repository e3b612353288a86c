"""Writing exports, verifying each, and measuring their latency against the dense original."""

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
from tf_lottery.exports.verify.verify import FreshProcess, compare_outputs
from tf_lottery.exports.words.rows import DENSE, ExportRow
from tf_lottery.store.environment import environment

BATCHES = (1, 32, 256)
SECONDS = 1.0
"""Roughly the longest time spent on one batch size in one runtime; where times are steady it takes less."""

PACKAGES = ("ai-edge-litert", "onnxruntime", "openvino")
"""Packages whose versions are reported besides those that a study's records name."""


class Measurement:
    """Writes, verifies and measures the exports of one model.

    Args:
        source: What is exported.
        dense: The dense original.
        work: The path of a directory to create for temporary files.
        threads: The number of threads of each runtime.
        noted: A function that is called with a line of text before each step.

    Attributes:
        cost: The cost of the exported model.
        stage: The overall progress, put before the text of each step.
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
        """Write one export and compare it with its source. Return its row, without latency.

        Args:
            name: The format's name.
            kind: The format.
            path: The path to write to.
        """
        row = ExportRow(name, "not made", kind.runtime, cost=self.cost)
        if (install := registry.missing(kind)) is not None:
            return replace(row, reason=f"The packages that {name} needs are not installed. Use {install}")
        try:
            self._noted(f"{self.stage}{name}: writing")
            kind.write(self._source, path)
        except Exception as error:  # writers, and the layers that they call, may raise anything
            place.delete(path)
            return replace(row, reason=self._reason(name, error))
        row = replace(row, bytes=place.size(path), compressed_bytes=place.compressed(path))
        if kind.write is registry.FORMATS["compact"]["float"].write:
            row = self._with_units(row)
        try:
            if kind.zeros:
                row = replace(row, zeros=check_zeros(path, self._source.kernels()))
            self._noted(f"{self.stage}{name}: loading and running it in a fresh process")
            measured, outputs = self._process.load_and_run(kind.runtime, path)
        except LotteryError as error:
            return replace(row, status="refused", reason=str(error))
        result = compare_outputs(measured, outputs, self._source.outputs, self._source.labels, kind.limits)
        row = replace(row, verified=result, reason=result.refused)
        if result.refused is None and result.graph_session is False:
            row = replace(row, reason="its outputs differ in a graph-mode session, as TensorFlow Serving has")
        if row.reason is not None:
            return replace(row, status="refused", reason=f"{row.reason}{why_lost(self._source, name)}")
        return self._with_dense_sizes(replace(row, status="verified"))

    def with_latency(self, rows: Sequence[ExportRow], made: Path, batches: Sequence[int]) -> list[ExportRow]:
        """Return the rows with their latency: a runtime's exports and the dense original take turns.

        Args:
            rows: The rows that `make` returned.
            made: The directory with the exports.
            batches: The batch sizes. A stateful model is measured at its own batch size only.
        """
        batches = (self._source.batch,) if self._source.stateful else batches
        latencies: dict[str, dict[str, dict[str, float]]] = {}
        failed: dict[str, tuple[str, ...]] = {}
        verified_rows = [row for row in rows if row.status == "verified"]
        for runtime in dict.fromkeys(row.runtime for row in verified_rows):
            files = {row.name: self._file(row, made) for row in verified_rows if row.runtime == runtime}
            baseline = self._baselines.get(runtime)
            self._noted(f"{runtime}: latency of {', '.join(files)}, and of the dense original")
            try:
                latencies[runtime] = self._process.latency(
                    runtime, files | ({DENSE: baseline} if baseline else {}), batches, SECONDS
                )
            except LotteryError as error:  # each file runs alone, but not all in one process
                failed[runtime] = (f"latency couldn't be measured: {error}",)
        return [
            replace(
                row,
                latency=latencies.get(row.runtime, {}).get(row.name, {}),
                dense_latency=latencies.get(row.runtime, {}).get(DENSE, {}),
                notes=row.notes + failed.get(row.runtime, ()) + self._stateful_latency(latencies, row),
            )
            if row.status == "verified"
            else row
            for row in rows
        ]

    def _stateful_latency(
        self, latencies: dict[str, dict[str, dict[str, float]]], row: ExportRow
    ) -> tuple[str, ...]:
        """Return the latency of a stateful model in words: the table has no column for its batch size."""
        times = latencies.get(row.runtime, {})
        batch = str(self._source.batch)
        if not self._source.stateful or row.name not in times:
            return ()
        each = [f"{1e6 * times[name][batch]:,.0f} us ({name})" for name in times if name in (row.name, DENSE)]
        return (f"latency at batch {batch}, the only batch size that it takes: {', '.join(each)}",)

    def environment(self) -> dict[str, str]:
        """Return the processor, the number of threads and the versions of packages."""
        details = environment() | {"threads": str(self._threads)}
        for package in PACKAGES:
            with contextlib.suppress(PackageNotFoundError):
                details[package] = version(package)
        return details

    def _reason(self, name: str, error: Exception) -> str:
        if isinstance(error, LotteryError):
            return str(error)
        cause = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return f"Writing {self._source.model.name!r} as {name} failed: {cause}"

    def _file(self, row: ExportRow, made: Path) -> Path:
        file = made / registry.every()[row.name].file
        return file if file.exists() else next(made.iterdir())

    def _with_units(self, row: ExportRow) -> ExportRow:
        compacted = compact(self._source.plain)
        lost = [f"{layer} {after:,} of {before:,}" for layer, (before, after) in compacted.units.items()]
        note = f"units left: {', '.join(lost)}" if lost else "no unit could be removed"
        smaller = cost(compacted.model)
        note += f"; {smaller.parameters:,} of {self.cost.parameters:,} weights"
        note += f", {smaller.flops:,} of {self.cost.flops:,} FLOPs an example"
        return replace(row, cost=smaller, notes=(note, *compacted.left))

    def _with_dense_sizes(self, row: ExportRow) -> ExportRow:
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
        """Return the dense original in a runtime's plain format, or None if it can't be written or run."""
        if runtime not in self._baselines:
            kind = registry.BASELINES[runtime]
            path = self._work / f"dense_{kind.file}"
            self._noted(f"{runtime}: writing the dense original")
            try:
                kind.write(self._dense, path)
                self._memory[runtime] = self._process.load_and_run(runtime, path)[0]["memory_of_model_bytes"]
                self._baselines[runtime] = path
            except Exception:  # anything, as in `make`
                self._baselines[runtime] = None
        return self._baselines[runtime]
