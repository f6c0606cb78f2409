"""Clients that leave in the midst of a request: one line of the log for each, and no traceback.

An ASGI server tells an application that its client has left only when the application reads on. So
a request over HTTP that took long is asked about before its answer is sent; and a WebSocket that
ended without a closing handshake is noticed by who reads from it next, or writes to it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openenv_gym.texts import quoted

_log = logging.getLogger(__name__)

LONG_S = 0.1
"""Nobody is taken to have left in the midst of a request that took no longer."""

_LOST = (1005, 1006)
"""The codes of a WebSocket that ended without a closing frame; with a frame there is a reason."""


class Departures:
    """An ASGI middleware that logs clients that leave in the midst of a request.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; where its client leaves, log that."""
        if scope["type"] == "http":
            visit = _Visit(scope, receive, send)
            receive, send = visit.receive, visit.send
        elif scope["type"] == "websocket":
            connection = _Connection(scope, receive, send)
            receive, send = connection.receive, connection.send
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            _say_left(scope)


class _Visit:
    """One request over HTTP."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._begin_s = time.monotonic()
        self._is_read = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._is_read = message["type"] == "http.request" and not message.get("more_body")
        return message

    async def send(self, message: Message) -> None:
        is_late = self._is_read and time.monotonic() - self._begin_s > LONG_S
        if is_late and message["type"] == "http.response.start" and await self._has_left():
            _say_left(self._scope)
        await self._send(message)

    async def _has_left(self) -> bool:
        """Whether the next that comes is that the client has left; nothing else can."""
        coming = asyncio.ensure_future(self._receive())
        await asyncio.wait({coming}, timeout=0)
        if coming.done():
            return bool(coming.result()["type"] == "http.disconnect")
        coming.cancel()
        await asyncio.wait({coming})
        return False


class _Connection:
    """One WebSocket."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._has_left = False

    async def receive(self) -> Message:
        message = await self._receive()
        is_end = message["type"] == "websocket.disconnect"
        if is_end and message.get("code") in _LOST and "reason" not in message:
            self._note()
        return message

    async def send(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # the client has left before it got this
            self._note()
            raise

    def _note(self) -> None:
        if not self._has_left:
            self._has_left = True
            _say_left(self._scope)


def _say_left(scope: Mapping[str, Any]) -> None:
    host, port = scope.get("client") or ("a client", 0)
    what = scope.get("method", "WebSocket")
    path = quoted(scope["path"], 200)
    _log.info("%s:%s left in the midst of %s %s", host, port, what, path)
