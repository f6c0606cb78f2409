"""Where a session lives: in a worker process, in a thread, or inline.

Each takes the body of a request and gives the body of its reply; what is between is the same
``WorkerSession`` everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeAlias, cast

from openenv_gym.errors import ConnectionLostError, ServerError
from openenv_gym.protocol import Body, FrameReader, frame
from openenv_gym.server.settings import ServerSettings
from openenv_gym.workers.process import WorkerProcess
from openenv_gym.workers.session import WorkerSession

_log = logging.getLogger(__name__)

OnReply: TypeAlias = Callable[[Body | None], None]
"""Told the body of a reply; None where the worker was lost."""

_EXIT_TIMEOUT_S = 1.0
"""How long to wait for the exit code of a worker that has closed its socket."""


class Backend(Protocol):
    """The home of one session."""

    async def request(self, body: bytes) -> Body:
        """Return the body of the reply to the request in ``body``.

        Raises:
            ConnectionLostError: the worker is gone.
        """

    async def close(self) -> None:
        """Close the environment."""


class InlineBackend:
    """On the event loop."""

    def __init__(self, settings: ServerSettings) -> None:
        self._session = WorkerSession(settings.builder)

    async def request(self, body: bytes) -> bytes:
        """Step at once; nobody else is served meanwhile."""
        return self._session.handle(body)

    async def close(self) -> None:
        """Close the environment."""
        self._session.close()


class ThreadBackend:
    """In a thread of its own, because environments may be tied to the thread that made them."""

    def __init__(self, settings: ServerSettings) -> None:
        self._session = WorkerSession(settings.builder)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="openenv-gym session")
        self._is_closed = False

    async def request(self, body: bytes) -> bytes:
        """Step in the session's thread."""
        if self._is_closed:
            raise ConnectionLostError("this session was closed; open another one")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._session.handle, body)

    async def close(self) -> None:
        """Close the environment in the session's thread, then end the thread."""
        self._is_closed = True
        closing = asyncio.get_running_loop().run_in_executor(self._executor, self._session.close)
        self._executor.shutdown(wait=False)
        await closing


class _WorkerProtocol(asyncio.Protocol):
    """Matches the bodies that a worker sends to those who wait, first come, first served."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._waiting: deque[OnReply] = deque()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        for body in self._reader.feed(data):
            self._waiting.popleft()(body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        while self._waiting:
            self._waiting.popleft()(None)

    def ask(self, body: Body, on_reply: OnReply) -> None:
        if self._transport is None:
            on_reply(None)
            return
        self._waiting.append(on_reply)
        self._transport.write(frame(body))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class ProcessBackend:
    """In a worker process of its own."""

    def __init__(self, worker: WorkerProcess, protocol: _WorkerProtocol) -> None:
        self._worker = worker
        self._protocol = protocol

    @classmethod
    async def start(cls, worker: WorkerProcess) -> ProcessBackend:
        """Open a session on ``worker``, which is this session's from now on.

        Raises:
            ServerError: the worker is gone.
        """
        loop = asyncio.get_running_loop()
        try:
            sock = worker.connect()
            sock.setblocking(False)
            _, protocol = await loop.create_connection(_WorkerProtocol, sock=sock)
        except BaseException:
            worker.stop(timeout_s=0)
            raise
        return cls(worker, protocol)

    async def request(self, body: bytes) -> Body:
        """Have the worker answer."""
        future: asyncio.Future[Body | None] = asyncio.get_running_loop().create_future()

        def on_reply(reply: Body | None) -> None:
            if not future.done():  # else who asked has gone
                future.set_result(reply)

        self.ask(body, on_reply)
        reply = await future
        if reply is None:
            raise await self.loss()
        return reply

    def ask(self, body: Body, on_reply: OnReply) -> None:
        """Have the worker answer, without a task that waits for it.

        Args:
            body: Of the request.
            on_reply: Called with the body of the reply, or with None where the worker is lost.
        """
        self._protocol.ask(body, on_reply)

    async def loss(self) -> ConnectionLostError:
        """Return how the worker was lost."""
        code = await asyncio.to_thread(self._worker.wait, _EXIT_TIMEOUT_S)
        error = ConnectionLostError(
            f"the worker process of this session ended (exit code {code}); open another session"
        )
        is_signal = code is not None and code < 0
        error.fault = {
            "kind": "worker_died",
            "signal": -code if is_signal and code is not None else None,
            "exitcode": None if is_signal else code,
        }
        return error

    async def close(self) -> None:
        """End the worker; it closes the environment."""
        self._protocol.close()
        await asyncio.to_thread(self._worker.stop)


class Backends:
    """Makes the home of each session, and keeps worker processes waiting for the next ones."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._spares: deque[WorkerProcess] = deque()
        self._refill()

    async def make(self) -> Backend:
        """Return a home for a session."""
        if self._settings.isolation == "inline":
            return InlineBackend(self._settings)
        if self._settings.isolation == "thread":
            return ThreadBackend(self._settings)
        backend = await self._start()
        try:
            self._refill()
        except (ServerError, OSError) as exc:  # the next session begins more slowly
            _log.warning("cannot start a worker to wait for the next session: %s", exc)
        return backend

    def close(self) -> None:
        """End the workers that wait."""
        while self._spares:
            self._spares.popleft().stop(timeout_s=1.0)

    async def _start(self) -> Backend:
        while self._spares:
            with contextlib.suppress(ServerError):  # it died while it waited
                return await ProcessBackend.start(self._spares.popleft())
        return await ProcessBackend.start(WorkerProcess())

    def _refill(self) -> None:
        wanted = self._settings.workers if self._settings.isolation == "process" else 0
        while len(self._spares) < wanted:
            self._spares.append(WorkerProcess())
