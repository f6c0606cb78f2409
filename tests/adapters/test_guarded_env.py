"""A sub-environment of a batch that raises has a fault of its own, and is begun anew."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from openenv_gym.adapters import vector_host
from openenv_gym.adapters.guarded_env import GuardedEnv
from openenv_gym.protocol import Open, Recovery
from openenv_gym.wire.fault_info import FAULT_KEY
from openenv_gym.workers.built_env import build


class Failing(gym.Env[np.ndarray, int]):
    """Raises ``error`` in the steps, and in each first reset, that are to fail."""

    def __init__(self, error: Exception | None = None, fails_in_resets: bool = False) -> None:
        self.action_space = spaces.Discrete(2)  # 1 raises
        self.observation_space = spaces.Box(0, 1, (1,), np.float32)
        self.error = error
        self.fails = fails_in_resets

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        if self.fails:
            raise RuntimeError("told to fail in reset")
        return np.zeros(1, np.float32), {}

    def step(self, action: int):
        if action:
            assert self.error is not None
            raise self.error
        return np.zeros(1, np.float32), 0.0, False, False, {}


def recovery(restarts: int, count: int = 1) -> Recovery:
    return Recovery(0, [0] * count, [None] * count, restarts)


@pytest.mark.parametrize(
    ("error", "fault", "action_applied"),
    [(ValueError("no"), "env_raised", True), (MemoryError(), "oom", None)],
)
def test_what_is_raised_is_told_by_its_kind(
    error: Exception, fault: str, action_applied: bool | None
):
    env = GuardedEnv(Failing(error), Failing, 0, recovery(1))
    env.reset()
    env.step(0)
    said = env.step(1)[4][FAULT_KEY]
    assert (said["fault"], said["action_applied"]) == (fault, action_applied)


def test_restarts_are_counted_within_one_reset_only():
    env = GuardedEnv(Failing(), Failing, 0, recovery(1))
    env.reset()
    env.step(0)
    for number in range(1, 4):
        env.env.fails = True
        _, info = env.reset()
        assert info[FAULT_KEY]["incarnation"] == number


def test_a_reset_of_some_leaves_the_seeds_of_the_others():
    request = Open(
        "CartPole-v1",
        num_envs=2,
        vectorization="sync",
        autoreset_mode="Disabled",
        recovery=recovery(1, count=2),
    )
    envs = vector_host.host(request, lambda single, place: build(single)).env
    envs.reset(seed=7)
    envs.reset(seed=[100, 200], options={"reset_mask": np.array([True, False])})
    assert [guard.restarts.base_seed for guard in envs.envs] == [100, 7]
    envs.close()
