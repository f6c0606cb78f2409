"""Spaces of batches: those of Gymnasium's ``batch_space``, and quickly for large ones."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import gymnasium.spaces as gs
import numpy as np
from numpy.typing import NDArray

from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.labels import LABELS

_LARGE = 1 << 17
"""From how many numbers in a batch on its bounds are not written out, which takes seconds."""


def batch_space(space: Space, n: int) -> Space:
    """Return the space of ``n`` values of ``space``, equal to Gymnasium's.

    A large ``Box`` refers to the bounds of ``space`` ``n`` times, where Gymnasium copies them and
    checks the copies: its bounds cannot be written to.

    >>> batch_space(gs.Box(0, 1, (3,)), 2)
    Box(0.0, 1.0, (2, 3), float32)
    """
    build: Callable[[Any, int], Any] = _KINDS.get(type(space), _as_gymnasium)
    batched: Space = build(space, n)
    return batched


def _as_gymnasium(space: Any, n: int) -> Space:
    from gymnasium.vector.utils import batch_space as build

    batched: Space = build(space, n)
    return batched


def _box(space: gs.Box, n: int) -> Space:
    shape = (n, *space.shape)
    # Gymnasium takes an integer without a bound for one that is bounded by its dtype.
    is_bounded = space.dtype.kind in "fub" or bool(
        np.all(space.bounded_below) and np.all(space.bounded_above)
    )
    if math.prod(shape) < _LARGE or not is_bounded:
        return _as_gymnasium(space, n)
    batched = copy.copy(space)
    batched._np_random = copy.deepcopy(space.np_random)
    batched._shape = shape
    vars(batched).pop(LABELS, None)  # whose places are others now
    for name in ("low", "high", "bounded_below", "bounded_above"):
        setattr(batched, name, np.broadcast_to(getattr(space, name), shape))
    batched.low_repr, batched.high_repr = _shown(batched.low), _shown(batched.high)
    return batched


def _shown(bound: NDArray[Any]) -> str:
    """A bound as Gymnasium shows it."""
    least = bound.min()
    return str(least if least == bound.max() else bound)


def _dict(space: gs.Dict, n: int) -> Space:
    parts = {key: batch_space(part, n) for key, part in space.spaces.items()}
    order: Any = {"sort_keys": space.sort_keys} if hasattr(space, "sort_keys") else {}
    return gs.Dict(parts, seed=copy.deepcopy(space.np_random), **order)


def _tuple(space: gs.Tuple[Any], n: int) -> Space:
    parts = tuple(batch_space(part, n) for part in space.spaces)
    return gs.Tuple(parts, seed=copy.deepcopy(space.np_random))


_KINDS: dict[type[Any], Callable[[Any, int], Any]] = {
    gs.Box: _box,
    gs.Dict: _dict,
    gs.Tuple: _tuple,
}
