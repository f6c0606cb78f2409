"""Several threads on one environment: all but one are refused, and nothing is mixed up."""

from __future__ import annotations

import sys
import threading
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym.errors import ConcurrentCallError, ProtocolError
from openenv_gym.sb3 import OpenEnvVecEnv

SCRIPTED = "tests.support.envs:Scripted-v0"
STEPS = 200
EMBEDDED = {"env_id": SCRIPTED, "num_envs": 4, "shards": 2, "timeout_s": 60}


@pytest.fixture
def eager() -> Any:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def make(kind: str, base_url: str) -> Any:
    if kind == "single":
        return gym.make("openenv/gymnasium-v0", env_id=SCRIPTED, timeout_s=60).unwrapped
    if kind == "plain":
        where = {"base_url": base_url, "codec": "json", "timeout_s": 60}
        return gym.make_vec("openenv/remote-v0", num_envs=2, **where)
    if kind == "sb3":
        return OpenEnvVecEnv("openenv/gymnasium-v0", **EMBEDDED)
    return gym.make_vec("openenv/gymnasium-v0", **EMBEDDED)


@pytest.mark.parametrize("kind", ["single", "vector", "plain"])
@pytest.mark.sample(2)
def test_steps_of_three_threads_are_those_of_one_after_another(kind: str, eager: Any, serve: Any):
    env = make(kind, serve(SCRIPTED).base_url)
    action = 0 if kind == "single" else np.zeros(env.num_envs, np.int64)
    env.reset(seed=3)
    env.step(action)
    counts: list[float] = []
    wrong: list[Any] = []

    def play() -> None:
        while len(counts) < STEPS and not wrong:
            try:
                obs, _, _, truncated, info = env.step(action)
            except ConcurrentCallError as exc:
                if "called while" not in str(exc):
                    wrong.append(exc)
                continue
            except BaseException as exc:
                wrong.append(exc)
                return
            seen = np.atleast_2d(obs)[:, 0]
            counts.append(float(seen[0]))
            if np.any(truncated) or "openenv" in info or len(set(seen.tolist())) > 1:
                wrong.append((obs, truncated, info))

    threads = [threading.Thread(target=play) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(counts) == list(range(2, 2 + len(counts)))
    assert np.all(np.atleast_2d(env.step(action)[0])[:, 0] == 2 + len(counts))
    env.close()


@pytest.mark.parametrize("kind", ["vector", "sb3"])
def test_a_step_under_way_belongs_to_who_began_it(kind: str, serve: Any):
    envs = make(kind, "")
    envs.reset()
    envs.step_async(np.zeros(4, np.int64))
    raised: list[BaseException] = []

    def begin() -> None:
        try:
            envs.step_async(np.zeros(4, np.int64))
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert [type(exc) for exc in raised] == [ProtocolError]
    assert envs.step_wait()[0][:, 0].tolist() == [1.0] * 4
    envs.close()
