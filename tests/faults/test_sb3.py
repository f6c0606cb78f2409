"""A fault in the words of Stable-Baselines3: an episode that ended by a limit, and flagged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from openenv_gym.conformance import same
from openenv_gym.errors import EnvCrashLoopError
from openenv_gym.recovery import FaultPolicy, seed_after_fault
from openenv_gym.sb3 import OpenEnvVecEnv
from tests.faults.conftest import FAULTY
from tests.faults.envs import Faulty

PATIENT = FaultPolicy(restarts=10**6, max_backoff_s=0)


@pytest.fixture(params=["embedded", "binary"])
def where(request: pytest.FixtureRequest, serve: Any) -> dict[str, Any]:
    return {} if request.param == "embedded" else {"base_url": serve(FAULTY).base_url}


def make(where: dict[str, Any], **more: Any) -> OpenEnvVecEnv:
    arguments = {"env_id": FAULTY, "shards": 2, "on_fault": PATIENT, **where, **more}
    return OpenEnvVecEnv("openenv/gymnasium-v0", 4, **arguments)


@pytest.mark.parametrize("action", [Faulty.RAISE, Faulty.EXIT, Faulty.SEGV, Faulty.KILL])
@pytest.mark.sample(4)
def test_a_fault_is_a_terminal_observation_that_is_truncated(action: int, where: dict[str, Any]):
    envs, free = make(where), make(where)
    hurt = [2] if action == Faulty.RAISE else [2, 3]
    for env in (envs, free):
        env.seed(7)
        env.reset()
        before = env.step([1, 1, 1, 1])[0]
    obs, rewards, dones, infos = envs.step([1, 1, action, 1])
    expected = free.step([1, 1, 1, 1])
    assert np.flatnonzero(dones).tolist() == hurt and rewards[hurt].tolist() == [0] * len(hurt)
    for number in range(4):
        if number not in hurt:
            assert same(obs[number], expected[0][number]) and infos[number] == expected[3][number]
            continue
        assert infos[number]["TimeLimit.truncated"] is True
        assert same(infos[number]["terminal_observation"], before[number])
        assert infos[number]["openenv"]["incarnation"] == 0
        seed = seed_after_fault(7 + number, number, 1)  # SB3 gives each a seed of its own
        assert envs.reset_infos[number]["openenv"] == {"incarnation": 1, "seed": seed}
        assert same(obs[number], Faulty().reset(seed=seed)[0])
    *_, infos = envs.step([1, 1, 1, 1])
    assert not any("openenv" in info for info in infos)
    envs.close()
    free.close()


def test_the_budget_ends_a_training():
    envs = make({}, fails_after=1, on_fault=FaultPolicy(restarts=2, max_backoff_s=0))
    envs.reset()
    envs.step([0] * 4)
    for _ in range(2):
        assert envs.step([0] * 4)[2].all()
        envs.step([0] * 4)
    with pytest.raises(EnvCrashLoopError, match="again after 2 restarts"):
        envs.step([0] * 4)
    envs.close()
