"""A binary session is the same where its messages bypass the task of the application.

The relay is what ``openenv-gym serve`` runs with a worker process for each session; under another
server, and with the environment in a thread, the task passes every message on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from openenv_gym import create_app
from openenv_gym.address import parse_address
from openenv_gym.client.websocket import WebSocketOptions, WebSocketTransport
from openenv_gym.errors import ConnectionLostError, InvalidRequestError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import (
    SUBPROTOCOL,
    BinaryMessages,
    Close,
    Closed,
    Failed,
    Open,
    Opened,
    Reset,
    Step,
)
from openenv_gym.server.busy_poll import BusyPoll
from openenv_gym.server.relay import Relay
from openenv_gym.server.relay_protocol import RelayProtocol
from tests.support.envs import Scripted
from tests.support.uvicorn_thread import serving

SCRIPTED = "tests.support.envs:Scripted-v0"
MAX_BYTES = 1 << 20
_HEAD_BYTES = 14
"""The most that stand before the payload of a frame."""


WAYS = {
    "relay": (RelayProtocol, "process", False),
    "task": ("websockets-sansio", "process", False),
    "compressed": (RelayProtocol, "process", True),
    "thread": (RelayProtocol, "thread", False),
}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest, no_process_is_left: None):
    ws, isolation, deflates = WAYS[request.param]
    app = create_app(SCRIPTED, isolation=isolation, max_sessions=2)
    options = {
        "ws": ws,
        "ws_max_size": MAX_BYTES,
        "ws_per_message_deflate": deflates,
        "ws_ping_interval": 0.2,
        "ws_ping_timeout": 60,
    }
    with serving(app, **options) as url:
        yield request.param, f"{url}/ws".replace("http", "ws")


@pytest.fixture
def relays(monkeypatch: pytest.MonkeyPatch) -> list[Relay]:
    """The relays that are made."""
    made: list[Relay] = []
    init = Relay.__init__

    def counted(self: Relay, *arguments: Any) -> None:
        made.append(self)
        init(self, *arguments)

    monkeypatch.setattr(Relay, "__init__", counted)
    return made


class Session:
    """One binary session by hand, its environment open."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.messages, self.seq = socket, BinaryMessages(), 0
        assert isinstance(self.ask(Open()), Opened)

    def send(self, request: Any) -> None:
        self.seq += 1
        self.socket.send(self.messages.encode_request(self.seq, request))

    def receive(self) -> tuple[int, Any]:
        return self.messages.decode_reply(self.socket.recv(timeout=20))

    def ask(self, request: Any) -> Any:
        self.send(request)
        seq, reply = self.receive()
        assert seq == self.seq
        return reply


def session(url: str, **options: Any) -> ClientConnection:
    return connect(url, subprotocols=[SUBPROTOCOL], **options)


def transport(url: str) -> WebSocketTransport:
    """Like :func:`session`, without a thread that closes the socket while another one sends."""
    address = parse_address(url.replace("ws:", "http:").removesuffix("/ws"))
    opened = WebSocketTransport(address, SUBPROTOCOL, WebSocketOptions())
    opened.send(BinaryMessages().encode_request(1, Open()))
    assert isinstance(BinaryMessages().decode_reply(opened.receive(20))[1], Opened)
    return opened


@pytest.mark.sample(2)
def test_an_episode(way: tuple[str, str], relays: list[Relay]):
    name, url = way
    with session(url) as socket:
        binary = Session(socket)
        assert len(relays) == (name == "relay")
        for episode in range(3):
            assert binary.ask(Reset(episode)).obs[0] == 0.0
            for step in range(1, 30):
                assert binary.ask(Step(0)).obs[0] == step
        assert binary.ask(Open()).code == "PROTOCOL_ERROR"
        assert isinstance(binary.ask(Close()), Closed)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd.code == 1000


