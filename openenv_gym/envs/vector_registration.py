"""What ``gymnasium.make_vec`` makes of the ids of the ``openenv/`` namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from openenv_gym.address import Address, parse_address
from openenv_gym.envs.endpoints import (
    AUTO,
    EmbeddedEndpoint,
    ServerEndpoint,
    SpaceOverrides,
    Timeout,
    check_patience,
)
from openenv_gym.envs.faults import OnFault
from openenv_gym.envs.registration import checked_codec, checked_done_means, given_url
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.envs.sessions_vector_env import SessionsVectorEnv
from openenv_gym.envs.shard_recipes import default_shards, shard_sizes
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import NO_TIME_LIMIT, Open
from openenv_gym.wire.description import Description


def make_gymnasium_vec(
    env_id: str | None = None,
    *,
    server_time_limit: bool = True,
    max_episode_steps: int | None = None,
    **options: Any,
) -> RemoteVectorEnv:
    """Make many of the Gymnasium environment ``env_id``, embedded or on servers.

    Args:
        env_id: Gymnasium's id, with the module that registers it before a colon where needed.
        server_time_limit: Whether the environment's own time limit acts, where
            ``max_episode_steps`` says nothing.
        max_episode_steps: The time limit of each sub-environment.
        **options: As of :func:`make_vec`.

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
    return make_vec(env_id, max_episode_steps=limit, is_native=_is_native(env_id), **options)


