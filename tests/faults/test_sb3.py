"""Stable-Baselines3 trains through faults: each is one truncated transition, and flagged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from openenv_gym.conformance import same
from openenv_gym.envs.faults import FaultPolicy
from openenv_gym.errors import EnvCrashLoopError
from openenv_gym.sb3 import OpenEnvVecEnv
from openenv_gym.wire.fault_info import seed_after_fault
from tests.faults.conftest import FAULTY
from tests.faults.envs import Faulty

CART_POLE = "tests.faults.envs:FaultyCartPole-v0"
PATIENT = FaultPolicy(restarts=10**6, max_backoff_s=0)


@pytest.fixture(params=["embedded", "binary"])
def where(request: pytest.FixtureRequest, serve: Any) -> dict[str, Any]:
    return {} if request.param == "embedded" else {"base_url": serve(FAULTY).base_url}


def make(where: dict[str, Any], **more: Any) -> OpenEnvVecEnv:
    arguments = {"env_id": FAULTY, "shards": 2, "on_fault": PATIENT, **where, **more}
    return OpenEnvVecEnv("openenv/gymnasium-v0", 4, **arguments)


@pytest.mark.parametrize("action", [Faulty.RAISE, Faulty.EXIT, Faulty.SEGV, Faulty.KILL])
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


class Count(BaseCallback):
    """Counts faults, and looks at every transition."""

    faults = wrong = 0

    def _on_step(self) -> bool:
        infos, dones = self.locals["infos"], self.locals["dones"]
        for info, done in zip(infos, dones, strict=True):
            if "openenv" in info:
                self.faults += 1
                self.wrong += not (done and info["TimeLimit.truncated"])
        self.wrong += not np.isfinite(self.locals["new_obs"]).all()
        return True


@pytest.mark.parametrize("fault", ["raises_at", "dies_at"])
@pytest.mark.parametrize(
    ("algorithm", "arguments"),
    [(PPO, {"n_steps": 64}), (DQN, {"learning_starts": 50, "train_freq": 4})],
)
def test_algorithms_train_through_faults(algorithm: Any, arguments: dict[str, Any], fault: str):
    torch.set_num_threads(1)
    envs = make({}, env_id=CART_POLE, **{fault: 100})
    agent = algorithm("MlpPolicy", VecMonitor(envs), seed=0, device="cpu", **arguments)
    watch = Count()
    agent.learn(1024, callback=watch)
    # Every sub-environment is stepped 256 times, and each lasts for 100 steps; those that share a
    # worker are lost together.
    assert watch.faults == 8 and watch.wrong == 0
    parameters = torch.nn.utils.parameters_to_vector(agent.policy.parameters())
    assert torch.isfinite(parameters).all()
    envs.close()
