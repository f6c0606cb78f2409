"""Binary form of values that no space describes: infos, options, typed messages.

MessagePack with six extension types for what MessagePack does not have: tuples, numpy arrays,
numpy scalars, integers of more than 64 bits, Gymnasium's graphs, and arrays of objects. Decoding
gives back equal values of the same types. Nothing is pickled. A member of an ``Enum`` becomes its
value. A value of any other type is left out, and named once in a warning. If nothing may be lost,
both are refused.

An array or scalar is ``dtype name, 0x00, ndim, ndim x uint32 lengths, raw data``, little endian.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, TypeAlias

import gymnasium.spaces as gs
import msgspec
import numpy as np

from openenv_gym.codecs.weight import LIGHT_BYTES, check_messagepack
from openenv_gym.errors import InvalidRequestError

_TUPLE, _ARRAY, _SCALAR, _BIG_INT, _GRAPH, _OBJECTS = 1, 2, 3, 4, 5, 6
_MAX_DIMENSIONS = 64
_UNIT = r"(\[\d{0,9}[a-zA-Zμ]{1,2}\])?"
_DTYPES = re.compile(rf"[|<](b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{{0,8}}|[mM]8{_UNIT})")
_EXPECTED = (
    "expected numbers, text of valid Unicode, bytes, numpy arrays, or dicts, lists and tuples "
    "of them"
)

_MALFORMED = (ValueError, TypeError, IndexError, OverflowError, RecursionError, struct.error)
"""What decoding raises; the errors of msgspec are ValueErrors."""

Lose: TypeAlias = Callable[[str, str], None]
"""A function that is called with the type and the path of a value that cannot travel."""

_encoder = msgspec.msgpack.Encoder()
_pack, _pack_into = _encoder.encode, _encoder.encode_into
_warned: set[str] = set()


class _Unsupported:
    """Marks a value that cannot travel."""


def pack_freeform(value: Any, *, is_exact: bool = False) -> bytes:
    """Return ``value`` as bytes.

    Args:
        value: None, booleans, integers, floats, strings, bytes, numpy arrays and scalars, and
            dicts, lists and tuples of them, nested.
        is_exact: Whether to refuse any other value. If not, such a value is left out of its dict
            or list, with one warning per type and path.

    Raises:
        InvalidRequestError: ``value`` is nested too deep, or it cannot travel and ``is_exact``
            is set.
    """
    return _pack(_packable(value, _refuse if is_exact else _warn_left_out))


def append_freeform(buffer: bytearray, value: Any) -> None:
    """Pack ``value`` behind what is in ``buffer``, which holds a long value once and not twice.

    Raises:
        InvalidRequestError: ``value`` is nested too deep, or it cannot travel.
    """
    _pack_into(_packable(value, _refuse), buffer, len(buffer))


def _packable(value: Any, lose: Lose) -> Any:
    try:
        plain = _plain(value, "$", lose)
    except RecursionError as exc:
        raise InvalidRequestError("expected a value of some depth, got one without end") from exc
    return None if plain is _Unsupported else plain


def unpack_freeform(payload: bytes | memoryview) -> Any:
    """Return the value that :func:`pack_freeform` packed; arrays are writable and owned.

    Raises:
        InvalidRequestError: the payload is malformed.
        ProtocolError: it is long and holds so many values that they would fill the memory.
    """
    try:
        if len(payload) > LIGHT_BYTES:
            check_messagepack(payload)
        return _unpack(payload)
    except _MALFORMED as exc:
        raise InvalidRequestError(f"expected a MessagePack value, got malformed: {exc}") from exc


def _plain(value: Any, path: str, lose: Lose) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    handler = _HANDLERS.get(kind)
    if handler is None:
        handler = _handler_for(value)
        if handler is None:
            return _lost(value, path, lose)
    return handler(value, path, lose)


def _handler_for(value: Any) -> _Handler | None:
    """Return the handler of a value whose exact type is not in the table, but a base class is."""
    for base, handler in _BASES:
        if isinstance(value, base):
            return handler
    return None


def _lost(value: Any, path: str, lose: Lose) -> type[_Unsupported]:
    kind = type(value)
    detail = f" of {value.dtype}" if isinstance(value, (np.ndarray, np.generic)) else ""
    lose(f"{kind.__module__}.{kind.__qualname__}{detail}", path)
    return _Unsupported


def _warn_left_out(kind: str, path: str) -> None:
    name = f"{kind} at {path}"
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"a value of type {name} cannot travel and is left out; {_EXPECTED}",
            UserWarning,
            stacklevel=2,
        )


def _refuse(kind: str, path: str) -> None:
    raise InvalidRequestError(f"{path}: {_EXPECTED}, got a value of type {kind}")


def _str(value: str, path: str, lose: Lose) -> Any:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return _lost(value, path, lose)
    return str.__str__(value)


def _dict(value: Mapping[Any, Any], path: str, lose: Lose) -> dict[Any, Any]:
    out = {}
    for key, item in value.items():
        plain = _plain(item, f"{path}.{key}", lose)
        is_plain = type(key) is str and key.isascii()
        plain_key = key if is_plain else _key(key, f"{path}.{key!r} (a key)", lose)
        if plain is not _Unsupported and plain_key is not _Unsupported:
            out[plain_key] = plain
    return out


def _key(key: Any, path: str, lose: Lose) -> Any:
    """Return a key as a hashable value: a scalar of numpy becomes the equal Python number."""
    if type(key) is tuple:
        parts = tuple(_key(part, path, lose) for part in key)
        return _Unsupported if _Unsupported in parts else parts
    if isinstance(key, np.generic) and key.dtype.kind in "biufSU":
        key = key.item()
    plain = _plain(key, path, lose)
    return plain if type(plain) in _KEYS else _lost(key, path, lose)


def _list(value: Any, path: str, lose: Lose) -> list[Any]:
    items = [_plain(item, f"{path}[{i}]", lose) for i, item in enumerate(value)]
    return [item for item in items if item is not _Unsupported]


def _tuple(value: Any, path: str, lose: Lose) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_TUPLE, _pack(_list(value, path, lose)))


def _graph(value: gs.GraphInstance, path: str, lose: Lose) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_GRAPH, _pack(_list(value, path, lose)))


def _int(value: int, path: str, lose: Lose) -> Any:
    if -(2**63) <= value < 2**64:
        return int(value)
    try:
        return msgspec.msgpack.Ext(_BIG_INT, str(int(value)).encode())
    except ValueError:  # it has thousands of digits
        return _lost(value, path, lose)


def _array(value: np.ndarray[Any, Any], path: str, lose: Lose) -> Any:
    return (
        _objects(value, path, lose)
        if value.dtype.kind == "O"
        else _numpy(_ARRAY, value, path, lose)
    )


def _objects(value: np.ndarray[Any, Any], path: str, lose: Lose) -> msgspec.msgpack.Ext:
    """Return an array of objects, packed one by one. None stands for one that cannot travel."""
    items = [_plain(item, f"{path}[{i}]", lose) for i, item in enumerate(value.ravel())]
    carried = [None if item is _Unsupported else item for item in items]
    return msgspec.msgpack.Ext(_OBJECTS, _pack([list(value.shape), carried]))


def _scalar(value: np.generic, path: str, lose: Lose) -> Any:
    return _numpy(_SCALAR, value, path, lose)


def _enum(value: Enum, path: str, lose: Lose) -> Any:
    """Return the value of a member; a member as such is refused where nothing may be lost."""
    return _lost(value, path, lose) if lose is _refuse else _plain(value.value, path, lose)


def _numpy(code: int, value: Any, path: str, lose: Lose) -> Any:
    array = np.asarray(value)
    dtype, head = _array_head(array.dtype, array.shape)
    if dtype is None or not _is_unicode(array):
        return _lost(value, path, lose)
    return msgspec.msgpack.Ext(code, head + array.astype(dtype, copy=False).tobytes())


@lru_cache(maxsize=1024)
def _array_head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[np.dtype[Any] | None, bytes]:
    """Return the dtype on the wire, None if it cannot travel, and the bytes before the data."""
    wire = wire_dtype(dtype)
    if wire is None:
        return None, b""
    return wire, wire.str.encode() + b"\0" + struct.pack(f"<B{len(shape)}I", len(shape), *shape)


@lru_cache(maxsize=256)
def wire_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return ``dtype`` in little endian, None if arrays of it cannot travel."""
    wire = dtype.newbyteorder("<")
    return wire if _DTYPES.fullmatch(wire.str) else None


