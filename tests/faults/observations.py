"""Environments with faults that observe something else than a short array."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from tests.faults.envs import Faulty


class FaultyPicture(Faulty):
    """Observes so much that a client reads it in place, out of the message that brought it."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (96, 64), np.uint8)

    def _observe(self) -> np.ndarray:
        return self.np_random.integers(0, 256, (96, 64), np.uint8)


class FaultySequence(Faulty):
    """Observes a sequence of arrays, of which a batch is a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Sequence(spaces.Box(-np.inf, np.inf, (2,), np.float64))

    def _observe(self) -> Any:
        return (np.array([self.steps, self.np_random.random()]),)


class FaultyRendered(Faulty):
    """Renders the number of its steps."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()
        self.render_mode = render_mode

    def render(self) -> np.ndarray:
        return np.full((2, 2, 3), self.steps, np.uint8)


gym.register("FaultyPicture-v0", FaultyPicture)
gym.register("FaultyRendered-v0", FaultyRendered)
gym.register("FaultySequence-v0", FaultySequence)
