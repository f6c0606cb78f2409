"""How many values a payload in free form has, counted without making one of them.

A byte may be an empty map, which takes 64 bytes when it is read. So a server counts what a stranger
sent before it reads it.
"""

from __future__ import annotations

from openenv_gym.errors import InvalidRequestError

NESTED_EXTENSIONS = frozenset({1, 5, 6})
"""Tuples, graphs and arrays of objects, whose bytes are values again."""

EXTENSIONS = frozenset([*range(0xC7, 0xCA), *range(0xD4, 0xD9)])
"""The first bytes of extensions, whose type stands behind their length."""


def _heads() -> list[tuple[int, int, int]]:
    heads = [(0, 0, 0)] * 256
    heads[0x80:0x90] = [(0, n, 2) for n in range(16)]
    heads[0x90:0xA0] = [(0, n, 1) for n in range(16)]
    heads[0xA0:0xC0] = [(0, n, 0) for n in range(32)]
    heads[0xC4:0xCA] = [(n, 0, 0) for n in (1, 2, 4)] * 2  # bytes, extensions
    heads[0xCA:0xD4] = [(0, n, 0) for n in (4, 8, 1, 2, 4, 8, 1, 2, 4, 8)]  # numbers
    heads[0xD4:0xD9] = [(0, n, 0) for n in (1, 2, 4, 8, 16)]  # short extensions
    heads[0xD9:0xDC] = [(n, 0, 0) for n in (1, 2, 4)]  # texts
    heads[0xDC:0xE0] = [(2, 0, 1), (4, 0, 1), (2, 0, 2), (4, 0, 2)]  # lists, dicts
    return heads


HEADS = _heads()
"""For each first byte of MessagePack: the bytes of a length, a fixed length, values for each."""


def check_values(payload: bytes | memoryview, most: int) -> None:
    """Pass if ``payload`` has at most so many values; what is malformed passes, too.

    >>> check_values(bytes([0x92, 0xC0, 0x80]), 3)  # [None, {}]

    Raises:
        InvalidRequestError: there are more.
    """
    if len(payload) <= most:
        return
    end, at, found = len(payload), 0, 0
    while at < end:
        found += 1
        if found > most:
            raise InvalidRequestError(
                f"expected at most {most} values in a message, got more; an array is one value"
            )
        first = payload[at]
        length_bytes, length, inside = HEADS[first]
        at += 1 + length_bytes
        if inside:  # which come next
            continue
        if length_bytes:
            length = int.from_bytes(payload[at - length_bytes : at], "big")
        if first in EXTENSIONS:
            is_nested = at < end and payload[at] in NESTED_EXTENSIONS
            length = 1 if is_nested else 1 + length
        at += length
