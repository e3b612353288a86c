"""A vector of 16 numbers for numba, since its loops over arrays aren't vectorized here.

A `Vector` is an LLVM vector, which lies in one register of 512 bits, in two of 256 or in four of 128: LLVM
splits it for the processor. Its element is float32 or float64, as that of the array or number that it is made
of.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

WIDTH = 16
"""The number of elements of a vector."""
LANES = 64
"""The number of examples that lie side by side, four vectors of them."""

_ELEMENTS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.uint8: ir.IntType(8)}


class Vector(types.Type):
    """The numba type of a vector."""

    def __init__(self, element: types.Type):
        self.element = element
        super().__init__(name=f"Vector({element}, {WIDTH})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _llvm(kind.element))


def _llvm(element: types.Type) -> ir.VectorType:
    return ir.VectorType(_ELEMENTS[element], WIDTH)


def pointer_to(context, builder, array_type, array, index, element):
    """Return a pointer to a vector that begins at an element of a flat array."""
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.gep(data, [index], inbounds=True)
    return builder.bitcast(first, _llvm(element).as_pointer())


@intrinsic
def load(typing, array, index):
    """Return 16 numbers of a flat array, from an index on."""
    kind = Vector(array.dtype)

    def generate(context, builder, signature, arguments):
        at = pointer_to(context, builder, signature.args[0], *arguments, array.dtype)
        return builder.load(at, align=array.dtype.bitwidth // 8)

    return kind(array, types.intp), generate


@intrinsic
def store(typing, array, index, vector):
    """Write 16 numbers into a flat array, from an index on."""

    def generate(context, builder, signature, arguments):
        at = pointer_to(context, builder, signature.args[0], *arguments[:2], array.dtype)
        builder.store(arguments[2], at, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def splat(typing, number):
    """Return a vector of 16 times the same number."""
    kind = Vector(number)

    def generate(context, builder, signature, arguments):
        return _splat(builder, arguments[0])

    return kind(number), generate


def _splat(builder, number):
    vector = ir.VectorType(number.type, WIDTH)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), places)


def _two(operation: str):
    """Return a function of two vectors that is one LLVM instruction."""

    @intrinsic
    def function(typing, first, second):
        def generate(context, builder, signature, arguments):
            return getattr(builder, operation)(*arguments)

        return first(first, second), generate

    return function


add, subtract, multiply, divide = _two("fadd"), _two("fsub"), _two("fmul"), _two("fdiv")


def _called(builder, operation: str, arguments):
    """Call an LLVM function of vectors of one kind."""
    kind = arguments[0].type
    element = "f32" if kind.element == ir.FloatType() else "f64"
    name = f"llvm.{operation}.v{WIDTH}{element}"
    declared = ir.FunctionType(kind, [kind] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, declared, name), arguments)


@intrinsic
def fma(typing, first, second, third):
    """Return first * second + third, rounded once."""

    def generate(context, builder, signature, arguments):
        return _called(builder, "fma", arguments)

    return first(first, second, third), generate


@intrinsic
def root(typing, vector):
    """Return the square roots."""

    def generate(context, builder, signature, arguments):
        return _called(builder, "sqrt", arguments)

    return vector(vector), generate


@intrinsic
def where_positive(typing, gate, vector):
    """Return the elements of `vector` where those of `gate` are positive, and 0.0 elsewhere."""

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(arguments[0].type, None)
        return builder.select(builder.fcmp_ordered(">", arguments[0], zero), arguments[1], zero)

    return vector(gate, vector), generate


@intrinsic
def choose_positive(typing, gate, vector, other):
    """Return the elements of `vector` where those of `gate` are positive, and those of `other` elsewhere."""

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(arguments[0].type, None)
        return builder.select(builder.fcmp_ordered(">", arguments[0], zero), arguments[1], arguments[2])

    return vector(gate, vector, other), generate


@intrinsic
def choose_equal(typing, first, second, vector, other):
    """Return the elements of `vector` where two vectors are the same, else those of `other`."""

    def generate(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered("==", *arguments[:2]), *arguments[2:])

    return vector(first, second, vector, other), generate


@intrinsic
def not_negative(typing, vector):
    """Return the elements, 0.0 for negative ones. NaN stays NaN."""

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(arguments[0].type, None)
        return builder.select(builder.fcmp_ordered("<", arguments[0], zero), zero, arguments[0])

    return vector(vector), generate


@intrinsic
def flushed(typing, vector):
    """Return the elements, 0.0 for subnormal ones, which slow processors down, as TensorFlow does."""

    def generate(context, builder, signature, arguments):
        kind = arguments[0].type
        least = 2.0**-126 if signature.return_type.element == types.float32 else 2.0**-1022
        tiny = builder.fcmp_ordered(
            "<", _called(builder, "fabs", arguments), ir.Constant(kind, [least] * WIDTH)
        )
        return builder.select(tiny, ir.Constant(kind, None), arguments[0])

    return vector(vector), generate


@intrinsic
def larger(typing, first, second):
    """Return the larger elements; where either is NaN, that of `first`."""

    def generate(context, builder, signature, arguments):
        return builder.select(
            builder.fcmp_ordered(">", arguments[1], arguments[0]), arguments[1], arguments[0]
        )

    return first(first, second), generate


@intrinsic
def smaller(typing, first, second):
    """Return the smaller elements; where either is NaN, that of `first`."""

    def generate(context, builder, signature, arguments):
        return builder.select(
            builder.fcmp_ordered("<", arguments[1], arguments[0]), arguments[1], arguments[0]
        )

    return first(first, second), generate


@intrinsic
def total(typing, vector):
    """Return the sum of the elements, added in halves."""

    def generate(context, builder, signature, arguments):
        value, width = arguments[0], WIDTH
        while width > 1:
            half = width // 2
            undefined = ir.Constant(value.type, ir.Undefined)
            low, high = (
                builder.shuffle_vector(
                    value,
                    undefined,
                    ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(at, at + half))),
                )
                for at in (0, half)
            )
            value, width = builder.fadd(low, high), half
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return vector.element(vector), generate
