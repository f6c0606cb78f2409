"""Vector forms of an environment's own, in JSON: one session, with the values of the binary one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from openenv_gym.errors import InvalidRequestError, UnknownEnvironmentError
from tests.support.rollouts import assert_same

VECTOR = "vector:tests.support.envs:cartpoles"


def make_vec(url: str, codec: str = "json", **arguments: Any) -> Any:
    return gym.make_vec("openenv/remote-v0", num_envs=3, base_url=url, codec=codec, **arguments)


def assert_plays_the_same(one: Any, other: Any, steps: int = 40) -> None:
    assert one.observation_space == other.observation_space
    assert_same(one.reset(seed=4), other.reset(seed=4))
    one.action_space.seed(0)
    for _ in range(steps):
        actions = one.action_space.sample()
        assert_same(one.step(actions), other.step(actions))
    one.close()
    other.close()


def test_the_native_form_is_that_of_make_vec(serve: Any):
    local = gym.make_vec("CartPole-v1", num_envs=3)
    assert_plays_the_same(local, make_vec(serve("CartPole-v1").base_url))


def test_a_served_vector_environment_is_as_in_binary(serve: Any):
    url = serve(VECTOR).base_url
    assert_plays_the_same(make_vec(url, "binary"), make_vec(url))


def test_a_mode_that_the_native_form_lacks(serve: Any):
    local = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 3, autoreset_mode="SameStep")
    remote = make_vec(serve("CartPole-v1").base_url, autoreset_mode="SameStep")
    assert_plays_the_same(local, remote)


def test_some_are_reset_by_a_mask(serve: Any):
    envs = make_vec(serve("CartPole-v1").base_url, autoreset_mode="Disabled")
    envs.reset(seed=[1, 2, None])
    before = envs.step(np.zeros(3, np.int64))[0]
    after = envs.reset(options={"reset_mask": np.array([False, True, False])})[0]
    assert (before == after).all(axis=1).tolist() == [True, False, True]
    envs.close()


@pytest.mark.parametrize("codec", ["auto", "json"])
def test_a_vector_environment_is_no_single_one(codec: str, serve: Any):
    says = r"is a vector environment; use gymnasium.make_v"
    with pytest.raises(UnknownEnvironmentError, match=says):
        gym.make("openenv/remote-v0", base_url=serve(VECTOR).base_url, codec=codec)


def test_what_json_cannot_say_is_refused(serve: Any):
    with pytest.raises(InvalidRequestError, match="got max_episode_steps too; start the server"):
        make_vec(serve("CartPole-v1").base_url, max_episode_steps=3)
