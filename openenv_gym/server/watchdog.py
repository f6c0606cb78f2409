"""Deadlines of workers: who does not answer in time is killed.

One sweep looks at all sessions a few times a second. A request costs no timer then, only the time
at which it began.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from openenv_gym.protocol import BinaryMessages, Body
from openenv_gym.protocol.binary_messages import CLOSE, OPEN, RESET
from openenv_gym.protocol.events import Open
from openenv_gym.server.settings import ServerSettings

PERIOD_S = 0.2


@dataclass(frozen=True)
class Deadline:
    """How long an environment may take for one kind of request.

    Attributes:
        name: Of the request, for messages.
        limit_s: The limit, in seconds.
        option: Of ``openenv-gym serve``, which sets it.
    """

    name: str
    limit_s: float
    option: str


@dataclass
class Deadlines:
    """What one session's environment may take for each kind of request.

    Attributes:
        settings: Have the limits.
        is_batched: Whether a step may hold resets, as that of several sub-environments does.
    """

    settings: ServerSettings
    is_batched: bool = field(default=False, init=False)

    def of(self, body: Body) -> Deadline | None:
        """Return that of the request in ``body``, None where there is no limit."""
        kind = body[0] if body else 0
        if kind == OPEN:
            self._note(body)
            return _deadline("start", self.settings.start_timeout_s)
        if kind == RESET:
            return _deadline("reset", self.settings.reset_timeout_s)
        if kind == CLOSE:
            return _deadline("close", self.settings.close_timeout_s)
        step, reset = self.settings.step_timeout_s, self.settings.reset_timeout_s
        if self.is_batched and step and (not reset or reset > step):
            return _deadline("reset", reset)
        return _deadline("step", step)

    def _note(self, body: Body) -> None:
        request = BinaryMessages().decode_request(body)[1]
        assert isinstance(request, Open)
        is_vector = (request.environment or "").startswith("vector:")
        self.is_batched = request.num_envs is not None or is_vector


def _deadline(name: str, limit_s: float | None) -> Deadline | None:
    return Deadline(name, limit_s, f"--{name}-timeout") if limit_s else None


class Watched(Protocol):
    """Who may have a request under way.

    Attributes:
        due_s: When it is to be answered, on the loop's clock; infinite where nothing is due.
    """

    due_s: float

    def expire(self) -> None:
        """End it."""


class Watchdog:
    """Ends those that are overdue."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._next: asyncio.TimerHandle | None = None
        self._next_s = 0.0

    def watch(self, watched: Watched) -> None:
        """Look at ``watched`` from now on."""
        self._watched.add(watched)
        if self._next is None:
            self._wind()

    def leave(self, watched: Watched) -> None:
        """Look at ``watched`` no more."""
        self._watched.discard(watched)
        if not self._watched and self._next is not None:
            self._next.cancel()
            self._next = None

    def _wind(self) -> None:
        loop = asyncio.get_running_loop()
        self._next_s = loop.time() + PERIOD_S
        self._next = loop.call_at(self._next_s, self._sweep)

    def _sweep(self) -> None:
        now_s = asyncio.get_running_loop().time()
        # Was the loop itself held up, or the machine asleep, then answers may have come that it
        # had no time to read.
        if now_s < self._next_s + PERIOD_S:
            for watched in [one for one in self._watched if one.due_s < now_s]:
                watched.expire()
        self._wind()
