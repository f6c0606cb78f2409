"""What a worker says of an environment beside its spaces: its arguments, and what may be asked."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from gymnasium.envs import registration

from openenv_gym.protocol.events import Open
from openenv_gym.wire.description import Description
from openenv_gym.workers.built_env import BuiltEnv, plain_metadata

ASKED_BY_WRAPPERS = (
    "_frameskip",
    "ale.getScreenGrayscale",
    "ale.getScreenRGB",
    "ale.lives",
    "get_action_meanings",
)
"""What ``AtariPreprocessing`` of Gymnasium and ``AtariWrapper`` of Stable-Baselines3 ask of Atari.

These read, and nothing else: a server allows them without being told.
"""


def with_facts(built: BuiltEnv, request: Open) -> Description:
    """Return the description of an environment with what is known only where it lives.

    Args:
        built: The environment.
        request: What it was opened with.
    """
    described = built.description
    if described.num_envs is None:
        described = msgspec.structs.replace(
            described,
            defaults=_defaults(built.env, request),
            keywords=_keywords(built.env, described.view),
        )
    return msgspec.structs.replace(
        described,
        attributes=[*(request.attributes or ()), *for_wrappers(built.env)],
        has_all_attributes=request.attributes is None,
    )


def for_wrappers(env: Any) -> Sequence[str]:
    """Return the names of :data:`ASKED_BY_WRAPPERS` that may be used of ``env``: all, or none.

    Args:
        env: A ``gymnasium.Env``; or a ``VectorEnv``, of whose sub-environments the first is asked.
    """
    parts = getattr(env, "envs", None)  # of a SyncVectorEnv
    single = parts[0] if isinstance(parts, (list, tuple)) and parts else env
    has_ale = hasattr(getattr(getattr(single, "unwrapped", None), "ale", None), "getScreenRGB")
    return ASKED_BY_WRAPPERS if has_ale else ()


def _defaults(env: Any, request: Open) -> dict[str, Any]:
    """The arguments with which the environment is registered, and that were not given."""
    registered = getattr(getattr(env, "spec", None), "kwargs", None) or {}
    given = {"render_mode", *request.kwargs}
    return {key: value for key, value in plain_metadata(registered).items() if key not in given}


def _keywords(env: Any, view: str) -> list[str] | None:
    """The names of the keyword arguments that the environment is made with, None where unknown."""
    entry_point = getattr(getattr(env, "spec", None), "entry_point", None)
    if entry_point is None:
        return keywords_of(type(env.unwrapped)) if view == "openspiel" else None
    if isinstance(entry_point, str):
        entry_point = registration.load_env_creator(entry_point)
    return keywords_of(entry_point)


def keywords_of(maker: Any) -> list[str] | None:
    """Return the names of the keyword arguments of a class or a function, None where it takes any.

    >>> class Ball:
    ...     def __init__(self, radius: float = 1.0) -> None: ...
    >>> class Balloon(Ball):
    ...     def __init__(self, gas: str = "air", **others: float) -> None: ...
    >>> keywords_of(Balloon)
    ['gas', 'radius']
    """
    # A constructor with `**others` hands them on to that of the next base.
    bases = maker.__mro__ if isinstance(maker, type) else ()
    own = [base.__dict__["__init__"] for base in bases if "__init__" in base.__dict__]
    names: dict[str, None] = {}
    for one in [partial(each, None) for each in own] or [maker]:  # without `self`
        found = parameters_of(one)
        if found is None:
            return None
        names |= dict.fromkeys(found.names)
        if not found.takes_others:
            return list(names)
    return None


class Parameters(NamedTuple):
    """What a function takes by keyword.

    Attributes:
        names: The names of its keyword arguments.
        takes_others: Whether it takes any other keyword argument too.
    """

    names: list[str]
    takes_others: bool


def parameters_of(function: Any) -> Parameters | None:
    """Return what a function takes by keyword, None where Python does not know.

    >>> parameters_of(lambda seed, /, size=3, *rest, name, **others: None)
    Parameters(names=['size', 'name'], takes_others=True)
    """
    try:
        known = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # in C, and without a signature
        return None
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    takes_others = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known)
    return Parameters([one.name for one in known if one.kind in by_name], takes_others)


def misfit_of(function: Any, count: int) -> TypeError | None:
    """Return why a function cannot be called with so many arguments; None where it can.

    What is in C and without a signature checks its arguments when it is called.

    >>> misfit_of(lambda state, player: None, 3)
    TypeError('too many positional arguments')
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*[None] * count)
    except TypeError as exc:
        return exc
    return None
