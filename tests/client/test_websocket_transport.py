"""The WebSocket transport against a server of the ``websockets`` library, told what to do."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing, contextmanager

import pytest
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from openenv_gym.address import parse_address
from openenv_gym.client.connection import Connection
from openenv_gym.client.keepalive import Keepalive
from openenv_gym.client.websocket import WebSocketOptions, WebSocketTransport
from openenv_gym.errors import (
    ConnectionLostError,
    InvalidRequestError,
    NotOpenEnvError,
    ProtocolError,
    RequestTimeoutError,
    UnreachableError,
)
from openenv_gym.protocol import (
    SUBPROTOCOL,
    BinaryMessages,
    ClientSession,
    GetState,
    SessionState,
    StateReply,
)
from openenv_gym.protocol.resume import RESUME_HEADER, Resumption
from tests.support.tls import private_tls

OPTIONS = WebSocketOptions(connect_timeout_s=30)


@contextmanager
def peer(handler: Callable[[ServerConnection], None], **keywords):
    """A server that treats each connection as ``handler`` says; yields its address."""
    keywords["select_subprotocol"] = lambda _, offered: next(
        (name for name in offered if name == SUBPROTOCOL), None
    )
    with serve(handler, "127.0.0.1", 0, **keywords) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        scheme = "wss" if "ssl" in keywords else "ws"
        name = "localhost" if "ssl" in keywords else "127.0.0.1"
        try:
            yield parse_address(f"{scheme}://{name}:{server.socket.getsockname()[1]}")
        finally:
            server.shutdown()
            thread.join()


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 3_000_000])
@pytest.mark.parametrize("subprotocol", [SUBPROTOCOL, None])
def test_messages_of_all_sizes(size: int, subprotocol: str | None):
    body = bytes(65 + i % 26 for i in range(size))
    with peer(echo, max_size=None) as address:
        transport = WebSocketTransport(address, subprotocol, OPTIONS)
        for _ in range(2):
            transport.send(body)
            assert transport.receive(30) == body
        transport.close()


def test_fragments_and_pings_between_them():
    def fragments(connection: ServerConnection) -> None:
        for message in connection:
            half = len(message) // 2
            connection.send(iter([message[:half], b"", message[half:]]))
            connection.ping()
            connection.send(b"next")

    with peer(fragments) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, OPTIONS)
        for body in (b"0123456789", b"a" * 1000):
            transport.send(body)
            assert transport.receive(30) == body
            assert transport.receive(30) == b"next"
        transport.close()


def test_bytes_one_at_a_time():
    def trickle(connection: ServerConnection) -> None:
        for message in connection:
            for byte in Frame(2, message).serialize(mask=False):
                connection.socket.sendall(bytes([byte]))

    with peer(trickle) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, OPTIONS)
        transport.send(b"x" * 300)
        assert transport.receive(30) == b"x" * 300
        transport.close()


def test_what_comes_in_the_segment_of_the_handshake_is_kept():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = parse_address(f"ws://127.0.0.1:{listener.getsockname()[1]}")

        def answer() -> None:
            from websockets.server import ServerProtocol

            sock, _ = listener.accept()
            protocol = ServerProtocol()
            protocol.receive_data(sock.recv(65536))
            protocol.send_response(protocol.accept(protocol.events_received()[0]))
            protocol.send_text(b"first")
            sock.sendall(b"".join(protocol.data_to_send()))
            sock.recv(1)
            sock.close()

        thread = threading.Thread(target=answer)
        thread.start()
        transport = WebSocketTransport(address, None, OPTIONS)
        assert transport.receive(30) == b"first"
        transport.close()
        thread.join()


def test_a_late_reply_is_never_read_as_the_next_one():
    release = threading.Event()

    def late(connection: ServerConnection) -> None:
        for message in connection:
            release.wait(60)
            connection.send(message)

    with peer(late) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, OPTIONS)
        session = ClientSession(BinaryMessages(), SessionState.READY)
        connection = Connection(session, transport, timeout_s=0.2)
        with pytest.raises(RequestTimeoutError, match=r"within 0\.2 s; the connection was closed"):
            connection.request(GetState())
        release.set()
        with pytest.raises(ConnectionLostError, match="the connection is broken"):
            connection.request(GetState())


def test_a_reply_to_another_request_is_refused():
    def shifted(connection: ServerConnection) -> None:
        for _ in connection:
            connection.send(BinaryMessages().encode_reply(99, StateReply({})))

    with peer(shifted) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, OPTIONS)
        connection = Connection(ClientSession(BinaryMessages(), SessionState.READY), transport)
        with pytest.raises(ProtocolError, match="expected the reply to request 1, got that to 99"):
            connection.request(GetState())
        assert connection.is_broken


def test_pings_are_answered_while_nobody_reads():
    answered = threading.Event()

    def ping(connection: ServerConnection) -> None:
        if connection.ping().wait(60):
            answered.set()
        for message in connection:
            connection.send(message)

    keepalive = Keepalive(period_s=0.05)
    with peer(ping) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, OPTIONS)
        keepalive.add(transport)
        assert answered.wait(60)
        transport.send(b"still there")
        assert transport.receive(30) == b"still there"
        transport.close()


def test_nobody_else_reads_while_the_caller_waits_for_a_reply(monkeypatch):
    with peer(echo) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, OPTIONS)
        looked: list[bool] = []
        monkeypatch.setattr(transport._socket, "receive_nowait", lambda: looked.append(True))
        transport.send(b"x")
        transport.look_after()
        assert (transport.receive(30), looked) == (b"x", [])
        transport.look_after()  # idle again
        assert looked == [True]
        transport.close()


def test_the_collector_may_close_it_while_it_is_looked_after(monkeypatch):
    keepalive = Keepalive(period_s=0)
    with peer(echo) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, OPTIONS)
        monkeypatch.setattr(transport._socket, "receive_nowait", transport.close)
        keepalive._idlers.add(transport)
        keepalive._look_after_all()  # in this thread, which would wait for itself
        assert transport.is_closed
        keepalive._look_after_all()
        assert not keepalive._idlers


def test_a_lost_idle_connection_is_told_at_the_next_request():
    with (
        peer(lambda connection: connection.close(1012, "service restart")) as address,
        pytest.raises(ConnectionLostError, match=r"1012 service restart|closed|broke"),
        # It may have come with the handshake. The peer waits ten seconds for one that stays open.
        closing(WebSocketTransport(address, SUBPROTOCOL, OPTIONS)) as transport,
    ):
        transport.send(b"x")
        transport.receive(30)


@pytest.mark.parametrize(
    ("code", "may_be_there"),
    [(1001, True), (1011, True), (1000, False), (1012, False), (4408, False)],
)
def test_a_session_may_be_there_still_unless_its_server_has_ended_it(code: int, may_be_there: bool):
    def offer(connection: ServerConnection, request: Request, response: Response) -> None:
        response.headers[RESUME_HEADER] = Resumption("token", 60).header()

    def leave(connection: ServerConnection) -> None:
        connection.recv()
        connection.close(code)

    with peer(leave, process_response=offer) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, OPTIONS)
        assert transport.can_resume
        transport.send(b"x")
        with pytest.raises(ConnectionLostError, match=str(code)):
            transport.receive(30)
        assert transport.can_resume is may_be_there
        transport.close()


def test_a_path_without_a_websocket_is_no_lost_session():
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(404, "nothing here")

    with (
        peer(echo, process_request=refuse) as address,
        pytest.raises(NotOpenEnvError, match="got HTTP 404: nothing here"),
    ):
        WebSocketTransport(address, SUBPROTOCOL, OPTIONS)


def test_a_message_over_the_limit_breaks_the_connection():
    options = WebSocketOptions(max_message_bytes=1000)
    with peer(echo) as address:
        transport = WebSocketTransport(address, SUBPROTOCOL, options)
        transport.send(b"x" * 1000)
        assert transport.receive(30) == b"x" * 1000
        transport.send(b"x" * 1001)
        with pytest.raises(InvalidRequestError, match=r"at most 1000 bytes \(max_message_bytes\)"):
            transport.receive(30)
        transport.close()


def test_headers_and_basic_authentication_reach_the_server():
    seen: dict[str, str] = {}
    has_looked = threading.Event()

    def look(connection: ServerConnection) -> None:
        seen.update(connection.request.headers.raw_items())
        has_looked.set()
        echo(connection)  # until the client leaves: else the goodbye may come with the handshake

    with peer(look) as address:
        url = address.ws_url.replace("ws://", "ws://user:s%20ecret@")
        options = WebSocketOptions(headers={"X-Test": "1"})
        transport = WebSocketTransport(parse_address(url), SUBPROTOCOL, options)
        assert has_looked.wait(60)  # a client that has left is no handler's any more
        transport.close()
    assert seen["X-Test"] == "1"
    assert seen["Authorization"] == "Basic dXNlcjpzIGVjcmV0"


def test_tls_with_a_private_ca_and_without():
    server_context, client_context = private_tls("localhost")
    with peer(echo, ssl=server_context) as address:
        options = WebSocketOptions(ssl_context=client_context)
        transport = WebSocketTransport(address, SUBPROTOCOL, options)
        transport.send(b"x" * 100_000)
        assert transport.receive(30) == b"x" * 100_000
        transport.look_after()
        with pytest.raises(RequestTimeoutError):
            transport.receive(0.1)
        transport.close()
        with pytest.raises(UnreachableError, match="certificate verify failed"):
            WebSocketTransport(address, SUBPROTOCOL, OPTIONS)


def test_a_server_without_our_subprotocol_is_named():
    with (
        peer(echo) as address,
        pytest.raises(NotOpenEnvError, match=r"does not speak other\.v1; use codec='json'"),
    ):
        WebSocketTransport(address, "other.v1", OPTIONS)


def test_pings_do_not_move_the_deadline():
    end = threading.Event()

    def ping(connection: ServerConnection) -> None:
        while not end.wait(0.02):
            connection.ping()

    with peer(ping) as address:
        transport = WebSocketTransport(address, None, OPTIONS)
        transport.send(b"{}")
        try:
            with pytest.raises(RequestTimeoutError, match=r"within 0\.2 s"):
                transport.receive(0.2)
        finally:
            end.set()
            transport.close()


def test_a_connection_that_is_broken_off_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reset() -> None:
            sock, _ = listener.accept()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

        thread = threading.Thread(target=reset)
        thread.start()
        address = parse_address(f"ws://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(UnreachableError, match="is the server running"):
            WebSocketTransport(address, None, OPTIONS)
        thread.join()


@pytest.mark.parametrize("url", ["http://" + "a" * 70 + ".com", f"unix://{__file__}"])
def test_what_cannot_be_connected_to_is_unreachable(url: str):
    with pytest.raises(UnreachableError):
        WebSocketTransport(parse_address(url), None, OPTIONS)
