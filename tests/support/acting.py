"""An environment whose actions have many parts, registered when this module is imported."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Acting(gym.Env[np.ndarray, dict[str, Any]]):
    """Observes the numbers of its last action, as they came.

    Args:
        length: How many steps an episode has; after an odd seed it has one less.
    """

    def __init__(self, length: int = 1000) -> None:
        pair = spaces.Tuple((spaces.MultiDiscrete([3, 4]), spaces.MultiBinary(2)))
        move = spaces.Box(-2, 0.2, (2,), np.float32)
        self.action_space = spaces.Dict(move=move, grip=spaces.Discrete(2, start=1), pair=pair)
        self.observation_space = spaces.Box(-np.inf, np.inf, (8,), np.float64)
        self.length, self.steps = length, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = (seed or 0) % 2
        return np.zeros(8), {}

    def step(self, action: dict[str, Any]):
        self.steps += 1
        parts = [action["move"], action["grip"], *action["pair"], self.steps]
        obs = np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in parts])
        return obs, 1.0, self.steps == self.length, False, {}


gym.register("Acting-v0", Acting)
