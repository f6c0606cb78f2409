"""An environment that fails as it is told to, registered when this is imported."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

MISSING = f"{os.path.dirname(os.path.abspath(__file__))}/no such file"
FORGED = "bad\n[INFO] fake\x1b[2J\u202e"
SLOW_S = 0.6


class Failing(gym.Env[np.ndarray, int]):
    """Observes the number of its steps; an action other than 0 does what its name says.

    Args:
        flag: A file; where it is there, this cannot be built.
        slow_s: How long a slow step takes, in seconds.
        secret: Takes what a server was started with, and nobody is to see.
    """

    OPEN_FILE, EXIT, FORGE, SLOW = range(1, 5)

    metadata = {"render_modes": []}

    def __init__(self, flag: str | None = None, slow_s: float = SLOW_S, secret: str = "") -> None:
        if flag is not None and os.path.exists(flag):
            raise RuntimeError(f"there is a file {flag}")
        self.action_space = spaces.Discrete(5)
        self.observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
        self.slow_s = slow_s
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1), {}

    def step(self, action: int):
        self.steps += 1
        if action == self.OPEN_FILE:
            os.stat(MISSING)
        if action == self.EXIT:
            print(f"cannot go on with {MISSING}", file=sys.stderr)
            os._exit(7)
        if action == self.FORGE:
            raise ValueError(FORGED)
        if action == self.SLOW:
            time.sleep(self.slow_s)
        return np.array([float(self.steps)]), 0.0, False, False, {}


gym.register("Failing-v0", Failing)
