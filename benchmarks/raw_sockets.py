"""The limit of any protocol: two processes that send each other bytes and nothing else.

The messages have the sizes of ours. The other end is ``python -m benchmarks.raw_sockets FD
REQUEST_BYTES REPLY_BYTES``, which answers until its socket is closed.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from benchmarks.children import Child, own_python_path
from benchmarks.errors import BenchmarkError
from benchmarks.rounds import Player
from benchmarks.workload import ENV_ID, Workload


class MessageSizes(NamedTuple):
    """Bytes on the stream, the frame's length included."""

    request: int
    reply: int


def message_sizes() -> MessageSizes:
    """Encode one step of CartPole as the package does, and measure it."""
    import numpy as np

    from openenv_gym.adapters import gymnasium_host
    from openenv_gym.protocol import BinaryMessages, Open, Opened, Result, Step, frame

    hosted = gymnasium_host.build(ENV_ID, Open(ENV_ID))
    messages = BinaryMessages()
    messages.encode_reply(0, Opened(hosted.description))  # from here on it knows the spaces
    hosted.env.reset(seed=0)
    action = np.int64(1)
    obs, reward, terminated, truncated, info = hosted.env.step(action)
    reply = Result(obs, float(reward), terminated, truncated, info)
    hosted.env.close()
    return MessageSizes(
        len(frame(messages.encode_request(1, Step(action)))),
        len(frame(messages.encode_reply(1, reply))),
    )


def unix_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    for sock in (ours, theirs):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


@contextmanager
def ping_pong(pair: tuple[socket.socket, socket.socket]) -> Iterator[Player]:
    """Play rounds of one request and one reply for each step."""
    ours, theirs = pair
    sizes = message_sizes()
    descriptor = theirs.fileno()
    command = [sys.executable, "-m", __name__, str(descriptor), *map(str, sizes)]
    with ours:
        with theirs:
            child = Child(
                "the raw socket's other end",
                command,
                pass_fds=[descriptor],
                python_path=own_python_path(),
            )
        with child:

            def play(workload: Workload) -> float:
                return seconds_of(ours, sizes, workload.steps)

            try:
                yield play
            finally:
                ours.close()


def seconds_of(sock: socket.socket, sizes: MessageSizes, steps: int) -> float:
    request = bytes(sizes.request)
    started = time.perf_counter()
    for _ in range(steps):
        sock.sendall(request)
        if not receive(sock, sizes.reply):
            raise BenchmarkError("the other end of the raw socket is gone")
    return time.perf_counter() - started


def receive(sock: socket.socket, size: int) -> bytes:
    """Return ``size`` bytes, or fewer where the stream has ended."""
    data = sock.recv(size)
    while data and len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            break
        data += more
    return data


def answer(descriptor: int, sizes: MessageSizes) -> None:
    """Answer every request until the other end is closed."""
    reply = bytes(sizes.reply)
    with socket.socket(fileno=descriptor) as sock:
        while receive(sock, sizes.request):
            sock.sendall(reply)


if __name__ == "__main__":
    fd, request_bytes, reply_bytes = map(int, sys.argv[1:])
    answer(fd, MessageSizes(request_bytes, reply_bytes))
