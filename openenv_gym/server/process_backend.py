"""A session in a worker process of its own, which has to answer in time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from openenv_gym.errors import ConnectionLostError
from openenv_gym.protocol import Body, FrameReader, frame
from openenv_gym.server.settings import ServerSettings
from openenv_gym.server.watchdog import Deadline, Deadlines, Watchdog
from openenv_gym.workers.process import WorkerProcess

OnReply: TypeAlias = Callable[[Body | None], None]
"""Told the body of a reply; None where the worker was lost."""

_EXIT_TIMEOUT_S = 1.0
"""How long to wait for the exit code of a worker that has closed its socket, or was killed."""

_FOREVER_S = math.inf


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

    def abort(self) -> None:
        """Close at once: a child that the worker forked may hold the other end open."""
        if self._transport is not None:
            self._transport.abort()


class ProcessBackend:
    """In a worker process of its own.

    Args:
        worker: The process.
        protocol: Speaks with it.
        settings: Have the limits.
        watchdog: Ends it when it is overdue.

    Attributes:
        due_s: When the request under way is to be answered, on the loop's clock; infinite where
            there is none, or no limit.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        protocol: _WorkerProtocol,
        settings: ServerSettings,
        watchdog: Watchdog,
    ) -> None:
        self._worker = worker
        self._protocol = protocol
        self._settings = settings
        self._watchdog = watchdog
        self._clock = asyncio.get_running_loop().time
        self._deadlines = Deadlines(settings)
        self._deadline: Deadline | None = None
        self._cause: dict[str, Any] | None = None
        self._why = ""
        self.due_s = _FOREVER_S
        watchdog.watch(self)

    @classmethod
    async def start(
        cls, worker: WorkerProcess, settings: ServerSettings, watchdog: Watchdog
    ) -> ProcessBackend:
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
        return cls(worker, protocol, settings, watchdog)

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
        """Have the worker answer, without a task that waits for it; one request at a time.

        Args:
            body: Of the request.
            on_reply: Called with the body of the reply, or with None where the worker is lost.
        """

        def answered(reply: Body | None) -> None:
            self.due_s = _FOREVER_S
            on_reply(reply)

        self._deadline = deadline = self._deadlines.of(body)
        if deadline is not None:
            self.due_s = self._clock() + deadline.limit_s
        self._protocol.ask(body, answered)

    def expire(self) -> None:
        """Kill a worker that is overdue."""
        if self._deadline is not None:
            name, limit_s, option = (
                self._deadline.name,
                self._deadline.limit_s,
                self._deadline.option,
            )
            self.kill(
                "step_timeout",
                f"the environment did not answer a {name} within {limit_s:g} s and was killed; "
                f"start the server with a higher {option}, or 0 for no limit",
            )

    def kill(self, kind: str, why: str) -> None:
        """End the worker at once.

        Args:
            kind: Of the fault that this is for its client.
            why: What the client is told.
        """
        self.due_s = _FOREVER_S
        if self._cause is None:
            self._cause, self._why = {"kind": kind}, why
        self._worker.kill()
        self._protocol.abort()

    async def loss(self) -> ConnectionLostError:
        """Return how the worker was lost."""
        code = await self._exit_code(_EXIT_TIMEOUT_S)
        is_signal = code is not None and code < 0
        cause, why = self._cause, self._why
        if cause is None:
            cause = {"kind": "worker_died"}
            why = f"the worker process of this session ended (exit code {code})"
        error = ConnectionLostError(f"{why}; open another session")
        error.fault = {
            **cause,
            "signal": -code if is_signal and code is not None else None,
            "exitcode": None if is_signal else code,
        }
        return error

    async def close(self) -> None:
        """End the worker; it closes the environment, and is killed if that takes too long."""
        self._protocol.close()
        self._worker.dismiss()
        if await self._exit_code(self._settings.close_timeout_s or _FOREVER_S) is None:
            self._worker.kill()
            await self._exit_code(_EXIT_TIMEOUT_S)
        self._watchdog.leave(self)
        self._worker.stop(timeout_s=0)

    async def _exit_code(self, timeout_s: float) -> int | None:
        """How the worker ended, None if it still runs after ``timeout_s``.

        It is asked time and again: to wait would take a thread for each worker that hangs.
        """
        end_s, pause_s = self._clock() + timeout_s, 0.001
        while (code := self._worker.exit_code) is None and self._clock() < end_s:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.05)
        return code
