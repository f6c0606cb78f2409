"""Blocking sockets with a deadline that costs no system call per read."""

from __future__ import annotations

import socket
import struct

from openenv_gym.errors import ConnectionLostError, RequestTimeoutError

RECEIVE_BYTES = 1 << 18


class BlockingSocket:
    """A connected socket.

    The deadline is the kernel's (``SO_RCVTIMEO``), set only when it changes: Python's own
    ``settimeout`` would poll before every read. Sockets that are not the kernel's alone (TLS)
    use Python's.

    Args:
        sock: The socket; this object owns it.
        peer: What it leads to, for messages.
    """

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.sock = sock
        self.peer = peer
        self._timeout_s: float | None = None
        self._is_plain = type(sock) is socket.socket and hasattr(socket, "SO_RCVTIMEO")
        sock.settimeout(None)

    def send(self, data: bytes) -> None:
        """Send all of ``data``.

        Raises:
            ConnectionLostError: the peer is gone.
        """
        try:
            self.sock.sendall(data)
        except OSError as exc:
            raise ConnectionLostError(f"the connection to {self.peer} broke: {exc}") from exc

    def receive(self, timeout_s: float | None) -> bytes:
        """Wait for some bytes.

        Raises:
            RequestTimeoutError: none came within ``timeout_s``.
            ConnectionLostError: the peer is gone.
        """
        if timeout_s != self._timeout_s:
            self._set_timeout(timeout_s)
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except (BlockingIOError, TimeoutError) as exc:
            raise RequestTimeoutError(
                f"no answer from {self.peer} within {timeout_s:g} s; the connection was closed, "
                "because a late answer could be taken for that to another request"
            ) from exc
        except OSError as exc:
            raise ConnectionLostError(f"the connection to {self.peer} broke: {exc}") from exc
        if not data:
            raise ConnectionLostError(f"{self.peer} closed the connection")
        return data

    def receive_nowait(self) -> bytes | None:
        """Return what is there already: None for nothing, ``b""`` where the peer has closed."""
        timeout_s = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            return self.sock.recv(RECEIVE_BYTES)
        except OSError as exc:
            would_block = isinstance(exc, BlockingIOError) or "want" in str(exc).lower()
            return None if would_block else b""
        finally:
            self.sock.settimeout(timeout_s)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def _set_timeout(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        if not self._is_plain:
            self.sock.settimeout(timeout_s)
            return
        seconds = timeout_s or 0.0  # zero is the kernel's word for never
        whole = int(seconds)
        value = struct.pack("ll", whole, int((seconds - whole) * 1e6))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
