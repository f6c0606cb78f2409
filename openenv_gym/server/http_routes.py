"""The HTTP routes: metadata, schema, and the episodes; and those of the server itself."""

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
from openenv_gym.server.health_routes import health_routes, json_response
from openenv_gym.server.http_sessions import SESSION_HEADER, HttpSessions
from openenv_gym.server.lengths import Lengths, TooLongError, read_body
from openenv_gym.server.off_loop import off_loop
from openenv_gym.server.openapi import reset_body, session_header, step_body
from openenv_gym.server.service import Service
from openenv_gym.server.tokens import owner_of
from openenv_gym.server.web_route import PAGE
from openenv_gym.wire.arguments import ARGUMENTS_HEADER
from openenv_gym.wire.description import SCHEMA_KEY
from openenv_gym.wire.messages import check_count, check_nesting, error_data

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
    router = health_routes(service)
    router.include_router(_about_routes(service))
    lengths, answering_errors = service.lengths(), _answering_errors(service)

    @functools.cache
    def of_owner(owner: str | None) -> HttpSessions:
        return HttpSessions(service, owner)

    def sessions(request: Request) -> HttpSessions:
        return of_owner(owner_of(request))

    @router.post("/reset", tags=["episode"], openapi_extra=reset_body())
    @answering_errors
    async def reset(request: Request) -> Response:
        """Begin an episode."""
        asked = await _body(request, lengths)
        body, session_id = await sessions(request).reset(asked, _header(request))
        return await off_loop(json_response, body, headers={SESSION_HEADER: session_id})

    @router.post("/step", tags=["episode"], openapi_extra=step_body(service.view))
    @answering_errors
    async def step(request: Request) -> Response:
        """Act."""
        data = await _body(request, lengths, is_step=True)
        return await off_loop(json_response, await sessions(request).step(data, _header(request)))

    @router.get("/state", tags=["episode"], openapi_extra=session_header())
    @answering_errors
    async def state(request: Request) -> Response:
        """What is known about the episode."""
        return json_response(await sessions(request).state(_header(request)))

    @router.post("/close", tags=["episode"], openapi_extra=session_header())
    @answering_errors
    async def close(request: Request) -> Response:
        """End a session."""
        await sessions(request).close(_header(request))
        return json_response({"closed": True})

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
        return {"environment": service.description.environment, **pages}

    @router.get("/metadata", tags=["environment"])
    async def metadata() -> dict[str, Any]:
        """What the environment says about itself, for people."""
        return service.description.about

    @router.get("/schema", tags=["environment"])
    @_answering_errors(service)
    async def schema(request: Request) -> Response:
        """The JSON schemas of actions, observations and the state, and the spaces."""
        description = service.described_to(_arguments(request))
        return json_response({**service.view.schemas(), SCHEMA_KEY: description})

    return router


def _answering_errors(service: Service) -> Callable[[Route], Route]:
    """Have a route answer its errors with their status and what they say."""

    def decorate(route: Route) -> Route:
        @functools.wraps(route)
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
