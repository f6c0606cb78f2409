"""Builds any Gymnasium environment."""

from __future__ import annotations

import copy
import sys
from typing import Any

import gymnasium as gym
from gymnasium import error
from gymnasium.envs.registration import (
    EnvSpec,
    find_highest_version,
    get_env_id,
    parse_env_id,
)

from openenv_gym.adapters.foreign_spaces import SIDES, as_space
from openenv_gym.errors import (
    EnvStartError,
    SpaceError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)
from openenv_gym.protocol.events import NO_TIME_LIMIT, Open
from openenv_gym.spaces import to_descriptor
from openenv_gym.spaces.labels import label, label_known
from openenv_gym.spaces.rewards import reward_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import BuiltEnv, plain_metadata
from openenv_gym.workers.imports import import_module, imported, is_module, without_colon

_REGISTERING = ("ale_py",)
"""Packages whose ids Gymnasium once had itself, and which register them when they are imported."""

_NO_RENDER_MODE = "unexpected keyword argument 'render_mode'"
"""What Python says where a constructor takes none; TorchRL waits for these words."""


def build(name: str, request: Open) -> BuiltEnv:
    """Make the environment with the id ``name``, which may be ``module:id`` or ``module:Class``.

    Raises:
        UnknownEnvironmentError: no such id is registered, and the module has no such class.
        EnvStartError: it needs a package that is not installed, or the module cannot be imported.
    """
    module, _, env_id = name.rpartition(":")
    if module:
        import_module(module, name)
        if env_id not in gym.registry and "gym" in sys.modules:
            from openenv_gym.adapters import gym_host

            if gym_host.knows(env_id):  # the module has registered it with gym
                return gym_host.build(name, request)
    if env_id not in gym.registry and _may_be_code(module, env_id):
        from openenv_gym.adapters import module_host

        maker = imported(name, other_names=gym.registry)
        return module_host.build_with(maker, name, request)
    env = make(name, request)
    has_vector_form = getattr(env.spec, "vector_entry_point", None) is not None
    return host(env, name, has_vector_form=has_vector_form)


def _may_be_code(module: str, name: str) -> bool:
    """Whether ``name`` may be a class or a function rather than an id."""
    if not module:
        return without_colon(name) is not None
    return not name or name.replace(".", "_").isidentifier()


def make(name: str, request: Open) -> gym.Env[Any, Any]:
    """Return ``gymnasium.make`` of the id, with its time limit as ``request`` asks.

    Raises:
        UnknownEnvironmentError: no such id is registered.
        EnvStartError: it needs a package that is not installed.
        UnsupportedRenderModeError: it cannot be made with a render mode.
    """
    env_id = name.rpartition(":")[2]
    try:
        register_known(name)
        spec = copy.deepcopy(_spec(env_id))
        if request.max_episode_steps is not None:
            limit = request.max_episode_steps
            spec.max_episode_steps = None if limit == NO_TIME_LIMIT else limit
        # A mode that does not exist is refused later, with a list of the modes that do.
        mode: dict[str, Any] = {}
        if request.render_mode is not None:
            mode["render_mode"] = request.render_mode
        # A space came here as its descriptor.
        kwargs = {
            key: as_space(one) if key in SIDES else one for key, one in request.kwargs.items()
        }
        env: gym.Env[Any, Any] = gym.make(spec, disable_env_checker=True, **mode, **kwargs)
    except TypeError as exc:
        check_takes_mode(exc, name, request.render_mode)
        raise
    except error.DependencyNotInstalled as exc:
        raise raised_as(EnvStartError, type(exc))(f"{name}: {exc}") from exc
    except error.UnregisteredEnv as exc:
        raise raised_as(UnknownEnvironmentError, type(exc))(
            f"{exc} An id that a module registers is named with it, as module:id, and so is a "
            "class or a function in it, as module:Class or file.py:Class; what your own script "
            "registers, embedded environments know, and no server does: name it with the script"
        ) from exc
    return env


