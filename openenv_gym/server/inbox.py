"""What the client of a WebSocket sends, read one message at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import WebSocket

from openenv_gym.server.busy_poll import PolledWait
from openenv_gym.server.relay_protocol import connection_of
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session

T = TypeVar("T")

LONG_STEP_S = 1.0
"""A request that takes longer is given up where its client has left."""

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
