"""Values as bytes between two interpreters: exact, and never pickled.

A value is one byte that says what it is, and what follows from that; numbers are little endian::

    N T F         None, True, False
    i             int64                     I   length u32, a larger integer
    f c           float64, two of them      s b length u32, UTF-8 or bytes
    l t d         count u32, items; of a dict keys and values in turns
    n             name, count u32, for each field its name and its value: a named tuple
    a x           length u8 of the head, head, data: an array, a scalar of numpy
    o             length u8 of the head, head, count u32, items: an array of objects
    ?             module and name of the type of a value that cannot travel

The head of an array is its dtype as numpy writes it, a zero, and the lengths of its axes as u64.
A member of an ``Enum`` becomes its value, a subclass of a built-in type that type.
"""

from __future__ import annotations

import re
import struct
from collections import namedtuple
from enum import Enum
from functools import lru_cache
from typing import Any, Callable, List

import numpy as np

_DTYPE = re.compile(r"[|<>=](b1|[iu][1248]|f(2|4|8|12|16)|c(8|16|24|32)|[SU]\d+|[mM]8(\[\w+\])?)")
_LENGTH = struct.Struct("<I")
_INT = struct.Struct("<cq")
_FLOAT = struct.Struct("<cd")
_COMPLEX = struct.Struct("<cdd")
_COUNTED = struct.Struct("<cI")
_INT_AT = struct.Struct("<q").unpack_from
_FLOAT_AT = struct.Struct("<d").unpack_from
_COMPLEX_AT = struct.Struct("<dd").unpack_from
_VIEWED_BYTES = 4096
"""From this size on, the data of an array are not copied before they are put together."""


class Untravelled:
    """Stands for a value that cannot travel.

    Its class has the name and the module of the value's own, so that messages name that.
    """


class CannotTravelError(TypeError):
    """A value has a part that cannot travel."""


Parts = List[Any]
_Packer = Callable[[Any, Parts, bool], None]


def pack(value: Any, is_exact: bool = False) -> bytes:
    """Return ``value`` as bytes.

    Args:
        value: Anything of built-in types and numpy, which may be nested.
        is_exact: Whether to raise where a part cannot travel; else that part arrives as an
            :class:`Untravelled`.

    Raises:
        CannotTravelError: a part cannot travel, or there is no end to it.
    """
    parts: Parts = []
    try:
        _pack(value, parts, is_exact)
    except RecursionError:
        raise CannotTravelError("expected a value of some depth, got one without end") from None
    return b"".join(parts)


def _pack(value: Any, parts: Parts, is_exact: bool) -> None:
    packer = _PACKERS.get(type(value))
    if packer is None:
        packer = _packer_of(value)
    packer(value, parts, is_exact)


def _packer_of(value: Any) -> _Packer:
    for base, packer in _BASES:
        if isinstance(value, base):
            return packer
    return _pack_untravelled


def _pack_none(value: None, parts: Parts, is_exact: bool) -> None:
    parts.append(b"N")


def _pack_bool(value: bool, parts: Parts, is_exact: bool) -> None:
    parts.append(b"T" if value else b"F")


def _pack_int(value: int, parts: Parts, is_exact: bool) -> None:
    if -(1 << 63) <= value < 1 << 63:
        parts.append(_INT.pack(b"i", value))
    else:
        data = int(value).to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        parts += (_COUNTED.pack(b"I", len(data)), data)


def _pack_float(value: float, parts: Parts, is_exact: bool) -> None:
    parts.append(_FLOAT.pack(b"f", value))


def _pack_complex(value: complex, parts: Parts, is_exact: bool) -> None:
    parts.append(_COMPLEX.pack(b"c", value.real, value.imag))


def _pack_str(value: str, parts: Parts, is_exact: bool) -> None:
    data = str.encode(value, "utf-8", "surrogatepass")
    parts += (_COUNTED.pack(b"s", len(data)), data)


def _pack_bytes(value: bytes, parts: Parts, is_exact: bool) -> None:
    parts += (_COUNTED.pack(b"b", len(value)), bytes(value))


def _pack_list(value: Any, parts: Parts, is_exact: bool) -> None:
    parts.append(_COUNTED.pack(b"l" if isinstance(value, list) else b"t", len(value)))
    for item in value:
        _pack(item, parts, is_exact)


