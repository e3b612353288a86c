"""One export, as measured."""

from dataclasses import dataclass, field
from typing import Literal

from tf_lottery.exports.cost import Cost
from tf_lottery.exports.verify.verify import Verified

DENSE = "dense original"


@dataclass(frozen=True)
class ExportRow:
    """One export.

    Attributes:
        name: format and weights.
        status: `verified`, `refused` (made, but not the same model: set aside), `not made`.
        runtime: that it is run in.
        path: where it is.
        reason: why it was refused or not made.
        bytes, compressed_bytes: on the disk, and as .tar.gz.
        dense_bytes, dense_compressed_bytes: of the dense original in the same runtime's plain format.
        cost: weights and FLOPs.
        verified: what a fresh process found.
        dense_memory_of_model_bytes: `verified.memory_of_model_bytes` of the dense original.
        latency: batch size -> median seconds a call.
        dense_latency: of the dense original, in the same run.
        zeros: kernel -> pruned weights proven zero from the file's own tensors; None where not asked.
        notes: more, in words.
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
        """How many times as fast as the dense original in the same runtime."""
        if batch not in self.latency or batch not in self.dense_latency:
            return None
        return self.dense_latency[batch] / self.latency[batch]
