"""Environments that functions and classes of this process make, in embedded workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from gymnasium.vector import AutoresetMode

from openenv_gym.endpoints import ConnectOptions, EmbeddedEndpoint, embedded_endpoints, take
from openenv_gym.endpoints.handing import check_functions, handed_functions, name_of
from openenv_gym.endpoints.options import take_named
from openenv_gym.envs.registration import check_embedded
from openenv_gym.envs.remote_env import RemoteEnv
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.envs.shard_recipes import default_shards, requests_of
from openenv_gym.envs.vector_registration import VectorArguments
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import Open


def env_of(
    function: Callable[..., Any],
    *,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    **arguments: Any,
) -> RemoteEnv:
    """Return the environment that a function makes; see :meth:`RemoteEnv.from_function`."""
    check_functions([function])
    options, kwargs = _taken(arguments)
    request = Open(name_of(function), {}, render_mode, max_episode_steps)
    handed = handed_functions([function], kwargs)
    (endpoint,) = embedded_endpoints(request, options, handed=handed)
    return RemoteEnv(endpoint, options.on_fault)


def vector_env_of(functions: Sequence[Callable[..., Any]], **arguments: Any) -> RemoteVectorEnv:
    """Return one of many functions; see :meth:`RemoteVectorEnv.from_functions`."""
    endpoints, options = function_endpoints(functions, arguments)
    return RemoteVectorEnv(endpoints, on_fault=options.on_fault)


def function_endpoints(
    functions: Sequence[Callable[..., Any]], arguments: dict[str, Any]
) -> tuple[list[EmbeddedEndpoint], ConnectOptions]:
    """Return the shards of the sub-environments that functions make, and how they are reached.

    Args:
        functions: The makers of the sub-environments, one for each.
        arguments: What :meth:`RemoteVectorEnv.from_functions` takes beside them.

    Raises:
        InvalidRequestError: An argument makes no sense, or a function cannot be pickled.
    """
    check_functions(functions)
    count = len(functions)
    for name in ("num_envs", "vectorization"):
        if name in arguments:
            raise InvalidRequestError(
                f"{name}: expected nothing, since each of the {count} functions makes one "
                f"sub-environment, got {arguments[name]!r}; leave it out"
            )
    options, rest = _taken(arguments)
    vector, kwargs = take(VectorArguments, {"num_envs": count, **rest})
    request = Open(
        render_mode=vector.render_mode,
        max_episode_steps=vector.max_episode_steps,
        vectorization="sync",
        autoreset_mode=AutoresetMode(vector.autoreset_mode).value,
    )
    shards = vector.shards or default_shards(count)
    requests = requests_of(request, count, shards, is_wanted=False)
    homes, first = embedded_endpoints(request, options, len(requests)), 0
    for number, one in enumerate(requests):
        own = functions[first : first + (one.num_envs or 0)]
        named = msgspec.structs.replace(one, environment=name_of(own[0]))
        handed = handed_functions(own, kwargs, first)
        homes[number] = replace(homes[number], request=named, handed=handed)
        first += len(own)
    return homes, options


def _taken(arguments: dict[str, Any]) -> tuple[ConnectOptions, dict[str, Any]]:
    """The options, and the keyword arguments that are left."""
    if arguments.get("base_url"):
        raise InvalidRequestError(
            f"base_url: functions run in worker processes of this one, and no server takes any, "
            f"got {arguments['base_url']!r}; leave it out, or put the function into a module and "
            "serve that: openenv-gym serve module:function"
        )
    options, rest = take_named({k: v for k, v in arguments.items() if k != "base_url"})
    check_embedded(options)
    return options, rest
