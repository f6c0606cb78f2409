"""The environment that fails when its action says so, and tells which action it was asked for."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from benchmarks.faults.cases import KINDS, MAX_NUMBER, PLAIN
from openenv_gym.testing.faults import parse_fault

ENV_ID = "benchmarks.faults.target_env:Target-v0"
_STOP: Any = {"kind": "kill", "signal": 19}
_FAULTS = [parse_fault(_STOP if kind == "stop" else kind, kind) for kind in KINDS]


class TargetEnv(gym.Env[Any, Any]):
    """An observation is the number of the action, how many steps the episode has had, and a draw.

    The action with the number of a kind of fault has that fault happen, before anything else. An
    episode terminates after ``episode_steps`` steps and is never truncated.
    """

    metadata = {"render_modes": []}

    def __init__(self, episode_steps: int = 20) -> None:
        self.action_space = spaces.Discrete(MAX_NUMBER)
        self.observation_space = spaces.Box(0, MAX_NUMBER, (3,), np.int64)
        self._episode_steps, self._steps = episode_steps, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self._observation(0), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        number = int(action)
        if number < PLAIN:
            _FAULTS[number].happen()
        self._steps += 1
        is_over = self._steps >= self._episode_steps
        return self._observation(number), float(number % 2), is_over, False, {}

    def _observation(self, number: int) -> Any:
        draw = int(self.np_random.integers(MAX_NUMBER))
        return np.array([number, self._steps, draw], np.int64)


if "Target-v0" not in gym.registry:
    gym.register("Target-v0", "benchmarks.faults.target_env:TargetEnv")
