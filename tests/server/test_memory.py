"""What a server has of a session goes with it, and does not wait for the collector."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import time
from collections import Counter
from collections.abc import Callable

import gymnasium as gym
import pytest
from websockets.sync.client import connect

from openenv_gym import create_app
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.server.backends import ThreadBackend
from openenv_gym.server.inbox import Inbox
from openenv_gym.server.process_backend import ProcessBackend
from openenv_gym.server.relay import Relay
from openenv_gym.server.relay_protocol import RelayProtocol
from openenv_gym.server.session import Session
from tests.faults.envs import Faulty
from tests.support.collector import no_collection
from tests.support.uvicorn_thread import serving

FAULTY = "tests.faults.envs:Faulty-v0"
KINDS = (Session, Inbox, Relay, RelayProtocol, ProcessBackend, ThreadBackend)
SESSIONS = 3
WAIT_S = 30.0


def binary(url: str, action: int = 1) -> None:
    env = gym.make("openenv/remote-v0", base_url=url, on_fault="raise")
    env.reset(seed=3)
    with contextlib.suppress(OpenEnvGymError):
        env.step(action)
    env.close()


def plain(url: str, *, aborts: bool) -> None:
    """A session in JSON; ends with a goodbye, or with the socket alone."""
    with connect(url.replace("http", "ws", 1) + "/ws", compression=None) as connection:
        connection.send(json.dumps({"type": "reset", "data": {}}))
        assert json.loads(connection.recv(60))["type"] == "observation"
        if aborts:
            connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            connection.send(json.dumps({"type": "close"}))


WAYS: dict[str, Callable[[str], None]] = {
    "binary": binary,
    "raised": lambda url: binary(url, Faulty.RAISE),
    "killed": lambda url: binary(url, Faulty.KILL),
    "json": lambda url: plain(url, aborts=False),
    "aborted": lambda url: plain(url, aborts=True),
}
CASES = [("process", way) for way in WAYS]
CASES += [("thread", way) for way in WAYS if way != "killed"]  # which would be this process


def alive() -> Counter[str]:
    """How many there are of each kind."""
    kinds = (type(one) for one in gc.get_objects())
    return Counter(kind.__name__ for kind in kinds if issubclass(kind, KINDS))


@pytest.mark.parametrize(("isolation", "way"), CASES)
@pytest.mark.sample(2)
def test_a_session_takes_all_that_was_its_own_with_it(isolation: str, way: str):
    app = create_app(FAULTY, isolation=isolation)
    with no_collection(), serving(app, ws=RelayProtocol) as url:
        before = alive()
        for _ in range(SESSIONS):
            WAYS[way](url)
        end_s = time.monotonic() + WAIT_S
        while (left := alive() - before) and time.monotonic() < end_s:
            time.sleep(0.05)
        assert not left
