"""The sessions of a server: one record each, one dict of them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from openenv_gym.errors import CapacityError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol.resume import Resumption
from openenv_gym.server.backends import Backend, Backends
from openenv_gym.server.relay import Relay
from openenv_gym.server.settings import ServerSettings

_ENDING_TIMEOUT_S = 6.0
"""How much longer than for an environment to close others wait for a session that is to end."""

_ENDING_AT_ONCE = 8
"""So many may be about to end before others begin, however few there may be at a time."""

_EXPIRY_PERIOD_S = 1.0
"""How often one looks whether a session that is to end has finished its step."""

MAX_WAITING = 16
"""So many requests may wait for one that is under way; each holds its body in memory."""


class Turns(asyncio.Lock):
    """One request at a time, first come, first served, and few that wait."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    async def acquire(self) -> Literal[True]:
        """Wait for one's turn.

        Raises:
            CapacityError: too many wait already.
        """
        if self._count > MAX_WAITING:  # with the one whose turn it is
            raise CapacityError(
                f"expected at most {MAX_WAITING} requests that wait for another one of their "
                "session, got one more; wait for an answer, or use a session of your own"
            )
        self._count += 1
        try:
            return await super().acquire()
        except BaseException:
            self._count -= 1
            raise

    def release(self) -> None:
        """Let the next one have its turn."""
        super().release()
        self._count -= 1


