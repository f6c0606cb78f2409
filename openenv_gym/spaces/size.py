"""How many bytes the values of a space take in messages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.spaces.descriptor import Space


def least_bytes(space: Space) -> int:
    """Return how many bytes every value of ``space`` takes at least, in the binary protocol.

    >>> least_bytes(gs.Dict(image=gs.Box(0, 255, (4, 4), np.uint8), text=gs.Text(9)))
    16
    """
    return sum(count * itemsize for count, itemsize in _arrays(space))


def numbers_in(space: Space) -> int:
    """Return how many numbers the arrays of every value of ``space`` have.

    >>> numbers_in(gs.Dict(image=gs.Box(0, 1, (4, 4)), speed=gs.Box(0, 1, (2,))))
    18
    """
    return sum(count for count, _ in _arrays(space))


@singledispatch
def _arrays(space: Space) -> Iterator[tuple[int, int]]:
    """Yield the number of items of each array, and the bytes of an item."""
    return iter(())


@_arrays.register(gs.Box)
@_arrays.register(gs.MultiDiscrete)
@_arrays.register(gs.MultiBinary)
def _(space: Any) -> Iterator[tuple[int, int]]:
    yield math.prod(space.shape), int(np.dtype(space.dtype).itemsize)


@_arrays.register
def _(space: gs.Dict) -> Iterator[tuple[int, int]]:
    for child in space.spaces.values():
        yield from _arrays(child)


@_arrays.register(gs.Tuple)
def _(space: Any) -> Iterator[tuple[int, int]]:
    for child in space.spaces:
        yield from _arrays(child)
