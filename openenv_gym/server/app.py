"""``create_app``: an ASGI application that serves an environment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import openenv_gym.server.packages  # noqa: F401  (raises before FastAPI is imported)

# isort: split

import gymnasium as gym
from fastapi import FastAPI, WebSocket
from fastapi.middleware.cors import CORSMiddleware

from openenv_gym import __version__
from openenv_gym.errors import InvalidRequestError
from openenv_gym.server import http_routes, http_sessions, mcp_route, web_route
from openenv_gym.server.body_deadline import BodyDeadline
from openenv_gym.server.departures import Departures
from openenv_gym.server.gate import Gate
from openenv_gym.server.home import AtHome
from openenv_gym.server.service import Service
from openenv_gym.server.settings import Isolation, ServerSettings
from openenv_gym.server.ws_route import websocket_endpoint
from openenv_gym.workers.built_env import builder_for


def create_app(
    environment: str | Callable[[], Any] | Any,
    action_cls: type[Any] | None = None,
    observation_cls: type[Any] | None = None,
    env_name: str | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    isolation: Isolation | None = None,
    **options: Any,
) -> FastAPI:
    """Return an ASGI application that serves ``environment``.

    Args:
        environment: A name, such as ``"CartPole-v1"``, ``"openspiel:catch"`` or
            ``"package.module:Class"``; or a class or function that makes a ``gymnasium.Env`` or a
            typed ``Environment``, once for each session; or one such object, for one session at a
            time, which the server never closes.
        action_cls: The action class of a typed environment that does not name its own.
        observation_cls: The observation class of a typed environment that does not name its own.
        env_name: What clients are told that the environment is called.
        kwargs: Keyword arguments for an environment given by name.
        isolation: ``process`` (the default for names), ``thread`` (the default for classes and
            objects, which live in this process) or ``inline``.
        **options: The other fields of :class:`openenv_gym.server.settings.ServerSettings`, such
            as ``max_sessions``, ``allow_hosts``, ``web`` and ``http_idle_s``.

    Raises:
        UnknownEnvironmentError: there is no such environment.
        EnvStartError: the environment cannot be built.
        InvalidRequestError: the arguments do not fit each other.
    """
    models = (action_cls, observation_cls)
    settings = _settings(environment, models, env_name, kwargs or {}, isolation, options)
    return app_of(Service(settings))


def app_of(service: Service) -> FastAPI:
    """Return the application that serves ``service``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.begin()
        yield
        await service.close()

    about = service.description.about
    app = FastAPI(
        title=str(about.get("name", service.description.environment)),
        description=str(about.get("description", "")),
        version=__version__,
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(AtHome, home=service.home)
    app.add_middleware(BodyDeadline, timeout_s=service.settings.body_timeout_s)
    origins = list(service.settings.allow_origins)
    if origins:  # which browsers have to be told, or their pages cannot read the answers
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=[http_sessions.SESSION_HEADER, mcp_route.SESSION_HEADER],
        )
    app.add_middleware(Departures)
    # The last one added is the outermost.
    app.add_middleware(Gate, settings=service.settings, on_refusal=service.monitor.refused)
    app.include_router(http_routes.routes(service))
    app.include_router(mcp_route.mcp_routes(service))
    if service.settings.web:
        app.include_router(web_route.page_route())

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket_endpoint(websocket, service)

    return app


def _settings(
    environment: Any,
    models: tuple[type[Any] | None, type[Any] | None],
    name: str | None,
    kwargs: Mapping[str, Any],
    isolation: Isolation | None,
    options: dict[str, Any],
) -> ServerSettings:
    if isinstance(environment, str):
        if models != (None, None) or name is not None:
            raise InvalidRequestError(
                "action_cls, observation_cls and env_name belong to an environment given as a "
                f"class or object, and {environment!r} is a name"
            )
        home = isolation or "process"
        return ServerSettings(environment=environment, kwargs=kwargs, isolation=home, **options)
    if isolation == "process" or kwargs:
        raise InvalidRequestError(
            "an environment given as a class or object lives in this process, and takes no "
            "kwargs; for a process of its own, name it: 'package.module:Class'"
        )
    factory, limits, is_shared = environment, options, False
    if isinstance(environment, gym.Env) or not callable(environment):
        # One object is one episode: it cannot be two clients' at once.
        factory, limits = (lambda: environment), {**options, "max_sessions": 1}
        is_shared = True
    label = str(name or getattr(environment, "__name__", type(environment).__name__))
    label = "environment" if label == "<lambda>" else label
    builder = builder_for(factory, label, *models, is_shared=is_shared)
    home = isolation or "thread"
    return ServerSettings(environment=label, builder=builder, isolation=home, **limits)
