"""Spaces of batches: those of Gymnasium's ``batch_space``, and quickly for large ones."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import gymnasium.spaces as gs
import numpy as np
from numpy.typing import NDArray

from openenv_gym.spaces.budget import CHARACTER_BYTES, SPACE_BYTES
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


def batch_bytes(space: Space, n: int) -> int:
    """Return what :func:`batch_space` takes beside the bounds of ``space``, in bytes.

    Large arrays share their bounds; other spaces are copied.

    >>> batch_bytes(gs.Box(0, 1, (1000, 1000)), 64), batch_bytes(gs.Text(5), 2) > 0
    (0, True)

    Args:
        space: The space of one value.
        n: The number of values.
    """
    if isinstance(space, gs.Dict):
        return sum(batch_bytes(part, n) for part in space.spaces.values())
    if isinstance(space, gs.Tuple):
        return sum(batch_bytes(part, n) for part in space.spaces)
    if isinstance(space, gs.MultiBinary) or (isinstance(space, gs.Box) and _is_bounded(space)):
        return 0
    if isinstance(space, gs.Discrete):
        return n * _DISCRETE_BYTES
    return n * _copied_bytes(space)


def _copied_bytes(space: Any) -> int:
    parts = getattr(space, "spaces", ())
    inner = list(parts.values() if isinstance(parts, dict) else parts)
    inner += [getattr(space, name, None) for name in _PARTS]
    letters = len(space.character_list) if type(space) is gs.Text else 0
    own = SPACE_BYTES + letters * CHARACTER_BYTES + 4 * sum(map(_nbytes, vars(space).values()))
    return own + sum(_copied_bytes(part) for part in inner if part is not None)


def _nbytes(value: Any) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else 0


_DISCRETE_BYTES = 40
"""What each choice takes in the ``MultiDiscrete`` of a batch, while that is made."""

_PARTS = ("feature_space", "node_space", "edge_space")


def _as_gymnasium(space: Any, n: int) -> Space:
    from gymnasium.vector.utils import batch_space as build

    batched: Space = build(space, n)
    return batched


def _box(space: gs.Box, n: int) -> Space:
    shape = (n, *space.shape)
    if math.prod(shape) < _LARGE or not _is_bounded(space):
        return _as_gymnasium(space, n)
    batched = copy.copy(space)
    batched._np_random = copy.deepcopy(space.np_random)
    batched._shape = shape
    vars(batched).pop(LABELS, None)  # whose places are others now
    for name in ("low", "high", "bounded_below", "bounded_above"):
        setattr(batched, name, np.broadcast_to(getattr(space, name), shape))
    batched.low_repr = _shown(batched.low, space.low)
    batched.high_repr = _shown(batched.high, space.high)
    return batched


def _is_bounded(space: gs.Box) -> bool:
    """Whether a batch has the same bounds: Gymnasium takes an integer without for one with them."""
    limited = space.bounded_below, space.bounded_above
    return space.dtype.kind in "fub" or all(bool(np.all(one)) for one in limited)


def _shown(bound: NDArray[Any], single: NDArray[Any]) -> str:
    """A bound as Gymnasium shows it; of many that are the same, only a ``single`` one is read."""
    least = single.min()
    return str(least if least == single.max() else bound)


def _multi_binary(space: gs.MultiBinary, n: int) -> Space:
    if math.prod(space.shape) * n < _LARGE:
        return _as_gymnasium(space, n)
    one: Any = gs.Box(0, 1, space.shape, space.dtype, seed=copy.deepcopy(space.np_random))
    return _box(one, n)


def _dict(space: gs.Dict, n: int) -> Space:
    parts = {key: batch_space(part, n) for key, part in space.spaces.items()}
    order: Any = {"sort_keys": space.sort_keys} if hasattr(space, "sort_keys") else {}
    return gs.Dict(parts, seed=copy.deepcopy(space.np_random), **order)


def _tuple(space: gs.Tuple[Any], n: int) -> Space:
    parts = tuple(batch_space(part, n) for part in space.spaces)
    return gs.Tuple(parts, seed=copy.deepcopy(space.np_random))


_KINDS: dict[type[Any], Callable[[Any, int], Any]] = {
    gs.Box: _box,
    gs.MultiBinary: _multi_binary,
    gs.Dict: _dict,
    gs.Tuple: _tuple,
}
