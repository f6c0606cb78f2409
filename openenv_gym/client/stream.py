"""The transport over a worker's Unix socket: framed bodies on a stream."""

from __future__ import annotations

import socket
from collections import deque

from openenv_gym.errors import ConnectionLostError, ProtocolError
from openenv_gym.protocol import Body, FrameReader, frame_header
from openenv_gym.sockets import BlockingSocket


class StreamTransport:
    """Bodies with their length before them.

    Args:
        sock: A connected stream socket; the transport owns it.
        peer: What it leads to, for messages.
    """

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self._socket = BlockingSocket(sock, peer)
        self._reader = FrameReader()
        self._bodies: deque[Body] = deque()

    def send(self, body: bytes, timeout_s: float | None = None) -> None:
        """Send one body."""
        self._socket.send(frame_header(body), body, timeout_s=timeout_s)

    def receive(self, timeout_s: float | None) -> Body:
        """Wait for one body."""
        if not self._bodies:
            self._socket.receive_until(self._take_in, timeout_s, self._reader.room)
        return self._bodies.popleft()

    def _take_in(self, data: Body) -> bool:
        try:
            self._bodies.extend(self._reader.feed(data))
        except ProtocolError as exc:
            raise ConnectionLostError(f"{self._socket.peer} sent no frame: {exc}") from exc
        return bool(self._bodies)

    def close(self) -> None:
        """Close the socket."""
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
