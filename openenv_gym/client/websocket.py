"""The transport over a WebSocket, on TCP, TLS or a Unix socket.

Blocking, in the thread of the caller: there is no event loop and no thread hop between a step
and its reply. While the caller computes, one daemon thread answers the pings of all idle
sockets (:mod:`openenv_gym.client.keepalive`).
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState, InvalidStatus
from websockets.http11 import Response
from websockets.uri import parse_uri

from openenv_gym.address import Address
from openenv_gym.client.keepalive import KEEPALIVE
from openenv_gym.errors import (
    CapacityError,
    ConnectionLostError,
    NotOpenEnvError,
    ProtocolError,
    TransportError,
    UnreachableError,
)
from openenv_gym.protocol import Body
from openenv_gym.protocol.websocket_frames import BINARY, TEXT, FrameSplitter, client_frame
from openenv_gym.sockets import BlockingSocket

DEFAULT_MAX_MESSAGE_BYTES = 100 * 2**20
MAX_HANDSHAKE_BYTES = 64 * 2**10
_FAULTS_BY_CLOSE_CODE = {1012: "server_draining", 4408: "session_expired"}
CONTROL_TIMEOUT_S = 1.0
"""How long a peer may take nothing while it is sent a pong or a goodbye."""


@dataclass(frozen=True, kw_only=True)
class WebSocketOptions:
    """How a WebSocket is opened.

    Attributes:
        connect_timeout_s: For TCP, TLS and the handshake together, each.
        max_message_bytes: A longer message from the server is refused.
        headers: Sent with the handshake, such as ``Authorization``.
        ssl_context: For ``wss``; the system's certificates unless given.
    """

    connect_timeout_s: float = 10.0
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    headers: dict[str, str] = field(default_factory=dict)
    ssl_context: ssl.SSLContext | None = None


class WebSocketTransport:
    """Bodies as messages: binary with the subprotocol, text without.

    Args:
        address: Of the server.
        subprotocol: What to ask for; None speaks OpenEnv's JSON.
        options: How it is opened.
        query: What follows the URL, such as ``?view=gymnasium``.

    Raises:
        UnreachableError: nobody answers there.
        NotOpenEnvError: who answers there has no OpenEnv WebSocket, or not this subprotocol.
        CapacityError: the server has no free session.
    """

    def __init__(
        self,
        address: Address,
        subprotocol: str | None,
        options: WebSocketOptions,
        query: str = "",
    ) -> None:
        self._opcode = TEXT if subprotocol is None else BINARY
        self._splitter = FrameSplitter(options.max_message_bytes, in_place=self._opcode == BINARY)
        self._messages: deque[Body] = deque()
        self._lock = threading.Lock()
        self._is_waiting = False
        self._is_closed = False
        self.last_used_s = time.monotonic()
        self._socket = BlockingSocket(_connect(address, options), str(address))
        self._protocol = ClientProtocol(
            parse_uri(address.ws_url + query),
            subprotocols=None if subprotocol is None else [subprotocol],  # type: ignore[list-item]
            max_size=None,  # the splitter has the limit
        )
        try:
            self._shake_hands(address, options)
            if subprotocol is not None and self._protocol.subprotocol != subprotocol:
                raise NotOpenEnvError(f"{address} does not speak {subprotocol}; use codec='json'")
        except BaseException:
            self._socket.close()
            raise
        KEEPALIVE.add(self)

    def send(self, body: bytes, timeout_s: float | None = None) -> None:
        """Send one message."""
        with self._lock:  # held by the keepalive thread while it looks after this socket
            self._is_waiting = True
        self._socket.send(client_frame(self._opcode, body), timeout_s=timeout_s)

    def receive(self, timeout_s: float | None) -> Body:
        """Wait for one message."""
        if not self._messages:
            self._socket.receive_until(self._take_in, timeout_s, self._splitter.room)
        self.last_used_s = time.monotonic()
        self._is_waiting = False
        return self._messages.popleft()

    def close(self) -> None:
        """Close the connection, with a closing frame where the socket still takes it."""
        KEEPALIVE.discard(self)
        with self._lock:
            self._is_closed = True
            with contextlib.suppress(TransportError, InvalidState):
                self._protocol.send_close(1000)
                self._flush()
            self._socket.close()

    def has_hung_up(self) -> bool:
        """Whether the peer is known to be gone."""
        return self._socket.has_hung_up()

    def sleep_at_once(self) -> None:
        """Leave the core to others while nothing comes."""
        self._socket.looks_again = False

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def look_after(self) -> None:
        """Answer pings, if nobody is waiting for a reply; called by the keepalive thread."""
        with self._lock:
            if self._is_waiting or self._is_closed:
                return
            data = self._socket.receive_nowait()
            if data:
                self._take_in(data)

    def forget(self) -> None:
        """In a forked child: the socket is closed, and who held the lock is not here."""
        self._lock = threading.Lock()
        self._is_closed = True

    def _take_in(self, data: Body) -> bool:
        """Take in what was read; return whether there is a message."""
        try:
            messages, control = self._splitter.feed(data)
        except ProtocolError as exc:
            raise ConnectionLostError(f"{self._socket.peer}: {exc}") from exc
        self._messages.extend(messages)
        if control:
            self._protocol.receive_data(control)
            self._flush()
        closed = self._protocol.close_rcvd
        if closed is not None and not self._messages:
            error = ConnectionLostError(
                f"{self._socket.peer} closed the connection: {closed.code} {closed.reason}"
            )
            if closed.code in _FAULTS_BY_CLOSE_CODE:
                error.fault = {"kind": _FAULTS_BY_CLOSE_CODE[closed.code]}
            raise error
        return bool(self._messages)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # the empty one means the end of the stream
                self._socket.send(data, timeout_s=CONTROL_TIMEOUT_S)

    def _shake_hands(self, address: Address, options: WebSocketOptions) -> None:
        request = self._protocol.connect()
        _add_headers(request.headers, address, options)
        self._protocol.send_request(request)
        self._flush()
        try:
            rest = self._await_response(options.connect_timeout_s)
        except ConnectionLostError as exc:
            if isinstance(exc.__cause__, ConnectionResetError):
                # A process that is dying closes its sessions before it stops to listen.
                raise UnreachableError(
                    f"{address} took the connection and broke it off; is the server running, "
                    "and is the address right?"
                ) from exc
            raise NotOpenEnvError(
                f"{address} closed the connection instead of opening a WebSocket"
            ) from exc
        if self._protocol.handshake_exc is not None:
            raise _handshake_error(address, self._protocol.handshake_exc)
        if rest:
            self._take_in(rest)

    def _await_response(self, timeout_s: float) -> bytes:
        """Read the response to the handshake; return what came behind it."""
        received = bytearray()

        def take_in(data: Body) -> bool:
            nonlocal received
            received += data
            if len(received) > MAX_HANDSHAKE_BYTES:
                raise NotOpenEnvError(f"{self._socket.peer} answers the handshake without an end")
            return b"\r\n\r\n" in received

        self._socket.receive_until(take_in, timeout_s)
        # Frames may follow in the same segment: they are the splitter's, not the protocol's.
        head, _, rest = bytes(received).partition(b"\r\n\r\n")
        self._protocol.receive_data(head + b"\r\n\r\n")
        if any(isinstance(event, Response) for event in self._protocol.events_received()):
            return rest
        self._protocol.receive_data(rest)
        if self._protocol.handshake_exc is None:
            self._socket.receive_until(self._take_in_refusal, timeout_s)
        return b""

    def _take_in_refusal(self, data: Body) -> bool:
        self._protocol.receive_data(bytes(data))
        return self._protocol.handshake_exc is not None


def _connect(address: Address, options: WebSocketOptions) -> socket.socket:
    try:
        if address.socket_path is not None:
            return _connect_unix(address.socket_path, options.connect_timeout_s)
        endpoint = (address.host, address.port)
        sock = socket.create_connection(endpoint, options.connect_timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not address.is_secure:
            return sock
        context = options.ssl_context or ssl.create_default_context()
        return context.wrap_socket(sock, server_hostname=address.host)
    except (OSError, ValueError) as exc:  # ValueError: a name that cannot be a host's
        raise UnreachableError(
            f"cannot connect to {address}: {exc}; is the server running, and is the address right?"
        ) from exc


def _connect_unix(path: str, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout_s)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _add_headers(headers: Headers, address: Address, options: WebSocketOptions) -> None:
    if address.username is not None:
        credentials = f"{address.username}:{address.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    for name, value in options.headers.items():
        headers[name] = value


def _handshake_error(address: Address, exc: Exception) -> Exception:
    if isinstance(exc, InvalidStatus):
        status = exc.response.status_code
        text = bytes(exc.response.body or b"").decode(errors="replace")[:200]
        if status == 503:
            return CapacityError(f"{address} has no free session (HTTP 503): {text}")
        return NotOpenEnvError(
            f"expected a WebSocket at {address.ws_url}, got HTTP {status}: {text}"
        )
    return NotOpenEnvError(f"expected a WebSocket at {address.ws_url}, got: {exc}")
