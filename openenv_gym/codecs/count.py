"""How many values a payload in free form has, counted without making one of them.

A byte may be an empty map, which takes 64 bytes when it is read. So a server counts what a stranger
sent before it reads it.
"""

from __future__ import annotations

from openenv_gym.errors import InvalidRequestError

_NESTED_EXTENSIONS = frozenset({1, 5, 6})
"""Tuples, graphs and arrays of objects, whose bytes are values again."""

_SIZES = {
    **dict.fromkeys((0xCC, 0xD0), 2),
    **dict.fromkeys((0xCD, 0xD1, 0xDC, 0xDE), 3),
    **dict.fromkeys((0xCA, 0xCE, 0xD2, 0xDD, 0xDF), 5),
    **dict.fromkeys((0xCB, 0xCF, 0xD3), 9),
    **{0xA0 + length: 1 + length for length in range(32)},
}
"""The bytes of values whose first byte says how many there are, and of the heads of arrays and
maps; those that are not here have one."""

_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSION_LENGTHS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSIONS = {0xD4 + power: 1 << power for power in range(5)}


def check_values(payload: bytes | memoryview, most: int) -> None:
    """Pass if ``payload`` has at most so many values; what is malformed passes, too.

    >>> check_values(bytes([0x92, 0xC0, 0x80]), 3)  # [None, {}]

    Raises:
        InvalidRequestError: there are more.
    """
    if len(payload) <= most:
        return
    data, at, found = payload, 0, 0
    while at < len(data):
        found += 1
        if found > most:
            raise InvalidRequestError(
                f"expected at most {most} values in a message, got more; an array is one value"
            )
        first = data[at]
        if first in _LENGTHS:
            start = at + 1 + _LENGTHS[first]
            at = start + int.from_bytes(data[at + 1 : start], "big")
        elif first in _EXTENSION_LENGTHS:
            start = at + 1 + _EXTENSION_LENGTHS[first]
            at = _behind_extension(data, start, int.from_bytes(data[at + 1 : start], "big"))
        elif first in _FIXED_EXTENSIONS:
            at = _behind_extension(data, at + 1, _FIXED_EXTENSIONS[first])
        else:
            at += _SIZES.get(first, 1)


def _behind_extension(data: bytes | memoryview, at: int, length: int) -> int:
    """Where the next value begins: in the extension whose code is at ``at``, or behind it."""
    is_nested = at < len(data) and data[at] in _NESTED_EXTENSIONS
    return at + 1 + (0 if is_nested else length)
