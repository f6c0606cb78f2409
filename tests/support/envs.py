"""Environments for tests, registered with Gymnasium when this module is imported."""

from __future__ import annotations

import os
import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Scripted(gym.Env[np.ndarray, int]):
    """Observes the number of its steps; an action other than 0 does what its name says."""

    RAISE, EXIT, HANG, SPIN, NAN, END = range(1, 7)

    metadata = {"render_modes": []}

    def __init__(self, fail_to_start: bool = False) -> None:
        if fail_to_start:
            raise RuntimeError("told to fail")
        self.action_space = spaces.Discrete(7)
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        return np.array([0.0, self.np_random.random()]), {"options": options}

    def step(self, action: int):
        self.steps += 1
        if action == self.RAISE:
            raise ValueError("told to raise")
        if action == self.EXIT:
            os._exit(7)
        if action == self.HANG:
            time.sleep(3600)
        while action == self.SPIN:
            pass
        obs = np.array([float(self.steps), -0.0])
        reward = 0.0
        if action == self.NAN:
            obs, reward = np.array([np.nan, -np.inf]), float("inf")
        return obs, reward, action == self.END, False, {"steps": np.int16(self.steps)}


class Careless(gym.Env[Any, Any]):
    """Returns what its spaces do not contain, as some real environments do."""

    def __init__(self) -> None:
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = spaces.Box(-1, 1, (3,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        return [0.5, 1.0, 2.0], {"object": object(), "kept": (1, "two")}

    def step(self, action: Any):
        if action[0] == 1.0:
            return "no array at all", 0.0, False, False, {}
        return np.array([1, 2, 3]), np.float32(0.5), np.bool_(False), False, {"action": action}


gym.register("Scripted-v0", Scripted)
gym.register("Careless-v0", Careless)
