"""Vector environments that are seeded when they are made, as EnvPool's are.

Tests do not import this module: where an environment lives it is imported by its name.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space


class Pool(gym.vector.VectorEnv):
    """Observes random numbers of one generator, which no reset seeds."""

    metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}

    def __init__(self, num_envs: int, seed: int = 5) -> None:
        self.num_envs = num_envs
        self.random = np.random.default_rng(seed)
        self.single_observation_space = gym.spaces.Box(0, 1, (1,), np.float64)
        self.single_action_space = gym.spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return self.random.random((self.num_envs, 1)), {}


def make(num_envs: int, **kwargs: Any) -> Pool:
    return Pool(num_envs, **kwargs)


def make_part(num_envs: int, first_env: int = 0) -> Pool:
    return Pool(num_envs, seed=100 + first_env)


class Single(gym.Env[Any, Any]):
    """One of what a pool has many of."""

    observation_space = gym.spaces.Box(0, 1, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.np_random.random(1), {}


for env_id, form in {"Pool-v0": Pool, "Made-v0": make, "Parted-v0": make_part}.items():
    gym.register(env_id, Single, vector_entry_point=form)
