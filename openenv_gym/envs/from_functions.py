"""Vector environments that functions and classes of this process make, in embedded workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from gymnasium.vector import AutoresetMode

from openenv_gym.endpoints import ConnectOptions, EmbeddedEndpoint, embedded_endpoints, take
from openenv_gym.endpoints.handing import check_functions, name_of
from openenv_gym.envs.from_function import carried, taken
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.envs.shard_recipes import default_shards, requests_of
from openenv_gym.envs.vector_registration import VectorArguments
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import Open


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
    arguments = dict(arguments)
    for name in ("num_envs", "vectorization"):
        if name in arguments:
            raise InvalidRequestError(
                f"{name}: expected nothing, since each of the {count} functions makes one "
                f"sub-environment, got {arguments[name]!r}; leave it out"
            )
    context = arguments.pop("context", None)
    options, rest = taken(arguments)
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
        code = carried(own, kwargs, context, first)
        homes[number] = replace(homes[number], request=named, **code)
        first += len(own)
    return homes, options
