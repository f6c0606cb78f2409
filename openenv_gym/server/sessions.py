"""The sessions of a server: all of them in one dict, by their id.

A session takes a *slot* (``--max-sessions``) while it has an environment. A client of HTTP or MCP
is known before its first reset and after it has lost its environment to another client: its
session is *vacant* then, and takes no slot.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from openenv_gym.errors import CapacityError, OpenEnvGymError, ResetNeededError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import Open, Reply, Request
from openenv_gym.protocol.resume import Resumption
from openenv_gym.server.backends import Backends
from openenv_gym.server.engine import Engine
from openenv_gym.server.half_open import HalfOpen
from openenv_gym.server.home import Home
from openenv_gym.server.session import Session
from openenv_gym.server.settings import ServerSettings

_log = logging.getLogger(__name__)

MAX_VACANT = 1024
"""So many vacant sessions are known; the one that was unused longest is forgotten."""

_ENDING_TIMEOUT_S = 6.0
"""How much longer than for an environment to close others wait for a session that is to end."""

_ENDING_AT_ONCE = 8
"""So many may be about to end before others begin, however few there may be at a time."""

_EXPIRY_PERIOD_S = 1.0
"""How often one looks whether a session that is to end has finished its step."""


class Sessions:
    """All sessions of a server; slots that are being filled count as taken.

    Args:
        settings: The limits, and what is opened.
        backends: Makes the backend of each session.
        clock: Returns seconds that only grow.
        home: Knows in which event loop requests come; None where that is always one.

    Attributes:
        silent: The WebSockets on which the client has said nothing yet. They have no slot.
        is_draining: Whether the server is to end: what runs is finished, and nothing begun.
        on_opened: Called where a shared session was to be opened, with the error if it was not.
    """

    def __init__(
        self,
        settings: ServerSettings,
        backends: Backends,
        clock: Callable[[], float] = time.monotonic,
        home: Home | None = None,
    ) -> None:
        self._home = home
        self._settings = settings
        self._backends = backends
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._opening = 0
        self._ending: set[asyncio.Future[None]] = set()
        self.silent = HalfOpen(clock=clock)
        self.is_draining = False
        self.on_opened: Callable[[OpenEnvGymError | None], None] = lambda exc: None

    def __len__(self) -> int:
        """How many slots are taken."""
        return len(self._playing) + self._opening

    @property
    def _playing(self) -> list[Session]:
        """The sessions that have an environment."""
        return [session for session in self._sessions.values() if session.engine is not None]

    def expect_room(self) -> None:
        """Pass if a session could begin now.

        Raises:
            CapacityError: there is no slot, or the server is to end.
        """
        if self.is_draining:
            raise draining_error()
        if len(self) >= self._settings.max_sessions:
            self._idle()

    async def begin(self, session: Session) -> Session:
        """Take a slot for a new session, and return it; its environment is still to be opened.

        Args:
            session: The session, which nobody knows yet.

        Raises:
            CapacityError: there is no slot, or the server is to end, or too many sessions are.
        """
        await self._take_slot(session)
        return session

    def add(self, session: Session) -> None:
        """Know a session by its id from now on."""
        is_full = len(self._sessions) >= MAX_VACANT + self._settings.max_sessions
        if is_full and session.session_id not in self._sessions:
            vacant = (one for one in self._sessions.values() if one.engine is None)
            unused = [one for one in vacant if not one.lock.locked()]
            if unused:
                del self._sessions[min(unused, key=lambda one: one.last_used_s).session_id]
        session.last_used_s = self._clock()
        self._sessions[session.session_id] = session

    def find(
        self, session_id: str, owner: str | None = None, *, may_be_vacant: bool = False
    ) -> Session | None:
        """Return the shared session with this id, and note that it is in use.

        That of another owner is as unknown as one that there is not.
        """
        session = self._sessions.get(session_id)
        if session is None or not session.is_shared or session.owner != owner:
            return None
        if session.engine is None and not may_be_vacant:
            return None
        session.last_used_s = self._clock()
        return session

    @asynccontextmanager
    async def turn(self, session: Session) -> AsyncIterator[None]:
        """Have a shared session to oneself, when all who came before have had it.

        Raises:
            CapacityError: the server is to end, or too many wait already.
        """
        if self.is_draining:
            raise draining_error()
        session.last_used_s = self._clock()
        async with session.lock:
            yield

    async def open(self, session: Session, render_mode: str | None = None) -> Engine:
        """Take a slot for a shared session and open its environment, when it is one's turn.

        Raises:
            CapacityError: there is no slot, or the server is to end, or too many sessions are.
            ResetNeededError: the client has left.
            OpenEnvGymError: the environment cannot be built.
        """
        was_known = session.session_id in self._sessions
        try:
            _expect_client(session)
            engine = await self._take_slot(session)
            wanted = Open(is_typed=True, render_mode=render_mode)
            await engine.open(self._settings.admit(wanted))
            self.on_opened(None)
            _expect_client(session)
        except BaseException as exc:
            if isinstance(exc, OpenEnvGymError):
                self.on_opened(exc)
            await self.vacate(session)
            session.was_vacated = False  # the client hears of it now
            if not was_known:  # and nobody has been told its id
                self._sessions.pop(session.session_id, None)
            raise
        return engine

    async def execute(self, session: Session, engine: Engine, request: Request) -> Reply:
        """Return the reply to ``request``, when it is one's turn; a refusal is a reply too.

        A session whose worker was lost has given its slot back before its client hears of that.
        """
        reply = await engine.execute(request)
        if engine.is_lost and session.engine is engine:
            await self.vacate(session)
        return reply

    async def _take_slot(self, session: Session) -> Engine:
        if self.is_draining:
            raise draining_error()
        idle = self._idle() if len(self) >= self._settings.max_sessions else None
        self._opening += 1  # before anything is awaited: another one may come meanwhile
        try:
            if idle is not None:
                await self.vacate(idle)
            await self._expect_few_ending()
            roams = session.is_shared and self._home is not None and self._home.may_move
            backend = await self._backends.make(is_roaming=roams)
            engine = session.engine = Engine(backend)
        finally:
            self._opening -= 1
        session.was_vacated = False
        self.add(session)
        if session.owner is not None:
            _log.info("a session of %s takes a slot", session.owner)
        return engine

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
        session.on_drain, session.last_used_s = None, self._clock()
        self._expire_later(session, self._settings.resume_grace_s)

    def take_up(self, token: str, owner: str | None = None) -> Session | None:
        """Return the session that this token names and proves, which is in use again.

        Args:
            token: What the client was offered when the session began.
            owner: The name of the owner of the token that opens the server.
        """
        session = self._sessions.get(token.partition(".")[0])
        if session is None or session.resumption is None or self.is_draining:
            return None
        if session.owner != owner:
            return None
        if not secrets.compare_digest(session.resumption.token.encode(), token.encode()):
            return None
        if session.expiry is not None:
            session.expiry.cancel()
        session.expiry = None
        return session

    def _expire_later(self, session: Session, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        session.expiry = loop.call_later(delay_s, self._expire, session)

    def _expire(self, session: Session) -> None:
        """End a session that nobody took up; a step that runs is finished, or killed when due."""
        if session.is_answering:
            self._expire_later(session, _EXPIRY_PERIOD_S)
        else:
            self._begin_vacating(session)

    async def end(self, session: Session) -> None:
        """Forget a client, close its environment and free its slot, once."""
        session.is_ended = True
        await self.vacate(session)

    async def vacate(self, session: Session) -> None:
        """Close the environment of a session and free its slot, once.

        A shared session stays known; any other has ended with its environment.
        """
        closing = self._begin_vacating(session)
        if closing is not None:
            # Who waits may be cancelled; what was begun ends all the same.
            await asyncio.shield(closing)

    def _begin_vacating(self, session: Session) -> asyncio.Future[None] | None:
        if session.is_ended or not session.is_shared:
            self._sessions.pop(session.session_id, None)
        engine, session.engine = session.engine, None
        if engine is None:
            return None
        session.was_vacated = True
        session.on_drain = None  # it refers to the session: without a cycle both are freed at once
        if session.expiry is not None:
            session.expiry.cancel()
        closing = asyncio.ensure_future(engine.backend.close())
        self._ending.add(closing)
        closing.add_done_callback(self._ending.discard)
        return closing

    @property
    def has_room(self) -> bool:
        """Whether a session could take a slot now."""
        now_s = self._clock()
        is_full = len(self) >= self._settings.max_sessions
        return not is_full or any(self._gives_way(one, now_s) for one in self._playing)

    @property
    def states(self) -> dict[str, int]:
        """How many sessions there are in each state, those that are about to end among them."""
        busy = sum(one.is_answering for one in self._playing)
        idle = len(self._playing) - busy
        waiting = sum(one.expiry is not None and not one.is_answering for one in self._playing)
        return {
            "opening": self._opening,
            "busy": busy,
            "idle": idle - waiting,
            "disconnected": waiting,
            "ending": len(self._ending),
        }

    @property
    def disconnected(self) -> int:
        """How many sessions are kept for a client that lost its connection."""
        return sum(one.expiry is not None for one in self._playing)

    @property
    def are_busy(self) -> bool:
        """Whether a request is under way, or a client is still to hear that the server ends."""
        is_any = any(one.is_busy for one in self._playing)
        return self._opening > 0 or len(self.silent) > 0 or is_any

    def drain(self) -> None:
        """Begin nothing more, and have each session end as soon as it has nothing under way."""
        self.is_draining = True
        self.silent.end_all()
        for session in self._playing:
            if session.on_drain is not None:
                session.on_drain()

    async def end_idle(self) -> None:
        """End the sessions that no connection holds and that have nothing under way."""
        await asyncio.gather(*(self.end(one) for one in self._playing if not one.is_busy))

    async def close(self) -> None:
        """End all sessions, all at once, and wait for them and for those that were ended before."""
        for session in self._playing:
            self._begin_vacating(session)
        await self.settle()

    async def settle(self) -> None:
        """Wait for the sessions that are about to end."""
        if self._ending:
            closes_s = self._settings.close_timeout_s or 0
            # Without a limit, what hangs in a thread would be waited for without an end.
            await asyncio.wait(self._ending, timeout=closes_s + _ENDING_TIMEOUT_S)

    def move(self) -> None:
        """Go on in another event loop: what was under way in the one before ended with it."""
        self._ending.clear()
        self._opening = 0
        self.silent = HalfOpen(clock=self._clock)

    def forget(self) -> None:
        """Forget all clients, in a forked child: their environments are the parent's."""
        for session in self._playing:
            session.engine = session.on_drain = session.expiry = session.relay = None
        self._sessions.clear()
        self.move()

    def _idle(self) -> Session:
        """The session that gives way to a new one."""
        now_s = self._clock()
        idle = [session for session in self._playing if self._gives_way(session, now_s)]
        if not idle:
            raise CapacityError(
                f"expected a free session, got none: {len(self)} of "
                f"{self._settings.max_sessions} are in use (--max-sessions); try again later"
            )
        return min(idle, key=lambda session: session.last_used_s)

    def _gives_way(self, session: Session, now_s: float) -> bool:
        if session.guests or session.is_answering:
            return False
        if session.is_shared:
            return session.last_used_s + self._settings.http_idle_s <= now_s
        return session.expiry is not None  # a connection that was lost may never come back


def draining_error() -> CapacityError:
    """Return what a client is told while the server is to end."""
    return CapacityError(
        "the server is ending and begins nothing more; try again when it was started anew",
        fault=Fault(kind=FaultKind.SERVER_DRAINING),
    )


def _expect_client(session: Session) -> None:
    if session.is_ended:
        raise ResetNeededError("the session was ended before its environment was there")
