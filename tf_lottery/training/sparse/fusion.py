"""`fused`: ops that pass over large tensors together rather than one by one."""

from collections import Counter

from tf_lottery.training.sparse.ops.activation import Bend
from tf_lottery.training.sparse.ops.merging import Add
from tf_lottery.training.sparse.ops.normalization import BatchNormalization
from tf_lottery.training.sparse.ops.op import Op
from tf_lottery.training.sparse.tensor import Tensor


def fused(ops: list[Op], outputs: Tensor) -> list[Op]:
    """Return the ops with each batch normalization joined to the ReLU, or the sum and the ReLU, after it.

    Tensors go away that nothing else reads. Joined ops take the place of the ReLU, where all that they read
    is there.

    Args:
        ops: A network's ops, in the order in which they are computed.
        outputs: The network's outputs.
    """
    readers = Counter(id(tensor) for op in ops for tensor in op.inputs)
    readers[id(outputs)] += 1
    writers = {id(op.output): op for op in ops if op.output is not op.inputs[0]}
    gone, takes_place = set(), {}
    for op in ops:
        if not (isinstance(op, Bend) and op.slope == 0.0):
            continue
        before, chain, other = _only_writer(op.inputs[0], readers, writers), [], None
        if isinstance(before, Add) and len(before.inputs) == 2:
            candidates = [_only_writer(tensor, readers, writers) for tensor in before.inputs]
            # Of two normalizations, the one that is computed last.
            index = max(
                (i for i in (0, 1) if _plain(candidates[i])),
                key=lambda i: ops.index(candidates[i]),
                default=None,
            )
            if index is None:
                continue
            chain, other, before = [before], before.inputs[1 - index], candidates[index]
        if _plain(before):
            before.absorb(op.output, other)
            takes_place[id(op)] = before
            gone |= {id(before), *map(id, chain)}
    return [takes_place.get(id(op), op) for op in ops if id(op) not in gone or id(op) in takes_place]


def _only_writer(tensor: Tensor, readers: Counter, writers: dict[int, Op]) -> Op | None:
    return writers.get(id(tensor)) if readers[id(tensor)] == 1 else None


def _plain(op: Op | None) -> bool:
    return isinstance(op, BatchNormalization) and not op.relu
