"""A session in a worker process of its own, which has to answer in time.

Server and worker share one socket, on which each request has exactly one reply, in order. This
side does not look into the replies, so the order must never be in doubt: whatever comes that nobody
had asked for, and whatever is no frame, ends the worker. For the same reason a request that takes
too long is not given up alone, but together with its worker.

A worker is lost in one of three ways, and the client is told which: the server killed it for a
reason of its own (a deadline, nonsense on the socket, the end of the server), it ended by itself,
or the kernel killed it for want of memory. All three show in the same way, as the end of the
socket, so the reason is noted *before* a worker is killed, and read when the socket ends.

The socket is read by the event loop that runs, for as long as the session lasts. Only where the
next request may come in another loop (:mod:`openenv_gym.server.home`), a *roaming* backend holds
the socket itself, and each request has a copy of it in its own loop.

Nobody waits for a worker with a blocking call, because that would take a thread for each one that
hangs: the exit code is asked for time and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias, cast

from openenv_gym.errors import ConnectionLostError, ProtocolError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.interpreter.stderr import TAIL_BYTES
from openenv_gym.protocol import BinaryMessages, Body, FrameReader, Open, frame
from openenv_gym.protocol.binary_messages import OPEN, OPENED, STEP
from openenv_gym.protocol.framing import IN_PLACE_BYTES, frame_header
from openenv_gym.server.monitor import Monitor
from openenv_gym.server.output_log import OutputLog
from openenv_gym.server.settings import ServerSettings
from openenv_gym.server.watchdog import Deadline, Deadlines, Watchdog
from openenv_gym.workers.memory import oom_kills
from openenv_gym.workers.output import Output
from openenv_gym.workers.process import WorkerProcess
from openenv_gym.workers.reports import RaisedReport, pointer_to

_log = logging.getLogger(__name__)

OnReply: TypeAlias = Callable[[Body | None], None]
"""A callback that is told the body of a reply, or None where the worker was lost."""

_EXIT_TIMEOUT_S = 5.0
"""How long to wait for the exit code of a worker that has closed its socket, or was killed."""

_TURN_S = 5.0
"""How long others wait for a worker that takes its time to end, or never does."""


def _ignore(what: str) -> None:
    """Take no notice of nonsense: the connection is not there yet, or not any more."""


class _WorkerProtocol(asyncio.Protocol):
    """Matches the bodies that a worker sends to those who wait, first come, first served.

    Attributes:
        due_s: When the request under way is to be answered, by ``time.monotonic``.
        on_nonsense: A callback that is told what came that is no reply to anything.
    """

    def __init__(self, reader: FrameReader) -> None:
        self.due_s = math.inf
        self.on_nonsense: Callable[[str], None] = _ignore
        self._reader = reader
        self._waiting: deque[OnReply] = deque()
        self._transport: asyncio.WriteTransport | None = None

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waiting)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            bodies = self._reader.feed(data)
        except ProtocolError as exc:
            self.on_nonsense(str(exc))
            return
        for body in bodies:
            if not self._waiting:
                self.on_nonsense("nobody had asked")
                return
            self.due_s = math.inf
            self._waiting.popleft()(body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.on_nonsense = _ignore  # the backend's method: a cycle would wait for the collector
        self.due_s = math.inf
        while self._waiting:
            self._waiting.popleft()(None)

    def ask(self, body: Body, on_reply: OnReply, due_s: float) -> None:
        if self._transport is None:
            on_reply(None)
            return
        self.due_s = due_s
        self._waiting.append(on_reply)
        if len(body) >= IN_PLACE_BYTES.start:  # which is not copied for its head
            self._transport.write(frame_header(body))
            self._transport.write(body)
        else:
            self._transport.write(frame(body))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, though a child that the worker forked may hold the other end open."""
        if self._transport is not None:
            self._transport.abort()


