"""A vector form that is not ours is one, with all sub-environments, wherever it lives."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.errors import EnvStartError, InvalidRequestError, UnknownEnvironmentError
from openenv_gym.protocol import Open, Part
from openenv_gym.sb3 import OpenEnvVecEnv
from openenv_gym.server.settings import ServerSettings

FACTORY = "vector:tests.support.pools:make"
OF_FIVE = np.random.default_rng(5).random((4, 1))  # what a pool with the seed 5 observes first


def first_of(env_id: str, **arguments: Any) -> tuple[Any, int]:
    """What four observe first, and in how many sessions they are; a copy is the same."""
    envs = gym.make_vec("openenv/gymnasium-v0", num_envs=4, env_id=env_id, **arguments).unwrapped
    copy = pickle.loads(pickle.dumps(envs))
    seen = envs.reset()[0]
    assert np.array_equal(copy.reset()[0], seen)
    for one in (envs, copy):
        one.close()
    return seen, len(envs._shards)


@pytest.mark.parametrize("env_id", [FACTORY, "tests.support.pools:Pool-v0"])
@pytest.mark.parametrize("arguments", [{}, {"shards": 1}, {"vectorization": "native"}])
def test_a_form_of_its_own_has_all_sub_environments(env_id: str, arguments: dict[str, Any]):
    seen, sessions = first_of(env_id, **arguments)
    assert np.array_equal(seen, OF_FIVE)
    assert sessions == 1
    assert "tests.support.pools" not in sys.modules  # only the worker has looked


@pytest.mark.parametrize("env_id", [FACTORY, "tests.support.pools:Made-v0"])
def test_so_it_is_on_a_server(serve, env_id: str):
    url = serve(env_id).base_url
    assert np.array_equal(first_of(env_id, base_url=url)[0], OF_FIVE)
    with pytest.raises(InvalidRequestError, match="they could be twins"):
        first_of(env_id, base_url=url, shards=2, vectorization="native")
    if env_id == FACTORY:
        with pytest.raises(UnknownEnvironmentError, match="use gymnasium"):
            gym.make("openenv/remote-v0", base_url=url)


@pytest.mark.parametrize("name", ["vector:tests.support.pools:make_part", "Parted-v0"])
def test_one_that_is_split_is_told_which_part_it_is(name: str):
    env_id = name if ":" in name else f"tests.support.pools:{name}"
    seen, sessions = first_of(env_id, shards=2, vectorization="native")
    parts = [np.random.default_rng(seed).random((2, 1)) for seed in (100, 102)]
    assert np.array_equal(seen, np.concatenate(parts))
    assert sessions == 2


@pytest.mark.parametrize("env_id", ["Pool-v0", "Made-v0"])
def test_one_that_could_be_its_own_twin_is_stepped_one_by_one(env_id: str):
    seen, sessions = first_of_seed(f"tests.support.pools:{env_id}")
    assert len(np.unique(seen)) == 4
    assert sessions == 2


def first_of_seed(env_id: str) -> tuple[Any, int]:
    envs = gym.make_vec("openenv/gymnasium-v0", num_envs=4, env_id=env_id, shards=2).unwrapped
    seen = envs.reset(seed=3)[0]
    envs.close()
    return seen, len(envs._shards)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"shards": 2}, "they could be twins"),
        ({"vectorization": "sync"}, "cannot be stepped one after the other"),
        ({"autoreset_mode": "SameStep"}, "resets in a mode of its own, NextStep, got SameStep"),
        ({"max_episode_steps": 9}, "unexpected keyword argument 'max_episode_steps'"),
    ],
)
def test_what_a_factory_does_not_do_is_refused(arguments: dict[str, Any], says: str):
    with pytest.raises((InvalidRequestError, EnvStartError), match=says):
        first_of(FACTORY, **arguments)


def test_a_parameter_that_a_factory_has_not_is_named():
    with pytest.raises(InvalidRequestError, match="give the function a parameter render_mode"):
        first_of("vector:tests.support.pools:make_part", render_mode="rgb_array")


def test_sb3_is_told_why_it_cannot_have_one():
    with pytest.raises(InvalidRequestError, match="which OpenEnvVecEnv asks for"):
        OpenEnvVecEnv("openenv/gymnasium-v0", 4, env_id=FACTORY)


def test_a_single_one_is_refused():
    with pytest.raises(UnknownEnvironmentError, match="is a vector environment"):
        gym.make("openenv/gymnasium-v0", env_id=FACTORY)


def test_no_client_makes_a_server_build_more_than_it_counts():
    settings = ServerSettings(environment="CartPole-v1", max_num_envs=4)
    admitted = settings.admit(Open(None, num_envs=2, part=Part(0, 1_000_000, False)))
    assert admitted.part == Part(0, 1_000_000, True)


def test_urls_are_parts_of_one(serve):
    url = serve(FACTORY).base_url
    with pytest.raises(InvalidRequestError, match="to have 4 together"):
        RemoteVectorEnv([url, url], 4)
