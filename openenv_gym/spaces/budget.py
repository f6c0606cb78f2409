"""What a peer's descriptors and schemas may take of this machine: one account, in bytes.

A short text can ask for much: a shape of a thousand million numbers, or definitions that name each
other twice, thirty levels deep. So whatever is made on a peer's word is paid from a budget before
it is made. The account counts time, too: what is small but slow to make has a price for that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from openenv_gym.errors import SpaceError

MAX_SPACE_BYTES = 1 << 28
"""What the spaces of one server may take unless the caller says more (``max_space_bytes``)."""

SPACE_BYTES = 24 << 10
"""The price of one space, which is high: to make ten thousand of them takes three seconds."""

NODE_BYTES = 6 << 10
"""The price of one node of a schema that is visited."""

CHARACTER_BYTES = 256
"""What a character of an alphabet takes: a ``Text`` has a list, a set and a dict of them."""

SAMPLED_CHARACTER_BYTES = 32
"""What a character of a sampled text takes, while it is sampled."""

JSON_NUMBER_BYTES = 32
"""What a number takes while it is read from JSON, beside its place in an array."""

_MOST_AXES = 64
_WAY_OUT = "to have it, pass options=WebSocketOptions(max_space_bytes=...)"


class SpaceBudget:
    """What may be spent on the spaces of one server, all together.

    Args:
        max_bytes: How many bytes; None for no limit, as for a worker of one's own.

    Attributes:
        spent: How many bytes are spent.
        depth: The nesting of what is being read.
    """

    def __init__(self, max_bytes: int | None = MAX_SPACE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.spent = 0
        self.depth = 0

    @property
    def is_exceeded(self) -> bool:
        """Whether more was asked for than may be spent."""
        return self.max_bytes is not None and self.spent > self.max_bytes

    def spend(self, nbytes: int, path: str, what: str) -> None:
        """Pay for what is about to be made.

        Args:
            nbytes: What it takes, in bytes.
            path: Where it stands in the descriptor or the schema.
            what: What it is, for the error.

        Raises:
            SpaceError: it is more than is left; the message names the path and the option.
        """
        self.spent += nbytes
        if self.is_exceeded:
            raise SpaceError(
                f"{path}: expected spaces and arrays of at most {self.max_bytes} bytes together, "
                f"got more with {what}; {_WAY_OUT}"
            )

    def text(self, length: int, letters: int, path: str) -> None:
        """Pay for the space of a text: its alphabet, and a sample.

        Args:
            length: The greatest length of a sample, in characters.
            letters: The number of characters of the alphabet.
            path: Where it stands.

        Raises:
            SpaceError: it is more than is left.
        """
        nbytes = letters * CHARACTER_BYTES + length * SAMPLED_CHARACTER_BYTES
        self.spend(nbytes, path, f"a text of up to {length} characters, {letters} different ones")

    def array(
        self, shape: Sequence[int], dtype: np.dtype[np.generic], path: str, *, per_number: int = 0
    ) -> None:
        """Pay for the space of an array: two bounds, two masks, and copies while it is made.

        Args:
            shape: Its shape.
            dtype: Its dtype.
            path: Where it stands.
            per_number: What else each number takes, in bytes.

        Raises:
            SpaceError: it is more than is left, or no shape of an array.
        """
        is_shape = all(type(length) is int and length >= 0 for length in shape)
        if not is_shape or len(shape) > _MOST_AXES:
            raise SpaceError(
                f"{path}: expected a shape of at most {_MOST_AXES} lengths from 0, got "
                f"{list(shape)!r:.80}"
            )
        each = 4 * dtype.itemsize + 6 + per_number
        self.spend(math.prod(shape) * each, path, f"shape {tuple(shape)!r:.80} of {dtype}")
