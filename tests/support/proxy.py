"""A TCP proxy before an HTTP server that wants a prefix of the path, or a token."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Passes connections on; the first request of each is looked at.

    Args:
        target: URL of the server.
        prefix: What the path must begin with, and what is taken off; else 404.
        token: What the bearer token must be; else 401.

    Attributes:
        base_url: Where it listens, with the prefix.
    """

    def __init__(self, target: str, *, prefix: str = "", token: str | None = None) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._prefix, self._token = prefix, token
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{prefix}"
        self._start(self._accept)

    def close(self) -> None:
        """End it, and its threads."""
        for sock in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):  # the peer may have closed it already
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for sock in [self._listener, *self._sockets]:
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, function: object, *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, name="proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the listener was shut down
                return
            self._sockets.append(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either end may leave at any time
            self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(65536)
            if not data:
                return
            head += data
        status, forwarded = self._judge(head)
        if status is not None:
            client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            client.shutdown(socket.SHUT_RDWR)
            return
        server = socket.create_connection(self._target)
        self._sockets.append(server)
        server.sendall(forwarded)
        self._start(self._pump, server, client)
        self._pump(client, server)

    def _judge(self, head: bytes) -> tuple[str | None, bytes]:
        """The status to refuse with, or None; and what to pass on."""
        method, path, rest = head.split(b" ", 2)
        if self._token is not None and f"Bearer {self._token}\r\n".encode() not in rest:
            return "401 Unauthorized", b""
        prefix = self._prefix.encode()
        if not path.startswith(prefix + b"/"):
            return "404 Not Found", b""
        return None, b" ".join([method, path.removeprefix(prefix), rest])

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
