"""The first difference between two values, to the bit."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

_MAX_SHOWN = 80


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal to the bit: types, dtypes, shapes, signed zeros, NaN."""
    return first_difference(left, right) is None


def first_difference(expected: Any, actual: Any, path: str = "$") -> str | None:
    """Return the place of the first difference, with both values; None if there is none.

    Dicts are equal only with their keys in the same order. Numbers in arrays and floats are
    compared by their bits, so that signed zeros and the payloads of NaN count.

    Args:
        expected: The expected value, of any type. Objects of unknown types are compared by their
            ``repr``.
        actual: The value that is compared with it.
        path: The path of both values, with which the place begins.

    >>> first_difference({"prob": 0.0}, {"prob": -0.0}, "$.info")
    '$.info["prob"]: expected float 0.0, got float -0.0'
    """
    if type(expected) is not type(actual):
        return _sentence(path, expected, actual)
    for kind, compare in _COMPARERS:
        if isinstance(expected, kind):
            return compare(expected, actual, path)
    return None if repr(expected) == repr(actual) else _sentence(path, expected, actual)


def place_of(path: str, key: Any) -> str:
    """Return the place of the value of ``key`` in the dict at ``path``."""
    return f'{path}["{key}"]' if isinstance(key, str) else f"{path}[{key!r}]"


def _sentence(path: str, expected: Any, actual: Any) -> str:
    left, right = _show(expected), _show(actual)
    if left == right:  # for example a NaN with other bits
        left, right = f"{left} {_bits(expected)}", f"{right} {_bits(actual)}"
    return f"{path}: expected {left}, got {right}"


def _show(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    name = f"{module}{kind.__qualname__}"
    if isinstance(value, np.ndarray):
        return f"{name} of {value.dtype}, shape {value.shape}"
    text = str(value) if isinstance(value, (np.generic, float)) else repr(value)
    return f"{name} {text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + '...'}"


def _bits(value: Any) -> str:
    if isinstance(value, np.generic):
        return f"(bytes {value.tobytes().hex()})"
    if isinstance(value, float):
        return f"(bytes {struct.pack('<d', value).hex()})"
    return f"({value!r:.200})"


def _float(expected: float, actual: float, path: str) -> str | None:
    same_bits = struct.pack("<d", expected) == struct.pack("<d", actual)
    return None if same_bits else _sentence(path, expected, actual)


def _array(expected: Any, actual: Any, path: str) -> str | None:
    left, right = np.asarray(expected), np.asarray(actual)
    if left.dtype != right.dtype or left.shape != right.shape:
        return _sentence(path, expected, actual)
    if left.dtype.hasobject:  # its bytes are addresses
        return first_difference(left.tolist(), right.tolist(), path)
    if left.tobytes() == right.tobytes():
        return None
    if not left.shape:
        return _sentence(path, left[()], right[()])
    item = np.dtype((np.void, left.dtype.itemsize))
    raw = [np.frombuffer(array.tobytes(), item).reshape(left.shape) for array in (left, right)]
    places = np.argwhere(raw[0] != raw[1])
    first = tuple(map(int, places[0]))
    where = path + "".join(f"[{i}]" for i in first)
    others = f" (and {len(places) - 1} more of {left.size})" if len(places) > 1 else ""
    return _sentence(where, left[first], right[first]) + others


def _dict(expected: dict[Any, Any], actual: dict[Any, Any], path: str) -> str | None:
    for what, keys, others in (("no", expected, actual), ("the further", actual, expected)):
        lacking = [key for key in keys if not any(same(key, other) for other in others)]
        if lacking:
            known = ", ".join(map(repr, expected)) or "none"
            return f"{path}: expected the keys {known}, got {what} key {_show(lacking[0])}"
    if not same(list(expected), list(actual)):
        orders = [", ".join(map(repr, keys)) for keys in (expected, actual)]
        return f"{path}: expected the keys in the order {orders[0]}, got {orders[1]}"
    return _first(
        first_difference(expected[key], item, place_of(path, key))
        for key, item in zip(expected, actual.values(), strict=True)
    )


def _sequence(expected: Any, actual: Any, path: str) -> str | None:
    if len(expected) != len(actual):
        return f"{path}: expected {len(expected)} items, got {len(actual)}"
    pairs = enumerate(zip(expected, actual, strict=True))
    return _first(first_difference(*pair, f"{path}[{i}]") for i, pair in pairs)


def _first(found: Iterable[str | None]) -> str | None:
    return next(filter(None, found), None)


_Comparer: TypeAlias = Callable[[Any, Any, str], str | None]

_COMPARERS: tuple[tuple[Any, _Comparer], ...] = (
    ((np.ndarray, np.generic), _array),  # before float, which np.float64 is too
    (float, _float),
    (dict, _dict),
    ((list, tuple), _sequence),
)
