"""Deadlines of workers: a worker that does not answer in time is killed.

A timer for each request would be the plain way, and costs two operations on the loop's heap of
timers in every step. Instead a request only notes until when it is to be answered, and one sweep
looks at all workers a few times a second. So a worker is killed up to two periods late, which does
not matter beside deadlines of seconds.

The sweep must not blame a worker for a delay of the server. If the loop itself was held up (the
process was stopped, the machine slept, a callback took long), replies may lie unread in the sockets
although their deadlines have passed. A sweep that comes a whole period late therefore kills nobody,
and leaves the loop until the next sweep to read what is there. It kills if it is late twice in a
row, though: a loop that is always late must not leave its workers without deadlines.

Workers that end compute, and so does the server that has to answer everybody else. Where many
sessions end together, each worker waits for its *turn* to end; see :meth:`Watchdog.turn_to_end`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from openenv_gym.faults import FaultKind
from openenv_gym.protocol import Body
from openenv_gym.protocol.binary_messages import CLOSE, OPEN, RESET
from openenv_gym.protocol.events import Open
from openenv_gym.server.settings import ServerSettings
from openenv_gym.workers.process import available_cores

PERIOD_S = 0.2

ENDS_PER_CORE = 2
"""So many workers for each core may end at once."""


@dataclass(frozen=True)
class Deadline:
    """How long an environment may take for one kind of request.

    Attributes:
        name: The name of the request, for messages.
        limit_s: The limit in seconds; infinite where there is none.
        option: The flag of ``openenv-gym serve`` that sets the limit.
    """

    name: str
    limit_s: float
    option: str


class Deadlines:
    """What one session's environment may take for each kind of request.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._step = _deadline("step", settings.step_timeout_s)
        self._reset = _deadline("reset", settings.reset_timeout_s)
        self._by_kind = {
            OPEN: _deadline("start", settings.start_timeout_s),
            RESET: self._reset,
            CLOSE: _deadline("close", settings.close_timeout_s),
        }

    def of(self, body: Body) -> Deadline:
        """Return the deadline of the request in ``body``."""
        return self._by_kind.get(body[0] if body else 0, self._step)

    def note(self, request: Open) -> None:
        """Note what is opened: a step of several sub-environments may hold resets."""
        is_vector = (request.environment or "").startswith("vector:")
        if request.num_envs is not None or is_vector:
            self._step = max(self._step, self._reset, key=lambda deadline: deadline.limit_s)


def _deadline(name: str, limit_s: float | None) -> Deadline:
    return Deadline(name, limit_s or math.inf, f"--{name}-timeout")


def _turns() -> asyncio.Semaphore:
    return asyncio.Semaphore(ENDS_PER_CORE * available_cores())


class Watched(Protocol):
    """A worker as the watchdog sees it, which may have a request under way."""

    @property
    def due_s(self) -> float:
        """When the request is to be answered, by ``time.monotonic``; infinite where none is due."""

    def kill(self, kind: FaultKind, why: str) -> None:
        """End the worker for another reason than its deadline."""

    def look(self) -> None:
        """Do whatever else is to be done a few times a second."""

    def expire(self) -> None:
        """End the worker, whose answer is overdue."""


class Watchdog:
    """Ends the workers whose answers are overdue, and has few of the others end at once."""

    def __init__(self) -> None:
        self._turns = _turns()
        self._watched: set[Watched] = set()
        self._next: asyncio.TimerHandle | None = None
        self._next_s = 0.0
        self._was_late = False

    def watch(self, watched: Watched) -> None:
        """Look at ``watched`` from now on."""
        self._watched.add(watched)
        if self._next is None:
            self._was_late = False
            self._wind()

    def leave(self, watched: Watched) -> None:
        """Look at ``watched`` no more."""
        self._watched.discard(watched)
        if not self._watched and self._next is not None:
            self._next.cancel()
            self._next = None

    def move(self) -> None:
        """Go on in the loop that runs now: the one before is gone, or asks for nothing."""
        self._turns = _turns()
        if self._next is not None:
            self._next.cancel()
            self._next, self._was_late = None, False
        if self._watched:
            self._wind()

    def forget(self) -> None:
        """Look at nobody any more, in a forked child."""
        self._watched.clear()
        self._next, self._turns = None, _turns()

    @asynccontextmanager
    async def turn_to_end(self) -> AsyncIterator[None]:
        """Wait until one may have a worker end, first come, first served, and end in the block."""
        async with self._turns:
            yield

    def end_all_at_once(self) -> None:
        """Have nobody wait for a turn any more: the server ends, and serves nobody meanwhile."""
        for _ in self._watched:
            self._turns.release()

    def __len__(self) -> int:
        return len(self._watched)

    def kill_all(self, kind: FaultKind, why: str) -> None:
        """End all workers that are watched, overdue or not."""
        for watched in list(self._watched):
            watched.kill(kind, why)

    def _wind(self) -> None:
        self._next_s = time.monotonic() + PERIOD_S
        self._next = asyncio.get_running_loop().call_later(PERIOD_S, self._sweep)

    def _sweep(self) -> None:
        now_s = time.monotonic()
        # A late sweep spares everybody once: see the module.
        is_late = now_s >= self._next_s + PERIOD_S
        if self._was_late or not is_late:
            for watched in [one for one in self._watched if one.due_s < now_s]:
                watched.expire()
        self._was_late = is_late
        for watched in list(self._watched):
            watched.look()
        self._wind()
