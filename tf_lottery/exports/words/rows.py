"""The measurements of one export."""

from dataclasses import dataclass, field
from typing import Literal

from tf_lottery.exports.cost import Cost
from tf_lottery.exports.verify.verify import Verified

DENSE = "dense original"


@dataclass(frozen=True)
class ExportRow:
    """One export and what was measured of it.

    Attributes:
        name: The format and its weights.
        status: `verified`, `refused` (written, but not the same model) or `not made`.
        runtime: The runtime in which it was run.
        path: Where it is.
        reason: Why it was refused or not made.
        bytes: Its size on disk.
        compressed_bytes: Its size as a .tar.gz.
        dense_bytes: The size on disk of the dense original in the plain format of the same runtime.
        dense_compressed_bytes: The size of that file or directory as a .tar.gz.
        cost: Its weights and FLOPs.
        verified: The result of verifying it in a fresh process.
        dense_memory_of_model_bytes: `verified.memory_of_model_bytes` of the dense original.
        latency: Batch size -> median seconds a call.
        dense_latency: The same for the dense original, measured in turns with the export.
        zeros: Kernel -> the number of pruned weights that are zero in the file's own tensors; None if the
            format isn't checked for that.
        notes: Further remarks, a sentence each.
    """

    name: str
    status: Literal["verified", "refused", "not made"]
    runtime: str
    path: str | None = None
    reason: str | None = None
    bytes: int | None = None
    compressed_bytes: int | None = None
    dense_bytes: int | None = None
    dense_compressed_bytes: int | None = None
    cost: Cost | None = None
    verified: Verified | None = None
    dense_memory_of_model_bytes: int | None = None
    latency: dict[str, float] = field(default_factory=dict)
    dense_latency: dict[str, float] = field(default_factory=dict)
    zeros: dict[str, int] | None = None
    notes: tuple[str, ...] = ()

    def gain(self, batch: str) -> float | None:
        """Return the speed relative to the dense original in the same runtime; None if it wasn't measured."""
        if batch not in self.latency or batch not in self.dense_latency:
            return None
        return self.dense_latency[batch] / self.latency[batch]
