"""Asks for memory early: what is read or written next lies in another channel, where no processor looks."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tf_lottery.training.sparse.kernels.vector import LANES

_LINE = 64


def _expect(writes: bool):
    """Return a function that asks for the 64 lanes of a flat array that begin at an index."""

    @intrinsic
    def function(typing, array, index):
        def generate(context, builder, signature, arguments):
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            first = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
            kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
            prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
            settings = [ir.Constant(word, setting) for setting in (int(writes), 3, 1)]
            for at in range(0, LANES * array.dtype.bitwidth // 8, _LINE):
                builder.call(prefetch, [builder.gep(first, [ir.Constant(ir.IntType(64), at)]), *settings])
            return context.get_dummy_value()

        return types.void(array, types.intp), generate

    return function


expect_reads, expect_writes = _expect(False), _expect(True)
