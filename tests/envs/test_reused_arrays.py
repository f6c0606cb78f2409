"""What an episode ends with is a copy, also of an environment that writes into its arrays."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.support.rollouts import assert_same

ID = "tests.support.paying_envs:Reusing-v0"


def at_the_end(kwargs: dict[str, Any], **arguments: Any) -> tuple[Any, ...]:
    """The step that ends the episodes of two sub-environments in ``SAME_STEP``."""
    envs = gym.make_vec(num_envs=2, autoreset_mode="SameStep", **arguments, **kwargs)
    envs.reset(seed=0)
    for _ in range(3):
        result = envs.step(np.zeros(2, np.int64))
    envs.close()
    return result


@pytest.mark.parametrize("on_fault", ["truncate", "raise"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_the_last_observation_and_info(is_nested: bool, on_fault: str):
    kwargs = {"is_nested": is_nested, "on_fault": on_fault, "env_id": ID}
    obs, rewards, terminated, _, infos = at_the_end(kwargs, id="openenv/gymnasium-v0")
    last = np.full(1, 3, np.float32)
    for final in infos["final_obs"]:
        assert_same({"at": last} if is_nested else last, final)
    assert_same(np.full((2, 1), 3, np.float32), infos["final_info"]["at"])
    assert infos["final_info"]["in"]["steps"].tolist() == [3, 3]
    assert [said[0].tolist() for said in infos["final_info"]["in"]["list"]] == [[3.0], [3.0]]
    assert infos["in"]["steps"].tolist() == [0, 0]
    assert (obs["at"] if is_nested else obs).tolist() == [[0.0], [0.0]]
    assert rewards.tolist() == [3.0, 3.0] and terminated.all()


def test_the_last_array_reward():
    _, rewards, *_ = at_the_end({"declares": True, "env_id": ID}, id="openenv/gymnasium-v0")
    assert_same(np.full((2, 2), 3, np.float32), rewards)


@pytest.mark.parametrize("codec", ["auto", "json"])
def test_on_a_server(codec: str, serve: Any):
    where = {"base_url": serve(ID).base_url, "codec": codec}
    *_, infos = at_the_end(where, id="openenv/remote-v0")
    assert [final.tolist() for final in infos["final_obs"]] == [[3.0], [3.0]]
    assert infos["final_info"]["in"]["steps"].tolist() == [3, 3]


def test_terminal_observation_of_stable_baselines():
    pytest.importorskip("stable_baselines3")
    from openenv_gym.sb3 import OpenEnvVecEnv

    envs = OpenEnvVecEnv("openenv/gymnasium-v0", 2, env_id=ID)
    envs.reset()
    for _ in range(3):
        *_, infos = envs.step(np.zeros(2, np.int64))
    envs.close()
    assert [info["terminal_observation"].tolist() for info in infos] == [[3.0], [3.0]]
    assert [info["in"]["steps"] for info in infos] == [3, 3]


def test_the_end_where_the_next_step_resets():
    envs = gym.make_vec("openenv/gymnasium-v0", num_envs=2, env_id=ID)
    envs.reset(seed=0)
    seen = [envs.step(np.zeros(2, np.int64)) for _ in range(4)]
    envs.close()
    assert [result[0][0].tolist() for result in seen] == [[1.0], [2.0], [3.0], [0.0]]
    assert [result[4]["in"]["steps"][0] for result in seen] == [1, 2, 3, 0]
