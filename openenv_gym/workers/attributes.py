"""What an environment has beyond Gymnasium's interface: read, set or called from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from openenv_gym.errors import InvalidRequestError, UnknownAttributeError, shown
from openenv_gym.protocol.events import Use
from openenv_gym.wire.description import Description
from openenv_gym.workers.facts import ASKED_BY_WRAPPERS

_OWN_REQUESTS = frozenset({"reset", "step", "render", "close"})


def use(env: Any, request: Use, described: Description) -> list[Any]:
    """Return what each sub-environment answers to ``request``.

    Args:
        env: A ``gymnasium.Env``; or a ``VectorEnv``, where there are many.
        request: What is asked.
        described: What clients are told: how many sub-environments there are, and which names may
            be used.

    Raises:
        UnknownAttributeError: there is none of this name, or it may not be used.
        InvalidRequestError: the numbers or the values do not fit the sub-environments.
    """
    _check_name(request, described)
    num_envs = described.num_envs
    if num_envs is None:
        return _use_each([env], request)
    every = range(num_envs)
    numbers = list(every) if request.numbers is None else request.numbers
    if not set(numbers) <= set(every):
        raise InvalidRequestError(
            f"numbers: expected those of {num_envs} sub-environments, got {shown(numbers)}"
        )
    parts = getattr(env, "envs", None)  # of a SyncVectorEnv
    if isinstance(parts, (list, tuple)) and len(parts) == num_envs:
        return _use_each([parts[number] for number in numbers], request)
    return _use_whole(env, numbers, request)


def _check_name(request: Use, described: Description) -> None:
    name = request.name
    if name in _OWN_REQUESTS:
        raise InvalidRequestError(f"{name}: it is a request of its own; use {name}() directly")
    if not described.may_use(name):
        raise UnknownAttributeError(
            f"{shown(name)} may not be used from here; allowed are: "
            f"{', '.join(described.attributes)}. "
            "A server is started with the names that it allows (--attributes), and names that "
            "begin with an underscore are private"
        )
    if request.how == "set" and ("." in name or name in ASKED_BY_WRAPPERS):
        raise UnknownAttributeError(f"{shown(name)} can be read here, and not set")


def _use_each(envs: Sequence[Any], request: Use) -> list[Any]:
    name = request.name
    if request.how == "set":
        if len(request.args) != len(envs):
            raise InvalidRequestError(
                f"{name}: expected {len(envs)} values, one for each sub-environment, got "
                f"{len(request.args)}"
            )
        for env, value in zip(envs, request.args, strict=True):
            env.set_wrapper_attr(name, value)
        return [None] * len(envs)
    # All are looked up before the first is called, so that nothing is done by halves.
    found = [_found(env, name) for env in envs]
    if request.how == "is_method":
        return [callable(one) for one in found]
    if request.how == "get":
        if callable(found[0]):
            raise UnknownAttributeError(f"{name!r} is a method, which cannot travel; call it")
        return found
    if not callable(found[0]):
        return found
    return [method(*request.args, **request.kwargs) for method in found]


def _found(env: Any, name: str) -> Any:
    first, *rest = name.split(".")
    try:
        return reduce(getattr, rest, env.get_wrapper_attr(first))
    except AttributeError as exc:
        raise UnknownAttributeError(f"{env} has no attribute {name!r}") from exc


def _use_whole(envs: Any, numbers: list[int], request: Use) -> list[Any]:
    """Ask a vector environment whose sub-environments are no objects of this process."""
    name = request.name
    whole = numbers == list(range(envs.num_envs)) and hasattr(envs, "call")
    if not whole or request.how == "is_method":
        raise UnknownAttributeError(
            f"{name!r} of the sub-environments of {type(envs).__name__}: it steps them as a whole "
            "and cannot ask them; use vectorization='sync'"
        )
    if request.how == "set":
        envs.set_attr(name, list(request.args))
        return [None] * len(numbers)
    try:
        return list(envs.call(name, *request.args, **request.kwargs))
    except AttributeError as exc:
        raise UnknownAttributeError(f"{envs} has no attribute {name!r}") from exc
