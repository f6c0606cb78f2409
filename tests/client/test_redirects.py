"""Redirects are followed for the schema and the WebSocket, and nobody else is told secrets."""

from __future__ import annotations

import http.server
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import pytest

from openenv_gym.address import parse_address
from openenv_gym.client.http import get_schema
from openenv_gym.client.redirects import Stop
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.errors import InvalidRequestError, NotOpenEnvError
from openenv_gym.testing import FaultProxy
from tests.support.tls import private_tls

SECRET = {"Authorization": "Bearer secret"}
SCHEMA = {"action": {}, "observation": {}}


class Front:
    """A server that answers as ``answer`` says: a status and a place, or None for the schema."""

    def __init__(self, answer: Callable[[str], tuple[int, str] | None]) -> None:
        self.seen: list[tuple[str, str | None]] = []  # paths, and what was said of who asks
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                front.seen.append((self.path, self.headers.get("Authorization")))
                status, location = answer(self.path) or (200, "")
                body = b"" if location else json.dumps(SCHEMA).encode()
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"


@contextmanager
def front(
    answer: Callable[[str], tuple[int, str] | None], context: ssl.SSLContext | None = None
) -> Iterator[Front]:
    made = Front(answer)
    if context is not None:
        made.server.socket = context.wrap_socket(made.server.socket, server_side=True)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_an_environment_is_played_where_its_server_is(serve: Callable[..., Any], codec: str):
    local, server = gym.make("CartPole-v1"), serve("CartPole-v1").base_url
    with front(lambda path: (308, server + path)) as other:
        for env_id in ("openenv/CartPole-v1", "openenv/remote-v0"):
            env = gym.make(env_id, base_url=other.url, codec=codec)
            assert env.reset(seed=3)[0].tolist() == local.reset(seed=3)[0].tolist()
            assert env.step(1)[0].tolist() == local.step(1)[0].tolist()
            env.close()
    asked = {path for path, _ in other.seen}
    assert asked == {"/schema", "/ws?view=gymnasium" if codec == "json" else "/ws"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_same_host_is_told_who_asks(status: int):
    with front(lambda path: None) as server:
        where = f"{server.url}/here/schema/"
        with front(lambda path: (status, where)) as other:
            options = WebSocketOptions(headers=SECRET)
            assert get_schema(parse_address(other.url), options) == SCHEMA
    assert server.seen == [("/here/schema/", "Bearer secret")]


def test_another_host_is_asked_only_if_allowed_and_is_told_nothing():
    with front(lambda path: None) as server:
        where = f"http://localhost:{server.port}"
        with front(lambda path: (307, where + path)) as other:
            address = parse_address(other.url.replace("//", "//user:word@"))
            says = (
                f"{other.url}/schema redirects to {where}, on another host, which is not followed; "
                f"pass base_url='{where}' if that is the server, or allow the host with "
                "options=WebSocketOptions(redirect_hosts=['localhost'])"
            )
            with pytest.raises(NotOpenEnvError, match=re.escape(says)):
                get_schema(address, WebSocketOptions(headers=SECRET))
            assert server.seen == []
            options = WebSocketOptions(headers=SECRET, redirect_hosts=["localhost"])
            assert get_schema(address, options) == SCHEMA
    assert other.seen[0][1] is not None
    assert server.seen == [("/schema", None)]


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_a_websocket_tells_another_host_nothing(serve: Callable[..., Any], codec: str):
    url = serve("CartPole-v1").base_url
    with FaultProxy(url) as server:
        where = server.base_url.replace("127.0.0.1", "localhost")

        def only_the_schema_is_here(path: str) -> tuple[int, str]:
            return 307, (url if path == "/schema" else where) + path

        with front(only_the_schema_is_here) as other:
            arguments: dict[str, Any] = {"base_url": other.url, "codec": codec}
            with pytest.raises(NotOpenEnvError, match=r"/ws.* redirects to .*, on another host"):
                gym.make("openenv/CartPole-v1", **arguments).reset()
            assert server.accepted == 0
            options = WebSocketOptions(headers=SECRET, redirect_hosts=["localhost"])
            env = gym.make("openenv/CartPole-v1", **arguments, options=options)
            env.reset()
            assert server.accepted == 1
            env.close()


def test_nothing_goes_on_without_tls():
    context, trust = private_tls("127.0.0.1")
    options = WebSocketOptions(headers=SECRET, ssl_context=trust)
    with (
        front(lambda path: None) as plain,
        front(lambda path: (301, f"{plain.url}{path}"), context) as other,
    ):
        address = parse_address(other.url.replace("http", "https"))
        with pytest.raises(NotOpenEnvError, match="without TLS, which is not followed"):
            get_schema(address, options)
    assert plain.seen == []
    with (
        front(lambda path: None, context) as secure,
        front(lambda path: (301, f"{secure.url.replace('http', 'https')}{path}")) as other,
    ):
        assert get_schema(parse_address(other.url), options) == SCHEMA
    assert secure.seen == [("/schema", "Bearer secret")]


def test_a_circle_ends():
    says = "redirects more than 10 times, the last time to"
    with front(lambda path: (302, path)) as other, pytest.raises(NotOpenEnvError, match=says):
        get_schema(parse_address(other.url), WebSocketOptions())
    assert len(other.seen) == 11


def test_a_lost_session_is_taken_up_where_it_is(serve: Callable[..., Any]):
    server = serve("CartPole-v1").base_url
    with FaultProxy(server) as proxy:

        def answer(path: str) -> tuple[int, str]:
            return 307, (server if path == "/schema" else proxy.base_url) + path

        with front(answer) as other:
            env = gym.make("openenv/CartPole-v1", base_url=other.url, on_fault="raise")
            env.reset(seed=1)
            local = gym.make("CartPole-v1")
            local.reset(seed=1)
            proxy.cut()
            assert env.step(1)[0].tolist() == local.step(1)[0].tolist()
            env.close()
        assert [path for path, _ in other.seen].count("/ws") == 1
        assert proxy.accepted == 2


@pytest.mark.parametrize(
    ("url", "location", "leads_to"),
    [
        ("http://a/games", "/games/ws/", "ws://a/games/ws/?view=gymnasium"),
        ("http://a/games", "https://a/ws?x=1", "wss://a/ws?x=1"),
        ("http://a:8000", "wss://a:8443/ws", "wss://a:8443/ws?view=gymnasium"),
        ("http://me:pw@a", "//a:81/ws", "ws://a:81/ws?view=gymnasium"),
        ("unix:///run/x.sock", "/ws/", "ws://localhost/ws/?view=gymnasium"),
    ],
)
def test_where_a_websocket_is_led_to(url: str, location: str, leads_to: str):
    address = parse_address(url)
    there = Stop.of(address, "ws", "?view=gymnasium").redirected(location, ())
    assert there.ws_url == leads_to
    assert there.is_own
    assert (there.address.username, there.address.token) == (address.username, address.token)
    assert there.address.socket_path == address.socket_path


@pytest.mark.parametrize(
    ("url", "location", "says"),
    [
        ("http://a", "ftp://a/ws", "which is no address of a server"),
        ("http://a", "http://a:x/ws", "which is no address of a server"),
        ("https://a", "http://a/ws", "pass base_url='http://a' if that is meant"),
        ("http://a", "https://b/x/ws", "pass base_url='https://b/x' if that is the server"),
        ("unix:///run/x.sock", "http://localhost:8000/ws", "on another host"),
    ],
)
def test_where_nobody_follows(url: str, location: str, says: str):
    with pytest.raises(NotOpenEnvError, match=re.escape(says)):
        Stop.of(parse_address(url), "ws").redirected(location, ())


def test_who_was_led_away_is_not_trusted_on_the_way_back():
    away = Stop.of(parse_address("http://me:pw@a"), "ws").redirected("http://b/ws", ["b"])
    assert (away.is_own, away.address.username, away.address.token) == (False, None, None)
    assert not away.redirected("http://a/ws", ["a"]).is_own


def test_hosts_are_a_list():
    with pytest.raises(InvalidRequestError, match="redirect_hosts: expected a list of names"):
        WebSocketOptions(redirect_hosts="a")
