"""What goes wrong between a trainer and a server, on the real thing.

With bare transports the late reply, TLS, headers and pings are in ``tests/client``, and JSON that
is no object in ``tests/server`` and ``test_environments_both_ways.py``; capacity has a file here.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import trustme

from openenv_gym import Action, Observation, OpenEnvClient, State, WebSocketOptions
from openenv_gym.client import websocket
from openenv_gym.client.keepalive import PERIOD_S, Keepalive
from openenv_gym.errors import (
    AuthenticationError,
    ConnectionLostError,
    NotOpenEnvError,
    RequestTimeoutError,
    UnreachableError,
)
from openenv_gym.launchers import ServerProcess
from openenv_gym.testing import FaultProxy
from tests.compat.generations import RemoteError
from tests.support.envs import Scripted
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

BOX = gym.spaces.Box(-1000, 1000, (2,))


class TrapAction(Action):
    value: int = 0
    sleep_s: float = 0.0
    do: str = ""


class TrapObservation(Observation):
    numbers: list[float | None]


class TrapClient(OpenEnvClient[TrapAction, TrapObservation, State]):
    pass


def make(url: str, **arguments):
    """Our environment on a server of traps, which raises its faults."""
    return gym.make(
        "openenv/remote-v0",
        base_url=url,
        action_key="value",
        observation_key="numbers",
        observation_space=BOX,
        on_fault="raise",
        **arguments,
    ).unwrapped


def test_after_a_timeout_no_reply_is_read_as_another_ones(their_servers):
    with FaultProxy(their_servers["traps"]) as proxy:
        env = make(proxy.base_url, timeout_s=50)
        env.reset()
        assert env.step(1)[0].tolist() == [1.0, 1.0]
        proxy.black_hole("to_client")
        assert env._connection.timeout_s == 50
        env._connection.timeout_s = 0.5  # of this step alone: the others have their time
        with pytest.raises(RequestTimeoutError, match=r"0\.5 s"):
            env.step(2)
        proxy.heal()
        with pytest.raises(ConnectionLostError, match=r"RequestTimeoutError.*reset"):
            env.step(3)
        assert env.reset()[0].tolist() == [0.0, 0.0]
        assert env.step(4)[0].tolist() == [4.0, 1.0]
        env.close()


def test_a_slow_step_of_a_typed_client(their_servers):
    with TrapClient(their_servers["traps"], timeout_s=50) as client:
        client.reset()
        assert client._connection.timeout_s == 50
        client._connection.timeout_s = 0.3  # of this step alone: the others have their time
        with pytest.raises(RequestTimeoutError):
            client.step(TrapAction(value=1, sleep_s=8))
        with pytest.raises(ConnectionLostError, match=r"RequestTimeoutError.*reset"):
            client.step(TrapAction(value=2))
        with pytest.raises(ConnectionLostError):
            client.state()
        client.reset()
        assert client.step(TrapAction(value=3)).observation.numbers == [3.0, 1.0]


def test_their_clients_after_a_timeout_on_our_server(generation, crossed_servers, their_clients):
    """Since 0.5 theirs drops the socket. That of 0.3 reads on, and no server can know it."""
    url = crossed_servers["traps"]
    answers = their_clients.call("clients:late_sync", url=url, sleep_s=6, timeout_s=0.6)
    assert answers["late"][0] == "TimeoutError"
    if generation.version == "0.10":
        kind, text = answers["next"]
        assert kind == "RuntimeError" and "step before the first reset" in text
    else:
        assert answers["next"] == [1.0, 1.0]
    assert answers["after"] == [3.0, 1.0]


def test_a_server_killed_between_steps(serve_theirs):
    url, pid = serve_theirs("traps")
    env = make(url)
    env.reset()
    env.step(1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ConnectionLostError, match=url.rpartition(":")[2]):
        env.step(2)
    with pytest.raises(UnreachableError, match="is the server running"):
        env.reset()
    env.close()


def test_a_server_that_dies_within_a_step(serve_theirs):
    url, _ = serve_theirs("traps")
    with TrapClient(url) as client:
        client.reset()
        with pytest.raises(ConnectionLostError):
            client.step(TrapAction(do="exit"))
        with pytest.raises(ConnectionLostError, match=r"ConnectionLostError.*reset"):
            client.step(TrapAction())
        with pytest.raises(UnreachableError):
            client.reset()


def test_our_server_killed_under_their_client(their_clients):
    with ServerProcess("CartPole-v1") as server:
        kind, text = their_clients.call(
            "clients:killed_sync", url=server.base_url, pid=server.pid, action={"action": 0}
        )
    assert kind in ("ConnectionClosedError", "ConnectionError", "ConnectionRefusedError"), text


def test_an_environment_of_ours_that_dies_within_a_step(serve, their_clients):
    """Its worker is gone, the server is not: their user reads why."""
    url = serve("tests.support.envs:Scripted-v0").base_url
    with pytest.raises(RemoteError, match="worker process of this session ended"):
        their_clients.call("clients:generic_sync", url=url, actions=[{"action": Scripted.EXIT}])
    played = their_clients.call("clients:generic_sync", url=url, actions=[{"action": 0}])
    assert played["results"][1][0]["obs"] == [1.0, 0.0]


def test_numbers_that_their_json_does_not_have(their_servers):
    """NaN and the infinities arrive as null: in an array of floats NaN, as a reward none."""
    with TrapClient(their_servers["traps"]) as client:
        client.reset()
        result = client.step(TrapAction(do="nan"))
        assert (result.observation.numbers, result.reward) == ([None, None], None)
    env = gym.make(
        "openenv/remote-v0",
        base_url=their_servers["traps"],
        action_key="do",
        action_space=gym.spaces.Text(5),
        observation_key="numbers",
        observation_space=BOX,
    ).unwrapped
    env.reset()
    observation, reward, terminated, truncated, _ = env.step("nan")
    assert np.isnan(observation).all() and observation.dtype == np.float32
    assert (reward, terminated, truncated) == (0.0, False, False)
    env.close()


def test_metadata_where_the_server_sends_it(generation, their_servers):
    expected = {"note": "stepped"} if generation.version == "0.10" else None
    with TrapClient(their_servers["traps"]) as client:
        client.reset()
        assert client.step(TrapAction()).metadata == expected
    env = make(their_servers["traps"])
    env.reset()
    assert env.step(0)[-1].get("metadata") == expected
    env.close()


def test_something_that_closes_idle_sockets(their_servers):
    with FaultProxy(their_servers["traps"]) as proxy:
        env = make(proxy.base_url)
        env.reset()
        env.step(1)
        proxy.cut()
        with pytest.raises(ConnectionLostError):
            env.step(2)
        env.reset()
        assert env.step(3)[0].tolist() == [3.0, 1.0]
        proxy.cut()
        wait_until(env._connection._transport.has_hung_up)  # as far as one can know here
        with pytest.warns(UserWarning, match="the connection was lost; making a new one"):
            assert env.reset()[0].tolist() == [0.0, 0.0]
        env.close()


@pytest.mark.long
def test_pings_are_answered_while_the_training_loop_computes(serve_theirs, monkeypatch):
    """A server that gives up after seven seconds; the trainer is silent, and busy, for ten."""
    assert PERIOD_S < 20 / 2  # what theirs and ours are started with: 20 s, and 20 s more
    monkeypatch.setattr(websocket, "KEEPALIVE", Keepalive(period_s=0.1))
    url, _ = serve_theirs("traps", uvicorn={"ws_ping_interval": 0.5, "ws_ping_timeout": 6.5})
    env = make(url)
    env.reset()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        np.ones((100, 100)) @ np.ones((100, 100))
    assert env.step(5)[0].tolist() == [5.0, 1.0]
    env.close()


@pytest.mark.parametrize("codec", ["auto", "json"])
def test_a_prefix_of_the_path(codec, their_servers, serve, their_clients):
    with Proxy(their_servers["traps"], prefix="/envs/one") as proxy:
        env = make(f"{proxy.base_url}/", codec=codec)
        env.reset()
        assert env.step(1)[0].tolist() == [1.0, 1.0]
        env.close()
        with pytest.raises(NotOpenEnvError, match="404"):
            make(proxy.base_url.replace("one", "two"), codec=codec)
    with Proxy(serve("openspiel:catch").base_url, prefix="/envs/catch") as proxy:
        env = gym.make("openenv/catch-v0", base_url=proxy.base_url, codec=codec)
        assert env.reset(seed=1)[0].shape == (50,)
        env.close()
        played = their_clients.call("clients:tutorial", url=proxy.base_url, episodes=1)
        assert played["rewards"] == [1.0]


def test_their_clients_show_a_token_of_ours_in_the_url(their_clients):
    with ServerProcess("openspiel:catch", token="s3cret-1") as server:
        url = server.base_url.replace("http://", "ws://user:s3cret-1@")
        played = their_clients.call("clients:tutorial", url=url, episodes=1)
        assert played["rewards"] in ([1.0], [-1.0])
        with pytest.raises(RemoteError, match="401"):
            their_clients.call("clients:tutorial", url=server.base_url, episodes=1)


def test_a_bearer_token(generation, their_servers, crossed_servers, their_clients):
    options = WebSocketOptions(headers={"Authorization": "Bearer s3cret"})
    wrong = WebSocketOptions(headers={"Authorization": "Bearer guessed"})
    with Proxy(their_servers["traps"], token="s3cret") as proxy:
        env = make(proxy.base_url, options=options)
        env.reset()
        assert env.step(1)[0].tolist() == [1.0, 1.0]
        env.close()
        with TrapClient(proxy.base_url, options=options) as client:
            assert client.reset().observation.numbers == [0.0, 0.0]
        for refused in (None, wrong):
            with pytest.raises(AuthenticationError, match="401"):
                make(proxy.base_url, options=refused)
            with pytest.raises(AuthenticationError, match="401"):
                TrapClient(proxy.base_url, options=refused).reset()
    if generation.version == "0.10":  # 0.3 cannot send headers
        with Proxy(crossed_servers["traps"], token="s3cret") as proxy:
            call = {"url": proxy.base_url, "headers": options.headers}
            assert their_clients.call("clients:with_headers", **call) == 0.0
            with pytest.raises(RemoteError, match="401"):
                their_clients.call("clients:with_headers", **call | {"headers": {}})


def test_tls_with_a_private_ca(generation, tmp_path: Path):
    ca = trustme.CA()
    certificate = ca.issue_cert("localhost")
    files = {"ssl_certfile": tmp_path / "cert.pem", "ssl_keyfile": tmp_path / "key.pem"}
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(files["ssl_certfile"], append=True)
    certificate.private_key_pem.write_to_path(files["ssl_keyfile"])
    context = ssl.create_default_context()
    ca.configure_trust(context)
    options = WebSocketOptions(ssl_context=context)
    uvicorn = {name: str(path) for name, path in files.items()}
    served = {"environment": "tests.compat.stock.traps", "uvicorn": uvicorn}
    wanted = {"theirs": served, "ours": {**served, "by": "openenv_gym"}}
    with generation.serve(wanted) as process:
        for url in json.loads(process.line()).values():
            assert url.startswith("https://localhost:")
            for scheme in ("https", "wss"):
                play_one_step(url.replace("https", scheme), options)
            with pytest.raises(UnreachableError, match=r"(?i)certificate"):
                make(url)
            with pytest.raises(UnreachableError, match=r"(?i)certificate"):
                TrapClient(url).reset()


def play_one_step(url: str, options: WebSocketOptions) -> None:
    env = make(url, options=options)
    env.reset()
    assert env.step(1)[0].tolist() == [1.0, 1.0]
    env.close()
    with TrapClient(url, options=options) as client:
        client.reset()
        assert client.step(TrapAction(value=2)).observation.numbers == [2.0, 1.0]
