"""Episodes over plain HTTP: sessions that last from request to request.

Requests without a header share the default session; ``X-OpenEnv-Session: new`` on ``/reset``
opens one of one's own, whose id the answer carries in the same header.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from openenv_gym.codecs import info_to_json
from openenv_gym.errors import InvalidRequestError, ResetNeededError, UnknownEnvironmentError
from openenv_gym.protocol import (
    BatchResult,
    Failed,
    GetState,
    Open,
    Reply,
    Result,
    StateReply,
    Step,
)
from openenv_gym.protocol.json_messages import JsonServerMessages, parse_reset
from openenv_gym.server.engine import Engine
from openenv_gym.server.service import Service
from openenv_gym.server.sessions import Session
from openenv_gym.wire.error_codes import brief

SESSION_HEADER = "X-OpenEnv-Session"
NEW = "new"


@dataclass
class _Episode:
    """A session over HTTP."""

    session: Session
    engine: Engine


class HttpEpisodes:
    """The sessions that live from request to request.

    Args:
        service: What is served.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._messages = JsonServerMessages(service.view)
        self._episodes: dict[str, _Episode] = {}
        self._default_id: str | None = None
        self._default_lock = asyncio.Lock()

    async def reset(self, data: dict[str, Any], header: str | None) -> tuple[dict[str, Any], str]:
        """Begin an episode; return the answer and the id of its session."""
        request = parse_reset(data, self._service.description.num_envs)
        episode = await self._open(header)
        reply = await self._execute(episode, request)
        return self._answer(reply), episode.session.session_id

    async def step(self, data: dict[str, Any], header: str | None) -> dict[str, Any]:
        """Act in the episode of a session."""
        unknown = set(data) - {"action", "timeout_s", "request_id"}
        action = data.get("action")
        if not isinstance(action, dict) or unknown:
            raise InvalidRequestError(
                'expected {"action": {...}} with the fields of an action, '
                f"got {brief(repr(data), 100)}"
            )
        if data.get("timeout_s") is not None:
            raise InvalidRequestError("timeout_s: not supported; leave it out, or null")
        episode = self._find(header)
        if episode is None:
            raise ResetNeededError("step before a reset; send POST /reset first")
        value = self._service.view.parse_action(action)
        return self._answer(await self._execute(episode, Step(value)))

    async def state(self, header: str | None) -> dict[str, Any]:
        """Return what is known about the episode of a session."""
        episode = self._find(header)
        if episode is None:
            return {"episode_id": None, "step_count": 0, **self._service.description.state}
        reply = await self._execute(episode, GetState())
        assert isinstance(reply, StateReply)
        state: dict[str, Any] = info_to_json(reply.state)[0]
        return state

    async def close(self, header: str | None) -> None:
        """End a session."""
        episode = self._find(header)
        if episode is not None:
            await self._end(episode)

    async def _end(self, episode: _Episode) -> None:
        self._episodes.pop(episode.session.session_id, None)
        await self._service.sessions.end(episode.session)

    async def _execute(self, episode: _Episode, request: Any) -> Reply:
        async with episode.session.lock:
            if episode.session.session_id not in self._episodes:
                raise ResetNeededError(
                    "the session was closed before it was this request's turn; "
                    "send POST /reset to begin another one"
                )
            reply = await episode.engine.execute(request)
        if episode.engine.is_lost:  # the next reset opens another one
            await self._end(episode)
        if isinstance(reply, Failed):
            raise reply.to_exception()
        return reply

    def _answer(self, reply: Reply) -> dict[str, Any]:
        assert isinstance(reply, Result | BatchResult)
        return self._messages.result_data(reply)

    async def _open(self, header: str | None) -> _Episode:
        if header == NEW:
            return await self._begin()
        async with self._default_lock:  # two first resets are for one default session
            found = self._find(header)
            if found is None:
                found = await self._begin()
                self._default_id = found.session.session_id
            return found

    async def _begin(self) -> _Episode:
        session = await self._service.sessions.create(expires=True)
        engine = Engine(session.backend)
        try:
            await engine.open(self._service.settings.admit(Open(is_typed=True)))
        except BaseException:
            await self._service.sessions.end(session)
            raise
        self._drop_ended()
        episode = self._episodes[session.session_id] = _Episode(session, engine)
        return episode

    def _drop_ended(self) -> None:
        """Drop those that gave way to others."""
        for session_id in [id_ for id_ in self._episodes if id_ not in self._service.sessions]:
            del self._episodes[session_id]

    def _find(self, header: str | None) -> _Episode | None:
        """The session that ``header`` names; None where the default one does not exist yet."""
        session_id = self._default_id if header is None else header
        if session_id is None:
            return None
        session = self._service.sessions.find(session_id)
        if session is None:
            self._episodes.pop(session_id, None)
            if header is None:
                return None
            raise UnknownEnvironmentError(
                f"{SESSION_HEADER}: no session has this id, it may have expired; "
                f"send POST /reset with {SESSION_HEADER}: {NEW}"
            )
        return self._episodes.get(session_id)
