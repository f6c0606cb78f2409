"""The HTTP routes: health, metadata, schema, and episodes that last from request to request.

Requests without a header share the default session; ``X-OpenEnv-Session: new`` on ``/reset``
opens one of one's own, whose id the answer carries in the same header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from openenv_gym.errors import (
    CapacityError,
    InvalidActionError,
    InvalidRequestError,
    OpenEnvGymError,
    ResetNeededError,
    UnknownEnvironmentError,
)
from openenv_gym.protocol import Failed, GetState, Open, Reply, Result, StateReply, Step
from openenv_gym.protocol.json_messages import JsonServerMessages, parse_reset
from openenv_gym.server.engine import Engine
from openenv_gym.server.openapi import reset_body, session_header, step_body
from openenv_gym.server.service import Service
from openenv_gym.server.sessions import Session
from openenv_gym.spaces.numbers import to_json_number
from openenv_gym.wire.error_codes import brief
from openenv_gym.wire.messages import encode_json, error_data

SESSION_HEADER = "X-OpenEnv-Session"
NEW = "new"

_STATUS: tuple[tuple[type[OpenEnvGymError], int], ...] = (
    (ResetNeededError, 409),
    (UnknownEnvironmentError, 404),
    (CapacityError, 503),
    (InvalidActionError, 422),
    (InvalidRequestError, 422),
)


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

    async def reset(self, data: dict[str, Any], header: str | None) -> tuple[dict[str, Any], str]:
        """Begin an episode; return the answer and the id of its session."""
        request = parse_reset(data)
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
        return reply.state

    async def close(self, header: str | None) -> None:
        """End a session."""
        episode = self._find(header)
        if episode is not None:
            del self._episodes[episode.session.session_id]
            await self._service.sessions.end(episode.session)

    async def _execute(self, episode: _Episode, request: Any) -> Reply:
        async with episode.session.lock:
            reply = await episode.engine.execute(request)
        if isinstance(reply, Failed):
            raise reply.to_exception()
        return reply

    def _answer(self, reply: Reply) -> dict[str, Any]:
        assert isinstance(reply, Result)
        reward = reply.reward
        return {
            "observation": self._messages.dump_result(reply),
            "reward": None if reward is None else to_json_number(reward),
            "done": reply.terminated or reply.truncated,
        }

    async def _open(self, header: str | None) -> _Episode:
        found = None if header == NEW else self._find(header)
        if found is not None:
            return found
        session = await self._service.sessions.create(expires=True)
        engine = Engine(session.backend)
        try:
            await engine.open(self._service.settings.admit(Open()))
        except BaseException:
            await self._service.sessions.end(session)
            raise
        episode = self._episodes[session.session_id] = _Episode(session, engine)
        if header != NEW:
            self._default_id = session.session_id
        return episode

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


def routes(service: Service) -> APIRouter:
    """Return the routes of ``service``."""
    router = APIRouter()
    episodes = HttpEpisodes(service)
    limit = service.settings.max_body_bytes

    @router.get("/health", tags=["server"])
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "healthy"}

    @router.get("/metadata", tags=["environment"])
    async def metadata() -> dict[str, Any]:
        """What the environment says about itself to people."""
        return service.description.about

    @router.get("/schema", tags=["environment"])
    async def schema() -> Response:
        """The JSON schemas of actions, observations and the state, and the spaces."""
        return _json({**service.view.schemas(), "x-openenv-gym": service.description})

    @router.post("/reset", tags=["episode"], openapi_extra=reset_body())
    async def reset(request: Request) -> Response:
        """Begin an episode."""
        return await _answered(_reset(request))

    async def _reset(request: Request) -> Response:
        body, session_id = await episodes.reset(await _body(request, limit), _header(request))
        return _json(body, headers={SESSION_HEADER: session_id})

    @router.post("/step", tags=["episode"], openapi_extra=step_body(service.view))
    async def step(request: Request) -> Response:
        """Act."""
        return await _answered(_step(request))

    async def _step(request: Request) -> Response:
        return _json(await episodes.step(await _body(request, limit), _header(request)))

    @router.get("/state", tags=["episode"], openapi_extra=session_header())
    async def state(request: Request) -> Response:
        """What is known about the episode."""
        return await _answered(_state(request))

    async def _state(request: Request) -> Response:
        return _json(await episodes.state(_header(request)))

    @router.post("/close", tags=["episode"], openapi_extra=session_header())
    async def close(request: Request) -> Response:
        """End a session."""
        return await _answered(_close(request))

    async def _close(request: Request) -> Response:
        await episodes.close(_header(request))
        return _json({"closed": True})

    return router


async def _answered(work: Any) -> Response:
    """The response of ``work``, or the one that says its error."""
    try:
        response: Response = await work
    except OpenEnvGymError as exc:
        status = next((code for kind, code in _STATUS if isinstance(exc, kind)), 500)
        return _json({"detail": error_data(str(exc), exc.code)}, status)
    return response


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encode_json(body), status, headers, media_type="application/json")


def _header(request: Request) -> str | None:
    return request.headers.get(SESSION_HEADER)


async def _body(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object in the body; no body is an empty one.

    Raises:
        InvalidRequestError: it is no JSON object, or longer than ``limit`` bytes.
    """
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            raise InvalidRequestError(f"expected a body of at most {limit} bytes, got more")
    try:
        data = msgspec.json.decode(bytes(raw)) if raw.strip() else {}
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidRequestError(f"expected a JSON object, got no JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise InvalidRequestError(f"expected a JSON object, got {brief(repr(data), 80)}")
    return data
