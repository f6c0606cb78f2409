r"""Alphabet of a ``Text`` ↔ ``pattern`` of a JSON schema.

We write ``^[...]*$``, which ECMA 262, Python and Rust read alike. We read patterns of one
character class, since a ``Text`` can express no other.
"""

from __future__ import annotations

import re
import string
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_SPECIAL = frozenset(r"\]^[-")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\f": r"\f", "\v": r"\v"}
_LONG = {written: character for character, written in _SHORT.items()}
# As ECMA 262 defines them, whatever the language that reads the schema.
_CLASSES = {
    r"\d": string.digits,
    r"\w": string.ascii_letters + string.digits + "_",
}

_ITEM = r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrtfvdw]|[^A-Za-z0-9])|[^\\\]]"
_PATTERN = re.compile(rf"\^\[(?P<items>(?!\^)(?:{_ITEM})+)\](?P<times>[*+]|\{{\d+(?:,\d*)?\}})?\$")
_MOST_CHARACTERS = 1 << 16


class TextPattern(NamedTuple):
    """What a pattern of one character class says.

    Attributes:
        charset: The allowed characters, in order.
        least: The least length, in characters.
        most: The greatest length, in characters; None if the pattern sets none.
    """

    charset: str
    least: int
    most: int | None


def charset_pattern(charset: Iterable[str]) -> str:
    """Return the pattern of the texts over ``charset``, of any length.

    >>> charset_pattern("cab9")
    '^[9a-c]*$'
    """
    runs = "".join(_run(first, last) for first, last in _runs(sorted(set(map(ord, charset)))))
    return f"^[{runs}]*$" if runs else "^$"


def _runs(codes: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last number of each run of consecutive numbers."""
    start = 0
    for i in range(1, len(codes) + 1):
        if i == len(codes) or codes[i] != codes[i - 1] + 1:
            yield codes[start], codes[i - 1]
            start = i


def _run(first: int, last: int) -> str:
    if last - first < 2:
        return "".join(map(_character, range(first, last + 1)))
    return f"{_character(first)}-{_character(last)}"


def _character(code: int) -> str:
    character = chr(code)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x20 or 0x7F <= code < 0xA0 or code in (0x2028, 0x2029) or 0xD800 <= code <= 0xDFFF:
        return f"\\u{code:04x}"
    return f"\\{character}" if character in _SPECIAL else character


def read_pattern(pattern: str) -> TextPattern | None:
    r"""Return what ``pattern`` says, None if it is not one character class.

    >>> read_pattern("^[a-c\\d]{1,4}$").charset
    'abc0123456789'
    """
    if pattern == "^$":
        return TextPattern("", 0, 0)
    found = _PATTERN.fullmatch(pattern)
    if found is None:
        return None
    characters = _characters(deque(re.findall(_ITEM, found["items"])))
    return None if characters is None else TextPattern(characters, *_lengths(found["times"]))


def _lengths(times: str | None) -> tuple[int, int | None]:
    if times is None:
        return 1, 1
    if times in "*+":
        return "*+".index(times), None
    least, comma, most = times[1:-1].partition(",")
    return int(least), (int(most) if most else None) if comma else int(least)


def _characters(items: deque[str]) -> str | None:
    """Return the characters of a class with its ranges expanded, None if that is not possible."""
    found, count = [], 0
    while items and count <= _MOST_CHARACTERS:
        first = items.popleft()
        if len(items) < 2 or items[0] != "-":
            found.append(_CLASSES.get(first) or _unescaped(first))
        else:
            items.popleft()
            last = items.popleft()
            start, stop = ord(_unescaped(first)), ord(_unescaped(last)) + 1
            if {first, last} & _CLASSES.keys() or not 0 < stop - start <= _MOST_CHARACTERS:
                return None
            found.append("".join(map(chr, range(start, stop))))
        count += len(found[-1])
    return None if items else "".join(dict.fromkeys("".join(found)))


def _unescaped(item: str) -> str:
    if item in _LONG:
        return _LONG[item]
    if item[:2] in (r"\u", r"\x"):
        return chr(int(item[2:], 16))
    return item[-1]
