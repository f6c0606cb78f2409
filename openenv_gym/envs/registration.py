"""The ``openenv/`` namespace of Gymnasium's registry, and what its ids make.

Entry points are strings and keyword arguments are JSON-able, so that an ``EnvSpec`` can be
written out, read back and pickled, and so that registering imports nothing.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import msgspec

from openenv_gym.address import parse_address
from openenv_gym.envs.endpoints import (
    AUTO,
    CODECS,
    EmbeddedEndpoint,
    Endpoint,
    ServerEndpoint,
    SpaceOverrides,
    Timeout,
    check_patience,
)
from openenv_gym.envs.faults import OnFault
from openenv_gym.envs.remote_env import RemoteEnv
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import NO_TIME_LIMIT, Open

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
    codec: str = "auto",
    timeout_s: Timeout = AUTO,
    render_mode: str | None = None,
    server_time_limit: bool = True,
    on_fault: OnFault = "truncate",
    **kwargs: Any,
) -> RemoteEnv:
    """Make the Gymnasium environment ``env_id``, embedded or on a server.

    Args:
        env_id: Gymnasium's id, with the module that registers it before a colon where needed.
        base_url: Of the server; unless given, the variable ``OPENENV_BASE_URL``, and where that
            is not set either, the environment is embedded.
        codec: ``auto``, ``binary`` or ``json``, for a server.
        timeout_s: How long to wait for a reply, in seconds; None for ever; ``auto`` for 60, and
            with a server of ours for longer than that lets an environment take.
        render_mode: Gymnasium's.
        server_time_limit: Whether the environment's own time limit acts where it runs.
        on_fault: As of :class:`RemoteEnv`.
        **kwargs: Keyword arguments of the environment.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    if not env_id:
        raise InvalidRequestError(
            "openenv/gymnasium-v0 needs the id of an environment: pass env_id='CartPole-v1', or "
            "env_id='module:id' for one that a module registers"
        )
    limit = None if server_time_limit else NO_TIME_LIMIT
    request = Open(env_id, kwargs, render_mode, limit)
    return RemoteEnv(_endpoint(request, base_url, codec, timeout_s), on_fault)


def make_openspiel(
    game: str | None = None,
    *,
    base_url: str | None = None,
    codec: str = "auto",
    timeout_s: Timeout = AUTO,
    render_mode: str | None = None,
    on_fault: OnFault = "truncate",
    **kwargs: Any,
) -> RemoteEnv:
    """Make the OpenSpiel game ``game``, embedded or on a server.

    Args:
        game: Its short name, with parameters where wanted: ``catch(rows=5,columns=4)``.
        base_url: See :func:`make_gymnasium`.
        codec: ``auto``, ``binary`` or ``json``, for a server.
        timeout_s: How long to wait for a reply, in seconds; None for ever; ``auto`` for 60, and
            with a server of ours for longer than that lets an environment take.
        render_mode: Gymnasium's.
        on_fault: As of :class:`RemoteEnv`.
        **kwargs: Keyword arguments of ``OpenSpielEnv``, such as ``opponent_policy``.

    Raises:
        InvalidRequestError: an argument is missing, or makes no sense.
    """
    if not game:
        raise InvalidRequestError("openenv/openspiel-v0 needs a game: pass game='catch'")
    request = Open(f"openspiel:{game}", kwargs, render_mode)
    return RemoteEnv(_endpoint(request, base_url, codec, timeout_s), on_fault)


