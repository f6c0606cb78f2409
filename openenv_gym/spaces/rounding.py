"""Numbers that lie beyond a bound because they were rounded.

An algorithm scales its action from -1 to 1 to the bounds of the space, in float32. Each operation
rounds, and the result may lie a few roundings beyond a bound: 0.20000005 for ``Box(-2, 0.2)``. How
far depends on the larger of both bounds, from which the smaller one was computed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs
import numpy as np
from numpy.typing import NDArray

from openenv_gym.spaces.descriptor import Space

ROUNDINGS = 8
"""How many times the rounding of float32, which is 1.2e-7, a number may lie beyond a bound."""


def rounding_limits(space: gs.Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and highest numbers that may be rounded values of a ``Box`` of floats.

    Returns:
        Two arrays of the space's shape. A bound of zero has no room if the other is infinite.

    >>> low, high = rounding_limits(gs.Box(-2, 0.2, (), np.float32))
    >>> bool(0.20000005 < high < 0.200003)
    True
    """
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    sizes = [np.where(np.isfinite(bound), np.abs(bound), 0) for bound in (low, high)]
    # Who trains in float32 rounds more than a space of float64 does.
    dtype: Any = space.dtype
    step = max(float(np.finfo(np.float32).eps), float(np.finfo(dtype).eps))
    room = ROUNDINGS * step * np.maximum(*sizes)
    with np.errstate(over="ignore"):  # beyond the largest number is infinity
        return low - room, high + room


@singledispatch
def onto_bounds(space: Space) -> Callable[[Any], Any]:
    """Return a function that moves floats from beyond a bound of ``space`` onto it.

    It takes values that have passed the check of an action, which are only rounded. A server
    that is not ours may refuse these.
    """
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


@onto_bounds.register
def _(space: gs.Box) -> Callable[[Any], Any]:
    if space.dtype.kind != "f":
        return _as_it_is
    return lambda value: np.clip(value, space.low, space.high)


@onto_bounds.register
def _(space: gs.Dict) -> Callable[[Any], Any]:
    moves = {key: onto_bounds(child) for key, child in space.spaces.items()}
    return lambda value: {key: moves[key](item) for key, item in value.items()}


@onto_bounds.register(gs.Tuple)
def _(space: gs.Tuple[Any]) -> Callable[[Any], Any]:
    moves = [onto_bounds(child) for child in space.spaces]
    return lambda value: [move(item) for move, item in zip(moves, value, strict=True)]


@onto_bounds.register
def _(space: gs.Sequence) -> Callable[[Any], Any]:
    move = onto_bounds(space.feature_space)
    return _as_it_is if space.stack else lambda value: [move(item) for item in value]


if hasattr(gs, "OneOf"):  # since Gymnasium 1.0

    @onto_bounds.register(gs.OneOf)
    def _(space: gs.OneOf[Any]) -> Callable[[Any], Any]:
        moves = [onto_bounds(child) for child in space.spaces]
        return lambda value: (value[0], moves[value[0]](value[1]))
