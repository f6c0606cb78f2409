"""What ``gymnasium.make_vec`` makes of the ids of the ``openenv/`` namespace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from gymnasium.vector import AutoresetMode

from openenv_gym.endpoints import (
    Answers,
    ConnectOptions,
    EmbeddedEndpoint,
    ServerEndpoint,
    embedded_endpoints,
    take,
)
from openenv_gym.endpoints.options import OVERRIDES, take_named
from openenv_gym.envs.registration import check_embedded, given_url, in_gym, interpreters_of
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.envs.shard_recipes import default_shards, requests_of
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import NO_TIME_LIMIT, Open
from openenv_gym.wire.description import Description
from openenv_gym.wire.raised import raised_as

_PLAIN = ("num_envs", "autoreset_mode")
"""What plain sessions take of :class:`VectorArguments`."""

_JSON = (*_PLAIN, "vectorization", "shards")
"""What batched sessions in JSON take of them."""


@dataclass(frozen=True, kw_only=True)
class VectorArguments:
    """How many sub-environments there are, and how they are stepped together.

    ``gymnasium.make_vec`` takes these as keyword arguments, by the same names.

    Attributes:
        num_envs: The number of sub-environments.
        shards: Over how many sessions they are spread, by turns where there are several servers.
            Unless given, one for each core, here or of each server; a vector form of the
            environment's own is split only where this asks for it.
        vectorization: ``sync``, ``native`` for the environment's own vector form, or ``auto``.
        autoreset_mode: Gymnasium's mode.
        max_episode_steps: Gymnasium's time limit; -1 lifts the environment's own.
        render_mode: Gymnasium's mode.
        copy: The argument ``copy`` of Gymnasium; what a step returns is new here either way.

    Raises:
        InvalidRequestError: ``num_envs`` or ``shards`` is no number from 1.
    """

    num_envs: int = 1
    shards: int | None = None
    vectorization: str = "auto"
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP
    max_episode_steps: int | None = None
    render_mode: str | None = None
    copy: bool = True

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        shards = 1 if self.shards is None else self.shards
        for name, value in (("num_envs", self.num_envs), ("shards", shards)):
            if type(value) is not int or value < 1:
                raise InvalidRequestError(f"{name}: expected a number from 1, got {value!r}")


def make_gymnasium_vec(
    env_id: str | None = None,
    *,
    server_time_limit: bool = True,
    max_episode_steps: int | None = None,
    **arguments: Any,
) -> RemoteVectorEnv:
    """Make many of the Gymnasium environment ``env_id``, embedded or on servers.

    Args:
        env_id: Gymnasium's id, with the module that registers it before a colon where needed.
        server_time_limit: Whether the environment's own time limit acts, where
            ``max_episode_steps`` says nothing.
        max_episode_steps: The time limit of each sub-environment.
        **arguments: What :func:`make_vec` takes.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    if not env_id:
        raise InvalidRequestError(
            "openenv/gymnasium-v0 needs the id of an environment: pass env_id='CartPole-v1'"
        )
    limit = max_episode_steps
    if limit is None and not server_time_limit:
        limit = NO_TIME_LIMIT
    return make_vec(env_id, max_episode_steps=limit, **arguments)


def make_gym_vec(env_id: str | None = None, **arguments: Any) -> RemoteVectorEnv:
    """Make many of the environment ``env_id`` of the package gym, embedded or on servers.

    Args:
        env_id: The id that gym knows, with the module that registers it before a colon where
            needed.
        **arguments: What :func:`make_gymnasium_vec` takes.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    return make_gymnasium_vec(in_gym(env_id), **arguments)


def make_openspiel_vec(game: str | None = None, **arguments: Any) -> RemoteVectorEnv:
    """Make many of the OpenSpiel game ``game``, embedded or on servers.

    Args:
        game: Its name, with parameters where wanted.
        **arguments: What :func:`make_vec` takes.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    if not game:
        raise InvalidRequestError("openenv/openspiel-v0 needs a game: pass game='catch'")
    return make_vec(f"openspiel:{game}", **arguments)


def make_remote_vec(
    *, base_url: str | Sequence[str] | None = None, **arguments: Any
) -> RemoteVectorEnv:
    """Make many of whatever the OpenEnv servers at ``base_url`` serve.

    Our servers step them in one message. Others get a session for each, in turns; so do ours with
    ``codec="json"``, unless it is a vector form of the environment's own that steps them.

    Args:
        base_url: The URL of a server, or of several that share the sub-environments.
        **arguments: The attributes of :class:`VectorArguments` and :class:`ConnectOptions`; plain
            sessions take ``num_envs``, ``autoreset_mode`` and ``vectorization`` of the former.

    Raises:
        InvalidRequestError: no address is given, or an argument makes no sense.
    """
    urls = given_url(base_url)
    if not urls:
        raise InvalidRequestError(
            "openenv/remote-v0 needs the address of a server: pass base_url='http://host:port'"
        )
    options, rest = take(ConnectOptions, arguments)
    servers, answers = _servers(urls, options), Answers()
    told = None if options.has_overrides else servers[0].ask(answers).description
    if told is not None and (options.codec != "json" or _is_whole_json(rest, told)):
        return _sharded(None, servers, options, rest, answers)
    if options.codec == "binary":
        raise InvalidRequestError(
            "codec='binary' needs servers of ours, their own spaces and no overrides, which "
            f"{servers[0].address} or the arguments do not give; use codec='json' or 'auto'"
        )
    if rest.get("vectorization") in ("auto", "sync"):  # each is one environment, as "sync" has it
        del rest["vectorization"]
    if others := [name for name in rest if name not in _PLAIN]:
        raise raised_as(InvalidRequestError, TypeError)(
            f"plain sessions take {', '.join(OVERRIDES)}, got {', '.join(others)} too: got an "
            f"unexpected keyword argument {others[0]!r}"
        )
    vector = VectorArguments(**rest)
    plain = [replace(one, options=replace(one.options, codec="json")) for one in servers]
    sessions = [plain[i % len(plain)] for i in range(vector.num_envs)]
    mode = vector.autoreset_mode
    return RemoteVectorEnv(
        sessions, on_fault=options.on_fault, autoreset_mode=mode, answers=answers
    )


