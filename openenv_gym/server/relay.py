"""Bodies between a WebSocket and a worker, passed on without a task in between.

An ASGI application is a task: to receive, to ask the worker, to wait and to send take it four
turns of the event loop a step. Once an environment is open, a binary session needs no decision of
the application's any more. So where the server is ours, the session takes the messages of the
connection over: what comes from the one socket is written to the other where it arrives, and the
task sleeps until the session ends.
"""

from __future__ import annotations

import asyncio
from collections import deque

from openenv_gym.protocol import Body
from openenv_gym.protocol.binary_messages import CLOSED, sequence_of
from openenv_gym.server.process_backend import ProcessBackend
from openenv_gym.server.relay_protocol import RelayProtocol
from openenv_gym.server.wakeful import Wait, Wakeful


class Relay:
    """Passes the requests of one session to its worker, one at a time, and the replies back.

    It may outlive its connection: what is under way goes on, and the last reply is kept for a
    client that asks again on another connection. So every request is passed on exactly once.

    Args:
        backend: Has the worker.
        wakeful: Keeps the event loop awake while an answer is near.
        opened: The reply that was the last one until now.

    Attributes:
        backend: As given.
        connection: Whose requests are taken; None between two.
        ended: Done when the session is over: with None after its goodbye, with the head of the
            request that was lost where the worker was.
    """

    def __init__(self, backend: ProcessBackend, wakeful: Wakeful, opened: Body) -> None:
        self.backend = backend
        self.connection: RelayProtocol | None = None
        self._for_client, self._for_worker = Wait(wakeful), Wait(wakeful)
        self._is_draining = False
        self._is_taken_up = False  # whether the client of this connection has asked something
        self._last = opened
        self._under_way: Body | None = None
        self._waiting: deque[Body] = deque()
        self.ended: asyncio.Future[Body | None]
        self.ended = asyncio.get_running_loop().create_future()

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way."""
        return self._under_way is not None and not self.ended.done()

    def attach(self, connection: RelayProtocol) -> None:
        """Take the requests of ``connection`` from now on, and of no other.

        Its client may first ask again what it had no answer to.
        """
        before = self.connection
        self.detach()
        if before is not None:  # which the client knows to be lost
            before.transport.abort()
        self.connection = connection
        connection.take_over(self.pass_on, self._go_on)

    def detach(self) -> None:
        """Go on without a connection; what was sent ahead was not begun, and is forgotten."""
        self._for_client.end()
        self._waiting.clear()
        self.connection = None
        self._is_taken_up = False

    def pass_on(self, body: Body) -> None:
        """Pass on a request, now or when the one before it is answered and its answer read.

        Nothing more is read meanwhile: what waits is no more than what one read brought.
        """
        self._for_client.end()
        assert self.connection is not None
        if not self._is_taken_up and self._knows(body):
            return
        if self._under_way is None and not self._waiting and self.connection.writable.is_set():
            self._ask(body)
            return
        self._waiting.append(body)
        self.connection.hold()

    def _knows(self, body: Body) -> bool:
        """Take up the session; return whether its answer is on its way to who asks again."""
        assert self.connection is not None
        self._is_taken_up = True
        number = sequence_of(body)
        if self._under_way is not None:
            return sequence_of(self._under_way) == number
        if sequence_of(self._last) != number:
            return False
        self.connection.send_message(self._last)
        return True

    def _go_on(self) -> None:
        """Take the next request that waits, if it can be answered now."""
        if self.connection is None or self.ended.done() or self._under_way is not None:
            return
        if not self.connection.writable.is_set():
            return
        if self._waiting:
            self._ask(self._waiting.popleft())
        if not self._waiting:
            self.connection.go_on()

    def drain(self) -> None:
        """End when the request under way is answered."""
        self._is_draining = True
        if self._under_way is None and not self.ended.done():
            self.ended.set_result(None)

    def _ask(self, body: Body) -> None:
        self._under_way = body[:8]
        self._for_worker.begin()
        self.backend.ask(body, self._answer)

    def _answer(self, reply: Body | None) -> None:
        self._for_worker.end()
        if self.ended.done() or self._under_way is None:
            return
        if reply is None:
            self.ended.set_result(self._under_way)
            return
        self._under_way = None
        self._last = reply
        if self._is_taken_up:
            assert self.connection is not None
            self.connection.send_message(reply)
        if reply[0] == CLOSED or self._is_draining:
            self.ended.set_result(None)
        elif self._waiting:
            self._go_on()
        elif self._is_taken_up:
            self._for_client.begin()
