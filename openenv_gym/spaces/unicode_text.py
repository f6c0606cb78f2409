"""Texts of any characters, as servers send them: JSON schema lists no alphabet.

``gymnasium.spaces.Text`` lists its characters and looks up each character of a text among them.
A list of all of Unicode is not needed: the code point of a character is its number.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Set
from typing import Any, ClassVar

import gymnasium.spaces as gs
import numpy as np

MAX_LENGTH = 1 << 20
"""The greatest length of a text, in characters, if a schema does not give one."""

_CHARACTERS = sys.maxunicode + 1
_SAMPLED = string.ascii_letters + string.digits + " .,!?'-_" + "äßéñøЖλΩ中文あ한🙂"
_MOST_SAMPLED = 64


class _Unicode(Set[str]):
    """All characters, in place of the set and the list that a ``Text`` has."""

    def __contains__(self, character: object) -> bool:
        return isinstance(character, str) and len(character) == 1

    def __iter__(self) -> Any:
        return map(chr, range(_CHARACTERS))

    def __len__(self) -> int:
        return _CHARACTERS

    def __getitem__(self, index: Any) -> str:
        return chr(index)


class UnicodeText(gs.Text):
    r"""The texts of any characters up to a length.

    A sample is at most 64 characters longer than ``min_length``, and mixes a few alphabets.

    Args:
        max_length: The greatest length, in characters.
        min_length: The least length, in characters.
        seed: The seed of the generator that ``sample`` uses, or that generator itself.

    >>> "naïve 🙂\\n" in UnicodeText(20), "" in UnicodeText(20), "long" in UnicodeText(3)
    (True, True, False)
    """

    _unicode: ClassVar[Any] = _Unicode()

    def __init__(
        self,
        max_length: int = MAX_LENGTH,
        *,
        min_length: int = 0,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(max_length, min_length=min_length, charset=_SAMPLED, seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return a short text.

        Args:
            mask: A pair of a length, or None, and None: characters cannot be masked.
            probability: The same as ``mask``, for probabilities; characters have none.

        Raises:
            ValueError: characters are masked.
        """
        length, characters = mask or probability or (None, None)
        if characters is not None:
            raise ValueError("expected a length only, got a mask of characters; all are allowed")
        if length is None:
            most = min(self.max_length, self.min_length + _MOST_SAMPLED)
            length = int(self.np_random.integers(self.min_length, most + 1))
        letters = self.np_random.integers(len(_SAMPLED), size=length)
        return "".join(_SAMPLED[i] for i in letters)

    def contains(self, x: Any) -> bool:
        """Return whether ``x`` is a text of a length that is allowed."""
        return isinstance(x, str) and self.min_length <= len(x) <= self.max_length

    def __repr__(self) -> str:
        """Return ``UnicodeText(0, 80)`` or the like."""
        return f"UnicodeText({self.min_length}, {self.max_length})"

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` has the same lengths and also allows all characters."""
        return (
            isinstance(other, UnicodeText)
            and self.min_length == other.min_length
            and self.max_length == other.max_length
        )

    __hash__ = None  # type: ignore[assignment]  # as of any mutable object

    @property
    def character_set(self) -> Any:
        """All characters."""
        return self._unicode

    @property
    def character_list(self) -> Any:
        """All characters, in the order of their numbers."""
        return self._unicode

    def character_index(self, char: str) -> np.int32:
        """Return the number of a character."""
        return np.int32(ord(char))
