"""Servers of others with ``flatten=True``, also under Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs
from gymnasium.utils.env_checker import check_env

from openenv_gym.errors import SpaceError
from tests.envs.test_foreign_servers import INTEGER, NUMBER, TEXT, array, made, seeing
from tests.support.plain_server import Plain, action_schema, observation_schema, serving

DIGIT = {**INTEGER, "minimum": 0, "maximum": 9}
HEARD = "ignore:(?s).*flatten=True has no numbers for it:UserWarning"


def grid() -> Plain:
    """As OpenEnv's grid world: numbers without an axis, and a text."""
    return seeing(
        observation_schema("x", "y", "message", x=INTEGER, y=DIGIT, message=TEXT),
        action_schema("move", "by", move={"enum": ["up", "down"]}, by={**DIGIT, "minimum": 1}),
        x=4, y=2, message="on",
    )  # fmt: skip


def board() -> Plain:
    cell = {**INTEGER, "minimum": -1, "maximum": 1}
    row = {**array(cell), "minItems": 3, "maxItems": 3}
    schema = observation_schema("board", board={**array(row), "minItems": 2, "maxItems": 2})
    return seeing(schema, action_schema("column", column=DIGIT), board=[[0, 1, -1], [1, 0, 0]])


def test_a_board_of_integers_is_a_box():
    with made(board()) as env:
        assert env.observation_space == gs.Box(-1, 1, (2, 3), np.int64)
        assert env.reset()[0].tolist() == [[0, 1, -1], [1, 0, 0]]


@pytest.mark.filterwarnings(HEARD)
def test_numbers_are_laid_side_by_side_and_texts_are_in_the_info():
    server = grid()
    with made(server, flatten=True) as env:
        assert env.observation_space.shape == (11,) and env.observation_space.dtype == np.int64
        assert env.action_space == gs.MultiDiscrete([2, 9])
        obs, info = env.reset()
        assert obs.tolist() == [4, 0, 0, 1, *[0] * 7] and info == {"message": "on"}
        env.step(np.array([1, 8]))
        check_env(env.unwrapped, skip_render_check=True)
    assert server.said("step")[0] == {"move": "down", "by": 9}


@pytest.mark.filterwarnings(HEARD)
@pytest.mark.parametrize("make", [grid, board])
def test_it_is_what_the_wrapper_of_gymnasium_makes(make: Callable[[], Plain]):
    key = {"observation_key": ["x", "y"]} if make is grid else {}
    with made(make(), **key) as env, made(make(), **key, flatten=True) as flat:
        wrapped = gym.wrappers.FlattenObservation(env)
        assert flat.observation_space == wrapped.observation_space
        assert np.array_equal(flat.reset()[0], wrapped.reset()[0])


@pytest.mark.filterwarnings(HEARD)
def test_sub_environments_are_flat_too():
    server = grid()
    server.max_sessions = 2
    with serving(server) as url:
        envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=url, flatten=True)
        assert envs.reset()[0].shape == (2, 11)
        assert envs.step(np.array([[0, 0], [1, 1]]))[0].shape == (2, 11)
        envs.close()


def test_a_server_of_ours_is_read_in_json(serve: Any):
    url = serve("FrozenLake-v1").base_url
    with_flat = gym.make("openenv/remote-v0", base_url=url, flatten=True)
    assert with_flat.observation_space.shape == (16,)
    assert with_flat.reset(seed=1)[0].tolist() == [1, *[0] * 15]
    with_flat.close()


@pytest.mark.filterwarnings(HEARD)
def test_stable_baselines3_learns_on_it_and_says_so_without():
    ppo = pytest.importorskip("stable_baselines3").PPO
    from openenv_gym.sb3 import OpenEnvVecEnv

    server = grid()
    server.max_sessions = 2
    with serving(server) as url:
        envs = OpenEnvVecEnv("openenv/remote-v0", 2, base_url=url, flatten=True)
        ppo("MlpPolicy", envs, n_steps=4, batch_size=4, n_epochs=1, device="cpu").learn(8)
        envs.close()
        plain = {"action_key": "move", "fixed_action": {"by": 1}}
        with pytest.raises(SpaceError, match=r"has the observation Box\(.*\(\), .*flatten=True"):
            OpenEnvVecEnv("openenv/remote-v0", 2, base_url=url, observation_key="x", **plain)


def test_one_number_without_an_axis_gets_one():
    with made(seeing(observation_schema("p", p=NUMBER), p=0.5), flatten=True) as env:
        assert env.observation_space == gs.Box(-np.inf, np.inf, (1,), np.float64)
        assert env.reset()[0].tolist() == [0.5]