def test_requests_sent_ahead_are_answered_in_order(way: tuple[str, str]):
    with session(way[1]) as socket:
        binary = Session(socket)
        binary.ask(Reset(0))
        first = binary.seq + 1
        for _ in range(50):
            binary.send(Step(0))
        for number in range(50):
            seq, reply = binary.receive()
            assert (seq, reply.obs[0]) == (first + number, number + 1)
        assert binary.ask(Step(0)).obs[0] == 51


def test_messages_may_come_in_fragments_with_pings_between(way: tuple[str, str]):
    with session(way[1]) as socket:
        binary = Session(socket)
        binary.ask(Reset(0))
        binary.seq += 1
        body = binary.messages.encode_request(binary.seq, Step(0))
        protocol = socket.protocol

        def write(opcode: Opcode, data: bytes, fin: bool) -> None:
            protocol.send_frame(Frame(opcode, data, fin))
            for part in protocol.data_to_send():
                socket.socket.sendall(part)

        with socket.protocol_mutex:
            write(Opcode.BINARY, body[:3], False)
            write(Opcode.PING, b"between", True)
            write(Opcode.CONT, b"", False)
            write(Opcode.CONT, body[3:], True)
        assert binary.receive()[1].obs[0] == 1.0
        assert socket.ping().wait(20)
        assert binary.ask(Step(0)).obs[0] == 2.0


def test_bytes_may_come_one_at_a_time(way: tuple[str, str]):
    with session(way[1]) as socket:
        binary = Session(socket)
        binary.ask(Reset(0))
        binary.seq += 1
        body = binary.messages.encode_request(binary.seq, Step(0))
        frame = Frame(Opcode.BINARY, body).serialize(mask=True)
        with socket.protocol_mutex:  # no pong of the library's comes between
            for byte in frame:
                socket.socket.sendall(bytes([byte]))
                time.sleep(0.001)
        assert binary.receive()[1].obs[0] == 1.0


@pytest.mark.parametrize(
    ("opcode", "data", "mask", "code"),
    [
        (Opcode.TEXT, b"{}", True, 1003),
        (Opcode.BINARY, b"\3", False, 1002),
        (Opcode.BINARY, bytes(MAX_BYTES + 1), True, 1009),
    ],
)
def test_what_breaks_the_rules_ends_the_session(
    way: tuple[str, str], opcode: Opcode, data: bytes, mask: bool, code: int
):
    with session(way[1]) as socket:
        binary = Session(socket)
        binary.ask(Reset(0))
        frame = Frame(opcode, data).serialize(mask=mask)
        socket.socket.sendall(frame[:_HEAD_BYTES])  # stock uvicorn resets who sends more
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd.code == code
    both_slots_are_free(way[1])


def test_who_sends_too_much_is_told_so_and_not_reset(way: tuple[str, str]):
    if way[0] == "task":
        pytest.skip("stock uvicorn closes at once, which resets a client that is still sending")
    with contextlib.closing(transport(way[1])) as client:
        body = bytes(32 * MAX_BYTES)  # more than the sockets on the way hold
        client.send(body)
        with pytest.raises(InvalidRequestError, match=f": 1009 .* {len(body)}.*; the last message"):
            client.receive(20)
        both_slots_are_free(way[1])  # while the connection may still be there


def test_a_server_ends_while_somebody_still_sends_too_much():
    app = create_app(SCRIPTED, isolation="process", max_sessions=2)
    is_sending, has_ended = threading.Event(), threading.Event()

    def send() -> None:
        while not has_ended.is_set():
            client.send(bytes(4 * MAX_BYTES))
            is_sending.set()

    with serving(app, ws=RelayProtocol, ws_max_size=MAX_BYTES) as url:
        client = transport(f"{url}/ws")
        thread = threading.Thread(target=send)
        thread.start()
        assert is_sending.wait(20)
    has_ended.set()
    thread.join(20)
    assert not thread.is_alive()
    client.close()


def test_long_messages_come_whole(way: tuple[str, str]):
    with session(way[1]) as socket:
        binary = Session(socket)
        options = {"long": np.random.default_rng(0).bytes(300_000)}
        assert binary.ask(Reset(0, options)).info == {"options": options}
        assert binary.ask(Step(0)).obs[0] == 1.0