def _pack_tuple(value: tuple[Any, ...], parts: Parts, is_exact: bool) -> None:
    names = getattr(value, "_fields", None)
    if names is None:
        _pack_list(value, parts, is_exact)
        return
    parts.append(b"n")
    _pack_str(type(value).__name__, parts, is_exact)
    parts.append(_LENGTH.pack(len(value)))
    for name, item in zip(names, value):
        _pack_str(name, parts, is_exact)
        _pack(item, parts, is_exact)


def _pack_dict(value: dict[Any, Any], parts: Parts, is_exact: bool) -> None:
    parts.append(_COUNTED.pack(b"d", len(value)))
    for key, item in value.items():
        _pack(key, parts, is_exact)
        _pack(item, parts, is_exact)


def _pack_array(value: Any, parts: Parts, is_exact: bool) -> None:
    if value.dtype.kind == "O":
        parts.append(_head_of(b"o", value.dtype, value.shape) + _LENGTH.pack(value.size))
        for item in value.ravel():
            _pack(item, parts, is_exact)
        return
    head = _head_of(b"a", value.dtype, value.shape)
    if not head:
        _pack_untravelled(value, parts, is_exact)
    elif value.nbytes < _VIEWED_BYTES:
        parts += (head, value.tobytes())
    else:
        flat: Any = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        parts += (head, memoryview(flat))


def _pack_scalar(value: Any, parts: Parts, is_exact: bool) -> None:
    if not value.dtype.itemsize:  # an empty text, which has bytes nevertheless
        value = np.asarray(value)
    head = _head_of(b"x", value.dtype, ())
    if head:
        parts += (head, value.tobytes())
    else:
        _pack_untravelled(value, parts, is_exact)


def _pack_enum(value: Enum, parts: Parts, is_exact: bool) -> None:
    _pack(value.value, parts, is_exact)


def _pack_untravelled(value: Any, parts: Parts, is_exact: bool) -> None:
    kind = type(value)
    if is_exact:
        raise CannotTravelError(
            "expected None, numbers, text, bytes, numpy arrays, and dicts, lists and tuples of "
            "them, got a value of type " + kind.__module__ + "." + kind.__qualname__
        )
    parts.append(b"?")
    _pack_str(kind.__module__, parts, is_exact)
    _pack_str(kind.__qualname__, parts, is_exact)


@lru_cache(maxsize=1024)
def _head_of(tag: bytes, dtype: Any, shape: tuple[int, ...]) -> bytes:
    """Return the tag and the head of an array, nothing where its dtype cannot travel."""
    if tag != b"o" and _DTYPE.fullmatch(dtype.str) is None:
        return b""
    head = dtype.str.encode() + b"\0" + struct.pack(f"<{len(shape)}Q", *shape)
    return tag + bytes((len(head),)) + head if len(head) < 256 else b""


_PACKERS: dict[type, _Packer] = {
    type(None): _pack_none,
    bool: _pack_bool,
    int: _pack_int,
    float: _pack_float,
    complex: _pack_complex,
    str: _pack_str,
    bytes: _pack_bytes,
    list: _pack_list,
    tuple: _pack_list,
    dict: _pack_dict,
    np.ndarray: _pack_array,
}
_BASES: tuple[tuple[Any, _Packer], ...] = (
    (Enum, _pack_enum),
    (np.generic, _pack_scalar),
    (np.ndarray, _pack_array),
    (int, _pack_int),
    (float, _pack_float),
    (complex, _pack_complex),
    (str, _pack_str),
    ((bytes, bytearray), _pack_bytes),
    (list, _pack_list),
    (tuple, _pack_tuple),
    (dict, _pack_dict),
)


class _Reader:
    """Reads values from one buffer, from its beginning on."""

    def __init__(self, data: Any) -> None:
        self.data = memoryview(data)
        self.at = 0

    def value(self) -> Any:
        tag = self.data[self.at]
        self.at += 1
        return _READERS[tag](self)

    def taken(self, count: int) -> memoryview:
        """Return the next ``count`` bytes."""
        begin, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise ValueError(f"expected {count} bytes more, got {len(self.data) - begin}")
        return self.data[begin : self.at]

    def length(self) -> int:
        number: int = _LENGTH.unpack_from(self.data, self.at)[0]
        self.at += 4
        return number

    def text(self) -> str:
        self.at += 1  # which says that it is a text
        return _read_str(self)

    def items(self) -> list[Any]:
        count = self.length()
        return [self.value() for _ in range(count)]


