"""An environment that says what its process is like, registered when this is imported."""

from __future__ import annotations

import ctypes
import os
import random
import sys
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

IMPORTED_BY = os.getpid()


class Drawing(gym.Env[np.ndarray, int]):
    """Observes what OpenBLAS computes, and a draw from each generator that a process has.

    Args:
        ledger: A file to write to by which process this module was imported, and which builds.
    """

    STEP, SYSTEM_EXIT, ABORT, SEGFAULT = range(4)

    def __init__(self, ledger: str | None = None) -> None:
        if ledger is not None:
            with open(ledger, "a") as file:
                file.write(f"{IMPORTED_BY} {os.getpid()}\n")
        self.action_space = spaces.Discrete(4)
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        info = {"pid": os.getpid(), "imported_by": IMPORTED_BY}
        return self._observe(), info

    def step(self, action: int):
        if action == self.SYSTEM_EXIT:
            sys.exit(5)
        if action == self.ABORT:
            os.abort()
        if action == self.SEGFAULT:
            ctypes.string_at(0)
        return self._observe(), 0.0, False, False, {}

    def _observe(self) -> np.ndarray:
        draws = [random.random(), np.random.random(), self.np_random.random()]
        return np.array([product(), *draws])


def product() -> float:
    """The sum over a product of matrices that is large enough for several threads."""
    matrix = np.sin(np.arange(400 * 400, dtype=np.float64)).reshape(400, 400)
    return float((matrix @ matrix.T).sum())


gym.register("Drawing-v0", Drawing)