def make_remote(
    *,
    base_url: str | None = None,
    codec: str = "auto",
    timeout_s: Timeout = AUTO,
    render_mode: str | None = None,
    options: Any = None,
    done_means: str = "terminated",
    check_seeding: bool = False,
    on_fault: OnFault = "truncate",
    **overrides: Any,
) -> RemoteEnv:
    """Make whatever the OpenEnv server at ``base_url`` serves.

    Args:
        base_url: Of the server; unless given, the variable ``OPENENV_BASE_URL``.
        codec: ``auto``, ``binary`` for our servers only, or ``json`` for any.
        timeout_s: How long to wait for a reply, in seconds; None for ever; ``auto`` for 60, and
            with a server of ours for longer than that lets an environment take.
        render_mode: Gymnasium's.
        options: How the WebSocket is opened, a ``WebSocketOptions``.
        done_means: What a bare ``done`` is, of a server that does not say more: ``terminated``
            or ``truncated``.
        check_seeding: Whether to make the first seeded reset twice, and to warn where the two
            differ.
        on_fault: As of :class:`RemoteEnv`.
        **overrides: The fields of :class:`SpaceOverrides`, where the server's schemas leave
            something open: ``action_space``, ``observation_space``, ``action_key``,
            ``observation_key``, ``fixed_action``, ``mask_means``.

    Raises:
        InvalidRequestError: no address is given, or an override is unknown.
    """
    url = given_url(base_url)
    if not url:
        raise InvalidRequestError(
            "openenv/remote-v0 needs the address of a server: pass base_url='http://host:port' "
            f"or set {BASE_URL_VARIABLE}"
        )
    check_patience(timeout_s)
    known = SpaceOverrides.__dataclass_fields__
    unknown = [name for name in overrides if name not in known]
    if unknown:
        raise InvalidRequestError(
            f"openenv/remote-v0 takes {', '.join(known)}, got {', '.join(unknown)}"
        )
    return RemoteEnv(
        ServerEndpoint(
            address=parse_address(url),
            request=Open(None, {}, render_mode),
            codec=checked_codec(codec),
            timeout_s=timeout_s,
            overrides=SpaceOverrides(**overrides),
            options=options,
            done_means=checked_done_means(done_means),
            check_seeding=check_seeding,
        ),
        on_fault,
    )


# `gymnasium.make` looks here before it decides how to make `human` and lists out of other modes.
for _function in (make_gymnasium, make_openspiel, make_remote):
    _function.metadata = {"render_modes": ["rgb_array", "ansi"]}  # type: ignore[union-attr]  # of a function


def given_url(base_url: Any) -> Any:
    """Return the address that is given, or that of the variable ``OPENENV_BASE_URL``."""
    return base_url or os.environ.get(BASE_URL_VARIABLE)


def _endpoint(request: Open, base_url: str | None, codec: str, timeout_s: Timeout) -> Endpoint:
    url = given_url(base_url)
    checked = checked_codec(codec)
    check_patience(timeout_s)
    if not url:
        if checked == "json":
            raise InvalidRequestError(
                "codec='json' needs a server: pass base_url='http://host:port' or set "
                f"{BASE_URL_VARIABLE}; an embedded environment speaks binary"
            )
        return EmbeddedEndpoint(request=request, timeout_s=timeout_s)
    address = parse_address(url)
    return ServerEndpoint(address=address, request=request, codec=checked, timeout_s=timeout_s)


def checked_done_means(done_means: str) -> Any:
    """Return what a bare ``done`` is.

    Raises:
        InvalidRequestError: it is neither of the two.
    """
    if done_means not in ("terminated", "truncated"):
        raise InvalidRequestError(
            f"done_means: expected 'terminated' or 'truncated', got {done_means!r}"
        )
    return done_means


def checked_codec(codec: str) -> Any:
    """Return the codec.

    Raises:
        InvalidRequestError: there is none of this name.
    """
    if codec not in CODECS:
        close = difflib.get_close_matches(str(codec), CODECS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InvalidRequestError(
            f"codec: expected one of {', '.join(CODECS)}, got {codec!r}{hint}"
        )
    return codec


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
        registry: Gymnasium's, for its own ids.
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
    _register(f"{NAMESPACE}/remote-v0", "make_remote", {})


def _register(env_id: str, function: str, kwargs: dict[str, Any], **keywords: Any) -> None:
    if env_id not in gym.registry:
        vector = f"{_VECTOR}:{function}_vec"
        entry_point = f"{_HERE}:{function}"
        gym.register(env_id, entry_point, vector_entry_point=vector, kwargs=kwargs, **keywords)
