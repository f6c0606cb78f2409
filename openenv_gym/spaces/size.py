"""How many bytes the values of a space take in the binary protocol."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.spaces.descriptor import Space


@singledispatch
def least_bytes(space: Space) -> int:
    """Return how many bytes every value of ``space`` takes at least.

    >>> least_bytes(gs.Dict(image=gs.Box(0, 255, (4, 4), np.uint8), text=gs.Text(9)))
    16
    """
    return 0


@least_bytes.register(gs.Box)
@least_bytes.register(gs.MultiDiscrete)
@least_bytes.register(gs.MultiBinary)
def _(space: Any) -> int:
    return int(math.prod(space.shape) * np.dtype(space.dtype).itemsize)


@least_bytes.register
def _(space: gs.Dict) -> int:
    return sum(map(least_bytes, space.spaces.values()))


@least_bytes.register(gs.Tuple)
def _(space: Any) -> int:
    return sum(map(least_bytes, space.spaces))
