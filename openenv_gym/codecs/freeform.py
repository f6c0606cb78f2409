"""Binary form of values that no space describes: infos, options, typed messages.

MessagePack with four extension types for what MessagePack does not have: tuples, numpy arrays,
numpy scalars and integers of more than 64 bits. Decoding gives back equal values of the same
types. Nothing is pickled: a value of any other type is left out, and named once in a warning.

An array or scalar is ``dtype name, 0x00, ndim, ndim x uint32 lengths, raw data``, little endian.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from openenv_gym.errors import InvalidRequestError

_TUPLE, _ARRAY, _SCALAR, _BIG_INT = 1, 2, 3, 4
_DTYPE_KINDS = "biufcSUmM"
_MAX_DIMENSIONS = 64

_pack = msgspec.msgpack.Encoder().encode
_warned: set[str] = set()


class _Unsupported:
    """Marks a value that cannot be carried."""


def pack_freeform(value: Any) -> bytes:
    """Return ``value`` as bytes.

    Args:
        value: None, booleans, integers, floats, strings, bytes, numpy arrays and scalars, and
            dicts, lists and tuples of them, nested.

    Anything else is left out of its dict or list, with one warning per type and place.
    """
    plain = _plain(value, "$")
    return _pack(None if plain is _Unsupported else plain)


def unpack_freeform(payload: bytes | memoryview) -> Any:
    """Return the value that :func:`pack_freeform` packed; arrays are writable and owned.

    Raises:
        InvalidRequestError: the payload is malformed.
    """
    try:
        return _unpack(payload)
    except (msgspec.DecodeError, ValueError, TypeError, struct.error, RecursionError) as exc:
        raise InvalidRequestError(f"expected a MessagePack value, got malformed: {exc}") from exc


def _plain(value: Any, path: str) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    handler = _HANDLERS.get(kind)
    if handler is None:
        handler = _handler_for(value)
        if handler is None:
            _warn_left_out(kind, path)
            return _Unsupported
    return handler(value, path)


def _handler_for(value: Any) -> Callable[[Any, str], Any] | None:
    """The handler of a subclass or abstract kind that is not in the table by its exact type."""
    for base, handler in _BASES:
        if isinstance(value, base):
            return handler
    return None


def _warn_left_out(kind: type, path: str) -> None:
    name = f"{kind.__module__}.{kind.__qualname__} at {path}"
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"a value of type {name} cannot travel and is left out; "
            "expected numbers, strings, bytes, numpy arrays, or dicts, lists and tuples of them",
            UserWarning,
            stacklevel=2,
        )


def _dict(value: Mapping[Any, Any], path: str) -> dict[Any, Any]:
    out = {}
    for key, item in value.items():
        plain = _plain(item, f"{path}.{key}")
        plain_key = key if type(key) in _ATOMS else _plain(key, f"{path}.{key} (a key)")
        if plain is not _Unsupported and plain_key is not _Unsupported:
            out[plain_key] = plain
    return out


def _list(value: Any, path: str) -> list[Any]:
    items = [_plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    return [item for item in items if item is not _Unsupported]


def _tuple(value: Any, path: str) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_TUPLE, _pack(_list(value, path)))


def _int(value: int, path: str) -> Any:
    if -(2**63) <= value < 2**64:
        return int(value)
    return msgspec.msgpack.Ext(_BIG_INT, str(int(value)).encode())


def _array(value: np.ndarray[Any, Any], path: str) -> Any:
    if value.dtype.kind == "O":
        # Arrays of objects have no bytes of their own: their elements travel one by one.
        return _list(value.tolist(), path)
    if value.dtype.kind not in _DTYPE_KINDS:
        _warn_left_out(type(value), path)
        return _Unsupported
    return msgspec.msgpack.Ext(_ARRAY, _array_bytes(value))


def _scalar(value: np.generic, path: str) -> Any:
    if value.dtype.kind not in _DTYPE_KINDS:
        _warn_left_out(type(value), path)
        return _Unsupported
    return msgspec.msgpack.Ext(_SCALAR, _array_bytes(np.asarray(value)))


def _array_bytes(array: np.ndarray[Any, Any]) -> bytes:
    dtype = array.dtype.newbyteorder("<") if array.dtype.byteorder == ">" else array.dtype
    shape = array.shape
    head = dtype.str.encode() + b"\0" + struct.pack(f"<B{len(shape)}I", len(shape), *shape)
    return bytes(head + array.astype(dtype, copy=False).tobytes())


def _array_from(payload: memoryview) -> np.ndarray[Any, Any]:
    # At most this many bytes hold the dtype: the search does not run through the data.
    name, _, _ = bytes(payload[:32]).partition(b"\0")
    dtype = np.dtype(name.decode())
    if dtype.kind not in _DTYPE_KINDS or dtype.hasobject:
        raise ValueError(f"the dtype {dtype} is not allowed")
    start = len(name) + 1
    ndim = payload[start]
    if ndim > _MAX_DIMENSIONS:
        raise ValueError(f"expected at most {_MAX_DIMENSIONS} dimensions, got {ndim}")
    shape = struct.unpack_from(f"<{ndim}I", payload, start + 1)
    data = payload[start + 1 + 4 * ndim :]
    # `frombuffer` and `reshape` allocate nothing, so a false length costs nothing.
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _from_ext(code: int, payload: memoryview) -> Any:
    if code == _ARRAY:
        return _array_from(payload)
    if code == _SCALAR:
        return _array_from(payload)[()]
    if code == _TUPLE:
        return tuple(_unpack(payload))
    if code == _BIG_INT:
        return int(bytes(payload))
    raise ValueError(f"unknown extension type {code}")


_unpack = msgspec.msgpack.Decoder(ext_hook=_from_ext).decode

_ATOMS = frozenset({type(None), bool, float, str, bytes})
_HANDLERS: dict[type, Callable[[Any, str], Any]] = {
    int: _int,
    dict: _dict,
    list: _list,
    tuple: _tuple,
    np.ndarray: _array,
}
_BASES: tuple[tuple[type, Callable[[Any, str], Any]], ...] = (
    (np.generic, _scalar),
    (np.ndarray, _array),
    (Mapping, _dict),
    (tuple, _tuple),
    (list, _list),
    (int, _int),
    (float, lambda value, path: float(value)),
    (str, lambda value, path: str(value)),
    (bytearray, lambda value, path: bytes(value)),
)
