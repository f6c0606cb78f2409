"""The time that the body of a request may take: an ASGI middleware.

A body that comes too slowly holds a connection and a task. The time counts from the headers to the
last byte. When it is over, the client is answered with 408, and the application is told that the
client has left, which ends the route.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openenv_gym.errors import InvalidRequestError
from openenv_gym.wire.messages import error_data


class BodyDeadline:
    """Refuses requests whose bodies take too long.

    Args:
        app: The application behind it.
        timeout_s: How long a body may take, in seconds; None and 0 are no limit.
    """

    def __init__(self, app: ASGIApp, timeout_s: float | None) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application answer, or say that it is too late."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(receive, send, self._timeout_s or None)
        try:
            await self._app(scope, request.receive, request.send)
        except ClientDisconnect:
            if not request.is_late:  # it left by itself
                raise
        if request.is_late and not request.is_answered:
            await request.refuse(scope)


class _Request:
    """One request: its body, and whether it is answered.

    Attributes:
        is_late: Whether the body took too long.
        is_answered: Whether the answer has begun.
    """

    def __init__(self, receive: Receive, send: Send, timeout_s: float | None) -> None:
        self._receive, self._send, self._timeout_s = receive, send, timeout_s
        now_s = asyncio.get_running_loop().time()
        self._end_s = None if timeout_s is None else now_s + timeout_s
        self._is_whole = False
        self.is_late = self.is_answered = False

    async def receive(self) -> Message:
        """Return the next part of the body; when it is whole, how the client leaves."""
        if self._is_whole:  # who waits for that may wait for long
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._end_s):
                message = await self._receive()
        except TimeoutError:
            self.is_late = True
            return {"type": "http.disconnect"}
        self._is_whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, unless the client was too late: it gets another one."""
        if self.is_late and not self.is_answered:
            return
        self.is_answered = True
        await self._send(message)

    async def refuse(self, scope: Scope) -> None:
        """Say that it is too late, and close the connection."""
        text = (
            f"expected the whole body within {self._timeout_s or 0:g} s of the headers "
            "(--body-timeout); send it faster, or start the server with a longer one"
        )
        detail = {"detail": error_data(text, InvalidRequestError.code)}
        answer = JSONResponse(detail, 408, {"Connection": "close"})
        await answer(scope, self._receive, self._send)
