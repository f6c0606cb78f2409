"""Rewards and flags: what local environments give comes through, and what cannot is raised."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TransformReward

from openenv_gym import OpenEnvClient, typed_environment, typed_models
from openenv_gym.adapters import gymnasium_host
from openenv_gym.errors import SpaceError
from openenv_gym.protocol import Open
from tests.support.paying_envs import PAID
from tests.support.rollouts import assert_same

ID = "tests.support.paying_envs:Paying-v0"
SEVERAL = {"paid": "several", "declares": True}


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """Gymnasium warns of rewards that are no numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def local(**kwargs: Any) -> gym.Env[Any, Any]:
    return gym.make("Paying-v0", disable_env_checker=True, **kwargs)


def make(**kwargs: Any) -> Any:
    return gym.make("openenv/gymnasium-v0", env_id=ID, disable_env_checker=True, **kwargs)


def make_vec(mode: AutoresetMode = AutoresetMode.NEXT_STEP, **kwargs: Any) -> Any:
    return gym.make_vec(
        "openenv/gymnasium-v0", num_envs=3, env_id=ID, autoreset_mode=mode, **kwargs
    )


def played(env: Any, steps: int = 3) -> list[Any]:
    """What the steps of an episode return."""
    env.reset(seed=0)
    results = [env.step(env.action_space.sample()) for _ in range(steps)]
    env.close()
    return results


def plain(results: list[Any]) -> list[Any]:
    """What documented types make of what a local environment returns."""
    arrays = (np.ndarray, list)
    return [
        (obs, reward if np.ndim(reward) and isinstance(reward, arrays) else float(reward or 0),
         bool(terminated), bool(truncated), info)
        for obs, reward, terminated, truncated, info in results
    ]  # fmt: skip


@pytest.mark.parametrize("paid", sorted(PAID.keys() - {"text"}))
def test_one_environment_pays_what_the_local_one_does(paid: str):
    assert_same(plain(played(local(paid=paid))), played(make(paid=paid)))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("paid", ["no axes", "float32", "int", "bool", "none"])
def test_many_pay_what_the_local_ones_do(paid: str, mode: AutoresetMode):
    expected = SyncVectorEnv([lambda: local(paid=paid)] * 3, autoreset_mode=mode)
    assert_same(played(expected, 5), played(make_vec(mode, paid=paid), 5))


@pytest.mark.parametrize("on_fault", ["truncate", "raise"])
@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"paid": "one"}, r"reward of sub-environment 0: expected a number, .* got array\(\[0."),
        ({"paid": "list"}, r"reward of sub-environment 0: expected a number"),
        ({"flags": "several"}, r"truncated of sub-environment 0: expected a boolean each"),
    ],
)
def test_what_has_no_place_in_a_batch_is_raised(kwargs: dict[str, Any], says: str, on_fault: str):
    envs = make_vec(on_fault=on_fault, **kwargs)
    with pytest.raises(SpaceError, match=says):
        played(envs)
    envs.close()


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"paid": "text"}, "reward of the environment: expected a number or an array of numbers"),
        ({"flags": "several"}, "terminated and truncated of the environment"),
    ],
)
def test_what_cannot_travel_is_raised(kwargs: dict[str, Any], says: str):
    env = make(**kwargs)
    with pytest.raises(SpaceError, match=says):
        played(env)
    env.close()


def test_flags_of_one_element_are_flags():
    assert [result[2] for result in played(make(flags="one"))] == [False, False, True]


@pytest.mark.parametrize("mode", AutoresetMode)
def test_array_rewards_of_a_batch(mode: AutoresetMode):
    envs = make_vec(mode, shards=2, **SEVERAL)
    assert envs.reward_space == gym.spaces.Box(-9, 9, (2,), np.float32)
    results = played(envs, 3 if mode is AutoresetMode.DISABLED else 4)
    paid = [np.zeros((3, 2), np.float32)] * 2 + [np.tile(PAID["several"], (3, 1))]
    if mode is not AutoresetMode.DISABLED:
        paid.append(np.zeros((3, 2), np.float32))
    assert_same(paid, [result[1] for result in results])


def test_nothing_is_paid_in_a_fault_as_an_array_too():
    envs = make_vec(shards=1, **SEVERAL)
    envs.reset(seed=0)
    envs.step(np.zeros(3, np.int64))
    envs._shards[0].connection.kill_peer()
    _, rewards, _, truncated, _ = envs.step(np.zeros(3, np.int64))
    assert truncated.all()
    assert_same(np.zeros((3, 2), np.float32), rewards)
    envs.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_array_rewards_of_a_server(codec: str, serve: Any):
    url = serve(ID, "--kwargs", '{"paid": "several", "declares": true}').base_url
    env = gym.make("openenv/remote-v0", base_url=url, codec=codec, disable_env_checker=True)
    assert env.unwrapped.reward_space == gym.spaces.Box(-9, 9, (2,), np.float32)
    assert_same(plain(played(local(**SEVERAL))), played(env))
    envs = gym.make_vec("openenv/remote-v0", num_envs=3, base_url=url, codec=codec)
    assert_same(played(make_vec(**SEVERAL), 5), played(envs, 5))


def test_array_rewards_in_typed_models(serve: Any):
    url = serve(ID, "--kwargs", '{"paid": "several", "declares": true}').base_url
    schema = httpx.get(f"{url}/schema").json()["observation"]["properties"]["reward"]
    assert schema["anyOf"][0]["x-gymnasium-space"]["shape"] == [2]
    models = typed_models(url)
    environment, action, _ = typed_environment(ID, **SEVERAL)
    played = environment()
    played.reset(seed=0)
    with OpenEnvClient(url, models=models) as client:
        client.reset(seed=0)
        for number in range(3):
            result = client.step(models.action(action=0))
            assert result.reward == ([1.5, -2.0] if number == 2 else [0.0, 0.0])
            here = played.step(action(action=0)).reward
            assert_same(result.observation.reward, here)
    played.close()


def test_a_wrapper_that_makes_numbers_of_them_has_no_reward_space():
    wrapped = TransformReward(local(**SEVERAL), lambda reward: float(np.sum(reward)))
    built = gymnasium_host.host(wrapped, "Paying-v0")
    assert built.description.reward is None
    built = gymnasium_host.build(ID, Open(ID, SEVERAL))
    assert built.description.reward_space.shape == (2,)


def test_stable_baselines_is_told_which_wrapper_makes_a_number():
    pytest.importorskip("stable_baselines3")
    from openenv_gym.sb3 import OpenEnvVecEnv

    with pytest.raises(SpaceError, match=r"arrays of shape \(2,\).*LinearReward"):
        OpenEnvVecEnv("openenv/gymnasium-v0", env_id=ID, **SEVERAL)
