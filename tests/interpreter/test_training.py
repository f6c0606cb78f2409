"""Training in environments of other interpreters, and of two that clash in one program."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from benchmarks.children import ROOT
from benchmarks.package_venv import PackageVenv
from openenv_gym.sb3 import OpenEnvVecEnv
from tests.venvs import made

pytestmark = pytest.mark.timeout(3600)

ID = "openenv/gymnasium-v0"
CLASHING = {
    "robotics": PackageVenv(
        folder=ROOT / ".venv-robotics", packages=("gymnasium-robotics", "mujoco<3.4")
    ),
    "dm_control": PackageVenv(folder=ROOT / ".venv-dmcontrol", packages=("dm_control", "mujoco<4")),
}


@pytest.mark.long
def test_ppo_learns_cartpole_of_gym_021(gym021: str):
    envs = VecMonitor(OpenEnvVecEnv(ID, 4, env_id="CartPole-v1", python=gym021))
    model = PPO("MlpPolicy", envs, seed=1, n_steps=256, batch_size=256, device="cpu")
    model.learn(40_000)
    returns = [episode["r"] for episode in model.ep_info_buffer or []]
    envs.close()
    assert np.mean(returns) > 150


def test_ppo_takes_its_steps_in_another_interpreter(gym021: str):
    envs = OpenEnvVecEnv(ID, 2, env_id="CartPole-v1", python=gym021)
    model = PPO("MlpPolicy", envs, seed=1, n_steps=16, batch_size=16, n_epochs=1, device="cpu")
    assert model.learn(64).num_timesteps == 64
    envs.close()


def stepped(env: gym.Env[Any, Any]) -> Any:
    env.reset(seed=1)
    env.action_space.seed(1)
    return env.step(env.action_space.sample())


@pytest.fixture
def robotics_and_dm_control() -> Any:
    """An environment of each package, which want MuJoCo in versions that exclude each other."""
    place = "tests.support.clashing:"
    envs = [
        gym.make(ID, env_id=f"{place}{name}", python=str(made(CLASHING[name], name)))
        for name in ("robotics", "dm_control")
    ]
    yield envs
    for env in envs:
        env.close()


@pytest.mark.long
def test_two_environments_with_versions_of_mujoco_that_clash_run_side_by_side(
    robotics_and_dm_control: list[gym.Env[Any, Any]],
):
    results = [stepped(env) for env in robotics_and_dm_control]
    assert all(np.isfinite(float(result[1])) for result in results)


@pytest.mark.long
def test_each_has_its_own_version_of_mujoco(
    robotics_and_dm_control: list[gym.Env[Any, Any]],
):
    versions = [env.get_wrapper_attr("mujoco_version") for env in robotics_and_dm_control]
    assert versions[0].startswith("3.3.") and versions[1] != versions[0]
