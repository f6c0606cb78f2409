"""The two verbs of an endpoint, over a transport that is one row of the table."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym.address import Address
from openenv_gym.client import MemoryTransport
from openenv_gym.client.transports import TRANSPORTS
from openenv_gym.endpoints import ConnectOptions, EmbeddedEndpoint, ServerEndpoint
from openenv_gym.errors import UnknownEnvironmentError
from openenv_gym.protocol import Open, Reset
from openenv_gym.workers.session import WorkerSession


@pytest.fixture
def opened(monkeypatch) -> list[Any]:
    """The transports that were opened to addresses of the scheme ``memory``."""
    transports: list[Any] = []

    def memory(place: Any, subprotocol: Any, query: str, options: Any) -> MemoryTransport:
        transports.append(MemoryTransport(WorkerSession().handle))
        return transports[-1]

    monkeypatch.setitem(TRANSPORTS, "memory", memory)
    return transports


def endpoint(environment: str = "CartPole-v1", num_envs: int | None = None) -> ServerEndpoint:
    return ServerEndpoint(
        address=Address(host="nowhere", port=1, scheme="memory"),
        request=Open(environment, num_envs=num_envs),
        options=ConnectOptions(codec="binary", timeout_s=5.0),
    )


def test_a_transport_is_one_row(opened):
    info, connection = endpoint().connect()
    local = gym.make("CartPole-v1")
    assert (info.name, info.action_space) == ("CartPole-v1", local.action_space)
    assert np.array_equal(connection.request(Reset(3)).obs, local.reset(seed=3)[0])
    connection.close()
    local.close()


def test_many_are_described_by_the_session_that_is_kept(opened):
    info, connection = endpoint(num_envs=3).describe()
    assert len(opened) == 1
    assert info.description.num_envs == 3
    assert connection.request(Reset(1)).obs.shape == (3, 4)
    connection.close()


def test_another_environment_than_before_is_refused_and_left(opened):
    known, connection = endpoint(num_envs=2).connect()
    connection.close()
    with pytest.raises(UnknownEnvironmentError, match=r"expected CartPole-v1 .* got FrozenLake-v1"):
        endpoint("FrozenLake-v1", num_envs=2).connect(known)
    assert [transport._is_closed for transport in opened] == [True, True]


def test_another_environment_with_the_same_spaces_is_refused_too(opened):
    known, connection = endpoint("CliffWalking-v1", num_envs=2).connect()
    connection.close()
    with pytest.raises(
        UnknownEnvironmentError, match=r"expected CliffWalking-v1 .* got CliffWalkingSlippery-v1"
    ):
        endpoint("CliffWalkingSlippery-v1", num_envs=2).connect(known)


def test_an_embedded_environment_is_built_once_to_be_described_and_played():
    info, connection = EmbeddedEndpoint(request=Open("FrozenLake-v1")).describe()
    assert info.description.environment == info.name == "FrozenLake-v1"
    assert connection.request(Reset(1)).obs == 0
    connection.close()
