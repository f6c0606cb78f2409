"""The loop of the process: one request, one reply, until the other end closes."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from typing import Any

from .host import Host
from .leaving import leave
from .lifeline import watch_lifeline
from .spin import AdaptiveSpin
from .stderr import copy_stderr
from .values import pack, unpack

LENGTH = struct.Struct("<I")
"""What stands before each message: how many bytes it has, as in other frames of this package."""

_RECEIVE_BYTES = 1 << 16


class Channel:
    """Messages over a socket.

    Args:
        sock: The socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._spin = AdaptiveSpin()

    def send(self, value: Any) -> None:
        """Send a value."""
        data = pack(value)
        self._sock.sendall(LENGTH.pack(len(data)) + data)

    def receive(self) -> Any:
        """Return the next value.

        Raises:
            EOFError: the other end has closed.
        """
        data = self._spin.wait(self._look)
        data = self._sock.recv(_RECEIVE_BYTES) if data is None else data
        while len(data) < LENGTH.size:
            data += self._more(_RECEIVE_BYTES)
        (length,) = LENGTH.unpack_from(data)
        if len(data) == LENGTH.size + length:
            return unpack(memoryview(data)[LENGTH.size :])
        whole: Any = bytearray(LENGTH.size + length)
        whole[: len(data)] = data
        view, filled = memoryview(whole), len(data)
        while filled < len(whole):
            count = self._sock.recv_into(view[filled:])
            if not count:
                raise EOFError
            filled += count
        return unpack(view[LENGTH.size :])

    def _look(self) -> bytes:
        return self._sock.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)

    def _more(self, count: int) -> bytes:
        data = self._sock.recv(count)
        if not data:
            raise EOFError
        return data


def main(sock_fd: int, lending: int, lifeline: int, stderr: int, stderr_copy: list[int]) -> None:
    """Answer requests until the other end closes the socket, then close the environments.

    Args:
        sock_fd: The socket.
        lending: Another one, over which the socket of a session comes.
        lifeline: Its end ends this process, in the middle of a step too.
        stderr: Where to print errors from now on.
        stderr_copy: Where to keep the end of what is printed there.
    """
    os.dup2(stderr, 2)  # what was printed before is in the copy alone
    os.close(stderr)
    copy_stderr(*stderr_copy)
    line_buffered: Any | None = getattr(sys.stdout, "reconfigure", None)
    if line_buffered is not None:
        line_buffered(line_buffering=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    watch_lifeline(lifeline)
    host, channel = Host(lending), Channel(socket.socket(fileno=sock_fd))
    channel.send(host.answer(("about",)))
    try:
        while True:
            channel.send(host.answer(channel.receive()))
    except (EOFError, ConnectionError):
        host.close_all()
    leave()
