"""The code with which a server closes is the fault of every client that speaks JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym import Action, Observation, OpenEnvClient, State, from_client
from openenv_gym.errors import ConnectionLostError, fault_of
from openenv_gym.faults import Fault, FaultKind
from tests.support.plain_server import Plain, action_schema, observation_schema, observed, serving

FAULTS = {1012: "server_draining", 4408: "session_expired", 1011: "connection_lost"}


class Press(Action):
    button: int


class Seen(Observation):
    level: float


class Client(OpenEnvClient[Press, Seen, State]):
    """Needs its type parameters only."""


@pytest.fixture(params=FAULTS)
def closing(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The URL of a server that closes in the second step of each episode, and the fault."""
    button = {"type": "integer", "minimum": 0, "maximum": 1}
    level = {"type": "number", "minimum": 0, "maximum": 9}

    def step(data: dict[str, Any], number: int) -> dict[str, Any] | int:
        return request.param if number > 1 else observed(level=float(number))

    plain = Plain(
        action=action_schema("button", button=button),
        observation=observation_schema("level", level=level),
        reset=lambda data, number: observed(level=0.0),
        step=step,
        max_sessions=2,
    )
    with serving(plain) as url:
        yield url, FAULTS[request.param]


def told_by(env: gym.Env[Any, Any]) -> str:
    env.reset()
    assert env.step(1)[3] is False
    *_, truncated, info = env.step(1)
    assert truncated is True
    assert env.reset()[1]["openenv"]["incarnation"] == 1
    assert env.step(1)[3] is False
    env.close()
    return info["openenv"]["fault"]


def test_of_an_environment(closing: tuple[str, str]):
    url, kind = closing
    assert told_by(gym.make("openenv/remote-v0", base_url=url)) == kind


def test_of_a_client_that_became_an_environment(closing: tuple[str, str]):
    url, kind = closing
    assert told_by(from_client(Client(url))) == kind


def test_of_sub_environments(closing: tuple[str, str]):
    url, kind = closing
    envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=url)
    envs.reset()
    envs.step(np.ones(2, np.int64))
    infos = envs.step(np.ones(2, np.int64))[4]
    assert infos["openenv"]["fault"].tolist() == [kind, kind]
    envs.close()


def test_of_the_typed_client(closing: tuple[str, str]):
    url, kind = closing
    with Client(url) as client:
        client.reset()
        client.step(Press(button=1))
        with pytest.raises(
            ConnectionLostError, match=r"closed the connection: \d+ told to"
        ) as lost:
            client.step(Press(button=1))
    assert fault_of(lost.value) == Fault(kind=FaultKind(kind))