def _is_unicode(array: np.ndarray[Any, Any]) -> bool:
    """Return whether an array is no text, or text of valid Unicode only."""
    if array.dtype.kind != "U":
        return True
    try:
        "".join(array.ravel().tolist()).encode()
    except (UnicodeEncodeError, SystemError, ValueError):
        return False
    return True


def _array_from(payload: memoryview) -> np.ndarray[Any, Any]:
    # The dtype takes at most this many bytes, so that the search does not run through the data.
    name = bytes(payload[:32]).partition(b"\0")[0]
    dtype, start = _dtype_from(name), len(name) + 1
    ndim = payload[start]
    if ndim > _MAX_DIMENSIONS:
        raise ValueError(f"expected at most {_MAX_DIMENSIONS} dimensions, got {ndim}")
    shape = struct.unpack_from(f"<{ndim}I", payload, start + 1)
    start += 1 + 4 * ndim
    # `frombuffer` and `reshape` allocate nothing, so a false length costs nothing.
    array = np.frombuffer(payload, np.uint8 if dtype.kind == "b" else dtype, -1, start)
    array = array.reshape(shape)
    if not _is_unicode(array):
        raise ValueError("expected text of valid Unicode")
    return array.astype(dtype)


@lru_cache(maxsize=256)
def _dtype_from(name: bytes) -> np.dtype[Any]:
    text = name.decode()
    if not _DTYPES.fullmatch(text):
        raise ValueError(f"the dtype {text!r} is not allowed")
    return np.dtype(text)


