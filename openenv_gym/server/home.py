"""The event loop in which the sessions of a server live.

Sessions, their locks, timers and workers belong to one event loop. An ASGI server that runs the
lifespan of the application says which: all requests come in that loop, and pass here untouched. But
an application may be mounted into another one, whose lifespan alone is run; and a caller without a
server (FastAPI's ``TestClient`` without ``with``, ``asyncio.run`` for each request) has a new loop
for each request, which ends with it. So without a lifespan, sessions live in the loop in which
requests are under way:

- A request in that loop is a *host*: it is answered as ever.
- A request in another loop meanwhile is a *guest*: it is answered in the loop of the hosts, and
  only what it receives and sends goes to and fro. The last host waits for the guests, because its
  loop may end with it.
- When nothing is under way, the next request brings the sessions into its own loop. What a shared
  session has with its worker outlives that, see :mod:`openenv_gym.server.process_backend`.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from anyio import CancelScope  # Starlette's, whose cancellation comes again and again
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openenv_gym.server.relay_protocol import EXTENSION

T = TypeVar("T")

LOOK_AGAIN_S = 0.002


class Home:
    """Says in which event loop a request is answered.

    Args:
        move: Called in the loop that the sessions come to.
        settle: Waits for what requests have begun and not waited for.

    Attributes:
        lifespan_loop: The loop of the lifespan, while it runs; else None.
    """

    def __init__(self, move: Callable[[], None], settle: Callable[[], Awaitable[None]]) -> None:
        self._on_move, self._settle = move, settle
        self.lifespan_loop: AbstractEventLoop | None
        self._loop: AbstractEventLoop | None
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the loop: in a forked child it is the parent's."""
        self._lock = threading.Lock()  # loops run in threads
        self.lifespan_loop = self._loop = None
        self._hosts = self._guests = 0
        self._is_leaving = False

    @property
    def may_move(self) -> bool:
        """Whether the next request may come in another loop, and this one be gone."""
        return self.lifespan_loop is None

    def keep(self) -> None:
        """Have the sessions in this loop until :meth:`release`, whoever asks."""
        here = asyncio.get_running_loop()
        with self._lock:
            self._move(here)
            self.lifespan_loop = here

    def release(self) -> None:
        """Note that the loop of the lifespan may end."""
        self.lifespan_loop = None

    async def answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have ``app`` answer a request in the loop of the sessions, which may come to this one."""
        here = asyncio.get_running_loop()
        while (loop := self._enter(here)) is None:
            await asyncio.sleep(LOOK_AGAIN_S)
        if loop is not here:
            await self._visit(loop, app, scope, receive, send)
            return
        try:
            await app(scope, receive, send)
        finally:
            try:
                with CancelScope(shield=True):
                    await self._wait_for_the_last()
            finally:
                self._leave(here)

    def _enter(self, here: AbstractEventLoop) -> AbstractEventLoop | None:
        """Count a request; return the loop in which it is answered, None where that just ends."""
        with self._lock:
            there = self._loop
            if there is not None and there is not here and there.is_running():
                if self._is_leaving:
                    return None
                if self.lifespan_loop or self._hosts or self._guests:
                    self._guests += 1
                    return there
            self._move(here)
            self._hosts += 1
            return here

    async def _wait_for_the_last(self) -> None:
        """Wait, as the last host, until nothing needs this loop any more."""
        while self._hosts == 1:
            await self._settle()
            with self._lock:
                self._is_leaving = self._guests > 0
                if not self._is_leaving:
                    return
            await asyncio.sleep(LOOK_AGAIN_S)

    def _leave(self, here: AbstractEventLoop) -> None:
        with self._lock:
            if self._loop is here:  # else the loop ended before its requests did
                self._hosts -= 1
                self._is_leaving = False

    def _move(self, here: AbstractEventLoop) -> None:
        if self._loop is not here:
            self._loop, self.lifespan_loop = here, None
            self._hosts = self._guests = 0
            self._is_leaving = False
            self._on_move()

    async def _visit(
        self, home: AbstractEventLoop, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        here = asyncio.get_running_loop()

        async def receive_here() -> Message:
            return await _run_in(here, _awaited(receive()))

        async def send_here(message: Message) -> None:
            await _run_in(here, _awaited(send(message)))

        # The connection below is of this loop, so that no relay may take it over.
        extensions = dict(scope.get("extensions") or {})
        extensions.pop(EXTENSION, None)
        visiting = {**scope, "extensions": extensions}
        try:
            await _run_in(home, _awaited(app(visiting, receive_here, send_here)))
        finally:
            with self._lock:
                if self._loop is home:
                    self._guests -= 1


class AtHome:
    """An ASGI middleware that has requests answered in the loop in which the sessions live.

    Args:
        app: The application.
        home: Knows the loop.
    """

    def __init__(self, app: ASGIApp, home: Home) -> None:
        self._app, self._home = app, home

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_home = self._home.lifespan_loop is asyncio.get_running_loop()
        if is_home or scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await self._home.answer(self._app, scope, receive, send)


async def _awaited(work: Awaitable[T]) -> T:
    return await work


async def _run_in(loop: AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in a loop of another thread."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
