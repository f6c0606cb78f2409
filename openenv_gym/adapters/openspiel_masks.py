"""Masks of the legal actions of a game."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_FEW_ACTIONS = (
    40  # up to here a loop is faster than NumPy's indexing with a list, three times for 9
)
_MOST_KEPT = 512  # the most bytes of a cached mask, so that all take half a megabyte


def legal_mask(legal: Sequence[int], num_actions: int) -> npt.NDArray[np.int8]:
    """Return a new array of shape ``(num_actions,)``, 1 where an action is legal."""
    if len(legal) <= _FEW_ACTIONS and num_actions <= _MOST_KEPT:
        return _cached_mask(tuple(legal), num_actions).copy()
    return _new_mask(legal, num_actions)


def _new_mask(legal: Sequence[int], num_actions: int) -> npt.NDArray[np.int8]:
    mask = np.zeros(num_actions, np.int8)
    if len(legal) > _FEW_ACTIONS:
        mask[legal] = 1
        return mask
    for action in legal:
        mask[action] = 1
    return mask


# Copying a cached mask takes half the time of making one.
_cached_mask = lru_cache(maxsize=1024)(_new_mask)
