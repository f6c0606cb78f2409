"""The ``openenv/`` namespace of Gymnasium's registry, and what its ids make.

Entry points are strings and keyword arguments are JSON-able, so that an ``EnvSpec`` can be
written out, read back and pickled, and so that registering imports nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import msgspec

from openenv_gym.endpoints import (
    ConnectOptions,
    Endpoint,
    ServerEndpoint,
    embedded_endpoints,
    take,
)
from openenv_gym.endpoints.options import OVERRIDES, take_named
from openenv_gym.envs.remote_env import RemoteEnv
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import NO_TIME_LIMIT, Open
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.interpreter_paths import interpreter_path

NAMESPACE = "openenv"
BASE_URL_VARIABLE = "OPENENV_BASE_URL"

GAMES_FILE = os.path.join(os.path.dirname(__file__), "openspiel_games.json")
"""What every game of OpenSpiel is like, so that registering them needs no OpenSpiel. Written by
``openenv-gym list --openspiel --json --write``."""

_HERE = "openenv_gym.envs.registration"
_VECTOR = "openenv_gym.envs.vector_registration"


def make_gymnasium(
    env_id: str | None = None,
    *,
    base_url: str | None = None,
    render_mode: str | None = None,
    server_time_limit: bool = True,
    **kwargs: Any,
) -> RemoteEnv:
    """Make the Gymnasium environment ``env_id``, embedded or on a server.

    Args:
        env_id: Gymnasium's id, with the module that registers it before a colon where needed; or
            ``module:Class`` for what a class or a function in a module makes; or ``scheme:name``
            for what an adapter makes.
        base_url: The URL of the server; unless given, that of the variable ``OPENENV_BASE_URL``,
            and where that is not set either, the environment is embedded.
        render_mode: Gymnasium's mode.
        server_time_limit: Whether the environment's own time limit acts where it runs.
        **kwargs: ``codec``, ``timeout_s``, ``check_seeding``, ``on_fault``, ``token`` for a
            server, and ``options`` where it is a ``WebSocketOptions``, see
            :class:`ConnectOptions`; ``python``, another interpreter for an embedded environment to
            run in, see :func:`interpreters_of`; the others are keyword arguments of the
            environment.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    if not env_id:
        raise InvalidRequestError(
            "openenv/gymnasium-v0 needs the id of an environment: pass env_id='CartPole-v1', or "
            "env_id='module:id' for one that a module registers"
        )
    limit = None if server_time_limit else NO_TIME_LIMIT
    return _make(env_id, base_url, render_mode, limit, kwargs)


def make_gym(env_id: str | None = None, **arguments: Any) -> RemoteEnv:
    """Make the environment ``env_id`` of the package gym, embedded or on a server.

    Args:
        env_id: The id that gym knows, with the module that registers it before a colon where
            needed.
        **arguments: What :func:`make_gymnasium` takes.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    return make_gymnasium(in_gym(env_id), **arguments)


def in_gym(env_id: str | None) -> str:
    """Return the name of an environment of gym, whose scheme ``env_id`` may have or not.

    Raises:
        InvalidRequestError: there is none.
    """
    if not env_id:
        raise InvalidRequestError(
            "openenv/gym-v0 needs the id of an environment of gym: pass env_id='CartPole-v1', or "
            "env_id='module:id' for one that a module registers with gym"
        )
    return f"gym:{env_id.removeprefix('gym:')}"


def make_openspiel(
    game: str | None = None,
    *,
    base_url: str | None = None,
    render_mode: str | None = None,
    **kwargs: Any,
) -> RemoteEnv:
    """Make the OpenSpiel game ``game``, embedded or on a server.

    Args:
        game: Its short name, with parameters where wanted: ``catch(rows=5,columns=4)``.
        base_url: The URL of the server, as :func:`make_gymnasium` takes it.
        render_mode: Gymnasium's mode.
        **kwargs: ``codec``, ``timeout_s``, ``check_seeding``, ``on_fault``, ``token`` and
            ``options``, see
            :class:`ConnectOptions`; the others are keyword arguments of ``OpenSpielEnv``, such as
            ``opponent_policy``.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    if not game:
        raise InvalidRequestError("openenv/openspiel-v0 needs a game: pass game='catch'")
    return _make(f"openspiel:{game}", base_url, render_mode, None, kwargs)


def make_remote(
    *, base_url: str | None = None, render_mode: str | None = None, **options: Any
) -> RemoteEnv:
    """Make whatever the OpenEnv server at ``base_url`` serves.

    Args:
        base_url: The URL of the server; unless given, that of the variable ``OPENENV_BASE_URL``.
        render_mode: Gymnasium's mode.
        **options: The attributes of :class:`ConnectOptions`.

    Raises:
        InvalidRequestError: no address is given, or an option is unknown or makes no sense.
    """
    url = given_url(base_url)
    if not url:
        raise InvalidRequestError(
            "openenv/remote-v0 needs the address of a server: pass base_url='http://host:port' "
            f"or set {BASE_URL_VARIABLE}"
        )
    how, unknown = take(ConnectOptions, options)
    if unknown:
        # A TypeError, for which TorchRL and others wait where they try an argument.
        raise raised_as(InvalidRequestError, TypeError)(
            f"openenv/remote-v0 takes {', '.join(OVERRIDES)}, got {', '.join(unknown)}: got an "
            f"unexpected keyword argument {next(iter(unknown))!r}"
        )
    request = Open(None, {}, render_mode)
    return RemoteEnv(ServerEndpoint.at(url, request, how), how.on_fault)


