"""Environments for tests, registered with Gymnasium when this module is imported."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Scripted(gym.Env[np.ndarray, int]):
    """Observes the number of its steps; an action other than 0 does what its name says."""

    RAISE, EXIT, HANG, SPIN, NAN, END = range(1, 7)

    metadata = {"render_modes": []}

    def __init__(self, fail_to_start: bool = False) -> None:
        if fail_to_start:
            raise RuntimeError("told to fail")
        self.action_space = spaces.Discrete(7)
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.steps = 0
        self.scale = 1.5

    def scaled(self, by: Any, *, plus: float = 0.0) -> Any:
        """Has an effect and a value, raises, or returns what cannot travel."""
        if by is None:
            return object()
        self.scale = self.scale * by + plus
        return {"scale": self.scale, "at": (self.steps, np.int16(7))}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        return np.array([0.0, self.np_random.random()]), {"options": options}

    def step(self, action: int):
        self.steps += 1
        if action == self.RAISE:
            raise ValueError("told to raise")
        if action == self.EXIT:
            os._exit(7)
        if action == self.HANG:
            time.sleep(3600)
        while action == self.SPIN:
            pass
        obs = np.array([float(self.steps), -0.0])
        reward = 0.0
        if action == self.NAN:
            obs, reward = np.array([np.nan, -np.inf]), float("inf")
        return obs, reward, action == self.END, False, {"steps": np.int16(self.steps)}


class Careless(gym.Env[Any, Any]):
    """Returns what its spaces do not contain, as some real environments do."""

    def __init__(self) -> None:
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = spaces.Box(-1, 1, (3,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        return [0.5, 1.0, 2.0], {"object": object(), "kept": (1, "two")}

    def step(self, action: Any):
        if action[0] == 1.0:
            return "no array at all", 0.0, False, False, {}
        return np.array([1, 2, 3]), np.float32(0.5), np.bool_(False), False, {"action": action}


class Batched(gym.Env[Any, Any]):
    """Has what a batch has to put together: a Dict, a Tuple, texts, and infos of every kind."""

    def __init__(self) -> None:
        self.action_space = spaces.Tuple((spaces.Discrete(3), spaces.Box(-1, 1, (2,), np.float32)))
        parts = {
            "place": spaces.Box(-9, 9, (2,), np.float32),
            "said": spaces.Text(8, charset="abc"),
            "pair": spaces.Tuple((spaces.Discrete(40), spaces.MultiBinary(2))),
        }
        self.observation_space = spaces.Dict(parts)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observe(np.zeros(2, np.float32)), {"first": 1.0}

    def step(self, action: Any):
        self.steps += 1
        number, place = action
        ends = self.np_random.random() < 0.1
        info: dict[str, Any] = {"first": 0.5, "nested": {"number": int(number)}}
        if number == 1:
            info |= {"text": "b" * self.steps, "array": np.arange(3), "list": [1, "two"]}
        return self._observe(place), float(number), ends, self.steps == 30, info

    def _observe(self, place: Any) -> dict[str, Any]:
        said = "abc"[: 1 + self.steps % 3]
        pair = (np.int64(self.steps), np.array([self.steps % 2, 1], np.int8))
        return {"pair": pair, "place": np.array(place, np.float32), "said": said}


class Lake(gym.Wrapper[Any, Any, Any, Any]):
    """FrozenLake whose info has a float in resets too; Gymnasium batches its int with a loss."""

    def __init__(self) -> None:
        super().__init__(gym.make("FrozenLake-v1"))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, {"prob": float(info["prob"])}


class Sized(Scripted):
    """Says four times as many KiB in the info of a step as its action is."""

    def step(self, action: int):
        return *super().step(0)[:4], {"said": bytes(4096 * int(action))}


class Slow(Scripted):
    """Takes its time for an action of 1."""

    def step(self, action: int):
        time.sleep(0.5 * action)
        return super().step(0)


class Scribbling(Scripted):
    """Writes to the socket of its session what was not asked for, as a library with a bug does."""

    TWO_REPLIES, A_LENGTH = 1, 2

    def step(self, action: int):
        if action:
            written = {self.TWO_REPLIES: b"\x08\0\0\0abcdefgh" * 2, self.A_LENGTH: b"\xff" * 4}
            os.write(max(range(3, 64), key=room_of), written[action])
        return super().step(0)


def room_of(fd: int) -> int:
    """How much the socket ``fd`` holds, that of a session most; 0 of what is none."""
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return copy.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    except OSError:
        return 0


class Gated(Scripted):
    """Ends a step of another action than 0 when there is a file.

    Args:
        gate: The file.
    """

    def __init__(self, gate: str) -> None:
        super().__init__()
        self.gate = gate

    def step(self, action: int):
        while action and not os.path.exists(self.gate):
            time.sleep(0.02)
        return super().step(0)


class Picky(gym.Env[np.ndarray, int]):
    """Raises where its arguments or its options make no sense, and draws in no render mode."""

    action_space = spaces.Discrete(2)
    observation_space = spaces.Box(0, 1, (1,), np.float64)

    def __init__(self, size: int = 1, shape: str = "round") -> None:
        if size < 0:
            raise ValueError(f"size {size} is too small")
        if size > 9:
            raise gym.error.InvalidBound(f"size {size} is too large")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        if options:
            raise KeyError(f"no level {options['level']}")
        return np.zeros(1), {}

    def step(self, action: int):
        return np.ones(1), 0.0, False, False, {}


class Drawn(gym.Env[np.ndarray, int]):
    """Draws its observations at random, and takes its seeds seriously or not.

    Args:
        by: ``seed``; or what is drawn from elsewhere: ``nothing`` is drawn, ``everything`` is,
            ``opponent`` (what comes after the first reset) or ``later`` (after one without a seed).
    """

    action_space = spaces.Discrete(2)
    observation_space = spaces.Box(0, 1, (1,), np.float64)

    def __init__(self, by: str = "seed") -> None:
        self.by = by

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        elsewhere = np.random.default_rng(0 if self.by == "nothing" else None)
        is_later = self.by == "later" and seed is None
        is_drawn = self.by in ("seed", "later", "opponent") and not is_later
        self.first = self.np_random if is_drawn else elsewhere
        self.others = elsewhere if self.by == "opponent" else self.first
        self.steps = 0
        return self.first.random(1), {}

    def step(self, action: int):
        self.steps += 1
        return self.others.random(1), float(action), self.steps == 4, False, {}


gym.register("Scripted-v0", Scripted)
gym.register("Picky-v0", Picky, kwargs={"shape": "square"})
gym.register("Drawn-v0", Drawn)
gym.register("Scribbling-v0", Scribbling)
gym.register("Gated-v0", Gated)
gym.register("Lake-v0", Lake)
gym.register("Sized-v0", Sized)
gym.register("Slow-v0", Slow)
gym.register("Batched-v0", Batched)
gym.register("Careless-v0", Careless)


def cartpoles(num_envs: int, **kwargs: Any) -> gym.vector.VectorEnv:
    """The vector form of CartPole that Gymnasium has, as somebody else's factory makes it."""
    return gym.make_vec(
        "CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point", **kwargs
    )


def same_step(num_envs: int) -> gym.vector.VectorEnv:
    """Many CartPoles that reset in the same step, and say something with each reset."""

    class Described(gym.vector.VectorWrapper):  # which old versions have not
        def reset(self, **keywords: Any) -> Any:
            obs, _ = self.env.reset(**keywords)
            every = np.ones(self.num_envs, np.bool_)
            return obs, {"began": np.ones(self.num_envs), "_began": every}

    mode = gym.vector.AutoresetMode.SAME_STEP
    poles = [lambda: gym.make("CartPole-v1")] * num_envs
    return Described(gym.vector.SyncVectorEnv(poles, autoreset_mode=mode))


def pool(num_envs: int, **kwargs: Any) -> gym.vector.VectorEnv:
    """EnvPool's CartPole."""
    import envpool

    return envpool.make("CartPole-v1", env_type="gymnasium", num_envs=num_envs, **kwargs)
