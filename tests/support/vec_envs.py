"""Environments with the observations that Stable-Baselines3 takes, registered when imported."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Mixed(gym.Env[Any, Any]):
    """Observes a Dict of every space that Stable-Baselines3 knows, and ends in both ways.

    Some infos are empty, of resets too, so that nothing is said of some sub-environments.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.action_space = spaces.MultiDiscrete([3, 4])
        parts = {
            "where": spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
            "level": spaces.Discrete(50),
            "pair": spaces.MultiDiscrete([50, 2]),
            "flags": spaces.MultiBinary(3),
        }
        self.observation_space = spaces.Dict(parts)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        begins = int(self.np_random.integers(3))
        return self._observe(), {} if begins == 0 else {"begins": begins, "options": options}

    def step(self, action: Any):
        self.steps += 1
        ends, is_late = bool(self.np_random.random() < 0.1), self.steps == 12
        info = (
            {}
            if action[0] == 0
            else {"action": action, "final_obs": "no key of ours", "none": None}
        )
        return self._observe(), float(action.sum()) / 3, ends, is_late, info

    def render(self):
        return np.full((4, 5, 3), self.steps, np.uint8)

    def _observe(self) -> dict[str, Any]:
        return {
            "where": self.np_random.normal(size=(2, 3)),
            "level": self.steps,
            "pair": np.array([self.steps, self.steps % 2]),
            "flags": self.np_random.integers(2, size=3, dtype=np.int8),
        }


gym.register("Mixed-v0", Mixed)
