"""One environment of a function, on every Gymnasium that is supported."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym import RemoteEnv

pytestmark = pytest.mark.single_env


def local_class(first: float) -> type[gym.Env]:
    class Local(gym.Env):
        observation_space = gym.spaces.Box(-9, 9, (1,), np.float32)
        action_space = gym.spaces.Discrete(2)

        def __init__(self, step: float = 1.0) -> None:
            self.by = step

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.full(1, first, np.float32), {}

        def step(self, action):
            return np.full(1, first + self.by, np.float32), 1.0, False, False, {}

    return Local


def test_a_class_of_no_module():
    env = RemoteEnv.from_function(local_class(2), step=3)
    assert env.reset()[0].tolist() == [2]
    assert env.step(0)[:4] == (np.full(1, 5, np.float32), 1.0, False, False)
    env.close()


def test_an_id_of_this_process():
    gym.register("LocalClass-v0", local_class(4), max_episode_steps=1)
    try:
        env = gym.make("openenv/gymnasium-v0", env_id="LocalClass-v0", step=2)
        assert env.reset()[0].tolist() == [4]
        obs, _, _, truncated, _ = env.step(0)
        assert (obs.tolist(), truncated) == ([6], True)
        env.close()
    finally:
        gym.registry.pop("LocalClass-v0")