def make_vec(
    environment: str,
    *,
    base_url: str | Sequence[str] | None = None,
    **arguments: Any,
) -> RemoteVectorEnv:
    """Make many of a named environment, embedded or on servers.

    Args:
        environment: What to open.
        base_url: The URL of a server, or of several that share the sub-environments; unless given,
            that of the variable ``OPENENV_BASE_URL``, and where that is not set either, they are
            embedded.
        **arguments: The attributes of :class:`VectorArguments`; ``codec``, which may not be
            ``json``, ``timeout_s``, ``check_seeding``, ``on_fault``, ``token`` for servers, and
            ``options`` where it is a ``WebSocketOptions``, see :class:`ConnectOptions`;
            ``python``, another interpreter for embedded ones to run in, or a list of several, over
            which the shards are spread by turns; the others are keyword arguments of each
            sub-environment.

    Raises:
        InvalidRequestError: an argument makes no sense.
    """
    urls = given_url(base_url)
    options, rest = take_named(arguments, has_server=bool(urls))
    if options.codec == "json":
        raise InvalidRequestError(
            "codec='json': many sub-environments of a named id are stepped in one message, which "
            "is binary; leave it out, or make openenv/remote-v0, which takes codec='json' for a "
            "session each"
        )
    servers = _servers(urls, options)
    if not servers:
        check_embedded(options)
    return _sharded(environment, servers, options, rest, Answers())


def _servers(urls: Any, options: ConnectOptions) -> list[ServerEndpoint]:
    return [
        ServerEndpoint.at(url, options=options)
        for url in ([urls] if isinstance(urls, str) else urls or ())
    ]


def _sharded(
    environment: str | None,
    servers: Sequence[ServerEndpoint],
    options: ConnectOptions,
    arguments: dict[str, Any],
    answers: Answers,
) -> RemoteVectorEnv:
    """Spread the sub-environments of one environment over servers, or where there is none, here."""
    vector, kwargs = take(VectorArguments, arguments)
    where = [str(server.address) for server in servers]
    pythons = interpreters_of(kwargs.pop("python", None), ", ".join(where))
    request = Open(
        environment=environment,
        kwargs=kwargs,
        render_mode=vector.render_mode,
        max_episode_steps=vector.max_episode_steps,
        vectorization=vector.vectorization,
        autoreset_mode=AutoresetMode(vector.autoreset_mode).value,
    )
    homes: list[EmbeddedEndpoint | ServerEndpoint]
    if not servers:
        count = vector.shards or max(default_shards(vector.num_envs), len(pythons))
        homes = [*embedded_endpoints(request, options, count)]
    elif vector.shards is not None:
        homes = [servers[i % len(servers)] for i in range(vector.shards)]
    else:
        homes = []
        for server in servers:  # which says itself over how many sessions it is best used
            told = server.ask(answers).description
            is_split = told is not None and not _is_whole(vector, told.has_vector_form)
            wanted = told.shards if told is not None and is_split else 1
            homes += [server] * min(wanted, vector.num_envs)
    # Where nobody asked for several sessions, a worker that finds a vector form has all in one.
    is_wanted = bool(servers) or vector.shards is not None
    requests = requests_of(request, vector.num_envs, len(homes), is_wanted=is_wanted)
    if pythons:
        requests = [
            msgspec.structs.replace(one, python=pythons[number % len(pythons)])
            for number, one in enumerate(requests)
        ]
    shards = [
        replace(home, request=one)
        for home, one in zip(homes, requests, strict=False)  # no more than sub-environments
    ]
    return RemoteVectorEnv(shards, on_fault=options.on_fault, answers=answers)


def _is_whole(vector: VectorArguments, has_vector_form: bool) -> bool:
    """Whether the environment's own vector form is used, which a server is not to split."""
    kind = vector.vectorization
    return kind == "native" or (kind == "auto" and has_vector_form)


def _is_whole_json(arguments: dict[str, Any], told: Description) -> bool:
    """Whether one session in JSON has all sub-environments of a server of ours.

    Raises:
        InvalidRequestError: an argument cannot be said in JSON.
    """
    vector, _ = take(VectorArguments, arguments)
    if told.num_envs is None and not _is_whole(vector, told.has_vector_form):
        return False
    if others := [name for name in arguments if name not in _JSON]:
        raise InvalidRequestError(
            f"codec='json' takes {', '.join(_JSON)} for a vector form of the environment's own, "
            f"got {', '.join(others)} too; start the server with these, or leave the codec out"
        )
    return True
