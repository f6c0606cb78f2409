"""How much memory a message takes once it is read, estimated before that.

Three bytes of JSON, ``{},``, become a hundred bytes of Python objects, and one byte of MessagePack
as many. So the length of a message says little. What is estimated here is never much too low:
brackets, commas and quotes within texts are counted, too. Short messages are not looked at.
"""

from __future__ import annotations

from typing import Any

from openenv_gym.codecs.count import EXTENSIONS, HEADS, NESTED_EXTENSIONS
from openenv_gym.errors import ProtocolError

LIGHT_BYTES = 1 << 20
"""Shorter messages are light, whatever they hold."""

MAX_VALUE_BYTES = 192 << 20
"""What the values of a message may take beside the arrays that belong to a space."""

_JSON_COSTS = {b"{": 64, b":": 120, b"[": 88, b",": 40, b'"': 28}
"""What each of these characters adds, in bytes: a dict, an entry, a list, an item, half a text."""

_VALUE_BYTES, _CONTAINER_BYTES = 64, 128
"""What a value of MessagePack takes at most beside its own bytes, and a list or a dict more."""


def json_bytes(text: bytes | bytearray | memoryview | str) -> int:
    """Return how much memory the values in a JSON text take at most, about.

    >>> json_bytes(b'{"a": [1, 2]}') > 300
    True
    """
    data: Any = bytes(text) if isinstance(text, memoryview) else text
    if isinstance(text, str):
        counts = sum(text.count(mark.decode()) * cost for mark, cost in _JSON_COSTS.items())
    else:
        counts = sum(data.count(mark) * cost for mark, cost in _JSON_COSTS.items())
    # A text with one character beyond the basic plane takes four bytes for each of all.
    return counts + len(text) * (1 if data.isascii() else 4)


def check_json(text: bytes | bytearray | memoryview | str, limit: int = MAX_VALUE_BYTES) -> None:
    """Pass if the values in a JSON text take at most ``limit`` bytes.

    Raises:
        ProtocolError: they may take more.
    """
    if len(text) > LIGHT_BYTES and (needed := json_bytes(text)) > limit:
        raise _too_heavy(len(text), needed, limit)


def check_messagepack(payload: bytes | memoryview) -> None:
    """Pass if the values in ``payload``, a long one, take little memory beside their own bytes.

    Raises:
        ProtocolError: there are too many of them.
        IndexError: the payload ends early; who reads it says more.
    """
    needed, at, waiting = _VALUE_BYTES, 0, 1
    while waiting:
        first = payload[at]
        length_bytes, fixed, inside = HEADS[first]
        at += 1 + length_bytes
        length = fixed
        if length_bytes:
            length = int.from_bytes(payload[at - length_bytes : at], "big")
        if first in EXTENSIONS:
            is_nested = payload[at] in NESTED_EXTENSIONS
            length, inside, at = (1, 1, at + 1) if is_nested else (length, 0, at + 1)
        waiting -= 1
        if inside:
            waiting += inside * length
            needed += _CONTAINER_BYTES + _VALUE_BYTES * inside * length
            if needed > MAX_VALUE_BYTES:
                raise _too_heavy(len(payload), needed, MAX_VALUE_BYTES)
        else:
            at += length


def _too_heavy(length: int, needed: int, limit: int) -> ProtocolError:
    return ProtocolError(
        f"expected a message that takes at most {limit} bytes of memory when it is read, got one "
        f"of {length} bytes with so many small values that it may take {needed}"
    )
