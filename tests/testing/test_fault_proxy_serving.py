"""The proxy before a real server: what HTTP and WebSocket clients of it see."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import gymnasium as gym
import httpx
import numpy as np
import pytest
import websockets
from websockets.sync.client import connect

from openenv_gym.address import parse_address
from openenv_gym.client import Connection
from openenv_gym.endpoints import ConnectOptions, ServerEndpoint
from openenv_gym.errors import ConnectionLostError, RequestTimeoutError
from openenv_gym.protocol import Open, Reset, Step
from openenv_gym.testing import FaultProxy

FAULT = "openenv_gym.testing:Fault-v0"
CODECS = ("binary", "json")
RESET = '{"type": "reset", "data": {"seed": 3}}'
WAIT_S = 20.0
HURRY_S = 2.0  # for what will not come


@pytest.fixture
def proxy(serve) -> Iterator[FaultProxy]:
    with FaultProxy(serve(FAULT, "--isolation=inline").base_url) as proxy:
        yield proxy


@pytest.fixture
def open_session(proxy) -> Iterator[Callable[..., Connection]]:
    """Opens sessions through the proxy, each after a reset, and forgets them after the test.

    From then on they wait as long as is said.
    """
    with contextlib.ExitStack() as stack:

        def start(codec: str, timeout_s: float = WAIT_S) -> Connection:
            endpoint = ServerEndpoint(
                address=parse_address(proxy.base_url),
                request=Open(None),
                options=ConnectOptions(codec=codec, timeout_s=WAIT_S),
            )
            _, connection = endpoint.connect()
            stack.callback(connection.abandon)
            connection.request(Reset(3))
            connection.timeout_s = timeout_s
            return connection

        yield start


def play(base_url: str, codec: str, disturb: Callable[[int], None] | None = None) -> list:
    env = gym.make("openenv/remote-v0", base_url=base_url, codec=codec)
    seen = [env.reset(seed=3)]
    for step in range(12):
        if disturb is not None:
            disturb(step)
        seen.append(env.step(step % 2))
    env.close()
    return seen


@pytest.mark.parametrize("codec", CODECS)
def test_slow_networks_change_no_number(proxy, serve, codec):
    def disturb(step: int) -> None:
        if step == 3:
            proxy.delay(0.02)
        if step == 6:
            proxy.limit_rate(20_000)
        if step == 9:
            proxy.heal()

    direct = play(serve(FAULT, "--isolation=inline").base_url, codec)
    np.testing.assert_equal(play(proxy.base_url, codec), direct)
    np.testing.assert_equal(play(proxy.base_url, codec, disturb), direct)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("direction", ["to_server", "to_client", "both"])
@pytest.mark.sample(2)
def test_a_black_hole_is_a_timeout(proxy, open_session, codec, direction):
    connection = open_session(codec, timeout_s=HURRY_S)
    proxy.black_hole(direction)
    with pytest.raises(RequestTimeoutError):
        connection.request(Step(0))
    assert connection.is_broken


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.sample(1)
def test_a_delay_past_the_deadline_is_a_timeout(proxy, open_session, codec):
    connection = open_session(codec, timeout_s=HURRY_S)
    proxy.delay(3600, "to_client")
    with pytest.raises(RequestTimeoutError):
        connection.request(Step(0))


ENDS = ["cut", "reset", "half_close"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("how", ENDS)
def test_an_ended_connection_is_lost(proxy, open_session, codec, how):
    connection = open_session(codec)
    if how == "half_close":
        proxy.half_close("to_client")
    else:
        getattr(proxy, how)()
    with pytest.raises(ConnectionLostError):
        connection.request(Step(0))


@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_a_cut_at_each_byte_of_a_message_is_a_lost_connection(proxy, open_session, how, direction):
    connection = open_session("binary")

    def length_of_a_step() -> int:
        before = proxy.passed(direction)
        connection.request(Step(0))
        return proxy.passed(direction) - before

    length = min(length_of_a_step() for _ in range(3))  # a ping may come beside one
    assert 0 < length < 200
    connection.close()
    for count in range(length):
        connection = open_session("binary")
        proxy.cut_after(count, direction, how)
        with pytest.raises(ConnectionLostError):
            connection.request(Step(0))
        proxy.heal()


def test_a_reply_that_was_lost_is_held_and_not_mixed_up(proxy, open_session):
    connection = open_session("binary", timeout_s=HURRY_S)
    proxy.cut_after(0, "to_client", "black_hole")
    with pytest.raises(RequestTimeoutError):
        connection.request(Step(0))
    proxy.heal()
    with pytest.raises(ConnectionLostError):
        connection.request(Step(0))


def test_a_client_that_is_not_ours_sees_the_same(proxy):
    url = proxy.base_url.replace("http", "ws") + "/ws"
    with connect(url, proxy=None) as socket:
        socket.send(RESET)
        assert '"type": "observation"' in socket.recv(20).replace('":"', '": "')
        proxy.cut_after(10, "to_client", "reset")
        socket.send(RESET)
        with pytest.raises(websockets.ConnectionClosedError):
            socket.recv(20)


def test_http_goes_through_and_is_cut(proxy):
    with httpx.Client(base_url=proxy.base_url, timeout=20, trust_env=False) as client:
        assert client.get("/health").status_code == 200
        proxy.cut_after(80, "to_client")
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/schema")
        assert client.get("/schema").status_code == 200
        proxy.refuse()
        proxy.cut()
        with pytest.raises(httpx.TransportError):
            client.get("/health")
        proxy.heal()
        assert client.get("/health").status_code == 200
