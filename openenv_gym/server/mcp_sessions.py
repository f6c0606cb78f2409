"""The sessions of MCP clients, each with one episode of the server's own sessions at most."""

from __future__ import annotations

import contextlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    ResetNeededError,
    UnsupportedRenderModeError,
)
from openenv_gym.server.episodes import Episode
from openenv_gym.server.service import Service
from openenv_gym.server.sessions import Turns

IDLE_SESSIONS = 1024
"""So many clients may be known without an environment; the one unused longest is forgotten."""


@dataclass(kw_only=True)
class McpSession:
    """One client.

    Attributes:
        session_id: Random, and not to be guessed.
        version: Of the Model Context Protocol, as negotiated; None of plain JSON-RPC.
        episode: What it plays; None before its first reset.
        is_ended: Whether the client has left.
        lock: One tool at a time, first come, first served.
    """

    session_id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    version: str | None = None
    episode: Episode | None = None
    is_ended: bool = False
    lock: Turns = field(default_factory=Turns)


class McpSessions:
    """All clients that speak MCP or plain JSON-RPC.

    Args:
        service: What is served.
        render_mode: What environments are opened with, where they can be.
    """

    def __init__(self, service: Service, render_mode: str | None) -> None:
        self._service = service
        self._render_mode = render_mode
        self._sessions: OrderedDict[str, McpSession] = OrderedDict()
        self.default = McpSession()
        """That of plain JSON-RPC which names none."""

    def open(self, version: str) -> McpSession:
        """Return a session for a client that begins; its environment waits for the first reset."""
        session = McpSession(version=version)
        self._add(session)
        return session

    async def open_playing(self) -> McpSession:
        """Return a session whose environment is there at once, and which has its id.

        Raises:
            CapacityError: there is no free slot.
            OpenEnvGymError: the environment cannot be built.
        """
        episode = await self._build()
        session = McpSession(session_id=episode.session_id, episode=episode)
        self._add(session)
        return session

    def find(self, session_id: str) -> McpSession | None:
        """Return the session with this id."""
        session = self._sessions.get(session_id)
        if session is not None:
            self._sessions.move_to_end(session_id)
        return session

    async def end(self, session: McpSession) -> None:
        """Forget a client, and end what it plays, though a tool may be at work."""
        session.is_ended = True
        self._sessions.pop(session.session_id, None)
        episode, session.episode = session.episode, None
        if episode is not None:
            await self._service.episodes.end(episode)

    def playing(self, session: McpSession) -> Episode | None:
        """Return what the client plays; None before its first reset.

        Raises:
            ResetNeededError: what it played is no more.
        """
        if session.episode is None:
            return None
        episode = self._service.episodes.find(session.episode.session_id)
        if episode is None:
            session.episode = None
            raise ResetNeededError(
                "the environment of this session is gone: it was not used for long and gave way "
                "to another client, or its process ended; call the tool reset to begin again"
            )
        return episode

    async def begin(self, session: McpSession) -> Episode:
        """Return what the client plays, with an environment of its own from now on.

        Raises:
            CapacityError: there is no free slot.
            OpenEnvGymError: the environment cannot be built, or the client left meanwhile.
        """
        known = session.episode
        found = None if known is None else self._service.episodes.find(known.session_id)
        if found is not None:
            return found
        session.episode = None
        _expect_client(session)
        episode = await self._build()
        try:
            _expect_client(session)
        except ResetNeededError:
            await self._service.episodes.end(episode)
            raise
        session.episode = episode
        return episode

    async def _build(self) -> Episode:
        """Return a new environment, one that is not drawn where it cannot be made to be drawn."""
        begin = self._service.episodes.begin
        if self._render_mode is not None:
            with contextlib.suppress(
                EnvStartError, UnsupportedRenderModeError, ConnectionLostError
            ):
                return await begin(self._render_mode)
        return await begin(None)

    def _add(self, session: McpSession) -> None:
        if len(self._sessions) >= IDLE_SESSIONS + self._service.settings.max_sessions:
            self._forget_one()
        self._sessions[session.session_id] = session

    def _forget_one(self) -> None:
        """Forget who was not heard of for longest among those that play nothing."""
        for session_id, session in self._sessions.items():
            episode = session.episode
            is_playing = episode is not None and episode.session_id in self._service.sessions
            if not is_playing and not session.lock.locked():
                del self._sessions[session_id]
                return


def _expect_client(session: McpSession) -> None:
    if session.is_ended:
        raise ResetNeededError("the session was ended before its environment was there")