def object_array(items: list[Any], shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return an array of objects of the given shape.

    Raises:
        ValueError: the shape does not have as many elements as there are items.
    """
    return np.fromiter(items, dtype=object, count=len(items)).reshape(tuple(shape))


def _from_ext(code: int, payload: memoryview) -> Any:
    if code == _ARRAY:
        return _array_from(payload)
    if code == _SCALAR:
        return _array_from(payload)[()]
    if code in (_TUPLE, _GRAPH):
        items = msgspec.convert(_unpack(payload), list)
        return tuple(items) if code == _TUPLE else gs.GraphInstance(*items)
    if code == _BIG_INT:
        return int(bytes(payload))
    if code == _OBJECTS:
        shape, items = msgspec.convert(_unpack(payload), tuple[list[int], list[Any]])
        return object_array(items, shape)
    raise ValueError(f"unknown extension type {code}")


_unpack = msgspec.msgpack.Decoder(ext_hook=_from_ext).decode

_Handler: TypeAlias = Callable[[Any, str, Lose], Any]

_ATOMS = frozenset({type(None), bool, float, bytes})
_KEYS = _ATOMS | {int, str}
_HANDLERS: dict[type, _Handler] = {
    str: _str,
    int: _int,
    dict: _dict,
    list: _list,
    tuple: _tuple,
    np.ndarray: _array,
    gs.GraphInstance: _graph,
}
_BASES: tuple[tuple[type, _Handler], ...] = (
    (np.generic, _scalar),
    (np.ndarray, _array),
    (Mapping, _dict),
    (tuple, _tuple),
    (list, _list),
    (int, _int),
    (float, lambda value, path, lose: float(value)),
    (str, _str),
    (bytearray, lambda value, path, lose: bytes(value)),
    (Enum, _enum),
)
