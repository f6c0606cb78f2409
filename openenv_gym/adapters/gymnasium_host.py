"""Builds any Gymnasium environment."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import gymnasium as gym
from gymnasium import error

from openenv_gym.errors import EnvStartError, UnknownEnvironmentError, UnsupportedRenderModeError
from openenv_gym.protocol.events import NO_TIME_LIMIT, Open
from openenv_gym.spaces import to_descriptor
from openenv_gym.spaces.labels import label_known
from openenv_gym.spaces.rewards import reward_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import BuiltEnv, plain_metadata

_NO_RENDER_MODE = "unexpected keyword argument 'render_mode'"
"""What Python says where a constructor takes none; TorchRL waits for these words."""


def build(name: str, request: Open) -> BuiltEnv:
    """Make the environment with the id ``name``, which may be ``module:id``.

    Raises:
        UnknownEnvironmentError: no such id is registered.
        EnvStartError: it needs a package that is not installed.
    """
    return host(make(name, request), name)


def make(name: str, request: Open) -> gym.Env[Any, Any]:
    """Return ``gymnasium.make`` of the id, with its time limit as ``request`` asks.

    Raises:
        UnknownEnvironmentError: no such id is registered.
        EnvStartError: it needs a package that is not installed.
        UnsupportedRenderModeError: it cannot be made with a render mode.
    """
    module, _, env_id = name.rpartition(":")
    if module:
        importlib.import_module(module)
    try:
        spec = copy.deepcopy(gym.spec(env_id))
        if request.max_episode_steps is not None:
            limit = request.max_episode_steps
            spec.max_episode_steps = None if limit == NO_TIME_LIMIT else limit
        # A mode that does not exist is refused later, with a list of the modes that do.
        mode: dict[str, Any] = {}
        if request.render_mode is not None:
            mode["render_mode"] = request.render_mode
        env: gym.Env[Any, Any] = gym.make(spec, disable_env_checker=True, **mode, **request.kwargs)
    except TypeError as exc:
        # Another keyword may be the wrong one, and the message quotes all that were given.
        if request.render_mode is None or _NO_RENDER_MODE not in str(exc):
            raise
        raise UnsupportedRenderModeError(
            f"render_mode: {name} takes none, got {request.render_mode!r}: {exc}"
        ) from exc
    except error.DependencyNotInstalled as exc:
        raise raised_as(EnvStartError, type(exc))(f"{name}: {exc}") from exc
    except error.UnregisteredEnv as exc:
        raise raised_as(UnknownEnvironmentError, type(exc))(
            f"{exc} An id that a module registers is named with it, as module:id; what your own "
            "script registers is not known where the environment runs, so put it into a module"
        ) from exc
    return env


def host(env: gym.Env[Any, Any], name: str) -> BuiltEnv:
    """Return an environment that exists already, with its description."""
    modes = [mode for mode in env.metadata.get("render_modes", []) if mode not in (None, "human")]
    spec = env.spec
    action_space, observation_space = _labelled_spaces(env)
    description = Description(
        environment=name,
        view="gymnasium",
        action=to_descriptor(action_space),
        observation=to_descriptor(observation_space),
        reward=reward_descriptor(env),
        render_modes=modes,
        render_mode=env.render_mode,
        metadata=plain_metadata(env.metadata),
        state={"env_id": spec.id if spec is not None else name},
        about={"name": name, "description": _summary(env)},
        has_vector_form=getattr(spec, "vector_entry_point", None) is not None,
    )
    return BuiltEnv(env=env, description=description, state=lambda: description.state)


def _labelled_spaces(env: gym.Env[Any, Any]) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """Return the spaces, with the labels that we ship for Gymnasium's own environments."""
    spaces, inner, spec = (env.action_space, env.observation_space), env.unwrapped, env.spec
    # A wrapper that changes the spaces may also change what their components mean. Another model
    # of MuJoCo may have its joints in another order.
    is_wrapped = spaces != (inner.action_space, inner.observation_space)
    is_builtin = type(inner).__module__.startswith("gymnasium.envs.")
    if spec is None or not is_builtin or is_wrapped or "xml_file" in spec.kwargs:
        return spaces
    return label_known(spec.id, *spaces)


def _summary(env: gym.Env[Any, Any]) -> str:
    kind = type(env.unwrapped)
    lines = (kind.__doc__ or "").strip().splitlines()
    title = next((line.strip("# ") for line in lines if line.strip("# ")), kind.__name__)
    return f"Gymnasium environment {kind.__name__}: {title}"
