"""Environments that pay, observe and tell in ways of their own, registered when imported."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

PAID: dict[str, Any] = {
    "float": 1.5,
    "no axes": np.array(1.5),
    "float32": np.float32(1.5),
    "int": 2,
    "bool": True,
    "one": np.array([1.5], np.float32),
    "several": np.array([1.5, -2.0], np.float32),
    "list": [1.5, 2.0],
    "text": "much",
    "none": None,
}
FLAGS: dict[str, Any] = {
    "bool": lambda ends: ends,
    "one": lambda ends: np.array([ends]),
    "several": lambda ends: np.array([ends, False]),
}


class Paying(gym.Env[Any, Any]):
    """Counts to three, and pays at the end of an episode what ``paid`` names.

    Args:
        paid: The name of the reward.
        flags: The name of the form of ``terminated``.
        declares: Whether it has a ``reward_space``.
    """

    def __init__(self, paid: str = "float", flags: str = "bool", declares: bool = False) -> None:
        self.observation_space = spaces.Box(0, 9, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.paid, self.flags = PAID[paid], FLAGS[flags]
        if declares:
            self.reward_space = spaces.Box(-9, 9, np.shape(self.paid), np.float32)
        self.nothing = 0.0 if np.ndim(self.paid) == 0 else np.zeros_like(self.paid)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any):
        self.steps += 1
        obs, ends = np.full(1, self.steps, np.float32), self.steps == 3
        return obs, self.paid if ends else self.nothing, self.flags(ends), False, {}


class Reusing(gym.Env[Any, Any]):
    """Counts to three in arrays, a reward and an info that it makes once and writes into."""

    def __init__(self, is_nested: bool = False, declares: bool = False) -> None:
        box = spaces.Box(0, 9, (1,), np.float32)
        self.is_nested = is_nested
        self.observation_space = spaces.Dict({"at": box}) if is_nested else box
        self.action_space = spaces.Discrete(2)
        self.at, self.paid = np.zeros(1, np.float32), np.zeros(2, np.float32)
        self.declares = declares
        if declares:
            self.reward_space = spaces.Box(-9, 9, (2,), np.float32)
        self.info: dict[str, Any] = {"at": self.at, "in": {"list": [self.at], "steps": 0}}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._write(0)
        return self._observe(), self.info

    def step(self, action: Any):
        self._write(self.info["in"]["steps"] + 1)
        paid = self.paid if self.declares else float(self.paid[0])
        return self._observe(), paid, self.info["in"]["steps"] == 3, False, self.info

    def _write(self, steps: int) -> None:
        self.at[:], self.paid[:], self.info["in"]["steps"] = steps, steps, steps

    def _observe(self) -> Any:
        return {"at": self.at} if self.is_nested else self.at


class Moody(gym.Env[Any, Any]):
    """Gives a key of its info another type in each step."""

    SAID = (1, None, 0.5, "text", [1, 2], {"a": 1}, np.arange(2), np.arange(3), {"a": None}, "t")

    def __init__(self) -> None:
        self.observation_space = spaces.Discrete(100)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        return 0, {"said": int(self.np_random.integers(9))}

    def step(self, action: Any):
        self.steps += 1
        said = self.SAID[self.np_random.integers(len(self.SAID))]
        return self.steps, 0.0, self.steps == 7, False, {"said": said, "within": {"said": said}}


gym.register("Paying-v0", Paying)
gym.register("Reusing-v0", Reusing)
gym.register("Moody-v0", Moody)
