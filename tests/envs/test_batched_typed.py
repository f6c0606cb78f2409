"""Typed environments are stepped in batches too, and say what their plain sessions say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from openenv_gym import RemoteVectorEnv
from openenv_gym.errors import InvalidActionError, InvalidRequestError, RemoteEnvError, SpaceError
from openenv_gym.launchers import ServerProcess
from openenv_gym.spaces import UnicodeText
from tests.support.rollouts import assert_same

WALK = "environment:tests.support.typed_walk:Walk"


@pytest.fixture
def url(serve: Callable[..., ServerProcess]) -> str:
    return serve(WALK).base_url


def both(
    url: str, num_envs: int = 5, **options: Any
) -> tuple[gym.vector.VectorEnv, RemoteVectorEnv]:
    """Plain sessions, and two batched ones."""
    arguments = {"num_envs": num_envs, "base_url": url, **options}
    plain = gym.make_vec("openenv/remote-v0", codec="json", **arguments)
    batched = gym.make_vec("openenv/remote-v0", shards=2, **arguments)
    assert isinstance(plain.unwrapped, RemoteVectorEnv)
    assert isinstance(batched.unwrapped, RemoteVectorEnv)
    return plain, batched.unwrapped


def test_the_spaces_are_those_of_plain_sessions(url: str):
    plain, batched = both(url)
    assert batched.single_action_space == plain.single_action_space
    assert batched.single_observation_space == plain.single_observation_space
    assert batched.single_observation_space["place"].shape == (2,)
    assert isinstance(batched.single_observation_space["said"], UnicodeText)
    plain.close()
    batched.close()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_they_say_what_plain_sessions_say(url: str, mode: AutoresetMode):
    plain, batched = both(url, autoreset_mode=mode)
    assert_same(plain.reset(seed=3), batched.reset(seed=3))
    plain.action_space.seed(0)
    ended = truncated = 0
    for _ in range(60):
        actions = plain.action_space.sample()
        actions["speed"] = np.abs(actions["speed"]) % 2
        expected, actual = plain.step(actions), batched.step(actions)
        assert_same(expected, actual)
        done = actual[2] | actual[3]
        ended, truncated = ended + actual[2].sum(), truncated + actual[3].sum()
        if mode is AutoresetMode.DISABLED and done.any():
            masks = [{"reset_mask": done.copy()} for _ in range(2)]
            assert_same(plain.reset(options=masks[0]), batched.reset(options=masks[1]))
    assert ended and truncated
    plain.close()
    batched.close()


def test_options_and_errors_reach_the_environment_and_the_user(url: str):
    envs = RemoteVectorEnv(url, 2)
    assert (envs.reset(seed=0, options={"start": -5.0})[0]["place"][:, 0] < -4).all()
    with pytest.raises(InvalidActionError):
        envs.step({"move": np.array([0, 3]), "speed": np.zeros(2)})
    with pytest.raises(RemoteEnvError, match="too fast"):
        envs.step({"move": np.array([0, 0]), "speed": np.array([0.0, 99.0])})
    with pytest.raises(InvalidRequestError, match="reset of Walk takes"):
        envs.reset(options={"stop": 1})
    envs.reset(seed=0)
    envs.close()


def test_a_model_that_leaves_its_spaces_open_says_what_to_do(serve: Callable[..., ServerProcess]):
    url = serve("environment:tests.support.typed_walk:Riddle").base_url
    with pytest.raises(SpaceError, match=r"action_key="):
        RemoteVectorEnv(url, 2)
