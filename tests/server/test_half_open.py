"""Connections whose clients do not say what they want are closed in time, and take no slot."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import gymnasium as gym
import httpx
import psutil
import pytest
import trustme
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from openenv_gym import create_app
from openenv_gym.errors import CapacityError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Failed, Open
from openenv_gym.server.half_open import LEAST_S, HalfOpen
from openenv_gym.server.http_protocol import http_protocol, limit_tls
from tests.support.family import workers_of
from tests.support.uvicorn_thread import serving
from tests.support.waiting import wait_until

SCRIPTED = "tests.support.envs:Scripted-v0"
TIME_S = 1.0
"""All the limits of the server that these tests share."""

TIMES = [
    f"--{name}={TIME_S:g}"
    for name in ("header-timeout", "keep-alive", "body-timeout", "first-message-timeout")
]
HEAD = b"POST /reset HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
KINDS: dict[str, tuple[bytes, bytes]] = {  # what is sent at once, and then a byte at a time
    "nothing": (b"", b""),
    "half a request line": (b"POST /res", b""),
    "headers that drip": (HEAD + b"X-Slow: ", b"x"),
    "half a handshake": (UPGRADE, b""),
    "a handshake and silence": (UPGRADE + b"\r\n", b""),
    "a binary handshake and silence": (
        UPGRADE + b"Sec-WebSocket-Protocol: openenv-gym.v1\r\n\r\n",
        b"",
    ),
    "a handshake for a session of others": (
        UPGRADE.replace(b"/ws", b"/ws?session_id=none") + b"\r\n",
        b"",
    ),
    "a handshake of MCP": (UPGRADE.replace(b"/ws", b"/mcp") + b"\r\n", b""),
    "a body that drips": (HEAD + b"Content-Length: 1000\r\n\r\n{", b" "),
    "a body that nobody reads": (
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
        b" ",
    ),
    "an answer and silence": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(SCRIPTED, *TIMES, "--max-sessions=2") as server:
        yield server


def dial(url: str) -> socket.socket:
    place = urlsplit(url)
    return socket.create_connection((place.hostname, place.port), timeout=20)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection; what it said before is read."""
    connection.setblocking(False)
    try:
        while connection.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


class Crowd:
    """Many half-open connections of all kinds.

    Args:
        url: The address of the server.
        count: How many of each kind.
        period_s: How often those that drip send a byte.
    """

    def __init__(self, url: str, count: int, period_s: float) -> None:
        self.connections: list[tuple[str, socket.socket]] = []
        self._is_over = threading.Event()
        self._dripping: list[tuple[socket.socket, bytes]] = []
        self._period_s = period_s
        for kind in itertools.chain.from_iterable([KINDS] * count):
            begins, drips = KINDS[kind]
            connection = dial(url)
            connection.sendall(begins)
            self.connections.append((kind, connection))
            if drips:
                self._dripping.append((connection, drips))
        self._thread = threading.Thread(target=self._drip)
        self._thread.start()

    def _drip(self) -> None:
        while not self._is_over.wait(self._period_s):
            for connection, drips in self._dripping:
                try:
                    connection.send(drips)
                except OSError:  # it is closed, as is seen below
                    continue

    def held(self) -> list[str]:
        """The kinds of those that the server has not closed."""
        return sorted({kind for kind, connection in self.connections if not is_closed(connection)})

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        for _, connection in self.connections:
            connection.close()


def held_by(server: ServerProcess) -> int:
    """How many connections of clients the server has, by the system's count."""
    connections = psutil.Process(server.pid).net_connections("tcp")
    return sum(one.status != psutil.CONN_LISTEN for one in connections)