class ProcessBackend:
    """An environment in a worker process of its own.

    Args:
        worker: The process.
        protocol: Speaks with the worker.
        settings: The limits.
        watchdog: Ends the worker when its answer is overdue.
        monitor: Notes how long steps take, and what the environment raises.
        line: The socket, of a roaming backend, whose protocol is not connected.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        protocol: _WorkerProtocol,
        settings: ServerSettings,
        watchdog: Watchdog,
        monitor: Monitor,
        line: socket.socket | None = None,
    ) -> None:
        self._worker = worker
        self._protocol = protocol
        self._line = line
        self._reader = FrameReader()
        self._settings = settings
        self._watchdog = watchdog
        self._monitor = monitor
        self._is_sampled = True
        self._clock = time.monotonic
        self._name = f"worker {worker.pid}"
        self._output = worker.output or Output()
        self._log = OutputLog(worker.pid, self._output, self._clock)
        self._oom_kills = oom_kills()
        self._deadlines = Deadlines(settings)
        self._deadline: Deadline
        self._is_open = self._is_closing = False
        self._cause: FaultKind | None = None
        self._why = ""
        protocol.on_nonsense = self._give_up
        watchdog.watch(self)

    @classmethod
    async def start(
        cls,
        worker: WorkerProcess,
        settings: ServerSettings,
        watchdog: Watchdog,
        monitor: Monitor,
        *,
        is_roaming: bool = False,
    ) -> ProcessBackend:
        """Return a backend on ``worker``, which belongs to this session from now on.

        Args:
            worker: The process.
            settings: The limits.
            watchdog: Ends the worker when its answer is overdue.
            monitor: Notes how long steps take, and what the environment raises.
            is_roaming: Whether requests may come in one event loop after the other.

        Raises:
            ServerError: the worker is gone.
        """
        loop = asyncio.get_running_loop()
        try:
            sock = worker.connect()
            sock.setblocking(False)
            if is_roaming:
                protocol = _WorkerProtocol(FrameReader())
                return cls(worker, protocol, settings, watchdog, monitor, sock)
            _, protocol = await loop.create_connection(
                lambda: _WorkerProtocol(FrameReader()), sock=sock
            )
        except BaseException:
            worker.stop(timeout_s=0)
            raise
        return cls(worker, protocol, settings, watchdog, monitor)

    @property
    def relayable(self) -> ProcessBackend | None:
        """The backend itself, where a worker is asked without a task."""
        return self if self._line is None else None

    @property
    def due_s(self) -> float:
        """When the request under way is to be answered, by ``time.monotonic``.

        Infinite where no request is under way, or where it has no limit.
        """
        return self._protocol.due_s

    async def request(self, body: Body) -> Body:
        """Have the worker answer, and return the body of its reply.

        Raises:
            ConnectionLostError: the worker is lost.
        """
        if not self._is_open and body[0] == OPEN:
            request = BinaryMessages().decode_request(body)[1]
            assert isinstance(request, Open)
            self._deadlines.note(request)
        future: asyncio.Future[Body | None] = asyncio.get_running_loop().create_future()

        def on_reply(reply: Body | None) -> None:
            if not future.done():  # it is, where the one who asked was cancelled
                future.set_result(reply)

        line = self._line
        if line is not None:
            await self._connect(line)
        try:
            self.ask(body, on_reply)
            reply = await future
        finally:
            if line is not None:
                self._protocol.close()
        if reply is None:
            raise await self.loss()
        self._is_open = self._is_open or reply[0] == OPENED
        return reply

    async def _connect(self, line: socket.socket) -> None:
        """Have the loop that runs now read the socket, until the next reply."""
        if _has_unread(line):
            self._give_up("nobody had asked")
        if self._cause is not None:  # the protocol is not connected, and says that all is lost
            return
        loop = asyncio.get_running_loop()
        copied = line.dup()
        try:
            _, self._protocol = await loop.create_connection(
                lambda: _WorkerProtocol(self._reader), sock=copied
            )
        except BaseException:
            copied.close()
            raise
        self._protocol.on_nonsense = self._give_up

    def ask(self, body: Body, on_reply: OnReply) -> None:
        """Have the worker answer, without a task that waits for it; one request at a time.

        Args:
            body: The body of the request.
            on_reply: Called with the body of the reply, or with None where the worker is lost.
        """
        self._deadline = self._deadlines.of(body)
        now_s = self._clock()
        if self._is_sampled and body and body[0] == STEP:
            on_reply = self._timed(on_reply, now_s)
        self._protocol.ask(body, on_reply, now_s + self._deadline.limit_s)

    def _timed(self, on_reply: OnReply, begin_s: float) -> OnReply:
        """Have the time of this step taken, the first one since the watchdog looked."""
        self._is_sampled = False

        def timed(reply: Body | None) -> None:
            if reply is not None:
                self._monitor.steps.observe(self._clock() - begin_s)
            on_reply(reply)

        return timed

    def look(self) -> None:
        """Log what the worker printed and reported, and have the time of another step taken."""
        self._is_sampled = True
        self._log.write()
        self._take_reports()

    def _take_reports(self) -> None:
        for report in self._worker.reports.read():
            self._monitor.take(report, self._name)
        self._monitor.look()

    def expire(self) -> None:
        """Kill a worker that is overdue."""
        late = self._deadline
        self.kill(
            FaultKind.STEP_TIMEOUT,
            f"the environment did not answer a {late.name} within {late.limit_s:g} s and was "
            f"killed; start the server with a higher {late.option}, or 0 for no limit",
        )

    def kill(self, kind: FaultKind, why: str) -> None:
        """End the worker at once.

        Args:
            kind: The kind of the fault that this is for the client.
            why: What the client is told.
        """
        if self._cause is None:
            self._cause, self._why = kind, why
        self._worker.kill()
        self._protocol.abort()

    def _give_up(self, what: str) -> None:
        """Kill a worker whose answers cannot be told apart any more."""
        why = f"something wrote to the socket of this session's worker, which was killed: {what}"
        self.kill(FaultKind.BAD_REPLY, why)

    async def loss(self) -> ConnectionLostError:
        """Return how the worker was lost."""
        code = await self._exit_code(_EXIT_TIMEOUT_S)
        kind, why = self._cause, self._why
        if kind is None:
            kind, why = FaultKind.WORKER_DIED, f"the worker process of this session {_end(code)}"
            if code == -signal.SIGKILL and self._oom_kills != oom_kills():
                kind = FaultKind.OOM
                why += ", and the machine ran out of memory since the session began"
        self._log.write()
        self._take_reports()
        tail = self._output.tail[-TAIL_BYTES:].decode(errors="replace").strip()
        number = secrets.token_hex(4)
        if not self._is_closing:
            self._monitor.take(RaisedReport(kind=kind, number=number, text=why), self._name)
        if not self._settings.expose_tracebacks:
            tail, why = "", f"{why} ({pointer_to(number)})"
        fault = Fault.of_exit(code, kind, tail)
        return ConnectionLostError(f"{why}; open another session", fault=fault)

    async def close(self) -> None:
        """Have the worker close the environment and end; kill it if that takes too long.

        Few workers end at once, and the time of this one begins with its turn. One that is lost has
        nothing to do any more, and waits for none.
        """
        limit_s = self._settings.close_timeout_s or math.inf
        if limit_s == math.inf:  # the request under way has a limit of its own
            await self._until(lambda: not self._protocol.is_asked, math.inf)
        is_lost = self._cause is not None or self._worker.has_ended
        async with contextlib.nullcontext() if is_lost else self._watchdog.turn_to_end():
            self._protocol.close()
            if self._line is not None:
                self._line.close()
            self._take_reports()
            self._is_closing = True  # and how it ends is no fault
            self._worker.dismiss()
            code = await self._exit_code(min(limit_s, _TURN_S))
        if code is None and await self._exit_code(limit_s - _TURN_S) is None:
            self._worker.kill()
            if await self._exit_code(_EXIT_TIMEOUT_S) is None:
                _log.warning("worker %d was killed and does not end", self._worker.pid)
        self._watchdog.leave(self)
        self._log.write(is_last=True)
        self._worker.stop(timeout_s=0, killed_s=0)
        self._output.close()

    async def _exit_code(self, timeout_s: float) -> int | None:
        """The exit code of the worker, None if it still runs after ``timeout_s``."""
        await self._until(lambda: self._worker.exit_code is not None, timeout_s)
        return self._worker.exit_code

    async def _until(self, is_so: Callable[[], bool], timeout_s: float) -> None:
        """Wait until ``is_so``, which is asked time and again, for ``timeout_s`` at most."""
        end_s, pause_s = self._clock() + timeout_s, 0.001
        while not is_so() and self._clock() < end_s:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.05)


def _has_unread(sock: socket.socket) -> bool:
    """Whether something came that nobody has read; an end is nothing."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def _end(code: int | None) -> str:
    if code is None:
        return "closed its connection"
    if code < 0:
        return f"was ended by signal {-code} (exit code {code})"
    return f"ended (exit code {code})"
