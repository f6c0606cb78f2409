"""Environments of another interpreter behind ``gymnasium.make`` and ``make_vec``."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from benchmarks.children import ROOT
from openenv_gym.protocol import Open
from openenv_gym.workers.built_env import build
from tests.support.gym_rollout import plain

ID = "openenv/gymnasium-v0"
OURS = "tests.support.gym_envs:"

pytestmark = pytest.mark.timeout(900)  # the first test of a venv installs it


def recorded(python: str, name: str, seed: int, actions: list[int]) -> list[Any]:
    """What an environment says in an interpreter without us."""
    command = [python, "-m", "tests.support.gym_rollout", name, str(seed), json.dumps(actions)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def played(env: gym.Env[Any, Any], seed: int, actions: list[int]) -> list[Any]:
    said: list[Any] = [env.reset(seed=seed)[0]]
    for action in actions:
        obs, reward, terminated, truncated, info = env.step(action)
        said.append((obs, float(reward), terminated or truncated, info))
        if terminated or truncated:
            said.append(env.reset()[0])
    return json.loads(json.dumps([plain(one) for one in said]))


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", ["CartPole-v1", "MountainCar-v0", "Nested", "Pixels"])
def test_a_trajectory_is_that_of_the_interpreter_alone_to_the_bit(python: str, name: str):
    actions = random.Random(7).choices((0, 1), k=300 if name[-2] == "v" else 40)
    env = gym.make(ID, env_id=OURS + name if name.isalpha() else name, python=python)
    assert played(env, 5, actions) == recorded(python, name, 5, actions)
    env.close()


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", ["CartPole-v1", OURS + "Nested"])
def test_check_env_passes(python: str, name: str):
    env = gym.make(ID, env_id=name, python=python).unwrapped
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "name", ["gym:CartPole-v1", OURS + "make_nested", "environment:" + OURS + "Nested"]
)
def test_a_name_means_there_what_it_means_here(gym026: str, name: str):
    env = gym.make(ID, env_id=name, python=gym026)
    assert env.observation_space.contains(env.reset(seed=1)[0])
    env.close()


def test_an_id_of_the_namespace_takes_an_interpreter(gym021: str):
    env = gym.make("openenv/CartPole-v1", python=gym021)
    assert env.reset(seed=1)[0].dtype == np.float32
    env.close()


def test_the_folder_of_a_venv_names_its_interpreter(gym026: str):
    env = gym.make(ID, env_id=OURS + "Faulty", python=str(Path(gym026).parents[1]))
    env.reset(seed=1)
    assert env.step(0)[-1]["gym"] == "0.26.2"
    env.close()


@pytest.mark.sample(1)
def test_the_spaces_are_those_of_the_environment_there(python: str):
    env = gym.make(ID, env_id=OURS + "Nested", python=python)
    assert env.observation_space == gym.spaces.Dict(
        {
            "a": gym.spaces.Discrete(5),
            "b": gym.spaces.Box(-1, 1, (2,), np.float32),
            "t": gym.spaces.Tuple((gym.spaces.MultiBinary(3), gym.spaces.MultiDiscrete([2, 3]))),
        }
    )
    env.close()


def test_keyword_arguments_reach_the_constructor_there(gym026: str):
    env = gym.make(ID, env_id=OURS + "Base", python=gym026, size=3)
    assert env.observation_space.shape == (3,)
    env.close()


@pytest.mark.sample(1)
@pytest.mark.parametrize("limit", [3, -1])
def test_the_time_limit_of_an_id_is_set_there(python: str, limit: int):
    envs = gym.make_vec("openenv/MountainCar-v0", 1, python=python, max_episode_steps=limit)
    envs.reset(seed=1)
    steps = [envs.step(np.array([1]))[3][0] for _ in range(250)]
    assert steps.index(True) == 2 if limit == 3 else not any(steps)
    envs.close()


@pytest.mark.sample(1)
def test_render_draws_there(python: str):
    env = gym.make(ID, env_id=OURS + "Rendered", python=python, render_mode="rgb_array")
    env.reset(seed=1)
    env.step(0)
    assert np.array_equal(env.render(), np.ones((4, 5, 3), np.uint8))
    env.close()


@pytest.mark.sample(1)
def test_an_attribute_is_read_there(python: str):
    env = gym.make("openenv/CartPole-v1", python=python)
    assert env.get_wrapper_attr("gravity") == 9.8
    env.close()


def test_a_method_is_called_there(gym026: str):
    env = gym.make(ID, env_id=OURS + "Faulty", python=gym026)
    assert env.get_wrapper_attr("echo")((1, np.float32(2))) == (1, np.float32(2))
    env.close()


def test_an_attribute_is_set_there(gym026: str):
    envs = gym.make_vec(ID, 2, env_id=OURS + "Faulty", python=gym026, shards=1)
    envs.set_attr("size", [3, 4])
    assert envs.get_attr("size") == (3, 4)
    envs.close()


@pytest.mark.sample(2)
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("name", ["Nested", "Staggered"])
def test_a_vector_environment_is_that_of_single_ones(
    gym026: str, mode: str, shards: int, name: str
):
    envs = gym.make_vec(
        ID, 3, env_id=OURS + name, python=gym026, shards=shards, autoreset_mode=mode
    )
    single = [gym.make(ID, env_id=OURS + name, python=gym026) for _ in range(3)]
    peers = gym.vector.SyncVectorEnv([lambda env=env: env for env in single], autoreset_mode=mode)
    assert plain(envs.reset(seed=4)[0]) == plain(peers.reset(seed=4)[0])
    for _ in range(12):
        actions = np.array([0, 1, 2])
        assert plain(envs.step(actions)) == plain(peers.step(actions))
    envs.close()
    peers.close()


def test_shards_of_several_interpreters_share_one_training_run(gym026: str, gym021: str):
    envs = gym.make_vec(ID, 4, env_id=OURS + "Faulty", python=[gym026, gym021], shards=2)
    envs.reset(seed=1)
    info = envs.step(np.zeros(4, int))[-1]
    assert sorted(set(info["gym"])) == ["0.21.0", "0.26.2"]
    envs.close()


@pytest.mark.parametrize("module", ["tests.support.plain_envs", "tests/support/plain_envs.py"])
def test_a_module_of_plain_classes_needs_no_gym(numpy_alone: str, module: str):
    env = gym.make(ID, env_id=f"{module}:Plain", python=numpy_alone)
    assert env.reset(seed=3)[0] == 3
    env.close()


def test_an_object_without_spaces_gets_them_by_hand(numpy_alone: str):
    spaces = {"action_space": gym.spaces.Discrete(2), "observation_space": gym.spaces.Box(0, 9)}
    name = "tests.support.plain_envs:Spaceless"
    env = gym.make(ID, env_id=name, python=numpy_alone, size=2.0, **spaces)
    env.reset()
    assert env.step(1)[0].tobytes() == np.array([2], np.float32).tobytes()
    env.close()


@pytest.fixture
def unseeded(numpy_alone: str) -> Iterator[Any]:
    """The environment of a worker."""
    name = "tests.support.plain_envs:Unseeded"
    built = build(Open(environment=name, python=numpy_alone))
    yield built.env
    built.env.close()


def test_a_seed_that_nothing_takes_there_is_warned_of(numpy_alone: str):
    env = gym.make(ID, env_id="tests.support.plain_envs:Unseeded", python=numpy_alone)
    with pytest.warns(UserWarning, match="seed"):
        env.reset(seed=1)
    env.close()


@pytest.mark.parametrize(("name", "is_set"), [("_private", True), ("new", False)])
def test_an_attribute_is_set_without_force_where_there_is_one(
    unseeded: Any, name: str, is_set: bool
):
    assert unseeded.set_wrapper_attr(name, 8, force=False) is is_set


def test_an_attribute_that_was_set_is_read_there(unseeded: Any):
    unseeded.set_wrapper_attr("new", (8, None))
    assert unseeded.get_wrapper_attr("new") == (8, None)


def test_a_private_attribute_is_read_there_by_its_name(unseeded: Any):
    assert unseeded.get_wrapper_attr("_private") == 7


def test_a_private_attribute_that_there_is_not_is_none(unseeded: Any):
    with pytest.raises(AttributeError, match="_nothing"):
        unseeded.get_wrapper_attr("_nothing")
