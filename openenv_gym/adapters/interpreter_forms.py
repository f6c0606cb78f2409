"""The forms of actions and observations that an interpreter can read and write by itself."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np

from openenv_gym.interpreter.lent import MAX_ACTION_BYTES, ActionForm
from openenv_gym.interpreter.plain import Form
from openenv_gym.spaces.size import least_bytes


def plain_form_of(space: gym.Space[Any]) -> Form | None:
    """Return the form of the observations of plain steps, None where their space has none."""
    if isinstance(space, gym.spaces.Discrete):
        return np.dtype(space.dtype).str, None
    is_array = isinstance(space, gym.spaces.Box | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary)
    return (np.dtype(space.dtype).str, space.shape) if is_array else None


def action_form_of(space: gym.Space[Any]) -> ActionForm | None:
    """Return the form of actions that need no worker to be read and checked; None for others."""
    if sys.byteorder != "little":
        return None
    if isinstance(space, gym.spaces.Discrete):
        least = int(space.start)
        return np.dtype(space.dtype).str, None, least, least + int(space.n)
    is_floats = isinstance(space, gym.spaces.Box) and np.dtype(space.dtype).kind == "f"
    if not is_floats or least_bytes(space) > MAX_ACTION_BYTES:
        return None
    return np.dtype(space.dtype).str, space.shape, 0, 0
