"""Texts of others, made fit to be shown: without characters that act on a terminal, and not long.

A server says what went wrong, and names its environments, tools and fields. Such a text ends up in
exceptions, warnings, logs and on terminals. It must not move a cursor there, begin a line that
looks like another program's, or turn the direction of what follows. An observation of a ``Text``
space and an ANSI frame are data, and none of this module's business.
"""

from __future__ import annotations

import re

MAX_QUOTED_CHARS = 500
"""The most that is shown of one text of a peer."""

MAX_TRACE_CHARS = 1 << 14
"""The most that is shown of a traceback, or of the end of what a worker printed."""

MAX_ERROR_CHARS = 1 << 15
"""The longest message of an error, which may quote several texts."""

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = "\u00ad\u180e\u200b-\u200d\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"
_TAGS = "\U000e0000-\U000e007f"
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_BIDI}{_INVISIBLE}{_TAGS}]")


def escaped(text: str, limit: int | None = None) -> str:
    r"""Return ``text`` with what acts on a terminal spelt out; lines and tabs stay.

    >>> escaped("\x1b[2J\u202etxt.exe\n")
    '\\x1b[2J\\u202etxt.exe\n'
    >>> escaped("0123456789", 9)
    '01 ... 89'

    Args:
        text: A text.
        limit: How many characters of it are shown: of one that is longer the beginning and the
            end. None for all.
    """
    short = text if limit is None else _cut(text, limit)
    if not _UNSAFE.search(short):
        return short
    spelt = _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], short)
    return spelt if limit is None else _cut(spelt, limit)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[len(text) - half :]}"


def quoted(text: str, limit: int | None = MAX_QUOTED_CHARS) -> str:
    r"""Return a text of a peer as one line of at most ``limit`` characters; None for no limit.

    >>> quoted("no room\n[INFO] all is well")
    'no room\\n[INFO] all is well'
    """
    short = text if limit is None else text[: limit + 1]
    line = escaped(short.replace("\n", "\\n").replace("\t", "    "))
    return line if limit is None or len(line) <= limit else line[: limit - 3] + "..."
