"""Single keys of a terminal, without waiting for Enter, and which action each stands for."""

from __future__ import annotations

import os
import re
import select
import string
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType

QUIT, NEW_EPISODE = "q", "n"
"""The keys that are no actions; Esc and Ctrl-D end the game too."""

_ENDS = {"\x1b": QUIT, "\x04": QUIT, "": QUIT}
_ARROWS = {"\x1b[A": "↑", "\x1b[B": "↓", "\x1b[C": "→", "\x1b[D": "←"}
_ARROW_OF = {"up": "↑", "down": "↓", "right": "→", "left": "←", "fire": " "}
_WORD = re.compile(r"[a-z]+")
_LETTERS = [one for one in string.ascii_lowercase if one not in (QUIT, NEW_EPISODE)]
_KEYS = [*"1234567890", *_LETTERS]

MOST_KEYS = len(_KEYS)
"""How many actions have a key of their own; where there are more, they are typed."""


def keys_of(names: Sequence[str]) -> dict[str, int]:
    """Return which action each key stands for.

    Every action has a digit or a letter. One whose name ends with a direction has its arrow too.

    >>> keys_of(["noop", "move_left", "fire"])
    {'1': 0, '2': 1, '3': 2, '←': 1, ' ': 2}

    Args:
        names: The names of the actions, at most :data:`MOST_KEYS`.
    """
    keys = {key: action for action, key in zip(range(len(names)), _KEYS, strict=False)}
    for action, name in enumerate(names):
        words = _WORD.findall(name.lower())
        arrow = _ARROW_OF.get(words[-1]) if words else None
        if arrow is not None:
            keys.setdefault(arrow, action)
    return keys


class Keyboard:
    """Reads keys one by one, from a terminal that echoes none of them meanwhile."""

    def __init__(self) -> None:
        self._file = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._file)

    def __enter__(self) -> Keyboard:
        tty.setcbreak(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def key(self, timeout_s: float | None = None) -> str | None:
        """Return the next key, None if there was none in time.

        Args:
            timeout_s: How many seconds to wait; None waits until there is one.
        """
        if not select.select([self._file], [], [], timeout_s)[0]:
            return None
        said = os.read(self._file, 1)
        while select.select([self._file], [], [], 0)[0] and not _is_whole(said):
            said += os.read(self._file, 1)
        text = said.decode("utf-8", "replace")
        return _ARROWS.get(text) or _ENDS.get(text, text)


def _is_whole(said: bytes) -> bool:
    """Whether a key has been read, of which an arrow sends three bytes."""
    return not said or said[:1] != b"\x1b" or len(said) == 3