# `gymnasium.make` looks here before it decides how to make `human` and lists out of other modes.
for _function in (make_gymnasium, make_gym, make_openspiel, make_remote):
    _function.metadata = {"render_modes": ["rgb_array", "ansi"]}  # type: ignore[union-attr]  # of a function


def given_url(base_url: Any) -> Any:
    """Return the address that is given, or that of the variable ``OPENENV_BASE_URL``."""
    return base_url or os.environ.get(BASE_URL_VARIABLE)


def _make(
    environment: str,
    base_url: str | None,
    render_mode: str | None,
    limit: int | None,
    arguments: dict[str, Any],
) -> RemoteEnv:
    """Make an environment that is named."""
    url = given_url(base_url)
    options, kwargs = take_named(arguments, has_server=bool(url))
    python = interpreters_of(kwargs.pop("python", None), url) or [None]
    if len(python) > 1:
        raise InvalidRequestError(
            f"python: one environment has one interpreter, got {len(python)}; make_vec spreads its "
            "shards over several"
        )
    request = Open(environment, kwargs, render_mode, limit, python=python[0])
    return RemoteEnv(_endpoint(request, url, options), options.on_fault)


def interpreters_of(python: Any, url: Any) -> list[str | None]:
    """Return the paths of the interpreters that ``python=`` names, none where it is None.

    Args:
        python: What names an interpreter, or a list of such.
        url: The address of a server, if the environment is on one.

    Raises:
        InvalidRequestError: one is not there, or the environment is on a server.
        EnvStartError: the venv of a recipe cannot be made.
    """
    if python is None:
        return []
    if url:
        raise InvalidRequestError(
            f"python: expected none beside the address of a server, {url}, which chooses the "
            "interpreter itself (serve --python); leave one of them out, and OPENENV_BASE_URL unset"
        )
    every = python if isinstance(python, (list, tuple)) else [python]
    return [interpreter_path(one) for one in every]


def _endpoint(request: Open, url: str | None, options: ConnectOptions) -> Endpoint:
    if url:
        return ServerEndpoint.at(url, request, options)
    check_embedded(options)
    return embedded_endpoints(request, options)[0]


def check_embedded(options: ConnectOptions) -> None:
    """Pass if the options make sense without a server.

    Raises:
        InvalidRequestError: they need one.
    """
    given = "codec='json'" if options.codec == "json" else "options=WebSocketOptions(...)"
    if options.codec == "json" or options.options is not None:
        raise InvalidRequestError(
            f"{given} needs a server: pass base_url='http://host:port' or set "
            f"{BASE_URL_VARIABLE}; an embedded environment speaks binary, without a WebSocket"
        )


def is_builtin(spec: Any) -> bool:
    """Whether ``spec`` is one of Gymnasium's own environments, without a namespace."""
    return (
        isinstance(spec.entry_point, str)
        and spec.entry_point.startswith("gymnasium.envs.")
        and spec.namespace is None
    )


class _Game(msgspec.Struct):
    """What registering needs of a row of :data:`GAMES_FILE`; the rest is not even decoded."""

    name: str
    why_not: str


def supported_games() -> list[str]:
    """Return the games of OpenSpiel that have an id; ``openenv/openspiel-v0`` takes them too."""
    with open(GAMES_FILE, "rb") as file:
        games = msgspec.json.decode(file.read(), type=list[_Game])
    return [game.name for game in games if not game.why_not]


def register_all(registry: Mapping[str, Any] | None = None) -> None:
    """Register every id of the namespace; ids that are there already stay.

    Args:
        registry: The registry of Gymnasium, for its own ids.
    """
    specs = list((registry or gym.registry).values())
    for game in supported_games():
        _register(f"{NAMESPACE}/{game}-v0", "make_openspiel", {"game": game})
    for spec in filter(is_builtin, specs):
        _register(
            f"{NAMESPACE}/{spec.id}",
            "make_gymnasium",
            {"env_id": spec.id, "server_time_limit": False},
            max_episode_steps=spec.max_episode_steps,
            reward_threshold=spec.reward_threshold,
            nondeterministic=spec.nondeterministic,
        )
    _register(f"{NAMESPACE}/openspiel-v0", "make_openspiel", {})
    _register(f"{NAMESPACE}/gymnasium-v0", "make_gymnasium", {})
    _register(f"{NAMESPACE}/gym-v0", "make_gym", {})
    _register(f"{NAMESPACE}/remote-v0", "make_remote", {})


def _register(env_id: str, function: str, kwargs: dict[str, Any], **keywords: Any) -> None:
    if env_id not in gym.registry:
        vector = f"{_VECTOR}:{function}_vec"
        entry_point = f"{_HERE}:{function}"
        gym.register(env_id, entry_point, vector_entry_point=vector, kwargs=kwargs, **keywords)
