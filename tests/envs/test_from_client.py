"""``from_client`` with clients that need no OpenEnv: our own, and one of somebody's making."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import openenv_gym
from openenv_gym import Action, Observation, OpenEnvClient, State, StepResult
from openenv_gym.errors import (
    ConnectionLostError,
    InvalidActionError,
    InvalidRequestError,
    ProtocolError,
    RequestTimeoutError,
    ResetNeededError,
)


class CatchAction(Action):
    action_id: int


class CatchObservation(Observation):
    model_config = {"extra": "ignore"}
    info_state: list[float]
    legal_actions: list[int]


class CatchClient(OpenEnvClient[CatchAction, CatchObservation, State]):
    pass


def assert_plays_as_in_process(env: gym.Env[Any, Any]) -> None:
    local = gym.make("openenv/catch-v0")
    assert (env.action_space, env.observation_space) == (
        local.action_space,
        local.observation_space,
    )
    assert np.array_equal(env.reset(seed=5)[0], local.reset(seed=5)[0])
    for action in [0, 1, 2, 0, 1, 2, 0, 0, 1]:
        expected, got = local.step(action), env.step(action)
        assert np.array_equal(got[0], expected[0]) and got[1:4] == expected[1:4]
        assert got[4]["legal_actions"] == expected[4]["legal_actions"]
    with pytest.raises(ResetNeededError):
        env.step(0)
    local.close()


def test_our_typed_client(serve):
    env = openenv_gym.from_client(CatchClient(serve("openspiel:catch").base_url))
    assert_plays_as_in_process(env)
    with pytest.raises(InvalidActionError):
        env.step(3)
    env.close()
    assert str(env) == "<RemoteEnv CatchClient>"


def test_our_client_with_models_of_the_server(serve):
    url = serve("openspiel:catch").base_url
    client = OpenEnvClient(url, models=openenv_gym.typed_models(url))
    env = openenv_gym.from_client(client)
    assert_plays_as_in_process(env)
    env.close()


@pytest.mark.filterwarnings("ignore:.*(infinity|precision|spec)")
def test_a_class_can_be_checked_pickled_and_made_many(serve):
    url = serve("openspiel:catch").base_url
    env = openenv_gym.from_client(CatchClient, base_url=url)
    check_env(env)
    twin = pickle.loads(pickle.dumps(env))
    assert_plays_as_in_process(twin)
    twin.close()
    env.close()
    envs = openenv_gym.RemoteVectorEnv.from_clients([CatchClient] * 3, base_url=url)
    local = gym.vector.SyncVectorEnv([lambda: gym.make("openenv/catch-v0")] * 3)
    assert np.array_equal(envs.reset(seed=2)[0], local.reset(seed=2)[0])
    for _ in range(12):
        expected, got = local.step(np.array([0, 1, 2])), envs.step(np.array([0, 1, 2]))
        for i in range(4):
            assert np.array_equal(got[i], expected[i])
    for one in (envs, local):
        one.close()


def test_closing_and_going_on(serve):
    env = openenv_gym.from_client(CatchClient(serve("openspiel:catch").base_url))
    env.reset(seed=1)
    env.close()
    env.close()
    with pytest.raises(ResetNeededError):
        env.step(0)
    assert env.reset(seed=1)[0].shape == (50,)
    env.close()


@dataclass
class Seen:
    cells: Any
    note: str = ""


class Home:
    """A client of nobody's package: blocking, without connect or disconnect."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.calls: list[Any] = []

    def reset(self, seed: int | None = None) -> Any:
        self.calls.append(("reset", seed))
        return StepResult(Seen(np.zeros(2, np.float32), "begun"))

    def step(self, action: Any) -> Any:
        self.calls.append(("step", action))
        result = self.results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        self.calls.append(("close",))


AT_HOME = {
    "action_key": "go",
    "action_space": gym.spaces.Discrete(3),
    "observation_key": "cells",
    "observation_space": gym.spaces.Box(-1.0, 1.0, (2,), np.float32),
}


def at_home(*results: Any, **arguments: Any) -> tuple[Home, gym.Env[Any, Any]]:
    client = Home()
    client.results = list(results)
    return client, openenv_gym.from_client(client, **{**AT_HOME, **arguments})


def test_dataclasses_dicts_arrays_and_rewards_of_any_kind():
    half = {"cells": [0.5, -0.5], "truncated": True}
    client, env = at_home(
        StepResult(Seen(np.ones(2, np.float32)), reward=True),
        StepResult({"cells": (0.5, 0.5)}, reward=None, metadata={"depth": 2}),
        StepResult(half, reward=np.float32(0.25), done=True),
    )
    obs, info = env.reset(seed=3)
    assert obs.tolist() == [0.0, 0.0] and info == {"note": "begun"}
    assert [type(part) for part in env.step(1)[1:4]] == [float, bool, bool]
    obs, reward, *flags, info = env.step(2)
    assert (obs.tolist(), reward, flags) == ([0.5, 0.5], 0.0, [False, False])
    assert info == {"metadata": {"depth": 2}}
    assert env.step(0)[1:4] == (0.25, False, True)
    assert client.calls == [
        ("reset", 3),
        ("step", {"go": 1}),
        ("step", {"go": 2}),
        ("step", {"go": 0}),
    ]
    env.close()
    assert client.calls[-1] == ("close",)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (TimeoutError(), RequestTimeoutError),
        (ConnectionResetError("gone"), ConnectionLostError),
        (KeyError("observation"), ProtocolError),
        (RuntimeError("no server error"), ProtocolError),
        (ResetNeededError("call reset"), ResetNeededError),
    ],
)
def test_every_exception_of_a_client_is_one_of_ours(raised, expected):
    client, env = at_home(raised, StepResult({"cells": [0, 0]}))
    env.reset()
    with pytest.raises(expected) as caught:
        env.step(0)
    assert caught.value.__cause__ is raised or caught.value is raised
    if expected is not ResetNeededError:  # the session is given up, and closed with the reset
        with pytest.raises(ConnectionLostError):
            env.step(0)
    env.reset()
    assert env.step(0)[0].tolist() == [0.0, 0.0]
    assert (("close",) in client.calls) == (expected is not ResetNeededError)
    env.close()


def test_a_result_that_is_none():
    _, env = at_home({"cells": [0, 0]})
    env.reset()
    with pytest.raises(ProtocolError, match="expected a StepResult with observation, reward and"):
        env.step(0)
    env.close()


def test_what_is_no_client():
    with pytest.raises(InvalidRequestError, match="got a dict without reset, step, close"):
        openenv_gym.from_client({})
    with pytest.raises(InvalidRequestError, match="got <CartPoleEnv"):
        openenv_gym.from_client(gym.make("CartPole-v1").unwrapped)
    with pytest.raises(InvalidRequestError, match="timeout_s"):
        at_home(timeout_s=0)
