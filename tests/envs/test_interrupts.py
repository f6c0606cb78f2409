"""Ctrl-C at any moment of a step leaves an environment that can be reset, and nothing shifted."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym.recovery import FaultPolicy
from openenv_gym.sb3 import OpenEnvVecEnv

SCRIPTED = "tests.support.envs:Scripted-v0"
SHARDED = {"num_envs": 4, "shards": 2}


class InterruptAt:
    """Raises at one of the moments at which Python looks for signals: calls, and after those of C.

    Args:
        number: Of the moment, from 1, among those in this package.
    """

    def __init__(self, number: int) -> None:
        self._left = number
        self.where = ""

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        path = frame.f_code.co_filename
        if event not in ("call", "c_return") or "/openenv_gym/" not in path:
            return
        self._left -= 1
        if self._left == 0:
            sys.setprofile(None)
            self.where = f"{event} in {path}:{frame.f_lineno}"
            raise KeyboardInterrupt


def interrupted(env: Any, action: Any, number: int) -> str:
    """Step, and say where that was interrupted; nothing where it was over before."""
    at = InterruptAt(number)
    sys.setprofile(at)
    try:
        env.step(action)
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
    return at.where


def make(kind: str, base_url: str, on_fault: str) -> Any:
    policy = FaultPolicy(
        on_fault=on_fault,  # type: ignore[arg-type]  # one of its words
        restarts=10**6,
        max_backoff_s=0,
    )
    common = {"timeout_s": 60, "on_fault": policy}
    if kind == "single":
        return gym.make("openenv/remote-v0", base_url=base_url, **common).unwrapped
    if kind == "plain":
        where = {"base_url": base_url, "codec": "json"}
        return gym.make_vec("openenv/remote-v0", num_envs=2, **where, **common)
    embedded = {"env_id": SCRIPTED, **SHARDED, **common}
    if kind == "sb3":
        return OpenEnvVecEnv("openenv/gymnasium-v0", **embedded)
    return gym.make_vec("openenv/gymnasium-v0", **embedded)


@pytest.mark.filterwarnings("ignore:.*the connection was lost; making a new one")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in generators
@pytest.mark.parametrize(
    ("kind", "on_fault"),
    [
        *((kind, "truncate") for kind in ("single", "vector", "plain", "sb3")),
        *(("single", "raise"), ("vector", "raise")),
        *(pytest.param(kind, "raise", marks=pytest.mark.long) for kind in ("plain", "sb3")),
    ],
)
@pytest.mark.sample(2)
def test_an_interrupt_at_any_moment_of_a_step(kind: str, on_fault: str, serve: Any):
    env = make(kind, serve(SCRIPTED).base_url, on_fault)
    action = 0 if kind == "single" else np.zeros(env.num_envs, np.int64)
    number, places = 1, []
    while True:
        first = env.reset() if kind == "sb3" else env.reset()[0]
        assert np.all(np.atleast_2d(first)[:, 0] == 0), places[-1:]
        assert np.all(np.atleast_2d(env.step(action)[0])[:, 0] == 1), places[-1:]
        where = interrupted(env, action, number)
        if not where:
            break
        places.append(where)
        number += 1 if kind != "plain" else 5  # a session of which takes a while to begin
    assert len(places) > 20
    env.close()
