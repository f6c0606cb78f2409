"""Sessions of MCP clients that end while something is under way."""

from __future__ import annotations

import asyncio

import pytest

from openenv_gym.errors import ResetNeededError
from openenv_gym.server.mcp_sessions import McpSessions
from openenv_gym.server.mcp_tools import McpTools
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
