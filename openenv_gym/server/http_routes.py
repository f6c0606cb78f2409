"""The HTTP routes: health, metadata, schema, and the episodes."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
from fastapi import APIRouter, Request, Response

from openenv_gym.errors import (
    CapacityError,
    InvalidActionError,
    InvalidRequestError,
    OpenEnvGymError,
    ResetNeededError,
    UnknownEnvironmentError,
    shown,
)
from openenv_gym.server.http_sessions import SESSION_HEADER, HttpSessions
from openenv_gym.server.lengths import Lengths, TooLongError, read_body
from openenv_gym.server.off_loop import off_loop
from openenv_gym.server.openapi import reset_body, session_header, step_body
from openenv_gym.server.service import Service
from openenv_gym.server.tokens import owner_of
from openenv_gym.server.web_route import PAGE
from openenv_gym.wire.messages import check_count, check_nesting, encode_json, error_data

Route: TypeAlias = Callable[[Request], Awaitable[Response]]

_STATUS: tuple[tuple[type[OpenEnvGymError], int], ...] = (
    (TooLongError, 413),
    (ResetNeededError, 409),
    (UnknownEnvironmentError, 404),
    (CapacityError, 503),
    (InvalidActionError, 422),
    (InvalidRequestError, 422),
)


def routes(service: Service) -> APIRouter:
    """Return the routes of ``service``."""
    router = _health_routes(service)
    router.include_router(_about_routes(service))

    @functools.cache
    def of_owner(owner: str | None) -> HttpSessions:
        return HttpSessions(service, owner)

    def sessions(request: Request) -> HttpSessions:
        return of_owner(owner_of(request))

    lengths = service.lengths()

    @router.post("/reset", tags=["episode"], openapi_extra=reset_body())
    @_answering_errors
    async def reset(request: Request) -> Response:
        """Begin an episode."""
        asked = await _body(request, lengths)
        body, session_id = await sessions(request).reset(asked, _header(request))
        return await off_loop(_json, body, headers={SESSION_HEADER: session_id})

    @router.post("/step", tags=["episode"], openapi_extra=step_body(service.view))
    @_answering_errors
    async def step(request: Request) -> Response:
        """Act."""
        data = await _body(request, lengths, is_step=True)
        return await off_loop(_json, await sessions(request).step(data, _header(request)))

    @router.get("/state", tags=["episode"], openapi_extra=session_header())
    @_answering_errors
    async def state(request: Request) -> Response:
        """What is known about the episode."""
        return _json(await sessions(request).state(_header(request)))

    @router.post("/close", tags=["episode"], openapi_extra=session_header())
    @_answering_errors
    async def close(request: Request) -> Response:
        """End a session."""
        await sessions(request).close(_header(request))
        return _json({"closed": True})

    return router


def _about_routes(service: Service) -> APIRouter:
    router = APIRouter()

    @router.get("/", tags=["server"])
    async def root(request: Request) -> dict[str, str]:
        """Where to go from here."""
        prefix = request.scope.get("root_path", "").rstrip("/")  # where it is mounted, or a proxy's
        pages = {"schema": f"{prefix}/schema", "docs": f"{prefix}/docs"}
        if service.settings.web:
            pages["web"] = f"{prefix}/{PAGE}"
        return {"environment": service.settings.environment, **pages}

    @router.get("/metadata", tags=["environment"])
    async def metadata() -> dict[str, Any]:
        """What the environment says about itself, for people."""
        return service.description.about

    @router.get("/schema", tags=["environment"])
    async def schema() -> Response:
        """The JSON schemas of actions, observations and the state, and the spaces."""
        return _json({**service.view.schemas(), "x-openenv-gym": service.description})

    return router


def _health_routes(service: Service) -> APIRouter:
    router = APIRouter()

    @router.get("/health", tags=["server"])
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "healthy"}

    @router.get("/livez", tags=["server"])
    async def livez() -> dict[str, str]:
        """Whether the server is alive."""
        return {"status": "alive"}

    @router.get("/readyz", tags=["server"])
    async def readyz(request: Request) -> Response:
        """Whether a session could begin now: 503 where all are taken, or the server ends."""
        sessions = service.sessions
        status = "ready" if sessions.has_room else "full"
        body: dict[str, Any] = {"status": "draining" if sessions.is_draining else status}
        if owner_of(request) is not None or not service.settings.tokens:
            # Who shows no token is told the state alone.
            body["sessions"] = len(sessions)
            body["disconnected"] = sessions.disconnected
            body["max_sessions"] = service.settings.max_sessions
        return _json(body, 200 if body["status"] == "ready" else 503)

    return router


def _answering_errors(route: Route) -> Route:
    """Have ``route`` answer its errors with their status and what they say."""

    @functools.wraps(route)
    async def answered(request: Request) -> Response:
        try:
            return await route(request)
        except OpenEnvGymError as exc:
            status = next((code for kind, code in _STATUS if isinstance(exc, kind)), 500)
            said = error_data(str(exc), exc.code, exc.fault, exc.raised)
            return _json({"detail": said}, status)

    return answered


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encode_json(body), status, headers, media_type="application/json")


def _header(request: Request) -> str | None:
    return request.headers.get(SESSION_HEADER)


async def _body(request: Request, lengths: Lengths, *, is_step: bool = False) -> dict[str, Any]:
    """The JSON object in the body; no body is an empty one.

    Raises:
        InvalidRequestError: it is no JSON object, or longer than it may be.
    """
    raw = await read_body(request, lengths, is_step=is_step)
    return await off_loop(_object_in, raw, lengths.values)


def _object_in(raw: bytearray, most_values: int) -> dict[str, Any]:
    check_count(raw, most_values)
    try:
        data = {} if not raw or raw.isspace() else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidRequestError(f"expected a JSON object, got no JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise InvalidRequestError(f"expected a JSON object, got {shown(data)}")
    check_nesting(raw, data)
    return data
