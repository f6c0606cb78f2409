"""What another interpreter costs: one environment in a worker, and in an interpreter beside it.

Run it alone on the machine: ``python -m benchmarks.interpreter``. It plays both in turns, in short
rounds, and prints the median of the ratios of neighbouring rounds. The target is 1.3. With
``--python`` the other interpreter is not this one, and has other versions of the packages too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import weakref
from typing import Any

import gymnasium as gym
import numpy as np

import openenv_gym  # noqa: F401  (registers the ids)
from openenv_gym.launchers import ServerProcess

ID = "openenv/gymnasium-v0"
TARGET = 1.3


def vector(env_id: str, num_envs: int, **arguments: Any) -> gym.vector.VectorEnv[Any, Any, Any]:
    return gym.make_vec(ID, num_envs, env_id=env_id, shards=1, vectorization="sync", **arguments)


def served(**arguments: Any) -> gym.Env[Any, Any]:
    """An environment on a server, which ends when it is closed."""
    server = ServerProcess("CartPole-v1", **arguments)
    env = gym.make("openenv/remote-v0", base_url=server.base_url)
    weakref.finalize(env, server.stop)
    return env


def play_single(env: gym.Env[Any, Any], steps: int) -> float:
    """Seconds a step."""
    env.reset(seed=1)
    started = time.perf_counter()
    for step in range(steps):
        _, _, terminated, truncated, _ = env.step(step % 2)
        if terminated or truncated:
            env.reset()
    return (time.perf_counter() - started) / steps


def play_floats(env: gym.Env[Any, Any], steps: int) -> float:
    """Seconds a step of an environment that takes floats."""
    env.reset(seed=1)
    action = np.zeros(1, np.float32)
    started = time.perf_counter()
    for _ in range(steps):
        if env.step(action)[3]:
            env.reset()
    return (time.perf_counter() - started) / steps


def play_vector(envs: gym.vector.VectorEnv[Any, Any, Any], steps: int) -> float:
    """Seconds a step of all."""
    envs.reset(seed=1)
    actions = np.arange(envs.num_envs) % 2
    started = time.perf_counter()
    for _ in range(steps):
        envs.step(actions)
    return (time.perf_counter() - started) / steps


CASES: dict[str, tuple[Any, Any, int]] = {
    "CartPole, single": (
        lambda **other: gym.make(ID, env_id="CartPole-v1", **other),
        play_single,
        1000,
    ),
    "CartPole, single, served": (served, play_single, 500),
    "Pendulum, single": (
        lambda **other: gym.make(ID, env_id="Pendulum-v1", **other),
        play_floats,
        500,
    ),
    "CartPole, 8 of a session": (
        lambda **other: vector("CartPole-v1", 8, **other),
        play_vector,
        300,
    ),
    "CartPole, 64 of a session": (
        lambda **other: vector("CartPole-v1", 64, **other),
        play_vector,
        100,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    for name, (make, play, steps) in CASES.items():
        here, there = make(), make(python=options.python)
        play(here, steps), play(there, steps)  # which warms both up
        pairs = [(play(here, steps), play(there, steps)) for _ in range(options.rounds)]
        ratio = statistics.median(b / a for a, b in pairs)
        micros = [1e6 * statistics.median(side) for side in zip(*pairs, strict=True)]
        said = f"worker {micros[0]:.0f} us, interpreter {micros[1]:.0f} us"
        print(f"{name}: {said}, ratio {ratio:.2f} (target {TARGET})")
        here.close()
        there.close()


if __name__ == "__main__":
    main()