@pytest.mark.sample(2)
def test_pings_are_answered_during_a_step_and_a_silence(way: tuple[str, str]):
    with session(way[1]) as socket:
        binary = Session(socket)
        binary.ask(Reset(0))
        time.sleep(1)  # five pings of the server's
        assert binary.ask(Step(0)).obs[0] == 1.0
        if way[0] != "thread":  # which could not be ended
            binary.send(Step(Scripted.HANG))
            assert socket.ping().wait(20)


@pytest.mark.sample(1)
def test_a_client_that_leaves_in_a_step_frees_its_slot(way: tuple[str, str]):
    if way[0] == "thread":
        pytest.skip("a thread that hangs cannot be ended, which is why process is the default")
    for _ in range(3):
        with session(way[1]) as socket:
            binary = Session(socket)
            binary.ask(Reset(0))
            binary.send(Step(Scripted.HANG))
        both_slots_are_free(way[1])


def test_a_worker_that_dies_is_told_with_its_request(way: tuple[str, str]):
    if way[0] == "thread":
        pytest.skip("os._exit in a thread ends the whole test run")
    with session(way[1]) as socket:
        binary = Session(socket)
        binary.ask(Reset(0))
        reply = binary.ask(Step(Scripted.EXIT))
        assert isinstance(reply, Failed)
        assert reply.code == "CONNECTION_LOST"
        assert "exit code 7" in reply.message
        assert reply.fault == Fault(kind=FaultKind.WORKER_DIED, exitcode=7)
        assert reply.to_exception().fault == reply.fault
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd.code == 1011
    both_slots_are_free(way[1])


def both_slots_are_free(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with session(url) as one, session(url) as two:
                Session(one), Session(two)
            return
        except Exception:  # whatever it is, it has to be over by the deadline
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Asked:
    """A worker that keeps what it is asked, and how it is to answer."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def ask(self, body: bytes, on_reply: Callable[[bytes | None], None]) -> None:
        self.bodies.append(body)
        self.answer = on_reply

    async def loss(self) -> ConnectionLostError:
        return ConnectionLostError("lost")


class Line:
    """A connection that keeps what is sent over it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.transport = self
        self.writable = asyncio.Event()
        self.writable.set()

    def take_over(
        self, on_message: Callable[[bytes], None], on_writable: Callable[[], None], limits: Any
    ) -> None:
        self.ask, self.on_writable = on_message, on_writable

    def hold(self) -> None:
        self.is_held = True

    def go_on(self) -> None:
        self.is_held = False

    def send_message(self, body: bytes) -> None:
        self.sent.append(body)

    def abort(self) -> None:
        """It is lost already."""


def test_who_takes_a_session_up_is_sent_nothing_before_it_asks():
    async def play() -> None:
        worker, first, second = Asked(), Line(), Line()
        relay = Relay(worker, BusyPoll(), numbered(0))
        relay.attach(first)
        first.ask(numbered(1))
        relay.detach()
        relay.attach(second)
        worker.answer(numbered(1, b"done"))
        assert (first.sent, second.sent) == ([], [])
        second.ask(numbered(1))
        assert (worker.bodies, second.sent) == ([numbered(1)], [numbered(1, b"done")])

    asyncio.run(play())


def test_no_request_is_begun_while_its_client_leaves_replies_unread():
    async def play() -> None:
        worker, line = Asked(), Line()
        Relay(worker, BusyPoll(), numbered(0)).attach(line)
        line.writable.clear()
        line.ask(numbered(1))
        assert (worker.bodies, line.is_held) == ([], True)
        line.writable.set()
        line.on_writable()
        assert (worker.bodies, line.is_held) == ([numbered(1)], False)

    asyncio.run(play())


def numbered(number: int, rest: bytes = b"") -> bytes:
    return bytes(4) + number.to_bytes(4, "little") + rest
