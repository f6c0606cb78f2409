"""Bodies between a WebSocket and a worker, passed on without a task in between.

An ASGI application is a task, and a task is slow: it is scheduled once to receive a message, once
to ask the worker, once to wait for the reply and once to send it. That is four turns of the event
loop for each step. Once an environment is open, a binary session needs no decision of the
application any more. So where the server is ours, the session takes the messages of the connection
over: the callback that reads from one socket writes to the other, and the task sleeps until the
session ends::

    client --> RelayProtocol.data_received --> Relay.pass_on --> backend.ask --> worker
    client <-- RelayProtocol.send_message  <-- Relay._answer <-- data_received <-- worker

Three rules hold, and each line below serves one of them:

1. One request is under way at a time. A client may send requests ahead; they wait here, and their
   number is bounded because the relay reads nothing more from the socket meanwhile.
2. No request is begun while the client leaves its replies unread, so that replies do not pile up.
3. Every request is passed on exactly once, though its connection may be lost. The request under way
   goes on without a connection, and the last reply is kept. A client that comes back on another
   connection first asks again what it had no answer to: by the number of that request the relay
   knows whether it is under way (the reply follows by itself), answered (the kept reply is sent
   again), or new (it never arrived, and is passed on).
"""

from __future__ import annotations

import asyncio
from collections import deque

from openenv_gym.protocol import Body
from openenv_gym.protocol.binary_messages import CLOSED, STEP, sequence_of
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES, within
from openenv_gym.server.backends import Relayable
from openenv_gym.server.busy_poll import BusyPoll, PolledWait
from openenv_gym.server.relay_protocol import RelayProtocol


class Relay:
    """Passes the requests of one session to its worker, and the replies back.

    Args:
        backend: Asks the worker.
        busy_poll: Keeps the event loop awake while an answer is near.
        opened: The reply that was the last one until now.
        limit: The longest reply that the client takes, in bytes.
        step_bytes: The longest step that the client may send.

    Attributes:
        backend: The backend that the relay was made with.
        connection: The connection whose requests are taken; None between two.
        ended: Done when the session is over. The result is None after a goodbye; where the worker
            was lost it is the head of the request that was lost with it.
    """

    def __init__(
        self,
        backend: Relayable,
        busy_poll: BusyPoll,
        opened: Body,
        limit: int = MAX_MESSAGE_BYTES,
        step_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.backend = backend
        self._limit = limit
        self._step_bytes = step_bytes
        self.connection: RelayProtocol | None = None
        self._for_client, self._for_worker = PolledWait(busy_poll), PolledWait(busy_poll)
        self._is_draining = False
        # Whether the client of this connection has asked something. Until then it may not know
        # that it has the session, and is sent nothing.
        self._is_taken_up = False
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
        if before is not None:  # the client comes on another one, so it knows that this is lost
            before.transport.abort()
        self.connection = connection
        connection.take_over(self.pass_on, self._go_on, {STEP: self._step_bytes})

    def detach(self) -> None:
        """Go on without a connection.

        Requests that were sent ahead are forgotten: they were not begun, and their client has no
        answer to them, so that it asks again.
        """
        self._for_client.end()
        self._waiting.clear()
        self.connection = None
        self._is_taken_up = False

    def pass_on(self, body: Body) -> None:
        """Pass a request on, now or when the one before it is answered and its answer read.

        Nothing more is read meanwhile, so that no more waits than what one read brought.
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
        """Take the session up; return whether the first request of its client came before.

        Its answer is on its way then.
        """
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
        # The head alone says which request it is; a body may be megabytes of action.
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
        if len(reply) > self._limit:
            reply = within(reply, self._limit)
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
