"""Weights out of a file of PyTorch, without PyTorch and without running what the file says.

Such a file is a pickle, a small program. Here its instructions are read one by one by the standard
library's disassembler, and only those that name, order and shape numbers are followed: there is
nothing that could import or call anything.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from typing import Any, NamedTuple

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a file that is no zip archive
_DTYPES = {
    "torch HalfStorage": "<f2",
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch IntStorage": "<i4",
    "torch LongStorage": "<i8",
}
_MAX_RANK = 8
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS_AND_TEXT = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT",
}  # fmt: skip
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


class _Name(NamedTuple):
    """A name of Python's that a file mentions; it is compared, never looked up."""

    text: str


class _Storage(NamedTuple):
    """A block of numbers."""

    dtype: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view of a block: where it begins, its sizes and strides, counted in numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a saved ``state_dict`` by name.

    Args:
        content: Of the file, as ``torch.save`` writes it: a zip archive, or the older format.

    Raises:
        ValueError: It holds something else, or is damaged.
    """
    try:
        if content[:4] == b"PK\x03\x04":
            tensors, blocks = _of_archive(content)
        else:
            tensors, blocks = _of_stream(content)
        if not isinstance(tensors, dict):
            raise ValueError("it is no dictionary of weights")
        found = {name: one for name, one in tensors.items() if isinstance(one, _Tensor)}
        return {str(name): _array(one, blocks) for name, one in found.items()}
    except ValueError:
        raise
    except Exception as error:  # damaged archives and pickles fail in many ways
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


def _of_archive(content: bytes) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos.values()):
            raise ValueError("it is compressed, which PyTorch does not do")
        if "byteorder" in infos and archive.read(infos["byteorder"]) != b"little":
            raise ValueError("its numbers are big-endian")
        tensors = _followed(io.BytesIO(archive.read(infos["data.pkl"])))
        start = "data/"
        blocks = {
            name[len(start) :]: archive.read(info)
            for name, info in infos.items()
            if name.startswith(start)
        }
    return tensors, blocks


def _of_stream(content: bytes) -> tuple[Any, dict[str, bytes]]:
    file = io.BytesIO(content)
    if _followed(file) != _MAGIC:
        raise ValueError("it is no file of PyTorch's")
    _followed(file)  # version
    if not _followed(file)["little_endian"]:
        raise ValueError("its numbers are big-endian")
    storages: dict[str, _Storage] = {}
    tensors = _followed(file, storages)
    blocks = {}
    for key in _followed(file):
        storage = storages[key]
        count = int.from_bytes(file.read(8), "little")
        if count != storage.length:
            raise ValueError(f"a block has {count} numbers, expected {storage.length}")
        blocks[key] = file.read(count * np.dtype(storage.dtype).itemsize)
    return tensors, blocks


def _array(tensor: _Tensor, blocks: dict[str, bytes]) -> np.ndarray:
    """Return a tensor's numbers, contiguous. Its strides count: saved views may be transposed."""
    storage, offset, shape, strides = tensor
    block = np.frombuffer(blocks[storage.key], storage.dtype)
    if len(shape) != len(strides) or len(shape) > _MAX_RANK:
        raise ValueError(f"a tensor has sizes {shape} and strides {strides}")
    if min((offset, *shape, *strides)) < 0 or 0 in shape:
        raise ValueError(f"a tensor has sizes {shape}, strides {strides} and offset {offset}")
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if last >= len(block) or math.prod(shape) > len(block):
        raise ValueError("a tensor reaches beyond its block")
    steps = [step * block.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(block[offset:], shape, steps).copy()


def _followed(file: io.BytesIO, storages: dict[str, _Storage] | None = None) -> Any:
    """Return what the next pickle of a file describes: numbers, text, tuples, lists, dictionaries.

    Args:
        file: Read up to the pickle's end.
        storages: Gets the blocks that it mentions, by key.
    """
    machine = _Machine({} if storages is None else storages)
    for opcode, argument, _ in pickletools.genops(file):
        machine.follow(opcode.name, argument)
    return machine.stack.pop()


class _Machine:
    """The part of a pickle's stack machine that describes data."""

    def __init__(self, storages: dict[str, _Storage]) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._storages = storages

    def follow(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        stack = self.stack
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _NUMBERS_AND_TEXT:
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[len(stack) - count :] = [tuple(stack[len(stack) - count :])]
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "GLOBAL":
            stack.append(_Name(argument))
        elif name in ("REDUCE", "BINPERSID"):
            self._build(name)
        elif name in ("SETITEM", "SETITEMS", "APPEND", "APPENDS", "BUILD"):
            self._fill(name)
        elif name not in ("PROTO", "STOP"):
            raise ValueError(f"it has an instruction {name}, which weights do not need")

    def _fill(self, name: str) -> None:
        """Put what is on top of the stack into what is below."""
        one = {"SETITEM": 2, "APPEND": 1, "BUILD": 1}.get(name)
        things = [self.stack.pop() for _ in range(one)][::-1] if one else self._since_mark()
        into = self.stack[-1]
        if name.startswith("APPEND"):
            into.extend(things)
        elif (
            name != "BUILD"
        ):  # that would be attributes, which a dictionary of weights has for show
            into.update(zip(things[::2], things[1::2], strict=True))

    def _build(self, name: str) -> None:
        """Replace a call or a reference by the description that it stands for."""
        arguments = self.stack.pop()
        if name == "BINPERSID":
            _, kind, key, _, count = arguments[:5]
            if kind.text not in _DTYPES:
                raise ValueError(f"it holds numbers of {kind.text}")
            self.stack.append(_Storage(_DTYPES[kind.text], str(key), int(count)))
            self._storages[str(key)] = self.stack[-1]
            return
        called = self.stack.pop().text
        if called == "collections OrderedDict":
            self.stack.append(dict(*arguments))
        elif called == "torch._utils _rebuild_tensor_v2":
            storage, offset, shape, strides = arguments[:4]
            sizes = tuple(map(int, shape)), tuple(map(int, strides))
            self.stack.append(_Tensor(_Storage(*storage), int(offset), *sizes))
        elif called == "torch._utils _rebuild_parameter":
            self.stack.append(arguments[0])
        else:
            raise ValueError(f"it calls {called}, which weights do not need")

    def _since_mark(self) -> list[Any]:
        at = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        things = self.stack[at + 1 :]
        del self.stack[at:]
        return things
