"""Episodes over plain HTTP: sessions that last from request to request.

Requests without a header share the default session; ``X-OpenEnv-Session: new`` on ``/reset``
opens one of one's own, whose id the answer carries in the same header.
"""

from __future__ import annotations

from typing import Any

from openenv_gym.codecs import info_to_json
from openenv_gym.errors import InvalidRequestError, ResetNeededError, UnknownEnvironmentError
from openenv_gym.protocol import (
    BatchResult,
    Failed,
    GetState,
    Reply,
    Request,
    Result,
    StateReply,
    Step,
)
from openenv_gym.protocol.json_messages import JsonServerMessages, parse_reset
from openenv_gym.server.episodes import Episode
from openenv_gym.server.service import Service
from openenv_gym.server.sessions import Turns
from openenv_gym.wire.error_codes import brief

SESSION_HEADER = "X-OpenEnv-Session"
NEW = "new"


class HttpEpisodes:
    """The episodes of plain HTTP.

    Args:
        service: What is served.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._messages = JsonServerMessages(service.view)
        self._episodes = service.episodes
        self._default_id: str | None = None
        self._default_lock = Turns()

    async def reset(self, data: dict[str, Any], header: str | None) -> tuple[dict[str, Any], str]:
        """Begin an episode; return the answer and the id of its session."""
        request = parse_reset(data, self._service.description.num_envs)
        episode = await self._open(header)
        reply = await self._execute(episode, request)
        return self._answer(reply), episode.session_id

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
            return self._service.state_before_reset
        reply = await self._execute(episode, GetState())
        assert isinstance(reply, StateReply)
        state: dict[str, Any] = info_to_json(reply.state)[0]
        return state

    async def close(self, header: str | None) -> None:
        """End a session."""
        episode = self._find(header)
        if episode is not None:
            await self._episodes.end(episode)

    async def _execute(self, episode: Episode, request: Request) -> Reply:
        reply = await self._episodes.execute(episode, request)
        if isinstance(reply, Failed):
            raise reply.to_exception()
        return reply

    def _answer(self, reply: Reply) -> dict[str, Any]:
        assert isinstance(reply, Result | BatchResult)
        return self._messages.result_data(reply)

    async def _open(self, header: str | None) -> Episode:
        if header == NEW:
            return await self._episodes.begin()
        async with self._default_lock:  # two first resets are for one default session
            found = self._find(header)
            if found is None:
                found = await self._episodes.begin()
                self._default_id = found.session_id
            return found

    def _find(self, header: str | None) -> Episode | None:
        """The session that ``header`` names; None where the default one does not exist yet."""
        session_id = self._default_id if header is None else header
        if session_id is None:
            return None
        episode = self._episodes.find(session_id)
        if episode is None and header is not None:
            raise UnknownEnvironmentError(
                f"{SESSION_HEADER}: no session has this id, it may have expired; "
                f"send POST /reset with {SESSION_HEADER}: {NEW}"
            )
        return episode
