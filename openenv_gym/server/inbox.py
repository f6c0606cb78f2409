"""What the client of a WebSocket sends, read one message at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import WebSocket
from starlette.types import Message

from openenv_gym.server.busy_poll import PolledWait
from openenv_gym.server.relay_protocol import connection_of
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session

T = TypeVar("T")

LONG_STEP_S = 1.0
"""A request that takes longer is given up where its client has left."""

POLICY_VIOLATION = 1008
"""The close code for a client that says nothing."""

GOODBYE_S = 2.0
"""How long such a client may take to answer to the goodbye."""

_LOST_CODES = (1005, 1006)
"""What an ASGI server says of connections that ended without a closing frame, or with one that
gives no reason, which no client of ours sends."""


class Inbox:
    """Reads what one client sends, and notices in a long step that the client has left.

    An ASGI server tells that a client has left as one more message. So that this is heard while a
    step is under way, the inbox reads one message ahead then, and hands it out later.

    Args:
        websocket: The connection of the client.
        service: What is served.
        session: The session to end if the client leaves in a long step; None where others use
            the session too.

    Attributes:
        first: The first message, where :meth:`has_first` waited for it.
        was_lost: Whether the connection is known to have ended without a goodbye.
    """

    def __init__(self, websocket: WebSocket, service: Service, session: Session | None) -> None:
        self._websocket = websocket
        self._service = service
        self._session = session
        self._ahead: asyncio.Task[Any] | None = None
        self._is_waiting = self._is_watching = False
        self._for_client = PolledWait(service.busy_poll)
        self._for_worker = PolledWait(service.busy_poll)
        self.first: Any = None
        self.was_lost = False

    async def next(self) -> Any:
        """The next message, text or bytes; None where the client has left, or the server ends."""
        if self._service.sessions.is_draining:
            return None
        self._for_client.begin()
        self._is_waiting = True
        if self._ahead is None:
            message = await self._websocket.receive()
        else:
            message = await self._ahead
            self._ahead = None
        self._is_waiting = False
        self._for_client.end()
        return self._content(message)

    async def has_first(self) -> bool:
        """Wait for the first message, which :meth:`next` then returns; return whether there is one.

        A connection whose client says nothing in time is closed.
        """
        sessions, timeout_s = self._service.sessions, self._service.settings.first_message_timeout_s
        self._look_ahead()
        assert self._ahead is not None
        if not sessions.is_draining:  # or the end of the server would wait for this one
            sessions.silent.add(self, self.close)
        try:
            await asyncio.wait({self._ahead}, timeout=timeout_s or None)
            if self._ahead.done() and not self._ahead.cancelled():
                self.first = self._content(self._ahead.result())
            elif not sessions.is_draining:
                reason = f"no message within {timeout_s or 0:g} s (--first-message-timeout)"
                crowd = "too many connections have sent no message"
                await self._part(crowd if self._ahead.cancelled() else reason)
        finally:
            sessions.silent.discard(self)
        return self.first is not None

    async def _part(self, reason: str) -> None:
        connection = connection_of(self._websocket)
        if connection is not None:  # who says nothing may not answer to the goodbye either
            connection.close_timeout = GOODBYE_S
        await self._websocket.close(POLICY_VIOLATION, reason)

    def _content(self, message: Message) -> Any:
        if message["type"] == "websocket.disconnect":
            self.was_lost = message.get("code") in _LOST_CODES
            return None
        text = message.get("text")
        return text if text is not None else message.get("bytes")

    async def watch(self, reply: Awaitable[T]) -> T:
        """Wait for ``reply``; end the session if the client leaves while it takes long."""
        timer = asyncio.get_running_loop().call_later(LONG_STEP_S, self._look_ahead)
        self._is_watching = True
        self._for_worker.begin()
        try:
            return await reply
        finally:
            self._for_worker.end()
            self._is_watching = False
            timer.cancel()

    def drain(self) -> None:
        """Wait for no further message; what is being answered is answered."""
        connection = connection_of(self._websocket)
        if self._is_waiting and connection is not None:
            connection.wake()

    def close(self) -> None:
        """Read nothing ahead any more."""
        if self._ahead is not None:
            self._ahead.cancel()

    def _look_ahead(self) -> None:
        if self._ahead is None:
            self._ahead = asyncio.get_running_loop().create_task(self._take_ahead())

    async def _take_ahead(self) -> Any:
        message = await self._websocket.receive()
        has_left = message["type"] == "websocket.disconnect"
        if has_left and self._is_watching and self._session is not None:
            await self._service.sessions.end(self._session)
        return message