@dataclass(kw_only=True)
class Session:
    """One client's environment.

    Attributes:
        session_id: Random, and not to be guessed.
        backend: Where it lives.
        idle_s: After how long without use it gives way to a new one, in seconds; None never.
        last_used_s: When it was used last, on the server's clock.
        lock: One request at a time.
        on_drain: Called when the server is to end; None of sessions that no connection holds.
        guests: How many connections take part in it that did not begin it.
        relay: What passes its requests on, of a binary session that is open.
        resumption: How it is taken up again when its connection was lost; None where it ends then.
        expiry: Of a session whose connection was lost: ends it.
    """

    session_id: str
    backend: Backend
    idle_s: float | None
    last_used_s: float
    lock: Turns = field(default_factory=Turns)
    on_drain: Callable[[], None] | None = None
    guests: int = 0
    relay: Relay | None = None
    resumption: Resumption | None = None
    expiry: asyncio.TimerHandle | None = None

    @property
    def is_answering(self) -> bool:
        """Whether a request is under way."""
        return self.lock.locked() or (self.relay is not None and self.relay.is_busy)


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

    async def create(self, *, idle_s: float | None = None) -> Session:
        """Take a slot.

        Args:
            idle_s: See :attr:`Session.idle_s`.

        Raises:
            CapacityError: there is none, or the server is to end, or too many sessions are.
        """
        if self.is_draining:
            raise draining_error()
        idle = self._idle() if len(self) >= self._settings.max_sessions else None
        self._opening += 1  # before anything is awaited: another one may come meanwhile
        try:
            if idle is not None:
                await self.end(idle)
            await self._expect_few_ending()
            backend = await self._backends.make()
        finally:
            self._opening -= 1
        session = Session(
            session_id=secrets.token_urlsafe(16),
            backend=backend,
            idle_s=idle_s,
            last_used_s=self._clock(),
        )
        self._sessions[session.session_id] = session
        return session

    async def _expect_few_ending(self) -> None:
        """Wait until not more than as many sessions again are about to end.

        Their slots are free, and their workers are there until they have closed.

        Raises:
            CapacityError: that takes too long.
        """
        most = max(_ENDING_AT_ONCE, self._settings.max_sessions)
        end_s = self._clock() + _ENDING_TIMEOUT_S
        while len(self._ending) >= most:
            left_s = end_s - self._clock()
            if left_s <= 0:
                raise CapacityError(
                    f"expected fewer than {most} sessions that are about to end, and their "
                    "environments take long to close (--close-timeout); try again later"
                )
            await asyncio.wait(self._ending, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)

    def find(self, session_id: str) -> Session | None:
        """Return the session with this id, and note that it is in use."""
        session = self._sessions.get(session_id)
        if session is not None:
            session.last_used_s = self._clock()
        return session

    def offer_resumption(self, session: Session) -> None:
        """Let a session be taken up again, where the server allows that at all."""
        grace_s = self._settings.resume_grace_s
        if grace_s:
            token = f"{session.session_id}.{secrets.token_urlsafe(16)}"
            session.resumption = Resumption(token, grace_s)

    def keep(self, session: Session) -> None:
        """Keep a session whose connection was lost, until it is taken up, or too late for that.

        It gives way at once to a new one, where no slot is free.
        """
        session.on_drain, session.idle_s, session.last_used_s = None, 0.0, self._clock()
        self._expire_later(session, self._settings.resume_grace_s)

    def take_up(self, token: str) -> Session | None:
        """Return the session that this token names and proves, which is in use again."""
        session = self._sessions.get(token.partition(".")[0])
        if session is None or session.resumption is None or self.is_draining:
            return None
        if not secrets.compare_digest(session.resumption.token.encode(), token.encode()):
            return None
        if session.expiry is not None:
            session.expiry.cancel()
        session.idle_s = session.expiry = None
        return session

    def _expire_later(self, session: Session, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        session.expiry = loop.call_later(delay_s, self._expire, session)

    def _expire(self, session: Session) -> None:
        """End a session that nobody took up; a step that runs is finished, or killed when due."""
        if session.is_answering:
            self._expire_later(session, _EXPIRY_PERIOD_S)
        else:
            self._begin_end(session)

    async def end(self, session: Session) -> None:
        """Close the environment and free the slot, once."""
        ending = self._begin_end(session)
        if ending is not None:
            # Who waits may be cancelled; what was begun ends all the same.
            await asyncio.shield(ending)

    def _begin_end(self, session: Session) -> asyncio.Future[None] | None:
        if self._sessions.pop(session.session_id, None) is None:
            return None
        session.on_drain = None  # which has the session
        if session.expiry is not None:
            session.expiry.cancel()
        ending = asyncio.ensure_future(session.backend.close())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        return ending

    @property
    def has_room(self) -> bool:
        """Whether a session could begin now."""
        now_s = self._clock()
        is_full = len(self) >= self._settings.max_sessions
        return not is_full or any(_gives_way(one, now_s) for one in self._sessions.values())

    @property
    def disconnected(self) -> int:
        """How many are kept for a client that lost its connection."""
        return sum(one.expiry is not None for one in self._sessions.values())

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
        """End all sessions, all at once, and wait for them and for those that were ended before."""
        for session in list(self._sessions.values()):
            self._begin_end(session)
        if self._ending:
            closes_s = self._settings.close_timeout_s or 0
            # Without a limit, what hangs in a thread would be waited for without an end.
            await asyncio.wait(self._ending, timeout=closes_s + _ENDING_TIMEOUT_S)

    def _idle(self) -> Session:
        """The session that gives way to a new one."""
        now_s = self._clock()
        idle = [session for session in self._sessions.values() if _gives_way(session, now_s)]
        if not idle:
            raise CapacityError(
                f"expected a free session, got none: {len(self)} of "
                f"{self._settings.max_sessions} are in use (--max-sessions); try again later"
            )
        return min(idle, key=lambda session: session.last_used_s)


def draining_error() -> CapacityError:
    """Return what a client is told while the server is to end."""
    return CapacityError(
        "the server is ending and begins nothing more; try again when it was started anew",
        fault=Fault(kind=FaultKind.SERVER_DRAINING),
    )


def _gives_way(session: Session, now_s: float) -> bool:
    if session.idle_s is None or session.guests or session.is_answering:
        return False
    return session.last_used_s + session.idle_s <= now_s


def _is_busy(session: Session) -> bool:
    return session.on_drain is not None or session.lock.locked()
