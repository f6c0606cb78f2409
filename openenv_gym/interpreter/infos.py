"""Infos as bytes, as far as they are simple: numbers, short texts and arrays by short names.

The bytes are MessagePack with the extension types of :mod:`openenv_gym.codecs.freeform`. That
module writes all other infos, in the worker.
"""

from __future__ import annotations

import struct
from typing import Any, Callable

import numpy as np

_ARRAY, _SCALAR = 2, 3
_MOST_ITEMS, _MOST_TEXT, _MOST_BYTES = 15, 255, 8


def packed_info(info: dict[Any, Any]) -> bytes | None:
    """Return an info as bytes, None where something in it is not simple."""
    if len(info) > _MOST_ITEMS:
        return None
    parts = [bytes((0x80 | len(info),))]
    for key, value in info.items():
        packer = _PACKERS.get(type(value), _packed_numpy)
        name = _packed_text(key) if type(key) is str else None
        item = None if name is None else packer(value)
        if name is None or item is None:
            return None
        parts += (name, item)
    return b"".join(parts)


def _packed_text(value: str) -> bytes | None:
    if len(value) > _MOST_TEXT or not value.isascii():
        return None
    return b"\xd9" + bytes((len(value),)) + value.encode()


def _packed_int(value: int) -> bytes | None:
    return struct.pack(">Bq", 0xD3, value) if -(1 << 63) <= value < 1 << 63 else None


def _packed_numpy(value: Any) -> bytes | None:
    is_array = type(value) is np.ndarray
    if not is_array and not isinstance(value, np.generic):
        return None
    dtype = value.dtype
    if dtype.kind not in "biuf" or dtype.itemsize > _MOST_BYTES or dtype.str[0] not in "<|":
        return None
    shape = value.shape
    head = dtype.str.encode() + b"\0" + struct.pack(f"<B{len(shape)}I", len(shape), *shape)
    data: bytes = head + value.tobytes()
    return struct.pack(">BIb", 0xC9, len(data), _ARRAY if is_array else _SCALAR) + data


_PACKERS: dict[type, Callable[[Any], bytes | None]] = {
    type(None): lambda value: b"\xc0",
    bool: lambda value: b"\xc3" if value else b"\xc2",
    float: lambda value: struct.pack(">Bd", 0xCB, value),
    int: _packed_int,
    str: _packed_text,
}
