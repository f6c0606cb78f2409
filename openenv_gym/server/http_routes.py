"""The HTTP routes: metadata, schema, and the episodes; and those of the server itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
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
)
from openenv_gym.server.health_routes import health_routes, json_response
from openenv_gym.server.http_sessions import SESSION_HEADER, HttpSessions
from openenv_gym.server.openapi import reset_body, session_header, step_body
from openenv_gym.server.service import Service
from openenv_gym.wire.arguments import ARGUMENTS_HEADER
from openenv_gym.wire.description import SCHEMA_KEY
from openenv_gym.wire.error_codes import brief
from openenv_gym.wire.messages import check_nesting, error_data

Route: TypeAlias = Callable[[Request], Awaitable[Response]]

_STATUS: tuple[tuple[type[OpenEnvGymError], int], ...] = (
    (ResetNeededError, 409),
    (UnknownEnvironmentError, 404),
    (CapacityError, 503),
    (InvalidActionError, 422),
    (InvalidRequestError, 422),
)


def routes(service: Service) -> APIRouter:
    """Return the routes of ``service``."""
    router = health_routes(service)
    sessions = HttpSessions(service)
    limit, answering_errors = service.takes_bytes, _answering_errors(service)

    @router.get("/", tags=["server"])
    async def root(request: Request) -> dict[str, str]:
        """Where to go from here."""
        prefix = request.scope.get("root_path", "").rstrip("/")  # where it is mounted, or a proxy's
        pages = {"schema": f"{prefix}/schema", "docs": f"{prefix}/docs"}
        return {"environment": service.description.environment, **pages}

    @router.get("/metadata", tags=["environment"])
    async def metadata() -> dict[str, Any]:
        """What the environment says about itself, for people."""
        return service.description.about

    @router.get("/schema", tags=["environment"])
    @answering_errors
    async def schema(request: Request) -> Response:
        """The JSON schemas of actions, observations and the state, and the spaces."""
        description = service.described_to(_arguments(request))
        return json_response({**service.view.schemas(), SCHEMA_KEY: description})

    @router.post("/reset", tags=["episode"], openapi_extra=reset_body())
    @answering_errors
    async def reset(request: Request) -> Response:
        """Begin an episode."""
        body, session_id = await sessions.reset(await _body(request, limit), _header(request))
        return json_response(body, headers={SESSION_HEADER: session_id})

    @router.post("/step", tags=["episode"], openapi_extra=step_body(service.view))
    @answering_errors
    async def step(request: Request) -> Response:
        """Act."""
        return json_response(await sessions.step(await _body(request, limit), _header(request)))

    @router.get("/state", tags=["episode"], openapi_extra=session_header())
    @answering_errors
    async def state(request: Request) -> Response:
        """What is known about the episode."""
        return json_response(await sessions.state(_header(request)))

    @router.post("/close", tags=["episode"], openapi_extra=session_header())
    @answering_errors
    async def close(request: Request) -> Response:
        """End a session."""
        await sessions.close(_header(request))
        return json_response({"closed": True})

    return router


def _answering_errors(service: Service) -> Callable[[Route], Route]:
    """Have a route answer its errors with their status and what they say."""

    def decorate(route: Route) -> Route:
        @wraps(route)
        async def answered(request: Request) -> Response:
            try:
                return await route(request)
            except OpenEnvGymError as exc:
                service.monitor.refused(exc)
                status = next((code for kind, code in _STATUS if isinstance(exc, kind)), 500)
                said = error_data(str(exc), exc.code, exc.fault, exc.raised)
                return json_response({"detail": said}, status)

        return answered

    return decorate


def _arguments(request: Request) -> dict[str, Any]:
    """The keyword arguments that a client names.

    Raises:
        InvalidRequestError: they are no JSON object.
    """
    try:
        return msgspec.json.decode(request.headers.get(ARGUMENTS_HEADER, "{}"), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidRequestError(
            f"{ARGUMENTS_HEADER}: expected a JSON object, got something else: {exc}"
        ) from exc


def _header(request: Request) -> str | None:
    return request.headers.get(SESSION_HEADER)


async def _body(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object in the body; no body is an empty one.

    Raises:
        InvalidRequestError: it is no JSON object, or longer than ``limit`` bytes.
    """
    raw = await read_body(request, limit)
    try:
        data = msgspec.json.decode(raw) if raw.strip() else {}
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidRequestError(f"expected a JSON object, got no JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise InvalidRequestError(f"expected a JSON object, got {brief(repr(data), 80)}")
    check_nesting(raw, data)
    return data


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of ``request``.

    Raises:
        InvalidRequestError: it is longer than ``limit`` bytes.
    """
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            raise InvalidRequestError(f"expected a body of at most {limit} bytes, got more")
    return bytes(raw)
