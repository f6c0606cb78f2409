"""Sessions of MCP clients that end while something is under way."""

from __future__ import annotations

import asyncio
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec, registry

from openenv_gym.errors import ResetNeededError, UnsupportedRenderModeError
from openenv_gym.server.backends import Backend
from openenv_gym.server.mcp_tools import McpTools, picture_mode
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session
from openenv_gym.server.settings import ServerSettings


@pytest.fixture
def service() -> Service:
    return Service(ServerSettings(environment="CartPole-v1", isolation="inline", max_sessions=1))


def known(service: Service) -> Session:
    """A session of a client that has sent ``initialize``."""
    session = Session(is_shared=True, mcp_version="2025-11-25")
    service.sessions.add(session)
    return session


def test_an_environment_that_was_being_built_for_who_left_is_closed(service, monkeypatch):
    sessions = service.sessions
    session = known(service)
    make = service.backends.make

    async def make_while_the_client_leaves(**how: Any) -> Backend:
        backend = await make(**how)
        await sessions.end(session)
        return backend

    monkeypatch.setattr(service.backends, "make", make_while_the_client_leaves)
    for _ in range(2):  # the second time there is nobody to begin with
        with pytest.raises(ResetNeededError, match="the session was ended before"):
            asyncio.run(McpTools(service).call("reset", session, {}))
        assert len(sessions) == 0
    assert sessions.find(session.session_id, may_be_vacant=True) is None


def test_a_call_that_waits_for_its_turn_when_its_session_ends_takes_no_place(service):
    tools = McpTools(service)

    async def play() -> None:
        session = known(service)
        await tools.call("reset", session, {})
        async with session.lock:
            waiting = asyncio.create_task(tools.call("reset", session, {}))
            await asyncio.sleep(0)
            await service.sessions.end(session)
        with pytest.raises(ResetNeededError):
            await waiting

    asyncio.run(play())
    assert len(service.sessions) == 0


class NeedsADisplay(gym.Env[int, int]):
    """Says that it draws, and cannot be made with a render mode."""

    metadata = {"render_modes": ["rgb_array"]}
    action_space = observation_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode is not None:
            raise RuntimeError("no display")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        return 0, {}


class TakesNoMode(NeedsADisplay):
    def __init__(self) -> None:
        super().__init__()


@pytest.mark.parametrize("kind", [NeedsADisplay, TakesNoMode])
def test_an_environment_that_cannot_be_drawn_can_be_played(kind, monkeypatch):
    spec = EnvSpec("Dark-v0", entry_point=kind)
    monkeypatch.setitem(registry, "Dark-v0", spec)
    service = Service(ServerSettings(environment="Dark-v0", isolation="inline"))
    assert picture_mode(service) == "rgb_array"
    tools = McpTools(service)

    async def play() -> None:
        session = known(service)
        assert (await tools.call("reset", session, {}))["structuredContent"]["done"] is False
        with pytest.raises(UnsupportedRenderModeError, match="opened without a render_mode"):
            await tools.call("render", session, {})
        await tools.open(Session(is_shared=True))

    asyncio.run(play())


def test_a_session_whose_environment_is_being_built_is_in_use(service, monkeypatch):
    """Where the server drains, or another client wants the place of who is idle."""
    made = service.backends.make
    building, may_go_on = asyncio.Event(), asyncio.Event()

    async def make_slowly(**how: Any) -> Backend:
        backend = await made(**how)
        answer = backend.request

        async def request(body: bytes) -> bytes:
            building.set()
            await may_go_on.wait()
            return await answer(body)

        backend.request = request
        return backend

    monkeypatch.setattr(service.backends, "make", make_slowly)

    async def play() -> None:
        sessions, session = service.sessions, Session(is_shared=True)
        beginning = asyncio.create_task(McpTools(service).call("reset", session, {}))
        await building.wait()
        assert sessions.are_busy
        await sessions.end_idle()
        assert len(sessions) == 1
        may_go_on.set()
        await beginning
        assert sessions.find(session.session_id) is session
        await sessions.end(session)

    asyncio.run(play())


def test_clients_that_play_nothing_are_forgotten_and_those_that_play_are_not(service, monkeypatch):
    monkeypatch.setattr("openenv_gym.server.sessions.MAX_VACANT", 2)
    sessions, tools = service.sessions, McpTools(service)

    async def play() -> None:
        playing, first, second = (known(service) for _ in range(3))
        await tools.call("reset", playing, {})
        sessions.find(first.session_id, may_be_vacant=True)  # so that the second is unused longer
        third = known(service)
        there = [
            sessions.find(one.session_id, may_be_vacant=True) for one in (first, second, third)
        ]
        assert there == [first, None, third]
        assert sessions.find(playing.session_id) is playing
        await sessions.end(playing)

    asyncio.run(play())
