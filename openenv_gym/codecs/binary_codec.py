"""Binary form of the values of a space: raw buffers, little endian, no names and no padding.

A codec is compiled once per space and then runs without looking at the space again. It packs only
values that a decoder restores bit for bit. Any other value, such as a list in place of an array or
an array of another dtype, is a :class:`Misfit`, which the caller sends in free form. So an
environment that is careless with its own space gives the same values remotely as locally.

=============  ============================================================================
space          bytes
=============  ============================================================================
Box, Multi…    the elements in C order
Discrete       one byte, 0 for a Python int, 1 for a scalar of the space's dtype; then int64
Text           uint32 length in bytes, then UTF-8
Dict, Tuple    the children in the order of the space
other          uint32 length in bytes, then free form, of which nothing may be left out
=============  ============================================================================
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple, TypeAlias

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.codecs.freeform import pack_freeform, unpack_freeform
from openenv_gym.errors import InvalidRequestError

Buffer: TypeAlias = bytes | memoryview
Pack: TypeAlias = Callable[[Any], Buffer]
Unpack: TypeAlias = Callable[[Any, int], tuple[Any, int]]


_VIEWED_BYTES = 4096
"""From this size in bytes, ``pack`` returns a view of an array and no copy. A view costs a
microsecond, which a small copy does not."""


class Misfit(Exception):
    """A value that the compact form of its space cannot restore bit for bit."""


class BinaryCodec(NamedTuple):
    """The compiled codec of one space.

    Attributes:
        pack: ``pack(value)`` returns bytes, or for a large array a view of it, which the caller
            copies before the array can change. It raises :class:`Misfit`.
        unpack: ``unpack(buffer, offset)`` returns the value and the next offset. Arrays are
            writable and belong to the caller: they are copies, or views if the buffer itself is
            writable, and then nobody else may use the buffer. It raises ``InvalidRequestError``
            if the buffer is too short or malformed.
    """

    pack: Pack
    unpack: Unpack


@singledispatch
def binary_codec(space: gs.Space[Any] | None) -> BinaryCodec:
    """Return the codec of ``space``; None stands for values that no space describes.

    >>> codec = binary_codec(gs.Discrete(3))
    >>> codec.unpack(codec.pack(2), 0)
    (2, 9)
    """
    return _FREEFORM


def _truncated(expected: int, got: int) -> InvalidRequestError:
    return InvalidRequestError(f"expected {expected} bytes of value, got {max(got, 0)}")


def _freeform_pack(value: Any) -> bytes:
    body = pack_freeform(value, is_exact=True)
    return len(body).to_bytes(4, "little") + body


def _freeform_unpack(buffer: Any, offset: int) -> tuple[Any, int]:
    body, end = _sized(buffer, offset)
    return unpack_freeform(body), end


def _sized(buffer: Any, offset: int) -> tuple[memoryview, int]:
    start = offset + 4
    if start > len(buffer):
        raise _truncated(4, len(buffer) - offset)
    end = start + int.from_bytes(buffer[offset:start], "little")
    if end > len(buffer):
        raise _truncated(end - start, len(buffer) - start)
    return memoryview(buffer)[start:end], end


_FREEFORM = BinaryCodec(_freeform_pack, _freeform_unpack)


@binary_codec.register(gs.Box)
@binary_codec.register(gs.MultiDiscrete)
@binary_codec.register(gs.MultiBinary)
def _(space: gs.Box | gs.MultiDiscrete | gs.MultiBinary) -> BinaryCodec:
    dtype, shape = np.dtype(space.dtype), tuple(space.shape)
    # A byte of a boolean array other than 0 and 1 is no valid boolean of numpy.
    wire_dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("<")
    count = math.prod(shape)
    nbytes = count * dtype.itemsize
    flat = len(shape) == 1
    ndarray, frombuffer = np.ndarray, np.frombuffer

    is_viewed = nbytes >= _VIEWED_BYTES
    is_native = dtype == wire_dtype

    def pack(value: Any) -> Buffer:
        if type(value) is not ndarray or value.dtype != dtype or value.shape != shape:
            raise Misfit
        array = value if is_native else value.astype(wire_dtype)
        if is_viewed:  # its bytes are copied once, into the message
            return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        return array.tobytes()

    def unpack(buffer: Any, offset: int) -> tuple[Any, int]:
        end = offset + nbytes
        if end > len(buffer):
            raise _truncated(nbytes, len(buffer) - offset)
        array = frombuffer(buffer, wire_dtype, count, offset)
        if is_viewed and is_native and array.flags.behaved:
            return array.reshape(shape), end
        return (array if flat else array.reshape(shape)).astype(dtype), end

    return BinaryCodec(pack, unpack)


@binary_codec.register
def _(space: gs.Discrete) -> BinaryCodec:
    scalar_type = np.dtype(space.dtype).type
    packer = struct.Struct("<bq")
    size = packer.size

    def pack(value: Any) -> bytes:
        kind = type(value)
        if kind is not int and kind is not scalar_type:
            raise Misfit
        try:
            return packer.pack(kind is not int, value)
        except struct.error as exc:
            raise Misfit from exc

    def unpack(buffer: Any, offset: int) -> tuple[Any, int]:
        if offset + size > len(buffer):
            raise _truncated(size, len(buffer) - offset)
        is_scalar, value = packer.unpack_from(buffer, offset)
        try:
            return (scalar_type(value) if is_scalar else value), offset + size
        except OverflowError as exc:
            raise InvalidRequestError(f"expected a value of {space.dtype}, got {value}") from exc

    return BinaryCodec(pack, unpack)


@binary_codec.register
def _(space: gs.Text) -> BinaryCodec:
    def pack(value: Any) -> bytes:
        if type(value) is not str:
            raise Misfit
        body = value.encode("utf-8", "surrogatepass")
        return len(body).to_bytes(4, "little") + body

    def unpack(buffer: Any, offset: int) -> tuple[Any, int]:
        body, end = _sized(buffer, offset)
        try:
            return bytes(body).decode("utf-8", "surrogatepass"), end
        except UnicodeDecodeError as exc:
            raise InvalidRequestError(f"expected text in UTF-8, got malformed: {exc}") from exc

    return BinaryCodec(pack, unpack)


@binary_codec.register
def _(space: gs.Dict) -> BinaryCodec:
    keys = list(space.spaces)
    codecs = [binary_codec(child) for child in space.spaces.values()]

    def pack(value: Any) -> bytes:
        if type(value) is not dict or list(value) != keys:
            raise Misfit
        return b"".join([codec.pack(value[key]) for key, codec in zip(keys, codecs, strict=True)])

    def unpack(buffer: Any, offset: int) -> tuple[Any, int]:
        value = {}
        for key, codec in zip(keys, codecs, strict=True):
            value[key], offset = codec.unpack(buffer, offset)
        return value, offset

    return BinaryCodec(pack, unpack)


@binary_codec.register(gs.Tuple)
def _(space: gs.Tuple[Any]) -> BinaryCodec:
    codecs = [binary_codec(child) for child in space.spaces]

    def pack(value: Any) -> bytes:
        if type(value) is not tuple or len(value) != len(codecs):
            raise Misfit
        return b"".join([codec.pack(item) for codec, item in zip(codecs, value, strict=True)])

    def unpack(buffer: Any, offset: int) -> tuple[Any, int]:
        items = []
        for codec in codecs:
            item, offset = codec.unpack(buffer, offset)
            items.append(item)
        return tuple(items), offset

    return BinaryCodec(pack, unpack)
