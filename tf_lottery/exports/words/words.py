"""The sentences of a report: what is smaller, what is faster and why, and which export to take."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import geometric_mean
from typing import Any

from tf_lottery.exports.cost import Cost
from tf_lottery.exports.words.rows import ExportRow

NOTICEABLE = 1.1
"""The relative speed or size below which no gain is claimed, since machines are noisy."""

SHOWN = 4
"""The most means and deviations that a sentence gives."""

UNITS = "units that were removed"
FROM = {
    "litert int8": "8-bit arithmetic, not from zeros",
    "litert int8_qat": "8-bit arithmetic, not from zeros",
    "litert dynamic": "8-bit weights, not from zeros",
    "litert sparse": "zeros that are neither stored nor computed (at large batch sizes it can be slower)",
}
"""Name of a row -> the cause of a gain over the dense original in the same runtime."""

SERVERS = ("savedmodel packed", "savedmodel dense", "onnx", "openvino")
PHONES = ("litert int8", "litert int8_qat", "litert dynamic", "litert float")
BROWSERS = ("onnx",)


def sentences(rows: Sequence[ExportRow], original: str, compact: bool, whole: Cost) -> Iterator[str]:
    """Yield the sentences about a report's rows.

    Args:
        rows: The rows of the report.
        original: A description of the dense original.
        compact: Whether dead units were removed first.
        whole: The cost of the exported model.
    """
    verified = [row for row in rows if row.status == "verified"]
    if compact:
        yield "Dead units were removed first: the weights and FLOPs above are those of the smaller model."
    yield from _sizes(verified, original)
    yield from _speed(verified, compact, whole)
    yield from _runtimes(verified)
    yield from _zeros(verified)
    for row in rows:
        yield from (f"{row.name}: {note}" for note in row.notes)


def inputs(standardized: Any) -> Iterator[str]:
    """Yield what must be done with the inputs of a model that was trained on standardized ones.

    Args:
        standardized: The numbers, a mapping with lists `mean` and `deviation`, as a record has them; None or
            anything else if it isn't known that inputs were standardized.
    """
    if not isinstance(standardized, Mapping):
        return
    mean, deviation = standardized.get("mean"), standardized.get("deviation")
    if not isinstance(mean, list) or not isinstance(deviation, list):
        return
    numbers = f"mean {_listed(mean)}, deviation {_listed(deviation)}"
    if len(mean) > SHOWN:
        numbers = "those of each feature are in the JSON of the report, as provenance.standardized"
    yield (
        "The network was trained on standardized inputs, and no export standardizes them itself: multiply "
        f"uint8 pixels by 1/255, subtract the mean, divide by the deviation ({numbers})."
    )


def _listed(numbers: list[Any]) -> str:
    return ", ".join(map(str, numbers))


def _sizes(verified: Sequence[ExportRow], original: str) -> Iterator[str]:
    smaller = [row for row in verified if row.dense_bytes and row.bytes < row.dense_bytes / NOTICEABLE]
    if smaller:
        each = ", ".join(f"{row.name} {row.dense_bytes / row.bytes:.1f}" for row in smaller)
        yield f"Times smaller than the dense original ({original}): {each}."
    same = [row for row in verified if row.dense_bytes and row not in smaller]
    if same:
        each = ", ".join(
            f"{row.name} {row.dense_compressed_bytes / row.compressed_bytes:.1f}" for row in same
        )
        yield (
            "Not smaller on disk, where zeros take as much space as other numbers. "
            f"Times smaller as .tar.gz: {each}."
        )


def _speed(verified: Sequence[ExportRow], compact: bool, whole: Cost) -> Iterator[str]:
    same, slower, unexplained = [], [], []
    for row in (row for row in verified if row.latency and row.dense_latency):
        gains = [row.gain(batch) for batch in row.latency]
        each = ", ".join(
            f"{gain:.2f} at batch {batch}" for batch, gain in zip(row.latency, gains, strict=True)
        )
        fewer = compact or row.cost.parameters < whole.parameters
        reasons = [FROM.get(row.name), UNITS if fewer else None]
        reason = " and ".join(dict.fromkeys(filter(None, reasons)))
        if reason and max(gains) > NOTICEABLE:
            yield (
                f"Speed of {row.name} relative to the dense original in {row.runtime}: {each}. "
                f"The gain comes from {reason}."
            )
        elif min(gains) < 1 / NOTICEABLE:
            slower.append(f"{row.name} ({each})")
        elif max(gains) > NOTICEABLE:
            unexplained.append(f"{row.name} ({each})")
        else:
            same.append(row.name)
    if slower:
        yield f"Slower than the dense original in the same runtime (relative speed): {'; '.join(slower)}."
    if unexplained:
        yield (
            "Measured as faster at some batch size. Nothing in the file explains it, so don't count on it: "
            f"{'; '.join(unexplained)}."
        )
    if same:
        yield (
            f"No faster than the dense original in the same runtime: {', '.join(same)}. Zeros cost as much "
            "there as other numbers. What can be faster: a model without dead units, in any format "
            "(--compact); litert int8; another runtime."
        )


def _runtimes(verified: Sequence[ExportRow]) -> Iterator[str]:
    rows = {row.runtime: row for row in verified if row.dense_latency}
    base = rows.get("tensorflow") or rows.get("keras")
    if base is None:
        return
    for runtime, row in rows.items():
        shared = [batch for batch in base.dense_latency if batch in row.dense_latency]
        if runtime in (base.runtime, "keras") or not shared:
            continue
        each = ", ".join(f"{base.dense_latency[b] / row.dense_latency[b]:.1f} at batch {b}" for b in shared)
        yield (
            f"Speed of the dense original in {runtime} relative to {base.runtime}: {each}. "
            "That comes from the runtime, not from the zeros."
        )


def _zeros(verified: Sequence[ExportRow]) -> Iterator[str]:
    proven = [row for row in verified if row.zeros is not None]
    if proven:
        yield (
            f"Pruned weights are exactly zero in the files' own tensors ({sum(proven[0].zeros.values()):,} "
            f"counted in each): {', '.join(row.name for row in proven)}."
        )


def choice(rows: Sequence[ExportRow]) -> Iterator[str]:
    """Yield which export to take: for a server, for a phone, for a browser. Nothing where there are few.

    Args:
        rows: The rows of the report.
    """
    verified = [row for row in rows if row.status == "verified"]
    by_name = {row.name: row for row in verified}

    def among(names: tuple[str, ...]) -> list[ExportRow]:
        return [by_name[name] for name in names if name in by_name]

    if len(by_name) < 3:
        return
    if servers := among(SERVERS):
        packed = by_name.get("savedmodel packed")
        fastest = min(servers, key=_pace)
        smallest = ", the smallest" if packed and packed.bytes <= min(r.bytes for r in servers) else ""
        packs = f"{packed.name} for TensorFlow Serving{smallest}" if packed else ""
        faster = fastest.latency and not (packed and _pace(packed) < NOTICEABLE * _pace(fastest))
        fast = f"{fastest.name}, the fastest here" if faster else ""
        yield f"For a server, take {'; or '.join(filter(None, (packs, fast))) or fastest.name}."
    if phones := among(PHONES):
        smallest = min(row.bytes for row in phones)
        best = next(row for row in phones if row.bytes < NOTICEABLE * smallest)
        sparse = by_name.get("litert sparse")
        smaller = sparse is not None and sparse.bytes < best.bytes / NOTICEABLE
        yield f"For a phone, take {best.name}{f'; or {sparse.name}, the smallest' if smaller else ''}."
    if browsers := among(BROWSERS):
        yield f"For a browser, take {browsers[0].name} in onnxruntime-web (run here in onnxruntime only)."


def _pace(row: ExportRow) -> float:
    return geometric_mean(row.latency.values()) if row.latency else float("inf")
