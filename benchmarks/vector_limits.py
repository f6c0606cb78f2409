"""The limit of a vector step over TCP: two processes that send each other as many bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.children import Child, own_python_path
from benchmarks.raw_sockets import MessageSizes, seconds_of, tcp_pair
from benchmarks.vector_rounds import VectorPlayer
from benchmarks.workload import ENV_ID

_MASK_BYTES = 4


def websocket_sizes(num_envs: int, vectorization: str) -> MessageSizes:
    """Encode a step of CartPole as the package does, and count its bytes as WebSocket frames."""
    from openenv_gym.adapters import gymnasium_host, vector_host
    from openenv_gym.protocol import BatchResult, BinaryMessages, Open, Opened, Step

    request = Open(ENV_ID, num_envs=num_envs, vectorization=vectorization)
    hosted = vector_host.host(request, lambda one: gymnasium_host.build(ENV_ID, one))
    messages = BinaryMessages()
    messages.encode_reply(0, Opened(hosted.description))  # from here on it knows the spaces
    hosted.env.action_space.seed(0)
    actions = hosted.env.action_space.sample()
    hosted.env.reset(seed=0)
    reply = BatchResult(*hosted.env.step(actions))
    hosted.env.close()
    return MessageSizes(
        _framed(len(messages.encode_request(1, Step(actions)))) + _MASK_BYTES,
        _framed(len(messages.encode_reply(1, reply))),
    )


def _framed(size: int) -> int:
    """A WebSocket says the length of a frame in one byte, in three, or in nine."""
    return size + (2 if size < 126 else 4 if size < 1 << 16 else 10)


@contextmanager
def raw_tcp(num_envs: int, vectorization: str) -> Iterator[VectorPlayer]:
    """Play rounds of one request and one reply for each step of all sub-environments."""
    sizes = websocket_sizes(num_envs, vectorization)
    ours, theirs = tcp_pair()
    descriptor = theirs.fileno()
    command = [sys.executable, "-m", "benchmarks.raw_sockets", str(descriptor), *map(str, sizes)]
    with ours:
        with theirs:
            child = Child(
                "the raw socket's other end",
                command,
                pass_fds=[descriptor],
                python_path=own_python_path(),
            )
        with child:
            try:
                yield lambda workload: seconds_of(ours, sizes, workload.steps)
            finally:
                ours.close()
