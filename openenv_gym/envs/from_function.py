"""An environment that a function or a class of this process makes, in an embedded worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from openenv_gym.endpoints import ConnectOptions, embedded_endpoints
from openenv_gym.endpoints.handing import (
    check_functions,
    handed_functions,
    inherited_functions,
    name_of,
)
from openenv_gym.endpoints.options import take_named
from openenv_gym.envs.registration import check_embedded
from openenv_gym.envs.remote_env import RemoteEnv
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import Open

CONTEXTS = (None, "spawn", "forkserver", "fork")
"""How a worker may begin: forked from this process, or else as a new interpreter."""


def env_of(
    function: Callable[..., Any],
    *,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    context: str | None = None,
    **arguments: Any,
) -> RemoteEnv:
    """Return the environment that a function makes; see :meth:`RemoteEnv.from_function`."""
    check_functions([function])
    options, kwargs = taken(arguments)
    request = Open(name_of(function), {}, render_mode, max_episode_steps)
    (home,) = embedded_endpoints(request, options)
    return RemoteEnv(replace(home, **carried([function], kwargs, context)), options.on_fault)


def carried(
    functions: Sequence[Callable[..., Any]],
    kwargs: dict[str, Any],
    context: str | None,
    first_env: int = 0,
) -> dict[str, Any]:
    """Return the attributes of an ``EmbeddedEndpoint`` that bring functions to its worker.

    Args:
        functions: The function of each sub-environment.
        kwargs: The keyword arguments of all.
        context: How the worker begins, one of :data:`CONTEXTS`.
        first_env: The number of the first one in the whole vector environment.

    Raises:
        InvalidRequestError: There is no such context, or a function cannot be pickled.
    """
    if context not in CONTEXTS:
        known = ", ".join(map(repr, CONTEXTS))
        raise InvalidRequestError(f"context: expected one of {known}, got {context!r}")
    if context == "fork":
        return {"builder": inherited_functions(functions, kwargs, first_env)}
    return {"handed": handed_functions(functions, kwargs, first_env)}


def taken(arguments: dict[str, Any]) -> tuple[ConnectOptions, dict[str, Any]]:
    """Return the options, and the keyword arguments that are left.

    Raises:
        InvalidRequestError: They need a server, which takes no functions.
    """
    if arguments.get("base_url"):
        raise InvalidRequestError(
            f"base_url: functions run in worker processes of this one, and no server takes any, "
            f"got {arguments['base_url']!r}; leave it out, or put the function into a module and "
            "serve that: openenv-gym serve module:function"
        )
    options, rest = take_named({k: v for k, v in arguments.items() if k != "base_url"})
    check_embedded(options)
    return options, rest