def make_openspiel_vec(game: str | None = None, **options: Any) -> RemoteVectorEnv:
    """Make many of the OpenSpiel game ``game``, embedded or on servers.

    Args:
        game: Its name, with parameters where wanted.
        **options: As of :func:`make_vec`.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    if not game:
        raise InvalidRequestError("openenv/openspiel-v0 needs a game: pass game='catch'")
    return make_vec(f"openspiel:{game}", **options)


def make_remote_vec(
    *,
    base_url: str | Sequence[str] | None = None,
    num_envs: int = 1,
    codec: str = "auto",
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    timeout_s: Timeout = AUTO,
    options: Any = None,
    done_means: str = "terminated",
    on_fault: OnFault = "truncate",
    **others: Any,
) -> RemoteVectorEnv | SessionsVectorEnv:
    """Make many of whatever the OpenEnv servers at ``base_url`` serve.

    Our servers step them in one message. Others get a session for each, in turns.

    Args:
        base_url: Of a server, or of several that share them.
        num_envs: How many.
        codec: ``json`` for plain sessions with our servers too, ``binary`` for our servers only.
        autoreset_mode: Gymnasium's.
        timeout_s: How long to wait for a reply, in seconds; None for ever; ``auto`` for 60, and
            with a server of ours for longer than that lets an environment take.
        options: How the WebSockets are opened, a ``WebSocketOptions``.
        done_means: As of ``gymnasium.make``.
        on_fault: As of :class:`RemoteVectorEnv`.
        **others: Spaces and keys, where the schemas leave them open; or of :func:`make_vec`.

    Raises:
        InvalidRequestError: no address is given, or an argument makes no sense.
    """
    urls = given_url(base_url)
    if not urls:
        raise InvalidRequestError(
            "openenv/remote-v0 needs the address of a server: pass base_url='http://host:port'"
        )
    check_patience(timeout_s)
    known = SpaceOverrides.__dataclass_fields__
    overrides = SpaceOverrides(**{name: others.pop(name) for name in known if name in others})
    servers = _servers(urls, timeout_s, options)
    if checked_codec(codec) != "json" and overrides.is_empty:
        description = servers[0].read_schema()[1]
        if description is not None:
            servers[0] = replace(servers[0], deadlines=description.deadlines)
            return _sharded(
                None,
                servers,
                {servers[0].address: description},
                num_envs=num_envs,
                autoreset_mode=autoreset_mode,
                timeout_s=timeout_s,
                on_fault=on_fault,
                **others,
            )
    if codec == "binary":
        raise InvalidRequestError(
            "codec='binary' needs servers of ours, their own spaces and no overrides, which "
            f"{servers[0].address} or the arguments do not give; use codec='json' or 'auto'"
        )
    if others:
        raise InvalidRequestError(
            f"plain sessions take {', '.join(known)}, got {', '.join(others)} too"
        )
    known_better = {"overrides": overrides, "done_means": checked_done_means(done_means)}
    plain = [replace(server, codec="json", **known_better) for server in servers]
    sessions = [plain[i % len(plain)] for i in range(num_envs)]
    return SessionsVectorEnv(sessions, autoreset_mode, on_fault)


def make_vec(
    environment: str,
    *,
    base_url: str | Sequence[str] | None = None,
    codec: str = "auto",
    timeout_s: Timeout = AUTO,
    **arguments: Any,
) -> RemoteVectorEnv:
    """Make many of a named environment, embedded or on servers.

    Args:
        environment: What to open.
        base_url: Of a server, or of several that share them; unless given, the variable
            ``OPENENV_BASE_URL``, and where that is not set either, they are embedded.
        codec: ``auto`` or ``binary``, which is the same here.
        timeout_s: How long to wait for a reply, in seconds; None for ever; ``auto`` for 60, and
            with a server of ours for longer than that lets an environment take.
        **arguments: As of :func:`_sharded`.

    Raises:
        InvalidRequestError: an argument makes no sense.
    """
    if checked_codec(codec) == "json":
        raise InvalidRequestError(
            "codec='json': many sub-environments of a named id are stepped in one message, which "
            "is binary; leave it out, or make openenv/remote-v0, which takes codec='json' for a "
            "session each"
        )
    check_patience(timeout_s)
    servers = _servers(given_url(base_url), timeout_s, None)
    return _sharded(environment, servers, {}, timeout_s=timeout_s, **arguments)


def _servers(urls: Any, timeout_s: Timeout, options: Any) -> list[ServerEndpoint]:
    return [
        ServerEndpoint(address=parse_address(url), timeout_s=timeout_s, options=options)
        for url in ([urls] if isinstance(urls, str) else urls or ())
    ]


def _sharded(  # noqa: PLR0913 - Gymnasium passes arguments one by one
    environment: str | None,
    servers: Sequence[ServerEndpoint],
    told: Mapping[Address, Description],
    *,
    num_envs: int = 1,
    shards: int | None = None,
    vectorization: str = "auto",
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    max_episode_steps: int | None = None,
    timeout_s: Timeout = AUTO,
    render_mode: str | None = None,
    copy: bool = True,
    is_native: bool = False,
    on_fault: OnFault = "truncate",
    **kwargs: Any,
) -> RemoteVectorEnv:
    """Make ``num_envs`` sub-environments of one environment.

    Args:
        environment: What to open; None for whatever a server serves.
        servers: Which share them; where there is none, they are embedded.
        told: What servers have said of themselves a moment ago.
        num_envs: How many.
        shards: Over how many sessions they are spread, by turns where there are several servers.
            Unless given, one for each core, here or of each server; a vector form of the
            environment's own is not split.
        vectorization: ``sync``, ``native`` for the environment's own vector form, or ``auto``.
        autoreset_mode: Gymnasium's.
        max_episode_steps: Gymnasium's; -1 lifts the environment's own limit.
        timeout_s: See :func:`make_vec`.
        render_mode: Gymnasium's.
        copy: Gymnasium's; what a step returns is new here either way.
        is_native: Whether ``auto`` will find a vector form of the environment's own.
        on_fault: As of :class:`RemoteVectorEnv`.
        **kwargs: Keyword arguments of each sub-environment.

    Raises:
        InvalidRequestError: an argument makes no sense.
    """
    if type(num_envs) is not int or num_envs < 1:
        raise InvalidRequestError(f"num_envs: expected a number from 1, got {num_envs!r}")
    if shards is not None and (type(shards) is not int or shards < 1):
        raise InvalidRequestError(f"shards: expected a number from 1, got {shards!r}")
    homes: list[ServerEndpoint | None]
    if shards is not None:
        homes = [servers[i % len(servers)] if servers else None for i in range(shards)]
    elif servers:
        homes = [home for server in servers for home in _homes_at(server, told, vectorization)]
    else:
        whole = vectorization == "native" or (vectorization == "auto" and is_native)
        homes = [None] * (1 if whole else default_shards(num_envs))
    endpoints: list[EmbeddedEndpoint | ServerEndpoint] = []
    for i, size in enumerate(shard_sizes(num_envs, len(homes))):
        request = Open(
            environment=environment,
            kwargs=kwargs,
            render_mode=render_mode,
            max_episode_steps=max_episode_steps,
            num_envs=size,
            vectorization=vectorization,
            autoreset_mode=AutoresetMode(autoreset_mode).value,
        )
        home = homes[i]
        if home is not None:
            endpoints.append(replace(home, request=request))
        else:
            endpoints.append(EmbeddedEndpoint(request=request, timeout_s=timeout_s, worker=i))
    return RemoteVectorEnv(endpoints, on_fault=on_fault)


def _homes_at(
    server: ServerEndpoint, told: Mapping[Address, Description], vectorization: str
) -> list[ServerEndpoint]:
    """A recipe for each session over which a server is best used, as it says itself."""
    description = told.get(server.address) or server.read_schema()[1]
    if description is None:
        return [replace(server, deadlines={})]
    home = replace(server, deadlines=description.deadlines)
    is_native = vectorization == "auto" and description.has_vector_form
    return [home] * (1 if is_native or vectorization == "native" else description.shards)


def _is_native(env_id: str) -> bool:
    spec = gym.registry.get(env_id.rpartition(":")[2])
    return spec is not None and spec.vector_entry_point is not None
