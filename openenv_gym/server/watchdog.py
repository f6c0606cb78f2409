"""Deadlines of workers: who does not answer in time is killed.

One sweep looks at all sessions a few times a second. A request costs no timer then, only the time
at which it began.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Protocol

from openenv_gym.faults import FaultKind
from openenv_gym.protocol import Body
from openenv_gym.protocol.binary_messages import CLOSE, OPEN, RESET
from openenv_gym.protocol.events import Open
from openenv_gym.server.settings import ServerSettings

PERIOD_S = 0.2


@dataclass(frozen=True)
class Deadline:
    """How long an environment may take for one kind of request.

    Attributes:
        name: Of the request, for messages.
        limit_s: The limit, in seconds; infinite where there is none.
        option: Of ``openenv-gym serve``, which sets it.
    """

    name: str
    limit_s: float
    option: str


class Deadlines:
    """What one session's environment may take for each kind of request.

    Args:
        settings: Have the limits.
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
        """Return that of the request in ``body``."""
        return self._by_kind.get(body[0] if body else 0, self._step)

    def note(self, request: Open) -> None:
        """Take in what is opened: a step of several sub-environments may hold resets."""
        is_vector = (request.environment or "").startswith("vector:")
        if request.num_envs is not None or is_vector:
            self._step = max(self._step, self._reset, key=lambda deadline: deadline.limit_s)


def _deadline(name: str, limit_s: float | None) -> Deadline:
    return Deadline(name, limit_s or math.inf, f"--{name}-timeout")


class Watched(Protocol):
    """Who may have a request under way."""

    @property
    def due_s(self) -> float:
        """When it is to be answered, on the loop's clock; infinite where nothing is due."""

    def kill(self, kind: FaultKind, why: str) -> None:
        """End it for another reason."""

    def look(self) -> None:
        """Do what is to be done a few times a second."""

    def expire(self) -> None:
        """End it."""


class Watchdog:
    """Ends those that are overdue."""

    def __init__(self) -> None:
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

    def __len__(self) -> int:
        return len(self._watched)

    def kill_all(self, kind: FaultKind, why: str) -> None:
        """End all that are there, overdue or not."""
        for watched in list(self._watched):
            watched.kill(kind, why)

    def _wind(self) -> None:
        loop = asyncio.get_running_loop()
        self._next_s = loop.time() + PERIOD_S
        self._next = loop.call_at(self._next_s, self._sweep)

    def _sweep(self) -> None:
        now_s = asyncio.get_running_loop().time()
        # Was the loop itself held up, or the machine asleep, then answers may have come that it
        # had no time to read; it has had it where that happens again.
        is_late = now_s >= self._next_s + PERIOD_S
        if self._was_late or not is_late:
            for watched in [one for one in self._watched if one.due_s < now_s]:
                watched.expire()
        self._was_late = is_late
        for watched in list(self._watched):
            watched.look()
        self._wind()
