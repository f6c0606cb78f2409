"""The value that stands in for one that a server left out. It invents no number.

Empty texts and sequences, zeros within the bounds, null where null is allowed.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.descriptor import Space


@singledispatch
def blank(space: Space) -> Any:
    """Return the blank value of ``space``, which contains it.

    >>> blank(gs.Tuple((gs.Text(5, min_length=0), gs.Box(2, 3, ()))))
    ('', array(2., dtype=float32))

    Raises:
        SpaceError: the space has no such value.
    """
    raise SpaceError(f"expected a space with a blank value, got {space}")


@blank.register
def _(space: gs.Text) -> Any:
    return " " * int(space.min_length)


@blank.register
def _(space: gs.Box) -> Any:
    zeros = np.zeros(space.shape, space.dtype)
    return np.asarray(np.clip(zeros, space.low, space.high), space.dtype)  # without axes too


@blank.register
def _(space: gs.Discrete) -> Any:
    return int(space.start)


@blank.register
def _(space: gs.MultiDiscrete) -> Any:
    return np.array(space.start, space.dtype).reshape(space.shape)


@blank.register
def _(space: gs.MultiBinary) -> Any:
    return np.zeros(space.shape, space.dtype)


@blank.register
def _(space: gs.Dict) -> Any:
    return {name: blank(child) for name, child in space.spaces.items()}


@blank.register(gs.Tuple)
def _(space: gs.Tuple[Any]) -> Any:
    return tuple(blank(child) for child in space.spaces)


@blank.register
def _(space: gs.Sequence) -> Any:
    if space.stack:
        raise SpaceError(f"expected a space with a blank value, got {space}")
    return ()


if hasattr(gs, "OneOf"):  # since Gymnasium 1.0

    @blank.register(gs.OneOf)
    def _(space: gs.OneOf[Any]) -> Any:
        index = len(space.spaces) - 1  # pydantic writes null last
        return np.int64(index), blank(space.spaces[index])
