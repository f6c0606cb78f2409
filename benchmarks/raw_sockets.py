"""The limit of any protocol: two processes that send each other bytes and nothing else.

The messages have the sizes of ours. The other end is ``python -m benchmarks.raw_sockets FD
REQUEST_BYTES REPLY_BYTES``, which answers until its socket is closed.
"""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from benchmarks.children import BenchmarkError, Child
from benchmarks.rounds import Player
from benchmarks.workload import ENV_ID

_MASK_BYTES = 4


class MessageSizes(NamedTuple):
    """Bytes on the stream, with what frames a message."""

    request: int
    reply: int


def message_sizes() -> MessageSizes:
    """Encode one step of CartPole as the package does, and measure it as frames of a worker."""
    from openenv_gym.protocol import frame

    request, reply = _messages(0, "")
    return MessageSizes(len(frame(request)), len(frame(reply)))


def websocket_sizes(num_envs: int, mode: str) -> MessageSizes:
    """Encode a step of many CartPoles, and count its bytes as WebSocket frames.

    Args:
        num_envs: How many.
        mode: ``sync`` or ``native``, Gymnasium's vector form.
    """
    request, reply = _messages(num_envs, mode)
    return MessageSizes(_framed(len(request)) + _MASK_BYTES, _framed(len(reply)))


def _framed(size: int) -> int:
    """A WebSocket says the length of a frame in one byte, in three, or in nine."""
    return size + (2 if size < 126 else 4 if size < 1 << 16 else 10)


def _messages(num_envs: int, mode: str) -> tuple[bytes, bytes]:
    """The bodies of a request to step and of its reply."""
    import gymnasium as gym

    from openenv_gym.protocol import BatchResult, BinaryMessages, Opened, Result, Step
    from openenv_gym.spaces.descriptor import to_descriptor
    from openenv_gym.wire.description import Description

    env: Any = gym.make(ENV_ID)
    action, observation = to_descriptor(env.action_space), to_descriptor(env.observation_space)
    description = Description(
        environment=ENV_ID,
        view="gymnasium",
        action=action,
        observation=observation,
        num_envs=num_envs or None,
    )
    if num_envs:
        form = "vector_entry_point" if mode == "native" else "sync"
        env = gym.make_vec(ENV_ID, num_envs=num_envs, vectorization_mode=form)
    messages = BinaryMessages()
    messages.encode_reply(0, Opened(description))  # from here on it knows the spaces
    env.reset(seed=0)
    action = env.action_space.sample()
    obs, reward, *rest = env.step(action)
    env.close()
    result = BatchResult(obs, reward, *rest) if num_envs else Result(obs, float(reward), *rest)
    return messages.encode_request(1, Step(action)), messages.encode_reply(1, result)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    for sock in (ours, theirs):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


@contextmanager
def ping_pong(
    pair: Callable[[], tuple[socket.socket, socket.socket]], sizes: MessageSizes
) -> Iterator[Player]:
    """Play rounds of one request and one reply for each step."""
    ours, theirs = pair()
    fd = theirs.fileno()
    command = [sys.executable, "-m", __name__, str(fd), *map(str, sizes)]
    with ours:
        with theirs:
            child = Child("the raw socket's other end", command, pass_fds=[fd])
        with child:
            try:
                yield lambda workload: seconds_of(ours, sizes, workload.steps)
            finally:
                ours.close()


def seconds_of(sock: socket.socket, sizes: MessageSizes, steps: int) -> float:
    request = bytes(sizes.request)
    started = time.perf_counter()
    for _ in range(steps):
        sock.sendall(request)
        if not sock.recv(sizes.reply, socket.MSG_WAITALL):
            raise BenchmarkError("the other end of the raw socket is gone")
    return time.perf_counter() - started


def answer(descriptor: int, sizes: MessageSizes) -> None:
    """Answer every request until the other end is closed."""
    reply = bytes(sizes.reply)
    with socket.socket(fileno=descriptor) as sock:
        while sock.recv(sizes.request, socket.MSG_WAITALL):
            sock.sendall(reply)


if __name__ == "__main__":
    fd, *nbytes = map(int, sys.argv[1:])
    answer(fd, MessageSizes(*nbytes))
