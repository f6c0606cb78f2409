"""Connections whose clients have yet to say what they want.

Such a connection costs a descriptor and memory, and whoever opens thousands of them and says
nothing wants just that. Each has a deadline, which its owner keeps. Here is how many there may be
at once: where there are more, those that have waited longest give way. A client that is quick is
not touched by that, because nobody gives way in the first second.

The same class counts connections without a whole request (:mod:`openenv_gym.server.http_protocol`)
and WebSockets without a message (:mod:`openenv_gym.server.ws_route`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

MOST = 1024
"""So many half-open connections of a kind may wait longer than a second."""

LEAST_S = 1.0
"""How long a connection may take at least, however many there are."""


class HalfOpen:
    """The half-open connections of one kind, in the order in which they came.

    Args:
        most: How many may wait longer than a second.
        clock: Returns seconds that only grow.
    """

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._waiting: dict[object, tuple[float, Callable[[], object]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, connection: object, give_way: Callable[[], object]) -> None:
        """Count a connection; others give way to it where there are too many.

        Args:
            connection: Anything that is this connection's alone.
            give_way: Ends the connection; not called after :meth:`discard`.
        """
        now_s = self._clock()
        while len(self._waiting) >= self._most:
            oldest, (since_s, ends) = next(iter(self._waiting.items()))
            if since_s + LEAST_S > now_s:
                break
            del self._waiting[oldest]
            ends()
        self._waiting[connection] = now_s, give_way

    def discard(self, connection: object) -> None:
        """Count a connection no more: it has said what it wants, or is gone."""
        self._waiting.pop(connection, None)

    def end_all(self) -> None:
        """Have all give way, because the server is to end; who is gone says so itself."""
        for _, ends in list(self._waiting.values()):
            ends()
