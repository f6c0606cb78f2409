"""Writes what an embedded worker is handed; :mod:`openenv_gym.workers.handed` reads it."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from types import ModuleType
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from openenv_gym.endpoints.by_value import can_be_found, dumped, failure_of, what_fails
from openenv_gym.endpoints.registered import is_everywhere
from openenv_gym.errors import InvalidRequestError
from openenv_gym.workers.handed import Handed, HandedBuilder, Header, refuse

_OTHERWISE = (
    "make it inside the function, where it is made anew for each environment; or have the worker "
    "forked from this process, as from_function, from_functions and AsyncVectorEnv do with "
    "context='fork'"
)


def name_of(function: Any) -> str:
    """Return what a function or a class is called, without the functions that it stands in.

    >>> name_of(partial([lambda: None][0]))
    '<lambda>'
    """
    while isinstance(function, partial):
        function = function.func
    name: str = getattr(function, "__qualname__", None) or type(function).__qualname__
    return re.sub(r"^.*<\w+>\.", "", name)


def check_functions(functions: Any) -> None:
    """Pass if each makes something when it is called.

    Raises:
        InvalidRequestError: There is none, or one of them cannot be called.
    """
    if not isinstance(functions, Sequence):
        raise InvalidRequestError(
            "expected a list of functions that make an environment, as [make_env] * 8, got a "
            f"{type(functions).__name__}"
        )
    if not functions:
        raise InvalidRequestError(
            "expected at least one function that makes an environment, got none"
        )
    for place, function in enumerate(functions):
        is_env = isinstance(function, (gym.Env, gym.vector.VectorEnv))
        if is_env or not callable(function):
            hint = "; each needs an environment of its own: pass its class, or a lambda"
            raise InvalidRequestError(
                "expected functions or classes that make an environment, got a "
                f"{type(function).__name__} at place {place}{hint if is_env else ''}"
            )


def handed_functions(
    functions: Sequence[Callable[..., Any]], kwargs: dict[str, Any], first_env: int = 0
) -> bytes:
    """Return what a session is handed that builds the environments which functions make.

    Args:
        functions: The function of each sub-environment.
        kwargs: The keyword arguments of all.
        first_env: The number of the first one in the whole vector environment.

    Raises:
        InvalidRequestError: One of them cannot be pickled; the message says what in it.
    """
    header, different = _sorted(functions, first_env)
    return _written(header, [*different, kwargs])


def inherited_functions(
    functions: Sequence[Callable[..., Any]], kwargs: dict[str, Any], first_env: int = 0
) -> HandedBuilder:
    """Return what builds the same in a worker that is forked from this process.

    Args:
        functions: The function of each sub-environment.
        kwargs: The keyword arguments of all.
        first_env: The number of the first one in the whole vector environment.
    """
    header, different = _sorted(functions, first_env)
    handed = Handed(header=header, functions=different, kwargs=kwargs)
    return HandedBuilder(lambda: handed)


def _sorted(
    functions: Sequence[Callable[..., Any]], first_env: int
) -> tuple[Header, list[Callable[..., Any]]]:
    """Which function makes which sub-environment, and each function once."""
    each = {id(function): function for function in functions}
    numbers = {one: number for number, one in enumerate(each)}
    header = Header(
        names=[name_of(function) for function in each.values()],
        places=[numbers[id(function)] for function in functions],
        first_env=first_env,
    )
    return header, list(each.values())


def handed_ids(environment: str) -> bytes:
    """Return what a session is handed that builds an id which this process has registered.

    The other ids go with it, because the environment may make one of them.

    Raises:
        InvalidRequestError: What is registered cannot be pickled; the message says what in it.
    """
    found = _as_found(gym.registry[environment])
    if (exc := failure_of(found)) is not None:
        raise _unpicklable(f"the environment {environment}", found, exc) from exc
    return _written(Header(), [{}])


def _registered_here() -> dict[str, EnvSpec]:
    """The ids that this process has registered."""
    is_found = cache(can_be_found)  # looks for files
    return {
        env_id: _as_found(spec, is_found)
        for env_id, spec in gym.registry.items()
        if not is_everywhere(spec)
    }


def _as_found(spec: EnvSpec, is_found: Callable[[ModuleType], bool] = can_be_found) -> EnvSpec:
    """The spec, whose entry points are names where these lead to them in another process.

    A name is imported there only if the id is made. What no name leads to is there itself.
    """
    changed = copy.copy(spec)
    for name in ("entry_point", "vector_entry_point"):
        place = getattr(spec, name, None)
        if isinstance(place, str) and ":" in place:
            module = sys.modules.get(place.partition(":")[0])
            if module is not None and not is_found(module):
                setattr(changed, name, load_env_creator(place))
        elif place is not None:
            module = sys.modules.get(getattr(place, "__module__", None) or "")
            own = getattr(place, "__qualname__", "")
            if module is not None and getattr(module, own, None) is place and is_found(module):
                setattr(changed, name, f"{module.__name__}:{own}")
    return changed


def _or_refusal(spec: EnvSpec) -> EnvSpec:
    """The spec; where it cannot be pickled, and may never be made, one that says why."""
    exc = failure_of(spec)
    if exc is None:
        return spec
    said = str(_unpicklable(f"the environment {spec.id}", spec, exc))
    return EnvSpec(spec.id, entry_point=partial(refuse, said))


def _written(header: Header, objects: list[Any]) -> bytes:
    """The file: a header, the functions and their keyword arguments, and the registered ids."""
    specs = _registered_here()
    try:
        return dumped([header, *objects, specs])
    except Exception as exc:  # objects raise whatever they like in their own reducers
        names = [*header.names, "the keyword arguments"]
        for name, one in zip(names, objects, strict=False):
            if failure_of(one) is not None:
                raise _unpicklable(name, one, exc) from exc
    return dumped([header, *objects, {key: _or_refusal(spec) for key, spec in specs.items()}])


def _unpicklable(name: str, value: Any, exc: Exception) -> InvalidRequestError:
    code = getattr(value, "__code__", None)
    place = f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""
    return InvalidRequestError(
        f"expected what can be sent to a worker process, got {name}{place}; what cannot be sent is "
        f"{what_fails(value)}: {exc}; {_OTHERWISE}"
    )