def check_takes_mode(exc: TypeError, name: str, mode: str | None) -> None:
    """Pass, unless ``exc`` says that a constructor takes no render mode.

    Another keyword may be the wrong one, and the message quotes all that were given.

    Args:
        exc: What the constructor raised.
        name: The name of the environment, for the message.
        mode: The mode that it was given, None for none.

    Raises:
        UnsupportedRenderModeError: it takes none.
    """
    if mode is not None and takes_no_mode(exc):
        raise UnsupportedRenderModeError(
            f"render_mode: {name} takes none, got {mode!r}: {exc}"
        ) from exc


def takes_no_mode(exc: TypeError) -> bool:
    """Return whether ``exc`` says that a constructor takes no render mode."""
    return _NO_RENDER_MODE in str(exc) or str(exc).endswith("() takes no arguments")


def _spec(env_id: str) -> EnvSpec:
    try:
        return gym.spec(_with_version(env_id))
    except error.UnregisteredEnv:
        raise
    except error.Error as exc:
        raise UnknownEnvironmentError(
            f"expected the id of an environment, as CartPole-v1, got {env_id!r}: {exc}"
        ) from exc


def _with_version(env_id: str) -> str:
    """Return the newest version of an id without one, as ``gymnasium.make`` does."""
    namespace, name, version = parse_env_id(env_id)
    newest = find_highest_version(namespace, name)
    if version is not None or newest is None:
        return env_id
    found: str = get_env_id(namespace, name, newest)
    gym.logger.warn(f"{env_id} has no version: {found} is made, the newest one")
    return found


def register_known(env_id: str) -> None:
    """Import what registers ``env_id``, where Gymnasium does not know it and we do."""
    if ":" in env_id or env_id in gym.registry:
        return
    for package in _REGISTERING:
        if package not in sys.modules and is_module(package):
            import_module(package, env_id)


def host(env: gym.Env[Any, Any], name: str, *, has_vector_form: bool = False) -> BuiltEnv:
    """Return an environment that exists already, with its description.

    Args:
        env: The environment.
        name: The name of the environment that clients see.
        has_vector_form: Whether the vector form that its spec names is of this environment: not
            where a function has made and perhaps wrapped it.
    """
    known = (env.metadata or {}).get("render_modes") or ()  # some set None
    modes = [mode for mode in known if mode not in (None, "human")]
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
        has_action_masks=getattr(env.unwrapped, "has_action_masks", False) is True,
        about={"name": name, "description": summary_of(type(env.unwrapped))},
        has_vector_form=has_vector_form,
    )
    return BuiltEnv(env=env, description=description, state=lambda: description.state)


def _labelled_spaces(env: gym.Env[Any, Any]) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """Return the spaces with labels: those that we ship for Gymnasium's own environments.

    Atari's environments tell themselves what their actions mean.
    """
    spaces, inner, spec = (env.action_space, env.observation_space), env.unwrapped, env.spec
    if hasattr(inner, "get_action_meanings") and spaces[0] == inner.action_space:
        return _with_meanings(spaces[0], inner.get_action_meanings()), spaces[1]
    # A wrapper that changes the spaces may also change what their components mean. Another model
    # of MuJoCo may have its joints in another order.
    is_wrapped = spaces != (inner.action_space, inner.observation_space)
    is_builtin = type(inner).__module__.startswith("gymnasium.envs.")
    if spec is None or not is_builtin or is_wrapped or "xml_file" in spec.kwargs:
        return spaces
    return label_known(spec.id, *spaces)


def _with_meanings(space: gym.Space[Any], meanings: Any) -> gym.Space[Any]:
    """Return ``space`` with what its actions mean, such as ``FIRE``, as labels where they fit."""
    try:
        return label(space, [str(meaning).lower() for meaning in meanings])
    except (SpaceError, TypeError):
        return space


def summary_of(kind: type[Any], what: str = "Gymnasium environment") -> str:
    """Return a sentence about a class: what it is, its name and the first line of its docstring."""
    lines = (kind.__doc__ or "").strip().splitlines()
    title = next((line.strip("# ") for line in lines if line.strip("# ")), kind.__name__)
    return f"{what} {kind.__name__}: {title}"
