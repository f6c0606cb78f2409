"""A server that is full says so to its user, whoever's the client and whoever's the server."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym import OpenEnvClient
from openenv_gym.errors import CapacityError
from openenv_gym.launchers import ServerProcess
from tests.compat.generations import RemoteError
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def full_url():
    with ServerProcess("CartPole-v1", "--max-sessions=1") as server:
        env = gym.make("openenv/CartPole-v1", base_url=server.base_url)
        env.reset()
        yield server.base_url
        env.close()


@pytest.mark.parametrize("function", ["generic", "generic_sync"])
def test_their_clients_on_our_server(function, full_url, their_clients):
    with pytest.raises(RemoteError) as raised:
        their_clients.call(f"clients:{function}", url=full_url, actions=[])
    kind, text = raised.value.args
    assert kind == "RuntimeError"
    assert "expected a free session, got none: 1 of 1 are in use (--max-sessions)" in text
    assert "CAPACITY_REACHED" in text


def test_our_clients_on_their_server(serve_theirs):
    """Their handshake succeeds; the error follows unasked, and the connection is closed."""
    url, _ = serve_theirs("traps", app={"max_concurrent_envs": 1})
    arguments = {"base_url": url, "action_key": "value", "observation_key": "numbers"}
    box = gym.spaces.Box(-1000, 1000, (2,))
    first, second = (
        gym.make("openenv/remote-v0", **arguments, observation_space=box).unwrapped
        for _ in range(2)
    )
    first.reset()
    client = OpenEnvClient(url)
    for refused in (second, client):
        for _ in range(2):
            with pytest.raises(CapacityError, match=r"(?i)capacity.*1/1|1 of 1"):
                refused.reset()
    assert first.step(3)[0].tolist() == [3.0, 1.0]
    first.close()
    observations: list[np.ndarray] = []

    def has_begun() -> bool:
        try:
            observations.append(second.reset()[0])
        except CapacityError:  # it frees the slot a moment after the connection is closed
            return False
        return True

    wait_until(has_begun)
    assert observations[0].tolist() == [0.0, 0.0]
    assert second.step(4)[0].tolist() == [4.0, 1.0]
    second.close()
