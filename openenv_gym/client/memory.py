"""A transport without a network: requests are answered by a function of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from openenv_gym.client.transport import Transport
from openenv_gym.errors import ConnectionLostError
from openenv_gym.protocol import Body


class MemoryTransport(Transport):
    """Hands each body to ``handle`` and keeps the answers in order.

    Args:
        handle: Answers one body, as ``WorkerSession.handle`` does.
    """

    def __init__(self, handle: Callable[[Body], bytes]) -> None:
        self._handle = handle
        self._replies: deque[bytes] = deque()
        self._is_closed = False

    def send(self, body: Body, timeout_s: float | None = None) -> None:
        """Have ``body`` answered."""
        if self._is_closed:
            raise ConnectionLostError("the connection is closed")
        self._replies.append(self._handle(body))

    def receive(self, timeout_s: float | None) -> bytes:
        """Return the next answer."""
        if self._is_closed or not self._replies:
            raise ConnectionLostError("no reply is under way")
        return self._replies.popleft()

    def close(self) -> None:
        """Refuse what comes later."""
        self._is_closed = True
