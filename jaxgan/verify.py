"""Whether a .tflite file may be given to LiteRT, which believes what its tensors say.

The rules of tflite_cpp/src/verify.cc, which tells why, in the same order; a test holds both to the
same answers. The exporter passes its files through them, too, so that C++ takes what it writes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from jaxgan.errors import ModelError

_GRAPHS, _TENSORS, _BUFFERS, _ENTRIES, _INPUTS, _RANK = 256, 256, 65536, 256, 8, 6
_NAME, _WORD = 1024, 64  # letters of a tensor's name, and of those that messages show
_ELEMENTS, _PATCHES = 2**29, 2**31  # of a tensor; that a convolution gathers
_SIDE, _KERNEL, _STRIDE, _SCALES = 4096, 16, 8, 65536
_LEAST_SCALE, _MOST_SCALE, _MOST_RATIO = 1e-20, 1e20, 65536.0
_LEAST_FACTOR, _MOST_FACTOR = 2.0**-8, 2.0**7
_FLOAT32, _FLOAT16, _INT32, _INT64, _BOOL, _INT8 = 0, 1, 2, 4, 6, 9
_BYTES = {_FLOAT32: 4, _FLOAT16: 2, _INT32: 4, _INT64: 8, _BOOL: 1, _INT8: 1}
_METADATA = {"min_runtime_version", "CONVERSION_METADATA", "reduced_precision_support"}
_MOST_BYTES = 2**31 - 1  # offsets in a flatbuffer reach no further


def verify(content: bytes) -> None:
    """Refuse a file that is not of the kind that ``convert_tflite.py`` writes.

    Raises:
        ModelError: It is not; the message goes on after ``… is``.
    """
    try:
        _check_model(content)
    except _Misfit as misfit:
        why = str(misfit)
    except (struct.error, IndexError, UnicodeDecodeError):
        why = "it is cut off or damaged"
    else:
        return
    raise ModelError(f"not a TensorFlow Lite model of convert_tflite.py: {why}")


class _Misfit(Exception):
    """What is wrong with a part of the file."""


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise _Misfit(what)


class _Table(NamedTuple):
    """A table of a flatbuffer; what lies outside of the file raises ``struct.error``."""

    content: bytes
    place: int

    @classmethod
    def at(cls, content: bytes, place: int) -> _Table:
        table = cls(content, place)
        vtable = place - table._unpack("i", place)
        size = table._unpack("H", vtable)
        if size < 4 or vtable + size > len(content):
            raise struct.error
        return table

    def _unpack(self, form: str, place: int) -> int | float:
        if place < 0:
            raise struct.error
        return struct.unpack_from("<" + form, self.content, place)[0]

    def _field(self, slot: int) -> int:
        vtable = self.place - self._unpack("i", self.place)
        if 4 + 2 * slot + 2 > self._unpack("H", vtable):
            return 0
        offset = self._unpack("H", vtable + 4 + 2 * slot)
        return self.place + offset if offset else 0

    def _follow(self, place: int) -> int:
        return place + self._unpack("I", place)

    def has(self, slot: int) -> bool:
        return self._field(slot) != 0

    def has_none_from(self, slot: int) -> None:
        size = self._unpack("H", self.place - self._unpack("i", self.place))
        _expect(not any(map(self.has, range(slot, (size - 4) // 2))), "an unknown field")

    def number(self, slot: int, form: str, otherwise: float = 0) -> int | float:
        return self._unpack(form, at) if (at := self._field(slot)) else otherwise

    def span(self, slot: int, size: int = 1) -> tuple[int, int]:
        """Return where the elements of a vector begin, and how many of a size there are."""
        if not (at := self._field(slot)):
            return 0, 0
        start = self._follow(at)
        count = self._unpack("I", start)
        if start + 4 + count * size > len(self.content):
            raise struct.error
        return start + 4, count

    def numbers(self, slot: int, form: str, most: int) -> tuple:
        start, count = self.span(slot, struct.calcsize("<" + form))
        _expect(count <= most, "too many of something")
        return struct.unpack_from(f"<{count}{form}", self.content, start)

    def text(self, slot: int, most: int) -> str:
        return b"".join(self.numbers(slot, "c", most)).decode("latin-1")

    def table(self, slot: int) -> _Table:
        _expect(self.has(slot), "a part is missing")
        return _Table.at(self.content, self._follow(self._field(slot)))

    def tables(self, slot: int, most: int) -> Iterator[_Table]:
        start, count = self.span(slot, 4)
        _expect(count <= most, "too many of something")
        for place in range(start, start + 4 * count, 4):
            yield _Table.at(self.content, self._follow(place))


class _Tensor(NamedTuple):
    type: int
    sizes: tuple[int, ...]
    data: bytes  # of a constant
    scales: tuple[float, ...]  # one, or one for each of a dimension; none if not quantized
    zero: int
    dimension: int

    @property
    def elements(self) -> int:
        return math.prod(self.sizes)

    def is_(self, *types: int) -> bool:
        return self.type in types and len(self.scales) <= 1

    def holds_values(self) -> bool:
        return self.is_(_FLOAT32, _INT8)

    def integers(self) -> tuple[int, ...]:
        form = {_INT32: "i", _INT64: "q"}.get(self.type)
        fits = self.data and len(self.sizes) == 1 and self.elements <= _RANK and self.is_(self.type)
        _expect(bool(form and fits), "expected a constant of sizes")
        return struct.unpack(f"<{self.elements}{form}", self.data)


class _Operation(NamedTuple):
    inputs: list[_Tensor | None]
    out: _Tensor
    options: _Table | None


def _sizes(tensor: _Tensor, *sizes: int) -> None:
    _expect(tensor.sizes == sizes, "its result has other sizes than its inputs give")


def _fit(holds: bool) -> None:
    _expect(holds, "inputs of sizes that do not fit")


def _same_type(one: _Operation) -> None:
    _expect(
        one.out.holds_values()
        and all(part.holds_values() and part.type == one.out.type for part in one.inputs),
        "types",
    )


def _moved(start: _Tensor, to: _Tensor) -> None:
    _expect((start.holds_values() or start.is_(_INT32)) and to.is_(start.type), "types")
    _expect(start.scales == to.scales and start.zero == to.zero, "scales")


def _broadcast(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    rank = max(len(a), len(b))
    _expect(rank <= 4, "too many dimensions")  # for kernels
    pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True))
    _fit(all(x == y or 1 in (x, y) for x, y in pairs))
    return tuple(map(max, pairs))


def _no_activation(one: _Operation, slot: int) -> None:
    _expect(one.options.number(slot, "b") == 0, "has an activation")


def _arithmetic(one: _Operation) -> None:
    a, b = one.inputs
    _same_type(one)
    _no_activation(one, 0)
    _sizes(one.out, *_broadcast(a.sizes, b.sizes))
    if a.type == _INT8:
        _expect(max(*a.scales, *b.scales) <= _MOST_RATIO * one.out.scales[0], "scales")


def _broadcast_to(one: _Operation) -> None:
    start, shape = one.inputs
    _moved(start, one.out)
    same = len(start.sizes) <= len(one.out.sizes) and shape.integers() == one.out.sizes
    _expect(same, "sizes")
    _sizes(one.out, *_broadcast(start.sizes, one.out.sizes))


def _elementwise(one: _Operation) -> None:
    _same_type(one)
    _sizes(one.out, *one.inputs[0].sizes)


def _softmax(one: _Operation) -> None:
    _elementwise(one)
    _expect(one.options.number(0, "f") == 1, "its exponents have a factor")
    if one.out.type == _INT8:  # kernels make 1/256 the unit of its result, whatever is said
        _expect(_LEAST_FACTOR <= one.inputs[0].scales[0] <= _MOST_FACTOR, "scales")
        _expect(one.out.scales == (1 / 256,) and one.out.zero == -128, "scales")


def _slice(one: _Operation) -> None:
    start, first, count = one.inputs
    _moved(start, one.out)
    first, count = first.integers(), count.integers()
    _fit(len(start.sizes) == len(first) == len(count) <= 4)  # for kernels
    inside = zip(first, count, start.sizes, strict=True)
    _fit(all(begin >= 0 and size >= 1 and begin + size <= of for begin, size, of in inside))
    _sizes(one.out, *count)


def _leaky_relu(one: _Operation) -> None:
    _elementwise(one)
    slope = one.options.number(0, "f")
    scale = one.inputs[0].scales[0] / one.out.scales[0] if one.out.type == _INT8 else 1.0
    fits = slope * scale >= _LEAST_FACTOR and slope <= 1 and scale <= _MOST_FACTOR
    _expect(fits, "slope")


def _converted(taken: tuple[int, ...], made: int) -> Callable[[_Operation], None]:
    def check(one: _Operation) -> None:
        _expect(one.inputs[0].is_(*taken) and one.out.is_(made), "types")
        _sizes(one.out, *one.inputs[0].sizes)

    return check


def _quantize(one: _Operation) -> None:
    _converted((_FLOAT32, _INT8), _INT8)(one)
    scale = one.inputs[0].scales[0] / one.out.scales[0] if one.inputs[0].type == _INT8 else 1.0
    _expect(_LEAST_FACTOR <= scale <= _MOST_FACTOR, "scales")


def _reshape(one: _Operation) -> None:
    start, shape = one.inputs
    _moved(start, one.out)
    _sizes(one.out, *shape.integers())
    _expect(start.elements == one.out.elements, "its result has other sizes than its inputs give")


def _transpose(one: _Operation) -> None:
    start, order = one.inputs[0], one.inputs[1].integers()
    _moved(start, one.out)
    _expect(sorted(order) == list(range(len(start.sizes))), "order")
    _sizes(one.out, *(start.sizes[place] for place in order))


def _equal(one: _Operation) -> None:
    a, b = one.inputs
    _expect(a.is_(_INT32) and b.is_(_INT32) and one.out.is_(_BOOL), "types")
    _sizes(one.out, *_broadcast(a.sizes, b.sizes))


def _embedding_lookup(one: _Operation) -> None:
    ids, table = one.inputs
    narrow = table.type == _INT8 and bool(table.data) and table.dimension == 0
    _expect(ids.is_(_INT32) and (narrow or table.is_(_FLOAT32)), "types")
    _expect(one.out.holds_values(), "types")
    if one.out.type != _FLOAT32:
        _moved(table, one.out)
    _fit(len(ids.sizes) == 1 and len(table.sizes) == 2)
    _sizes(one.out, ids.sizes[0], table.sizes[1])


def _weights(
    start: _Tensor, weights: _Tensor, dimension: int, bias: _Tensor | None, out: _Tensor
) -> None:
    narrow = start.type == _INT8
    _expect(start.holds_values() and out.is_(start.type), "types")
    per_output = weights.is_(_INT8) or weights.dimension == dimension
    eight_bits = weights.type == _INT8 and bool(weights.data) and per_output
    _expect(not narrow if weights.is_(_FLOAT32) else eight_bits, "types of weights")
    fits = bias is None or (
        bias.type == (_INT32 if narrow else _FLOAT32) and bias.sizes == (weights.sizes[dimension],)
    )
    _expect(fits, "bias")


def _fully_connected(one: _Operation) -> None:
    start, weights, bias = one.inputs
    ranks = len(start.sizes), len(weights.sizes)
    _fit(ranks == (2, 2) and start.sizes[1] == weights.sizes[1])
    _weights(start, weights, 0, bias, one.out)
    _no_activation(one, 0)
    _expect(one.options.number(1, "b") == 0, "weights are shuffled")
    one.options.has_none_from(5)
    _sizes(one.out, start.sizes[0], weights.sizes[0])


def _strides(one: _Operation, activation: int) -> tuple[int, int]:
    down, across = one.options.number(2, "i"), one.options.number(1, "i")
    _expect(min(down, across) >= 1 and max(down, across) <= _STRIDE, "stride")
    padding, one_pixel = one.options.number(0, "b"), one.inputs[1].sizes[1:3] == (1, 1)
    _expect(padding == 0 or (padding == 1 and one_pixel), "padding is not SAME")
    _no_activation(one, activation)
    return down, across


def _no_dilation(one: _Operation, slot: int) -> None:
    _expect(
        one.options.number(slot, "i", 1) == one.options.number(slot + 1, "i", 1) == 1, "dilation"
    )


def _kernel(start: _Tensor, kernel: _Tensor, small: _Tensor) -> None:
    ranks = len(start.sizes), len(kernel.sizes), len(small.sizes)
    sides = ranks == (4, 4, 4) and max(start.sizes[1:3]) <= _SIDE
    _fit(sides and max(kernel.sizes[1:3]) <= _KERNEL)
    patch = kernel.sizes[1] * kernel.sizes[2] * max(kernel.sizes[0], kernel.sizes[3])
    _expect(math.prod(small.sizes[:3]) * patch <= _PATCHES, "too large")


def _convolution(one: _Operation) -> None:
    start, kernel, bias = one.inputs
    _kernel(start, kernel, one.out)
    _weights(start, kernel, 0, bias, one.out)
    _no_dilation(one, 4)
    _fit(start.sizes[3] == kernel.sizes[3])
    down, across = _strides(one, 3)
    batch, height, width, _ = start.sizes
    _sizes(one.out, batch, -(-height // down), -(-width // across), kernel.sizes[0])


def _depthwise_convolution(one: _Operation) -> None:
    start, kernel, bias = one.inputs
    _kernel(start, kernel, one.out)
    _weights(start, kernel, 3, bias, one.out)
    _no_dilation(one, 5)
    multiplier = one.options.number(3, "i")
    batch, height, width, channels = start.sizes
    _fit(kernel.sizes[0] == 1 <= multiplier and channels * multiplier == kernel.sizes[3])
    down, across = _strides(one, 4)
    _sizes(one.out, batch, -(-height // down), -(-width // across), kernel.sizes[3])


def _transposed_convolution(one: _Operation) -> None:
    shape, kernel, start, bias = one.inputs
    _kernel(start, kernel, start)
    _weights(start, kernel, 0, bias, one.out)
    down, across = _strides(one, 3)
    batch, height, width, channels = start.sizes
    _fit(channels == kernel.sizes[3] and kernel.sizes[1] >= down and kernel.sizes[2] >= across)
    _expect(shape.integers() == one.out.sizes, "sizes")
    _sizes(one.out, batch, height * down, width * across, kernel.sizes[0])


class _Rule(NamedTuple):
    """What the exporter emits: name, inputs, which of them may be left out, kind of options."""

    name: str
    inputs: int
    optional: int | None
    options: int
    check: Callable[[_Operation], None]


_RULES = {
    0: _Rule("ADD", 2, None, 11, _arithmetic),
    3: _Rule("CONV_2D", 3, 2, 1, _convolution),
    4: _Rule("DEPTHWISE_CONV_2D", 3, 2, 2, _depthwise_convolution),
    6: _Rule("DEQUANTIZE", 1, None, 0, _converted((_INT8, _FLOAT16), _FLOAT32)),
    7: _Rule("EMBEDDING_LOOKUP", 2, None, 0, _embedding_lookup),
    9: _Rule("FULLY_CONNECTED", 3, 2, 8, _fully_connected),
    18: _Rule("MUL", 2, None, 21, _arithmetic),
    22: _Rule("RESHAPE", 2, None, 0, _reshape),
    25: _Rule("SOFTMAX", 1, None, 9, _softmax),
    28: _Rule("TANH", 1, None, 0, _elementwise),
    39: _Rule("TRANSPOSE", 2, None, 0, _transpose),
    41: _Rule("SUB", 2, None, 28, _arithmetic),
    53: _Rule("CAST", 1, None, 0, _converted((_BOOL,), _FLOAT32)),
    65: _Rule("SLICE", 3, None, 0, _slice),
    67: _Rule("TRANSPOSE_CONV", 4, 3, 49, _transposed_convolution),
    71: _Rule("EQUAL", 2, None, 0, _equal),
    98: _Rule("LEAKY_RELU", 1, None, 75, _leaky_relu),
    114: _Rule("QUANTIZE", 1, None, 0, _quantize),
    130: _Rule("BROADCAST_TO", 2, None, 0, _broadcast_to),
}


def _read_quantization(table: _Table, type_: int, sizes: tuple[int, ...]) -> tuple:
    table.has_none_from(7)
    _expect(not table.has(4) and not table.has(5), "quantization of another kind")
    scales, zeros = table.numbers(2, "f", _SCALES), table.numbers(3, "q", _SCALES)
    dimension = table.number(6, "i")
    _expect(len(scales) == len(zeros), "scales")
    if not scales:
        return (), 0, 0
    _expect(type_ in (_INT8, _INT32) and 0 <= dimension < max(len(sizes), 1), "scales")
    of_dimension = dimension < len(sizes) and len(scales) == sizes[dimension]
    _expect(len(scales) == 1 or of_dimension, "scales")
    _expect(all(_LEAST_SCALE <= scale <= _MOST_SCALE for scale in scales), "scales")
    least, most = (-128, 127) if type_ == _INT8 and len(scales) == 1 else (0, 0)
    _expect(all(least <= zero <= most for zero in zeros), "zeros")
    return scales, zeros[0], dimension


def _read_tensor(table: _Table, buffers: list[tuple[int, int]]) -> _Tensor:
    table.has_none_from(9)
    open_ = any(map(table.has, (5, 6, 7)))
    _expect(not open_, "a variable, sparse or open tensor")
    type_, sizes = table.number(1, "b"), table.numbers(0, "i", _RANK)
    table.text(3, _NAME)
    fits = all(size >= 1 for size in sizes) and math.prod(sizes) <= _ELEMENTS
    _expect(fits, "a tensor of sizes below 1, or too large")
    _expect(type_ in _BYTES, "a tensor of a type that is not used")
    index = table.number(2, "I")
    _expect(index < len(buffers), "a tensor without its buffer")
    start, count = buffers[index]
    bytes_ = math.prod(sizes) * _BYTES[type_]
    _expect(count in (0, bytes_), "a constant of another size")
    quantized = ((), 0, 0)
    if table.has(4):
        quantized = _read_quantization(table.table(4), type_, sizes)
    _expect(type_ != _INT8 or bool(quantized[0]), "8 bits without a scale")
    _expect(type_ != _FLOAT16 or count != 0, "16 bits that are no constant")
    # Weights are not copied: only that they are there is asked for, but for vectors of sizes.
    data = table.content[start : start + min(count, 8 * _RANK)]
    return _Tensor(type_, sizes, data, *quantized)


class _Graph:
    """A graph whose operations have been checked, with the indices of its inputs and outputs."""

    def __init__(self, table: _Table, buffers: list[tuple[int, int]], rules: list[_Rule]) -> None:
        self.inputs, self.outputs = table.numbers(1, "i", _INPUTS), table.numbers(2, "i", _INPUTS)
        table.has_none_from(5)
        table.text(4, _NAME)
        self._tensors = [_read_tensor(one, buffers) for one in table.tables(0, _TENSORS)]
        self._ready = [bool(tensor.data) for tensor in self._tensors]
        for index in self.inputs:
            self._make(index)
        for number, operation in enumerate(table.tables(3, _TENSORS)):
            code = operation.number(0, "I")
            _expect(code < len(rules), "an operation without its code")
            try:
                self._check(operation, rules[code])
            except _Misfit as misfit:
                raise _Misfit(f"operation {number}, {rules[code].name}: {misfit}") from misfit
        for index in self.outputs:
            fits = not self._tensor(index).data and self._ready[index]
            _expect(fits, "an output that nothing makes")

    def _tensor(self, index: int) -> _Tensor:
        _expect(0 <= index < len(self._tensors), "a tensor is missing")
        return self._tensors[index]

    def _make(self, index: int) -> None:
        self._tensor(index)
        _expect(not self._ready[index], "a tensor is made twice")
        self._ready[index] = True

    def _check(self, table: _Table, rule: _Rule) -> None:
        table.has_none_from(5)
        inputs, outputs = table.numbers(1, "i", rule.inputs), table.numbers(2, "i", 1)
        _expect(len(inputs) == rule.inputs and len(outputs) == 1, "inputs and outputs")
        _expect(table.number(3, "B") == rule.options, "options")
        tensors = []
        for place, index in enumerate(inputs):
            left_out = index == -1 and place == rule.optional
            tensors.append(None if left_out else self._tensor(index))
            _expect(left_out or self._ready[index], "an input that nothing made before")
        options = table.table(4) if rule.options else None
        rule.check(_Operation(tensors, self._tensor(outputs[0]), options))
        self._make(outputs[0])


def _rule_of(table: _Table) -> _Rule:
    table.has_none_from(4)
    code = max(table.number(0, "b"), table.number(3, "i"))
    fits = code in _RULES and not table.has(1)
    _expect(fits, f"operation {code} is none of a generator")
    return _RULES[code]


def _read_buffers(model: _Table) -> list[tuple[int, int]]:
    buffers, left = [], len(model.content)
    for table in model.tables(4, _BUFFERS):
        table.has_none_from(1)
        buffers.append(table.span(0))
        left -= buffers[-1][1]
        _expect(left >= 0, "buffers that overlap")
    _expect(not buffers or buffers[0][1] == 0, "a first buffer that is not empty")
    return buffers


def _check_word(word: str) -> None:
    _expect(word != "" and all(" " < letter <= "~" for letter in word), "a name of odd letters")


def _check_names(named: Iterator[_Table], wanted: tuple[int, ...]) -> None:
    found = []
    for one in named:
        one.has_none_from(2)
        _check_word(one.text(0, _WORD))
        found.append(one.number(1, "i"))
    fits = sorted(found) == sorted(wanted) and len(set(found)) == len(found)
    _expect(fits, "a signature that does not fit its graph")


def _check_model(content: bytes) -> None:
    if content[4:8] != b"TFL3":
        raise struct.error
    _expect(len(content) <= _MOST_BYTES, "it is 2 GiB or larger")
    model = _Table.at(content, struct.unpack_from("<I", content)[0])
    model.has_none_from(8)
    buffers = _read_buffers(model)
    rules = [_rule_of(code) for code in model.tables(1, _ENTRIES)]
    graphs = [_Graph(graph, buffers, rules) for graph in model.tables(2, _GRAPHS)]
    for signature in model.tables(7, _GRAPHS):
        signature.has_none_from(5)
        _check_word(signature.text(2, _WORD))
        graph = signature.number(4, "I")
        _expect(graph < len(graphs), "a signature without its graph")
        _check_names(signature.tables(0, _INPUTS), graphs[graph].inputs)
        _check_names(signature.tables(1, _INPUTS), graphs[graph].outputs)
    for entry in model.tables(6, _ENTRIES):
        entry.has_none_from(2)
        name = entry.text(0, _WORD)
        known = name.startswith("jaxgan.") or name in _METADATA
        _expect(known and entry.number(1, "I") < len(buffers), "metadata of another kind")
