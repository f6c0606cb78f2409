"""Environments of gym 0.21 and 0.26, for interpreters that have nothing but gym and numpy."""

from __future__ import annotations

import os
import signal
import sys
import time

import gym
import numpy as np
from gym import spaces

IS_NEW = hasattr(gym.Env, "np_random")
"""Whether reset takes the seed and returns the info, and a step has five values."""


class Base(gym.Env):
    def __init__(self, size=2):
        self.size = size
        self.steps = 0
        self.rng = np.random.RandomState(0)
        self.action_space = spaces.Discrete(8)
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float64)

    if IS_NEW:

        def reset(self, seed=None, options=None):
            if seed is not None:
                self.seed(seed)
            return self._begin(), {"options": options}

    else:

        def reset(self):
            return self._begin()

    def seed(self, seed=None):
        self.rng = np.random.RandomState(seed)
        return [seed]

    def _begin(self):
        self.steps = 0
        return self.observe()

    def step(self, action):
        self.steps += 1
        self.act(action)
        ends = self.steps == 5
        info = {"steps": np.int16(self.steps), "gym": gym.__version__, "pair": (1, None)}
        reward = float(self.rng.rand())
        if IS_NEW:
            return self.observe(), reward, ends, False, info
        return self.observe(), reward, ends, info

    def act(self, action):
        pass

    def observe(self):
        return self.rng.rand(self.size)


class Faulty(Base):
    """Does what the number of the action says."""

    RAISE, EXIT, KILL, HANG, PRINT = range(1, 6)

    def act(self, action):
        if action == self.RAISE:
            raise ValueError("told to raise")
        if action == self.EXIT:
            print("about to exit", file=sys.stderr)
            os._exit(7)
        if action == self.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == self.HANG:
            time.sleep(3600)
        if action == self.PRINT:
            print("printed by the environment")

    def process(self):
        return os.getpid()

    def echo(self, value):
        return value

    def unknown(self):
        return object()


class Nested(Base):
    def __init__(self):
        super().__init__()
        parts = (spaces.MultiBinary(3), spaces.MultiDiscrete([2, 3]))
        self.observation_space = spaces.Dict(
            {
                "b": spaces.Box(-1, 1, (2,), np.float32),
                "a": spaces.Discrete(5),
                "t": spaces.Tuple(parts),
            }
        )

    def observe(self):
        rng = self.rng
        parts = (rng.randint(0, 2, 3).astype(np.int8), rng.randint(0, 2, 2))
        return {"b": rng.rand(2).astype(np.float32), "a": int(rng.randint(5)), "t": parts}


class Clock(Faulty):
    """Says nothing but the number of its steps, and never ends."""

    def __init__(self, closed=""):
        super().__init__()
        self.closed = closed
        self.observation_space = spaces.Box(0, np.inf, (1,), np.float32)

    def observe(self):
        return np.array([self.steps], np.float32)

    def step(self, action):
        obs = super().step(action)[0]
        return (obs, 0.0, False, False, {}) if IS_NEW else (obs, 0.0, False, {})

    def close(self):
        if self.closed:
            open(self.closed, "w").close()


class Staggered(Base):
    """Ends later for larger actions, and says something in some steps alone."""

    def step(self, action):
        obs, reward, *_, info = super().step(action)
        ends = self.steps == 3 + int(action)
        info = {"twice": info["pair"]} if self.steps == 2 else {}
        return (obs, reward, ends, False, info) if IS_NEW else (obs, reward, ends, info)


class Pixels(Base):
    def __init__(self):
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (84, 84, 3), np.uint8)

    def observe(self):
        return self.rng.randint(0, 256, (84, 84, 3)).astype(np.uint8)


class Rendered(Base):
    metadata = {"render_modes": ["rgb_array"], "render.modes": ["rgb_array"], "render_fps": 9}

    def __init__(self, render_mode=None):
        super().__init__()
        self.render_mode = render_mode

    def render(self, mode="rgb_array"):
        return np.full((4, 5, 3), self.steps, np.uint8)


def dies():
    print("no licence", file=sys.stderr)
    os._exit(3)


def make_nested():
    return Nested()
