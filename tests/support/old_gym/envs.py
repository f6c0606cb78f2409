"""Environments written for gym and registered with it; the package is of the version installed.

``OldDict-v0`` and ``OldPixels-v0`` have the interface of that version, ``OldBare-v0`` has four
values under any version.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any

import gym
import numpy as np
from gym import spaces

IS_26 = hasattr(gym, "register") and gym.__version__ >= "0.26"


class _Old(gym.Env):
    """An environment of gym to 0.25: four values, and ``seed`` is a method."""

    metadata = {"render.modes": ["rgb_array"], "video.frames_per_second": 30}
    action_space = spaces.Discrete(3)
    _rng = np.random.RandomState(0)
    _steps = 0
    dies = False

    def seed(self, seed=None):
        self._rng = np.random.RandomState(seed)
        return [seed]

    def reset(self):
        self._steps = 0
        return self._seen(0)

    def step(self, action):
        if self.dies:
            os._exit(9)
        self._steps += 1
        reward = np.float32(self._rng.rand())
        is_over = np.bool_(self._rng.rand() < 0.02)
        return (
            self._seen(action),
            reward,
            is_over,
            {"steps": self._steps, "noise": self._rng.rand()},
        )

    def render(self, mode="rgb_array"):
        assert mode == "rgb_array"
        return np.full((4, 5, 3), self._steps, np.uint8)

    def _seen(self, action):
        raise NotImplementedError


class OldDict(_Old):
    """Its keys are not in order, and a tuple is among its parts."""

    observation_space = spaces.Dict(
        OrderedDict(
            position=spaces.Box(-1, 1, (2,), np.float32),
            inner=spaces.Dict({"flags": spaces.MultiBinary(3), "age": spaces.Discrete(500)}),
            counts=spaces.MultiDiscrete([3, 4]),
            pair=spaces.Tuple((spaces.Discrete(3), spaces.Box(0, 1, (1,), np.float64))),
        )
    )

    def _seen(self, action):
        return OrderedDict(
            position=self._rng.uniform(-1, 1, 2).astype(np.float32),
            inner=OrderedDict(age=self._steps, flags=self._rng.randint(0, 2, 3, dtype=np.int8)),
            counts=self._rng.randint(0, [3, 4]),
            pair=(int(action), self._rng.rand(1)),
        )


class OldPixels(_Old):
    """Pictures."""

    observation_space = spaces.Box(0, 255, (24, 32, 3), np.uint8)

    def _seen(self, action):
        return self._rng.randint(0, 256, (24, 32, 3), dtype=np.uint8)


class _New:
    """What gym 0.26 asks for, in front of the others."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            super().seed(seed)
        return super().reset(), {"options": options, "lives": 3}

    def step(self, action):
        obs, reward, is_over, info = super().step(action)
        return obs, reward, is_over, np.bool_(False), info

    def render(self):
        return super().render(self.render_mode)


class NewDict(_New, OldDict):
    """For gym 0.26."""


class NewPixels(_New, OldPixels):
    """For gym 0.26."""


def make(**kwargs: Any) -> Any:
    """Make one of gym's, as functions of the reader's do."""
    return gym.make("CartPole-v1", **kwargs)


def make_vector(num_envs: int = 2) -> Any:
    """Make a vector environment of gym's."""
    return gym.vector.SyncVectorEnv([lambda: gym.make("Short-v0")] * num_envs)


HERE = __name__
gym.envs.registration.register("OldBare-v0", entry_point=f"{HERE}:OldDict", max_episode_steps=20)
for name in ("Dict", "Pixels"):
    entry_point = f"{HERE}:{'New' if IS_26 else 'Old'}{name}"
    gym.envs.registration.register(f"Old{name}-v0", entry_point=entry_point, max_episode_steps=40)
gym.envs.registration.register(
    "Short-v0",
    entry_point="gym.envs.classic_control:CartPoleEnv",
    max_episode_steps=15,
)
