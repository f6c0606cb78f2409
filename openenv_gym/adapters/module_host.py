"""Builds what a class or a function in a module makes: ``package.module:Class``.

It is a ``gymnasium.Env``, a typed environment, or an object with ``reset`` and ``step`` whose
spaces are known. What is none of these gets a sentence of its own.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import gymnasium as gym

from openenv_gym.adapters import foreign_env, foreign_host, gymnasium_host
from openenv_gym.errors import (
    EnvStartError,
    InvalidRequestError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)
from openenv_gym.protocol.events import NO_TIME_LIMIT, Open
from openenv_gym.workers.built_env import BuiltEnv
from openenv_gym.workers.imports import acts, imported

_EXPECTED = (
    "expected a gymnasium.Env or an OpenEnv Environment (with reset, step and state), or an object "
    "with reset, step and spaces: a class, or a function that makes one"
)
_APPLICATIONS = ("fastapi", "starlette", "flask")


def build(name: str, request: Open) -> BuiltEnv:
    """Import ``package.module:Class`` and build an instance.

    Raises:
        UnknownEnvironmentError: there is no such module or class, or it is no environment.
        EnvStartError: the module cannot be imported, or what it makes is no environment.
        UnsupportedRenderModeError: the environment cannot be made with a render mode.
    """
    return build_with(imported(name, scheme="environment"), f"environment:{name}", request)


def build_with(maker: Any, name: str, request: Open) -> BuiltEnv:
    """Build what a class or a function makes.

    Args:
        maker: The class or function.
        name: The name of the environment that clients see.
        request: What is asked for: arguments, models, a render mode, a time limit.

    Raises:
        UnknownEnvironmentError: it is no class or function, or a class of no environment.
        EnvStartError: what it makes is no environment.
        InvalidRequestError: it has spaces, and models are given.
        SpaceError: spaces are needed, and the schemas of a typed environment leave them open.
        UnsupportedRenderModeError: the environment cannot be made with a render mode.
    """
    _check_maker(maker, name)
    models = {side: imported(place, "Model") for side, place in request.models.items()}
    kwargs, mode = dict(request.kwargs), request.render_mode
    spaces = foreign_host.take_spaces(maker, kwargs)
    if mode is not None:
        _check_mode(maker, name, mode)
    made = foreign_host.made_with_mode(partial(maker, **kwargs), name, mode)
    limit = None if request.max_episode_steps == NO_TIME_LIMIT else request.max_episode_steps
    if not models and foreign_host.is_foreign(made, spaces):
        made = foreign_host.adapted(made, name, spaces, mode)
    else:
        foreign_host.check_no_spaces(spaces, name)
    if isinstance(made, gym.Env) and limit is not None:
        made = gym.wrappers.TimeLimit(made, limit)
    built = host(made, name, **models)
    return _with_spaces(built) if request.needs_spaces else built


def host(made: Any, name: str, action: Any = None, observation: Any = None) -> BuiltEnv:
    """Host an environment of any interface.

    Args:
        made: The environment.
        name: The name of the environment that clients see.
        action: The action class of a typed environment that does not name its own.
        observation: The observation class of a typed environment that does not name its own.

    Raises:
        EnvStartError: it is none, or lacks a space or a model.
        InvalidRequestError: it has spaces, and models are given.
    """
    if action is None and observation is None and foreign_host.is_foreign(made):
        made = foreign_host.adapted(made, name)
    if not isinstance(made, gym.Env):
        _check_typed(made, name)
        from openenv_gym.adapters import environment_host  # which brings pydantic

        return environment_host.host(made, name, action, observation)
    if action is not None or observation is not None:
        raise InvalidRequestError(
            f"{name} is a gymnasium.Env, whose models are made of its spaces; expected no model of "
            "its actions and its observations beside it"
        )
    for side in ("action_space", "observation_space"):
        space = getattr(made, side, None)
        if not isinstance(space, gym.Space):
            raise EnvStartError(
                f"{name}: expected a Space as the {side} of {type(made.unwrapped).__name__}, got "
                f"{space!r:.80}; set it in the constructor"
            )
    if isinstance(made.unwrapped, foreign_env.ForeignEnv):
        return foreign_host.host(made, name)
    return gymnasium_host.host(made, name)


def _with_spaces(built: BuiltEnv) -> BuiltEnv:
    if built.description.action is not None:
        return built
    from openenv_gym.adapters.inferred_env import inferred

    try:
        return inferred(lambda place: built, built)(0)
    except BaseException:
        built.env.close()
        raise


def _check_maker(maker: Any, name: str) -> None:
    """Pass if ``maker`` is a class or a function that may make an environment."""
    kind = maker if isinstance(maker, type) else type(maker)
    if kind.__module__.partition(".")[0] in _APPLICATIONS:
        raise UnknownEnvironmentError(
            f"{name} is an application and no environment; run it with: uvicorn {_place(name)}"
        )
    if maker is not kind and (issubclass(kind, gym.vector.VectorEnv) or acts(kind)):
        raise UnknownEnvironmentError(
            f"{name} is one object, and each session needs one of its own; name its class, "
            f"{kind.__name__}, or a function that makes a new one"
        )
    if inspect.ismodule(maker):
        raise UnknownEnvironmentError(
            f"{name} is a module; name a class or a function in it, as {maker.__name__}:Class"
        )
    if not callable(maker):
        raise UnknownEnvironmentError(f"{name} is of type {kind.__qualname__}; {_EXPECTED}")
    if maker is kind and issubclass(kind, gym.vector.VectorEnv):
        raise UnknownEnvironmentError(f"{name} is a VectorEnv; {_as_vector(name)}")
    if maker is kind and not acts(kind):
        raise UnknownEnvironmentError(f"{name} is a class without reset and step; {_EXPECTED}")


def _check_mode(maker: Any, name: str, mode: str) -> None:
    """Refuse a mode that a class does not have: its constructor may fail in any way it likes."""
    if not isinstance(maker, type):
        return
    metadata = getattr(maker, "metadata", None)
    modes = foreign_env.render_modes(metadata) if isinstance(metadata, dict) else [mode]
    if mode not in modes or not (issubclass(maker, gym.Env) or isinstance(metadata, dict)):
        raise UnsupportedRenderModeError(
            f"render_mode: expected one of {modes or 'none at all'} for {name}, got {mode!r}"
        )


def _check_typed(made: Any, name: str) -> None:
    """Pass if ``made`` has the interface of a typed environment."""
    kind = type(made)
    said = f"{name} makes an object of type {kind.__qualname__}"
    if foreign_env.is_vector(made):
        raise EnvStartError(f"{said}, a VectorEnv; {_as_vector(name)}")
    if acts(kind) and foreign_host.has_typed_state(made):
        return
    hint = ""
    if acts(kind):
        hint = (
            f"; set action_space and observation_space in the constructor of {kind.__name__}, or "
            "give both: from Python as spaces, to serve --kwargs as what "
            "openenv_gym.spaces.to_descriptor makes of them"
        )
    raise EnvStartError(f"{said}; {_EXPECTED}{hint}")


def _as_vector(name: str) -> str:
    if ":" not in name:  # a function of the user's own process
        return "each function makes one environment; give the functions of its sub-environments"
    return (
        "a function that takes num_envs and makes one is served with vector: before it, as "
        f"vector:{_place(name)}"
    )


def _place(name: str) -> str:
    return name.removeprefix("environment:")
