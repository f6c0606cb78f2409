"""Sessions that last from request to request, and their environments opened.

A session of ``/ws`` ends with its connection. Over plain HTTP and over MCP there is no connection
that would end: what is played there is kept here, by the id of its session.
"""

from __future__ import annotations

from dataclasses import dataclass

from openenv_gym.errors import ResetNeededError
from openenv_gym.protocol import Open, Reply, Request
from openenv_gym.server.engine import Engine
from openenv_gym.server.sessions import Session, Sessions, draining_error
from openenv_gym.server.settings import ServerSettings


@dataclass
class Episode:
    """A session whose environment is open."""

    session: Session
    engine: Engine

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self.session.session_id


class Episodes:
    """The sessions that live from request to request.

    Args:
        settings: What is served.
        sessions: Where their slots are taken.
    """

    def __init__(self, settings: ServerSettings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions
        self._episodes: dict[str, Episode] = {}

    async def begin(self, render_mode: str | None = None) -> Episode:
        """Take a slot, and open the environment in it.

        Raises:
            CapacityError: there is no free slot.
            OpenEnvGymError: the environment cannot be built.
        """
        session = await self._sessions.create(idle_s=self._settings.http_idle_s)
        engine = Engine(session.backend)
        try:
            wanted = Open(is_typed=True, render_mode=render_mode)
            async with session.lock:  # in use: neither idle, nor to be ended where a server drains
                await engine.open(self._settings.admit(wanted))
        except BaseException:
            await self._sessions.end(session)
            raise
        self._drop_ended()
        episode = self._episodes[session.session_id] = Episode(session, engine)
        return episode

    def find(self, session_id: str) -> Episode | None:
        """Return the one with this id, and note that it is in use."""
        if self._sessions.find(session_id) is None:
            self._episodes.pop(session_id, None)
            return None
        return self._episodes.get(session_id)

    async def execute(self, episode: Episode, request: Request) -> Reply:
        """Return the reply to ``request``, when it is its turn; a refusal is a reply too.

        Raises:
            ResetNeededError: the session ended before.
            CapacityError: the server is to end, or too many wait already.
        """
        if self._sessions.is_draining:
            raise draining_error()
        async with episode.session.lock:
            if episode.session_id not in self._episodes:
                raise ResetNeededError(
                    "the session was closed before it was this request's turn; "
                    "reset to begin another one"
                )
            reply = await episode.engine.execute(request)
        if episode.engine.is_lost:  # the next reset opens another one
            await self.end(episode)
        return reply

    async def end(self, episode: Episode) -> None:
        """Close the environment and free the slot, once."""
        self._episodes.pop(episode.session_id, None)
        await self._sessions.end(episode.session)

    def _drop_ended(self) -> None:
        """Drop those that gave way to others."""
        for session_id in [id_ for id_ in self._episodes if id_ not in self._sessions]:
            del self._episodes[session_id]
