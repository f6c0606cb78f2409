"""Environments that are hard to judge, registered when this module is imported."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Quiet(gym.Env[np.ndarray, int]):
    """Observes zeros; the others here say more."""

    def __init__(self) -> None:
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        return self.observe(), self.tell()

    def step(self, action: int):
        return self.observe(), 0.0, False, False, self.tell()

    def observe(self) -> np.ndarray:
        return np.zeros(2)

    def tell(self) -> dict[str, Any]:
        return {}


class Picture(Quiet):
    """Observes as many zeros as a picture has."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(-np.inf, np.inf, (10_001,), np.float64)

    def observe(self) -> np.ndarray:
        return np.zeros(10_001)


class Dice(Quiet):
    """Observes what no seed determines."""

    def observe(self) -> np.ndarray:
        return np.frombuffer(os.urandom(16), np.uint64).astype(np.float64)


class Pid(Quiet):
    """Observes the number of its process, which no two processes share."""

    def observe(self) -> np.ndarray:
        return np.array([1.0, os.getpid()])


class Elsewhere(Quiet):
    """Fails in a worker, as where a file is not there."""

    def step(self, action: int):
        if any(argument.startswith("--control") for argument in sys.argv):
            raise OSError("no such file")
        return super().step(action)


class Secretive(Quiet):
    """Tells of objects that cannot travel."""

    def tell(self) -> dict[str, Any]:
        return {"kept": [1, object(), np.int8(2)], "model": object(), "tuple": (1, 2)}


class Crash(Quiet):
    def step(self, action: int):
        print("about to crash", flush=True)
        os._exit(7)


class Hang(Quiet):
    def step(self, action: int):
        time.sleep(3600)


class Raise(Quiet):
    def step(self, action: int):
        raise ValueError("told to raise")


for kind in (Quiet, Picture, Dice, Pid, Elsewhere, Secretive, Crash, Hang, Raise):
    gym.register(f"{kind.__name__}-v0", kind)
