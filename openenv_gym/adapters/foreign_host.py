"""Hosts an object with ``reset`` and ``step`` that is neither of Gymnasium nor typed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import gymnasium as gym
import msgspec

from openenv_gym.adapters import gymnasium_host
from openenv_gym.adapters.foreign_env import ForeignEnv, has_spaces, is_vector
from openenv_gym.adapters.foreign_spaces import SIDES, as_space
from openenv_gym.errors import InvalidRequestError, UnsupportedRenderModeError
from openenv_gym.spaces import from_descriptor
from openenv_gym.workers.built_env import BuiltEnv
from openenv_gym.workers.facts import keywords_of
from openenv_gym.workers.imports import acts

Spaces = dict[str, gym.Space[Any]]


def host(env: gym.Env[Any, Any], name: str, summary: str | None = None) -> BuiltEnv:
    """Return an adapted environment with its description.

    Args:
        env: A :class:`ForeignEnv`, which may be wrapped.
        name: The name of the environment that clients see.
        summary: A sentence about it; None for one about its class.
    """
    built, adapter = gymnasium_host.host(env, name), env.unwrapped
    assert isinstance(adapter, ForeignEnv)
    if summary is None:
        inner = type(getattr(adapter.foreign, "unwrapped", adapter.foreign))
        summary = gymnasium_host.summary_of(inner, "Environment")
    about = {"name": name, "description": summary}
    description = msgspec.structs.replace(built.description, about=about, seeded=adapter.takes_seed)
    return BuiltEnv(env=env, description=description, state=lambda: description.state)


def take_spaces(maker: Any, arguments: dict[str, Any]) -> Spaces:
    """Take the spaces that are given by hand out of the arguments of an environment.

    A space that ``maker`` has a parameter for stays an argument. Descriptors, as JSON has them,
    become spaces either way.

    Args:
        maker: The class or function that the arguments are for.
        arguments: Keyword arguments, which are changed.

    Raises:
        SpaceError: a descriptor makes no sense.
    """
    spaces: Spaces = {}
    for side in [side for side in SIDES if isinstance(arguments.get(side), (dict, gym.Space))]:
        known = [] if _takes_nothing(maker) else keywords_of(maker)
        if known is None or side in known:
            arguments[side] = as_space(arguments[side])
            continue
        space = arguments.pop(side)
        spaces[side] = from_descriptor(space) if isinstance(space, dict) else space
    return spaces


def _takes_nothing(maker: Any) -> bool:
    return isinstance(maker, type) and maker.__init__ is object.__init__  # type: ignore[misc]


def is_foreign(made: Any, given: Collection[str] = ()) -> bool:
    """Return whether an object is to be adapted: it acts, and its spaces are known.

    A typed environment has ``state`` too. Where an object has both, it is a typed one if its class
    names a model.

    Args:
        made: What a class or a function made.
        given: The names of the spaces that were given by hand.
    """
    kind = type(made)
    if isinstance(made, gym.Env) or is_vector(made):
        return False
    if not (acts(kind) and has_spaces(made, given)):
        return False
    if not has_typed_state(made):
        return True
    from openenv_gym.adapters.environment_models import names_models  # which brings pydantic

    return not names_models(kind)


def has_typed_state(made: Any) -> bool:
    """Return whether an object has the ``state`` of a typed environment.

    A property is not read, since an environment may have no state before its first reset. What a
    constructor has set is the state of a simulation, unless it is a model.
    """
    own = getattr(made, "__dict__", {}).get("state")
    return hasattr(type(made), "state") or hasattr(own, "model_dump")


def adapted(
    made: Any, name: str, spaces: Spaces | None = None, render_mode: str | None = None
) -> ForeignEnv:
    """Return an object behind Gymnasium's interface.

    Args:
        made: The object.
        name: The name of the environment that clients see.
        spaces: The spaces that were given by hand.
        render_mode: The mode in which it is to draw.

    Raises:
        EnvStartError: a space is neither given nor found.
        SpaceError: a space is of no kind that Gymnasium has.
        UnsupportedRenderModeError: it cannot draw in this mode.
    """
    env = ForeignEnv(made, **(spaces or {}), render_mode=render_mode)
    if render_mode is not None and not env.can_render(render_mode):
        env.close()
        raise UnsupportedRenderModeError(
            f"render_mode: expected one of {env.metadata['render_modes'] or 'none at all'} for "
            f"{name}, got {render_mode!r}"
        )
    return env


def check_no_spaces(spaces: Spaces, name: str) -> None:
    """Pass if no spaces were given by hand for an environment that knows its own.

    Raises:
        InvalidRequestError: some were.
    """
    if spaces:
        raise InvalidRequestError(
            f"{' and '.join(spaces)}: expected none for {name}, which has its own; they are for an "
            "object that has reset and step and no spaces. Leave them out"
        )


def made_with_mode(make: Callable[..., Any], name: str, mode: str | None) -> Any:
    """Return what ``make`` makes with a render mode, or without one where it takes none.

    An environment of gym before 0.26 takes the mode when it draws.

    Args:
        make: Takes ``render_mode``, or fails with a ``TypeError`` that says so.
        name: The name of the environment, for the message.
        mode: The mode, None for none.

    Raises:
        UnsupportedRenderModeError: it takes none, and needs one to draw.
    """
    if mode is None:
        return make()
    try:
        return make(render_mode=mode)
    except TypeError as exc:
        if not gymnasium_host.takes_no_mode(exc):
            raise
        made = make()
        if not isinstance(made, gym.Env) and has_spaces(made):
            return made
        getattr(made, "close", dict)()
        gymnasium_host.check_takes_mode(exc, name, mode)
        raise
