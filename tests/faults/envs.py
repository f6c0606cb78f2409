"""Environments with faults, registered with Gymnasium when this module is imported."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Faulty(gym.Env[np.ndarray, int]):
    """Observes its steps and a random number; an action from 2 on is a fault or the end.

    Args:
        fails_after: Every step after as many fails, whatever the action.
    """

    RAISE, EXIT, SEGV, ABRT, KILL, HANG, END, NO_VALUE = range(2, 10)
    SIGNALS = {SEGV: signal.SIGSEGV, ABRT: signal.SIGABRT, KILL: signal.SIGKILL}

    def __init__(self, fails_after: int | None = None, fails_with: int = RAISE) -> None:
        self.action_space = spaces.Discrete(10)
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.fails_after = fails_after
        self.fails_with = fails_with

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        if options and options.get("raise"):
            raise ValueError("told to raise in reset")
        return self._observe(), {"began": 1}

    def step(self, action: int):
        self.steps += 1
        if self.fails_after is not None and self.steps > self.fails_after:
            action = self.fails_with
        if action == self.RAISE:
            raise ValueError(f"told to raise in step {self.steps}")
        if action == self.EXIT:
            os._exit(7)
        if action == self.HANG:
            time.sleep(3600)
        if action in self.SIGNALS:
            os.kill(os.getpid(), self.SIGNALS[action])
        obs = object() if action == self.NO_VALUE else self._observe()
        return obs, float(action), action == self.END, False, {"steps": self.steps}

    def _observe(self) -> np.ndarray:
        return np.array([self.steps, self.np_random.random()])


gym.register("Faulty-v0", Faulty)
