"""The package gym itself, the newest and the oldest that installs, each in a venv of its own.

The first test makes the venvs, 136 MB each, in two minutes.
"""

from __future__ import annotations

import pickle
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

from benchmarks.children import ROOT
from benchmarks.package_venv import InstallError
from openenv_gym.errors import EnvStartError
from openenv_gym.launchers import ServerProcess
from openenv_gym.sb3 import OpenEnvVecEnv
from tests.support.rollouts import assert_same
from tests.venvs import OLD_GYMS

IDS = ("OldDict-v0", "OldPixels-v0", "OldBare-v0", "CartPole-v1", "Short-v0")
DICT = "tests.support.old_gym.envs:OldDict-v0"

# tests/interpreter plays with both in make test.
VERSIONS = ["0.26", pytest.param("0.21", marks=pytest.mark.long)]

pytestmark = pytest.mark.timeout(900)  # the first test installs


def made(version: str) -> Path:
    """An interpreter with this version of gym."""
    if version not in OLD_GYMS:
        pytest.skip("gym needs a numpy that this Python cannot install")
    try:
        return OLD_GYMS[version].make()
    except InstallError as exc:
        pytest.skip(f"gym {version} cannot be installed for this Python: {exc}")


@pytest.fixture(scope="module", params=VERSIONS)
def served(request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Serves environments from the venv of one version; returns their URLs."""
    python = str(made(request.param))
    servers: dict[str, ServerProcess] = {}

    def url(env_id: str) -> str:
        if env_id not in servers:
            arguments = (f"gym:{env_id}", "--attributes=dies")
            servers[env_id] = ServerProcess(*arguments, server_python=python)
        return servers[env_id].base_url

    yield url
    for server in servers.values():
        server.stop()


def run(python: Path, program: str, *arguments: str) -> Any:
    """What a program of tests.support.old_gym pickles."""
    command = [python, "-m", f"tests.support.old_gym.{program}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy 2 has moved what numpy 1 has pickled
        return pickle.loads(done.stdout)


@pytest.mark.parametrize("version", VERSIONS)
def test_episodes_are_those_of_gym_to_the_bit(version: str):
    python = made(version)
    played = run(python, "remote", *IDS)
    for env_id, expected in run(python, "record", *IDS).items():
        assert len(expected) > 100
        assert_same(expected, played[env_id])


def test_it_passes_for_an_environment_of_today_elsewhere(served: Callable[[str], str]):
    env = gym.make("openenv/gym-v0", env_id=DICT, base_url=served(DICT))
    check_env(env.unwrapped, skip_render_check=True)
    assert list(env.observation_space.spaces) == ["position", "inner", "counts", "pair"]
    env.close()


def test_it_draws_in_the_mode_that_is_asked_for(served: Callable[[str], str]):
    env = gym.make("openenv/remote-v0", base_url=served(DICT), render_mode="rgb_array")
    env.reset(seed=1)
    env.step(0)
    assert env.render().shape == (4, 5, 3)
    assert env.render()[0, 0, 0] == 1
    env.close()


def test_where_a_worker_dies_the_episode_ends_and_another_begins(served: Callable[[str], str]):
    envs = gym.make_vec("openenv/remote-v0", num_envs=4, shards=2, base_url=served(DICT))
    envs.reset(seed=1)
    envs.step(np.zeros(4, np.int64))
    envs.set_attr("dies", [False, True, False, False])
    *_, truncated, infos = envs.step(np.zeros(4, np.int64))
    assert truncated.tolist() == [True, True, False, False]
    assert infos["_openenv"].tolist() == [True, True, False, False]
    for _ in range(2):
        *_, truncated, infos = envs.step(np.zeros(4, np.int64))
    assert infos["steps"][:2].tolist() == [1, 1]
    envs.close()


def test_stable_baselines3_finds_nothing_to_complain_of(served: Callable[[str], str]):
    env = gym.make("openenv/remote-v0", base_url=served("CartPole-v1"))
    check_env_of_sb3(env)
    env.close()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For a network this small; more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
def test_stable_baselines3_learns_through_it(served: Callable[[str], str]):
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    envs = OpenEnvVecEnv("openenv/remote-v0", 4, base_url=served("CartPole-v1"))
    how = {"n_steps": 64, "batch_size": 256, "learning_rate": 1e-3, "gae_lambda": 0.8}
    model = PPO("MlpPolicy", envs, gamma=0.98, n_epochs=20, seed=1, device="cpu", **how)
    before, _ = evaluate_policy(model, envs, 20, warn=False)
    model.learn(30_000)
    after, _ = evaluate_policy(model, envs, 20, warn=False)
    envs.close()
    assert before < 60
    assert after > 195  # what once counted as solved


def test_without_gym_one_sentence_says_what_to_install():
    says = r"needs the package gym, .* pip install 'gym==0\.26\.2'"
    with pytest.raises(EnvStartError, match=says):
        gym.make("openenv/gym-v0", env_id="CartPole-v1")
