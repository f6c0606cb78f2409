"""Sessions of MCP clients that end while something is under way."""

from __future__ import annotations

import asyncio
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec, registry

from openenv_gym.errors import ResetNeededError, UnsupportedRenderModeError
from openenv_gym.server.backends import Backend
from openenv_gym.server.mcp_sessions import McpSessions
from openenv_gym.server.mcp_tools import McpTools, picture_mode
from openenv_gym.server.service import Service
from openenv_gym.server.settings import ServerSettings


@pytest.fixture
def service() -> Service:
    return Service(ServerSettings(environment="CartPole-v1", isolation="inline", max_sessions=1))


def test_an_environment_that_was_being_built_for_who_left_is_closed(service, monkeypatch):
    sessions = McpSessions(service, None)
    session = sessions.open("2025-11-25")
    build = service.episodes.begin

    async def build_while_the_client_leaves(render_mode):
        episode = await build(render_mode)
        await sessions.end(session)
        return episode

    monkeypatch.setattr(service.episodes, "begin", build_while_the_client_leaves)
    for _ in range(2):  # the second time there is nobody to begin with
        with pytest.raises(ResetNeededError, match="the session was ended before"):
            asyncio.run(sessions.begin(session))
        assert len(service.sessions) == 0
    assert sessions.find(session.session_id) is None


def test_a_call_that_waits_for_its_turn_when_its_session_ends_takes_no_place(service):

    sessions = McpSessions(service, None)
    tools = McpTools(service, sessions)

    async def play() -> None:
        session = sessions.open("2025-11-25")
        await tools.call("reset", session, {})
        async with session.lock:
            waiting = asyncio.create_task(tools.call("reset", session, {}))
            await asyncio.sleep(0)
            await sessions.end(session)
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
    sessions = McpSessions(service, "rgb_array")
    tools = McpTools(service, sessions)

    async def play() -> None:
        session = sessions.open("2025-11-25")
        assert (await tools.call("reset", session, {}))["structuredContent"]["done"] is False
        with pytest.raises(UnsupportedRenderModeError, match="opened without a render_mode"):
            await tools.call("render", session, {})
        await sessions.open_playing()

    asyncio.run(play())


def test_a_session_whose_environment_is_being_built_is_in_use(service, monkeypatch):
    """Where the server drains, or another client wants the place of who is idle."""
    made = service.backends.make
    building, may_go_on = asyncio.Event(), asyncio.Event()

    async def make_slowly() -> Backend:
        backend = await made()
        answer = backend.request

        async def request(body: bytes) -> bytes:
            building.set()
            await may_go_on.wait()
            return await answer(body)

        backend.request = request
        return backend

    monkeypatch.setattr(service.backends, "make", make_slowly)

    async def play() -> None:
        beginning = asyncio.create_task(service.episodes.begin())
        await building.wait()
        assert service.sessions.are_busy
        await service.sessions.end_idle()
        assert len(service.sessions) == 1
        may_go_on.set()
        episode = await beginning
        assert service.episodes.find(episode.session_id) is episode
        await service.episodes.end(episode)

    asyncio.run(play())