def unpack(data: Any) -> Any:
    """Return the value that :func:`pack` packed; arrays are writable and owned.

    Raises:
        ValueError: the bytes are malformed.
    """
    reader = _Reader(data)
    try:
        value = reader.value()
    except (KeyError, IndexError, TypeError, struct.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"expected a value, got malformed bytes: {exc!r}") from exc
    if reader.at != len(reader.data):
        raise ValueError(f"expected {reader.at} bytes, got {len(reader.data)}")
    return value


def _read_int(reader: _Reader) -> int:
    number: int = _INT_AT(reader.data, reader.at)[0]
    reader.at += 8
    return number


def _read_float(reader: _Reader) -> float:
    number: float = _FLOAT_AT(reader.data, reader.at)[0]
    reader.at += 8
    return number


def _read_complex(reader: _Reader) -> complex:
    real, imag = _COMPLEX_AT(reader.data, reader.at)
    reader.at += 16
    return complex(real, imag)


def _read_large(reader: _Reader) -> int:
    return int.from_bytes(reader.taken(reader.length()), "little", signed=True)


def _read_str(reader: _Reader) -> str:
    return str(reader.taken(reader.length()), "utf-8", "surrogatepass")


def _read_bytes(reader: _Reader) -> bytes:
    return bytes(reader.taken(reader.length()))


def _read_dict(reader: _Reader) -> dict[Any, Any]:
    return {reader.value(): reader.value() for _ in range(reader.length())}


def _read_named(reader: _Reader) -> Any:
    name, count = reader.text(), reader.length()
    fields, values = [], []
    for _ in range(count):
        fields.append(reader.text())
        values.append(reader.value())
    return _named_tuple(name, tuple(fields))(*values)


@lru_cache(maxsize=256)
def _named_tuple(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)


def _read_array(reader: _Reader) -> Any:
    data, begin = reader.data, reader.at + 1  # in line, because each observation comes here
    end = begin + data[begin - 1]
    dtype, shape, size = _layout_of(bytes(data[begin:end]))
    last = end + size * dtype.itemsize
    if last > len(data):
        raise ValueError(f"expected {last - len(data)} bytes more")
    reader.at = last
    if last == end:
        return np.empty(shape, dtype)
    return np.frombuffer(data[end:last], dtype).reshape(shape).copy()


def _read_scalar(reader: _Reader) -> Any:
    return _read_array(reader)[()]


def _read_objects(reader: _Reader) -> Any:
    _, shape, size = _layout_of(bytes(reader.taken(reader.taken(1)[0])))
    flat: Any = np.empty(size, object)
    items = reader.items()
    if len(items) != size:
        raise ValueError(f"expected {size} objects, got {len(items)}")
    for place, item in enumerate(items):
        flat[place] = item
    return flat.reshape(shape)


@lru_cache(maxsize=1024)
def _layout_of(head: bytes) -> tuple[Any, tuple[int, ...], int]:
    name, _, lengths = head.partition(b"\0")
    text = name.decode()
    if text != "|O" and _DTYPE.fullmatch(text) is None:
        raise ValueError(f"expected a dtype, got {text!r}")
    shape = struct.unpack(f"<{len(lengths) // 8}Q", lengths)
    size = 1
    for length in shape:
        size *= length
    return np.dtype(text), shape, size


def _read_untravelled(reader: _Reader) -> Untravelled:
    found: Untravelled = _untravelled(reader.text(), reader.text())()
    return found


@lru_cache(maxsize=256)
def _untravelled(module: str, name: str) -> Any:
    return type(name, (Untravelled,), {"__module__": module, "__qualname__": name})


_READERS: dict[int, Callable[[_Reader], Any]] = {
    ord("N"): lambda reader: None,
    ord("T"): lambda reader: True,
    ord("F"): lambda reader: False,
    ord("i"): _read_int,
    ord("I"): _read_large,
    ord("f"): _read_float,
    ord("c"): _read_complex,
    ord("s"): _read_str,
    ord("b"): _read_bytes,
    ord("l"): _Reader.items,
    ord("t"): lambda reader: tuple(reader.items()),
    ord("d"): _read_dict,
    ord("n"): _read_named,
    ord("a"): _read_array,
    ord("x"): _read_scalar,
    ord("o"): _read_objects,
    ord("?"): _read_untravelled,
}


def can_travel(value: Any) -> bool:
    """Return whether a value itself can travel; parts of it may not."""
    return type(value) in _PACKERS or _packer_of(value) is not _pack_untravelled
