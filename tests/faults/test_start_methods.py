"""Vector environments of others, which start processes of their own, around our environments."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv
from stable_baselines3.common.vec_env import SubprocVecEnv

from openenv_gym.recovery import seed_after_fault
from openenv_gym.testing import FaultEnv
from tests.faults.kinds import FAULT
from tests.faults.made_elsewhere import make

pytestmark = pytest.mark.timeout(240)

SEED, NUM_ENVS, STEPS, DIES_AT = 7, 2, 12, 5
PLAN = {f"1/0/{DIES_AT}": "kill"}
METHODS = [
    "spawn",
    *(pytest.param(name, marks=pytest.mark.long) for name in ("fork", "forkserver")),
]


@pytest.fixture(params=["embedded", "binary"])
def makers(request: pytest.FixtureRequest, serve: Callable[..., Any]) -> list[Callable[[], Any]]:
    kwargs = {"plan": PLAN, "first_seed": SEED}
    if request.param == "embedded":
        where = {"id": "openenv/gymnasium-v0", "env_id": FAULT, **kwargs}
    else:
        server = serve(FAULT, "--kwargs", json.dumps(kwargs))
        where = {"id": "openenv/remote-v0", "base_url": server.base_url}
    return [partial(make, where)] * NUM_ENVS


def first_of_the_next(seed: int) -> Any:
    """What a single environment observes first after a fault: each of them is its own number 0."""
    return FaultEnv().reset(seed=seed_after_fault(seed, 0, 1))[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # a fork with threads
@pytest.mark.sample(1)
def test_async_vector_env(method: str, makers: list[Callable[[], Any]]):
    envs = AsyncVectorEnv(makers, context=method)
    local = [FaultEnv() for _ in range(NUM_ENVS)]
    obs, _ = envs.reset(seed=SEED)
    for number, env in enumerate(local):
        assert np.array_equal(obs[number], env.reset(seed=SEED + number)[0])
    for step in range(1, STEPS):
        before = obs.copy()
        obs, _, terminated, truncated, _ = envs.step(np.ones(NUM_ENVS, np.int64))
        assert not terminated.any() and truncated.tolist() == [False, step == DIES_AT]
        assert np.array_equal(obs[0], local[0].step(1)[0])
        if step == DIES_AT:
            assert np.array_equal(obs[1], before[1])
        elif step == DIES_AT + 1:
            assert np.array_equal(obs[1], first_of_the_next(SEED + 1))
            local[1].reset(seed=seed_after_fault(SEED + 1, 0, 1))
        else:
            assert np.array_equal(obs[1], local[1].step(1)[0])
    envs.close()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.long
def test_subproc_vec_env(method: str, makers: list[Callable[[], Any]]):
    envs = SubprocVecEnv(makers, start_method=method)
    envs.seed(SEED)
    obs = envs.reset()
    local = [FaultEnv() for _ in range(NUM_ENVS)]
    for number, env in enumerate(local):
        assert np.array_equal(obs[number], env.reset(seed=SEED + number)[0])
    for step in range(1, STEPS):
        before = obs.copy()
        obs, _, dones, infos = envs.step(np.ones(NUM_ENVS, np.int64))
        assert dones.tolist() == [False, step == DIES_AT]
        assert np.array_equal(obs[0], local[0].step(1)[0])
        assert ("openenv" in infos[1]) is (step == DIES_AT) and "openenv" not in infos[0]
        if step == DIES_AT:
            assert infos[1]["TimeLimit.truncated"] is True
            assert np.array_equal(infos[1]["terminal_observation"], before[1])
            assert np.array_equal(obs[1], first_of_the_next(SEED + 1))
            local[1].reset(seed=seed_after_fault(SEED + 1, 0, 1))
        else:
            assert np.array_equal(obs[1], local[1].step(1)[0])
    envs.close()
