"""Sessions: the capacity, and who gives way."""

from __future__ import annotations

import asyncio

import pytest

from openenv_gym.errors import CapacityError, ConnectionLostError
from openenv_gym.protocol import Failed, Open
from openenv_gym.server.engine import Engine
from openenv_gym.server.session import Session
from openenv_gym.server.sessions import Sessions
from openenv_gym.server.settings import ServerSettings

IDLE_S = 10.0


class Home:
    def __init__(self) -> None:
        self.closed = 0

    async def request(self, body: bytes) -> bytes:
        raise ConnectionLostError("the worker is gone")

    async def close(self) -> None:
        self.closed += 1


class Homes:
    async def make(self, *, is_roaming: bool = False) -> Home:
        await asyncio.sleep(0)
        return Home()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    settings = ServerSettings(environment="any", max_sessions=2, http_idle_s=IDLE_S)
    return Sessions(settings, Homes(), clock)


def test_slots_that_are_being_filled_count(sessions: Sessions):
    async def race() -> list[object]:
        return await asyncio.gather(
            *(sessions.begin(Session()) for _ in range(5)), return_exceptions=True
        )

    outcomes = asyncio.run(race())
    assert [type(outcome) for outcome in outcomes] == [Session] * 2 + [CapacityError] * 3
    assert len(sessions) == 2


def test_a_failed_start_gives_its_slot_back(sessions: Sessions, monkeypatch: pytest.MonkeyPatch):
    async def fail(self: Homes, *, is_roaming: bool) -> Home:
        raise OSError("no process")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no process"):
        patched.setattr(Homes, "make", fail)
        asyncio.run(sessions.begin(Session()))
    assert len(sessions) == 0


def test_the_longest_idle_http_session_gives_way(sessions: Sessions, clock: Clock):
    async def play() -> None:
        old = await sessions.begin(Session(is_shared=True))
        clock.now = 5
        used = await sessions.begin(Session(is_shared=True))
        homes = old.backend, used.backend
        clock.now = 9.9
        with pytest.raises(CapacityError, match="2 of 2"):
            await sessions.begin(Session())
        clock.now = 12
        assert sessions.find(used.session_id) is used
        await sessions.begin(Session())
        assert sessions.find(old.session_id) is None
        assert [home.closed for home in homes] == [1, 0]

    asyncio.run(play())


def test_a_running_request_and_a_socket_are_never_idle(sessions: Sessions, clock: Clock):
    async def play() -> None:
        busy = await sessions.begin(Session(is_shared=True))
        await sessions.begin(Session())
        clock.now = 1000
        async with busy.lock:
            with pytest.raises(CapacityError):
                await sessions.begin(Session())
        assert await sessions.begin(Session())

    asyncio.run(play())


def test_a_session_ends_once(sessions: Sessions):
    async def play() -> None:
        session = await sessions.begin(Session())
        home = session.backend
        await sessions.end(session)
        await sessions.end(session)
        assert home.closed == 1
        assert len(sessions) == 0

    asyncio.run(play())


def test_the_slot_of_one_that_gives_way_is_not_given_twice(sessions: Sessions, clock: Clock):
    async def play() -> list[object]:
        for _ in range(2):
            await sessions.begin(Session(is_shared=True))
        clock.now = 12
        return await asyncio.gather(
            *(sessions.begin(Session()) for _ in range(4)), return_exceptions=True
        )

    outcomes = asyncio.run(play())
    assert [type(outcome) for outcome in outcomes] == [Session] * 2 + [CapacityError] * 2
    assert len(sessions) == 2


def test_a_session_with_a_guest_gives_way_to_nobody(sessions: Sessions, clock: Clock):
    async def play() -> None:
        visited = await sessions.begin(Session(is_shared=True))
        await sessions.begin(Session())
        visited.guests = 2
        clock.now = 1000
        for _ in range(2):
            assert not sessions.has_room
            with pytest.raises(CapacityError):
                await sessions.begin(Session())
            visited.guests -= 1
        assert sessions.has_room and await sessions.begin(Session())

    asyncio.run(play())


def test_a_kept_session_gives_way_at_once_but_not_when_it_is_taken_up(
    sessions: Sessions, clock: Clock
):
    async def play() -> None:
        left, stays = await sessions.begin(Session()), await sessions.begin(Session())
        homes = left.backend, stays.backend
        for session in (left, stays):
            sessions.offer_resumption(session)
            sessions.keep(session)
        assert sessions.disconnected == 2 and sessions.has_room
        assert stays.resumption is not None
        assert sessions.take_up(stays.resumption.token) is stays
        clock.now = 1000
        await sessions.begin(Session())
        assert [home.closed for home in homes] == [1, 0]
        with pytest.raises(CapacityError):
            await sessions.begin(Session())
        assert sessions.take_up(left.resumption.token) is None

    asyncio.run(play())


def test_a_session_of_a_connection_cannot_be_named(sessions: Sessions):
    """Its id is a part of the token with which it is taken up, and no secret to its client."""

    async def play() -> None:
        session = await sessions.begin(Session())
        assert sessions.find(session.session_id) is None
        assert sessions.find(session.session_id, may_be_vacant=True) is None

    asyncio.run(play())


def test_who_is_late_does_not_end_what_was_begun_anew(sessions: Sessions):
    async def play() -> None:
        session = await sessions.begin(Session(is_shared=True))
        before = session.engine
        await sessions.vacate(session)
        assert sessions.find(session.session_id) is None
        assert sessions.find(session.session_id, may_be_vacant=True) is session
        session.engine = Engine(Home())
        lost = await sessions.execute(session, before, Open())
        assert isinstance(lost, Failed) and lost.code == "CONNECTION_LOST"
        assert len(sessions) == 1
        await sessions.execute(session, session.engine, Open())
        assert (len(sessions), session.engine) == (0, None)

    asyncio.run(play())
