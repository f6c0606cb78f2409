"""The sessions of a server: one record each, one dict of them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from openenv_gym.errors import CapacityError
from openenv_gym.server.backends import Backend, Backends
from openenv_gym.server.settings import ServerSettings

_ENDING_TIMEOUT_S = 6.0
"""How long the end of the server waits for sessions that were ended before: longer than a worker
whose environment does not close is given, unless that was set otherwise."""


@dataclass(kw_only=True)
class Session:
    """One client's environment.

    Attributes:
        session_id: Random, and not to be guessed.
        backend: Where it lives.
        expires: Whether it may be ended when it was not used for long.
        last_used_s: When it was used last, on the server's clock.
        lock: One request at a time.
        on_drain: Called when the server is to end; None of sessions that no connection holds.
    """

    session_id: str
    backend: Backend
    expires: bool
    last_used_s: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    on_drain: Callable[[], None] | None = None


class Sessions:
    """All sessions of a server; slots that are being filled count as taken.

    Args:
        settings: The limits.
        backends: Make their homes.
        clock: Seconds that only grow.

    Attributes:
        is_draining: Whether the server is to end: what runs is finished, and nothing begun.
    """

    def __init__(
        self,
        settings: ServerSettings,
        backends: Backends,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._opening = 0
        self._ending: set[asyncio.Future[None]] = set()
        self.is_draining = False

    def __len__(self) -> int:
        return len(self._sessions) + self._opening

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._sessions

    async def create(self, *, expires: bool = False) -> Session:
        """Take a slot.

        Args:
            expires: See :attr:`Session.expires`.

        Raises:
            CapacityError: there is none, or the server is to end.
        """
        if self.is_draining:
            raise draining_error()
        idle = self._idle() if len(self) >= self._settings.max_sessions else None
        self._opening += 1  # before anything is awaited: another one may come meanwhile
        try:
            if idle is not None:
                await self.end(idle)
            backend = await self._backends.make()
        finally:
            self._opening -= 1
        session = Session(
            session_id=secrets.token_urlsafe(16),
            backend=backend,
            expires=expires,
            last_used_s=self._clock(),
        )
        self._sessions[session.session_id] = session
        return session

    def find(self, session_id: str) -> Session | None:
        """Return the session with this id, and note that it is in use."""
        session = self._sessions.get(session_id)
        if session is not None:
            session.last_used_s = self._clock()
        return session

    async def end(self, session: Session) -> None:
        """Close the environment and free the slot, once."""
        if self._sessions.pop(session.session_id, None) is not None:
            # Who waits may be cancelled; what was begun ends all the same.
            ending = asyncio.ensure_future(session.backend.close())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)

    @property
    def are_busy(self) -> bool:
        """Whether a request is under way, or a client is still to hear that the server ends."""
        return self._opening > 0 or any(map(_is_busy, self._sessions.values()))

    def drain(self) -> None:
        """Begin nothing more, and have each session end as soon as it has nothing under way."""
        self.is_draining = True
        for session in list(self._sessions.values()):
            if session.on_drain is not None:
                session.on_drain()

    async def end_idle(self) -> None:
        """End the sessions that no connection holds and that have nothing under way."""
        sessions = list(self._sessions.values())
        await asyncio.gather(*(self.end(one) for one in sessions if not _is_busy(one)))

    async def close(self) -> None:
        """End all sessions, all at once: one that hangs takes its time."""
        await asyncio.gather(*map(self.end, list(self._sessions.values())))
        if self._ending:  # begun before: a worker that hangs is not left to nobody
            await asyncio.wait(self._ending, timeout=_ENDING_TIMEOUT_S)

    def _idle(self) -> Session:
        """The session that gives way to a new one."""
        before = self._clock() - self._settings.http_idle_s
        idle = [
            session
            for session in self._sessions.values()
            if session.expires and session.last_used_s <= before and not session.lock.locked()
        ]
        if not idle:
            raise CapacityError(
                f"expected a free session, got none: {len(self)} of "
                f"{self._settings.max_sessions} are in use (--max-sessions); try again later"
            )
        return min(idle, key=lambda session: session.last_used_s)


def draining_error() -> CapacityError:
    """Return what a client is told while the server is to end."""
    error = CapacityError(
        "the server is ending and begins nothing more; try again when it was started anew"
    )
    error.fault = {"kind": "server_draining"}
    return error


def _is_busy(session: Session) -> bool:
    return session.on_drain is not None or session.lock.locked()