def test_nothing_half_open_is_held_and_others_are_served(server: ServerProcess):
    with ExitStack() as stack:
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        stack.callback(env.close)
        env.reset()
        crowd = stack.enter_context(closing(Crowd(server.base_url, 2, TIME_S / 10)))
        end_s = time.monotonic() + 20
        while (held := crowd.held()) and time.monotonic() < end_s:
            env.step(0)
            time.sleep(0.05)
        assert held == []
        wait_until(lambda: held_by(server) == 1)
        answer = httpx.get(f"{server.base_url}/readyz", timeout=60).json()
        assert (answer["status"], answer["sessions"]) == ("ready", 1)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_two_thousand_half_open_connections_are_gone_after_15_s():
    with ServerProcess(SCRIPTED) as server, ExitStack() as stack:
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        stack.callback(env.close)
        env.reset()
        begun_s = time.monotonic()
        crowd = stack.enter_context(closing(Crowd(server.base_url, 2000 // len(KINDS) + 1, 1.0)))
        # It accepts one connection after the other: who is answered now came after all of them.
        httpx.get(f"{server.base_url}/livez", timeout=60).raise_for_status()
        made_s = time.monotonic()
        longest_s, counts = 0.0, [held_by(server)]
        bodies = {kind for kind in KINDS if kind.startswith("a body that drips")}
        while set(crowd.held()) - bodies and time.monotonic() < made_s + 15:
            before_s = time.monotonic()
            env.step(0)
            httpx.get(f"{server.base_url}/livez", timeout=60).raise_for_status()
            longest_s = max(longest_s, time.monotonic() - before_s)
            counts.append(held_by(server))
            time.sleep(0.2)
        assert set(crowd.held()) <= bodies  # which have 30 s
        print(f"{len(crowd.connections)} connections, made in {made_s - begun_s:.1f} s: {counts}")
        print(f"a step and /livez took {longest_s:.3f} s at most")
        wait_until(lambda: not crowd.held(), 35)
        wait_until(lambda: held_by(server) == 1)


def first_line(connection: socket.socket) -> str:
    with closing(connection), connection.makefile("rb") as file:
        return file.read().decode()


def test_who_sent_a_part_of_a_request_is_told_why(server: ServerProcess):
    connection = dial(server.base_url)
    connection.sendall(HEAD)
    said = first_line(connection)
    assert said.startswith("HTTP/1.1 408 Request Timeout\r\n")
    assert "within 1 s (--header-timeout)" in said


def test_a_body_that_is_late_is_refused_and_changes_nothing(server: ServerProcess):
    connection = dial(server.base_url)
    connection.sendall(HEAD + b"Content-Length: 10\r\n\r\n{")
    said = first_line(connection)
    assert said.startswith("HTTP/1.1 408 ")
    detail = json.loads(said.partition("\r\n\r\n")[2])["detail"]
    assert detail["code"] == "VALIDATION_ERROR"
    assert "within 1 s of the headers (--body-timeout)" in detail["message"]
    assert httpx.post(f"{server.base_url}/state", timeout=60).status_code != 500


def test_a_body_that_breaks_off_or_is_no_http_leaves_no_traceback(
    capfd: pytest.CaptureFixture[str],
):
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with ServerProcess(SCRIPTED, "--workers=0") as server:
        for sent in (HEAD + b"Content-Length: 10\r\n\r\n{", chunked + b"2\r\n{"):
            dialled = dial(server.base_url)
            dialled.sendall(sent)
            dialled.close()
        broken = dial(server.base_url)
        broken.sendall(chunked)
        time.sleep(0.1)  # the route reads now
        broken.sendall(b"no length\r\n")
        assert first_line(broken).startswith("HTTP/1.1 400 ")
        assert httpx.post(f"{server.base_url}/reset", json={}, timeout=60).status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_an_answer_that_takes_longer_than_a_body_may_is_waited_for():
    app = create_app("tests.support.hanging:Hanging-v0", body_timeout_s=0.2)
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert client.post("/reset", json={}).status_code == 200
        assert client.post("/step", json={"action": {"action": 7}}).status_code == 200  # slow
        client.post("/close")


def test_requests_one_after_the_other_are_waited_for(server: ServerProcess):
    """Each has its time, and a connection may be older than that."""
    with closing(dial(server.base_url)) as connection, connection.makefile("rb") as file:
        for _ in range(5):
            for part in (b"GET /livez HTTP/1.1\r\n", b"Host: localhost\r\n\r\n"):
                connection.sendall(part)
                time.sleep(TIME_S / 4)
            assert file.readline() == b"HTTP/1.1 200 OK\r\n"
            length = 0
            while line := file.readline().strip():
                name, _, value = line.partition(b": ")
                length = int(value) if name == b"content-length" else length
            assert len(file.read(length)) == length > 0


@pytest.mark.parametrize("subprotocols", [None, [SUBPROTOCOL]], ids=["json", "binary"])
def test_a_silent_websocket_has_no_worker_and_no_slot_and_is_told_why(
    subprotocols: list[str] | None, server: ServerProcess
):
    url = f"{server.base_url.replace('http', 'ws')}/ws"
    with connect(url, subprotocols=subprotocols, proxy=None) as silent:
        answer = httpx.get(f"{server.base_url}/readyz", timeout=60).json()
        assert answer["sessions"] == 0
        assert len(workers_of(server.pid)) <= 1  # the one that waits for a session
        with pytest.raises(ConnectionClosed) as closed:
            silent.recv(timeout=20)
    assert closed.value.rcvd.code == 1008
    assert closed.value.rcvd.reason == "no message within 1 s (--first-message-timeout)"


@pytest.mark.parametrize("path", ["ws", "ws?view=gymnasium", "mcp"])
def test_a_silent_websocket_is_told_that_the_server_ends(path: str):
    with ServerProcess(SCRIPTED, "--workers=0") as server:
        url = f"{server.base_url.replace('http', 'ws')}/{path}"
        with connect(url, proxy=None) as silent:
            server._process.terminate()
            with pytest.raises(ConnectionClosed) as closed:
                silent.recv(timeout=20)
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "server_draining")
            assert server._process.wait(8) == 0  # and waits for nothing


def test_silent_websockets_do_not_fill_a_server(server: ServerProcess):
    url = f"{server.base_url.replace('http', 'ws')}/ws"
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connect(url, proxy=None))
        envs = [gym.make("openenv/remote-v0", base_url=server.base_url) for _ in range(2)]
        for env in envs:
            stack.callback(env.close)
            env.reset()


def test_who_shakes_hands_in_time_and_finds_no_slot_is_told_with_the_first_answer(
    server: ServerProcess,
):
    url = f"{server.base_url.replace('http', 'ws')}/ws"
    with ExitStack() as stack:
        late = stack.enter_context(connect(url, subprotocols=[SUBPROTOCOL], proxy=None))
        for _ in range(2):
            env = gym.make("openenv/remote-v0", base_url=server.base_url)
            stack.callback(env.close)
            env.reset()
        with pytest.raises(CapacityError):
            gym.make("openenv/remote-v0", base_url=server.base_url).reset()
        late.send(BinaryMessages().encode_request(7, Open()))
        number, reply = BinaryMessages().decode_reply(late.recv(timeout=20))
        assert (number, type(reply), reply.code) == (7, Failed, "CAPACITY_REACHED")
        with pytest.raises(ConnectionClosed, match="1013"):
            late.recv(timeout=20)


@pytest.mark.parametrize("codec", ["json", "binary"])
def test_a_client_of_ours_may_take_its_time_before_the_first_reset(
    codec: str, server: ServerProcess
):
    env = gym.make("openenv/remote-v0", base_url=server.base_url, codec=codec)
    time.sleep(1.5 * TIME_S)
    _, info = env.reset(seed=1)
    assert "openenv" not in info  # no fault
    env.close()


def test_those_who_waited_longest_give_way_and_nobody_does_in_the_first_second():
    now = 0.0
    half_open = HalfOpen(2, lambda: now)
    ended: list[str] = []

    def add(name: str) -> None:
        half_open.add(name, lambda: ended.append(name))

    for name in "abc":
        add(name)
    assert (ended, len(half_open)) == ([], 3)
    now = LEAST_S
    add("d")
    assert (ended, len(half_open)) == (["a", "b"], 2)
    half_open.discard("c")
    add("e")
    now = 2 * LEAST_S
    half_open.discard("d")
    add("f")
    assert (ended, len(half_open)) == (["a", "b"], 2)


def test_a_silent_websocket_gives_way_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("openenv_gym.server.sessions.HalfOpen", partial(HalfOpen, 1))
    app = create_app(SCRIPTED, workers=0)
    with serving(app) as url, ExitStack() as stack:
        first = stack.enter_context(connect(f"{url.replace('http', 'ws')}/ws", proxy=None))
        time.sleep(LEAST_S + 0.1)
        stack.enter_context(connect(f"{url.replace('http', 'ws')}/ws", proxy=None))
        with pytest.raises(ConnectionClosed) as closed:
            first.recv(timeout=20)
    assert closed.value.rcvd.reason == "too many connections have sent no message"


def test_the_times_hold_on_a_unix_socket_too(tmp_path: Path):
    path = str(tmp_path / "socket")
    with (
        ServerProcess(SCRIPTED, "--header-timeout=0.2", f"--uds={path}"),
        closing(socket.socket(socket.AF_UNIX)) as connection,
    ):
        connection.settimeout(20)
        connection.connect(path)
        assert connection.recv(1) == b""


@pytest.fixture
def tls(tmp_path: Path) -> Callable[[str], Path]:
    """Files of a certificate of localhost."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    authority.cert_pem.write_to_path(tmp_path / "authority")
    return lambda name: tmp_path / name


def test_who_does_not_begin_tls_and_who_says_nothing_in_it_is_cut_off(
    tls: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
):
    startup = uvicorn.Server.startup

    async def limited(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        limit_tls(asyncio.get_running_loop(), TIME_S)
        await startup(self, sockets)

    monkeypatch.setattr(uvicorn.Server, "startup", limited)
    files = {"ssl_keyfile": str(tls("key")), "ssl_certfile": str(tls("cert"))}
    app = create_app(SCRIPTED, workers=0)
    with serving(app, http=http_protocol(TIME_S), **files) as url:
        with closing(dial(url)) as bare:
            assert bare.recv(1) == b""
        context = ssl.create_default_context(cafile=str(tls("authority")))
        with closing(context.wrap_socket(dial(url), server_hostname="localhost")) as silent:
            assert silent.recv(1) == b""
