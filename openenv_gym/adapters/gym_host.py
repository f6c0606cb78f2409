"""Builds an environment of the package gym, of any version, by its id.

Its registry is its own: an id of gym is never one of Gymnasium. The environment runs with gym's
wrappers as ``gym.make`` puts them, so that its episodes are those of gym.
"""

from __future__ import annotations

import copy
import sys
from functools import partial
from typing import Any

from gymnasium import error

from openenv_gym.adapters import foreign_host, module_host
from openenv_gym.errors import EnvStartError, UnknownEnvironmentError
from openenv_gym.protocol.events import NO_TIME_LIMIT, Open
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import BuiltEnv
from openenv_gym.workers.facts import parameters_of
from openenv_gym.workers.imports import import_module, imported


def build(name: str, request: Open) -> BuiltEnv:
    """Make the environment with the id ``name`` of gym, which may be ``module:id``.

    Raises:
        UnknownEnvironmentError: no such id is registered with gym.
        EnvStartError: gym is not installed, the environment needs a package that is not, or the
            module cannot be imported.
        UnsupportedRenderModeError: it cannot draw in the mode that is asked for.
    """
    full = f"gym:{name}"
    module, _, env_id = name.rpartition(":")
    gym = _gym(full)
    if module:
        import_module(module, full)
        if env_id.isidentifier() and not knows(env_id):
            maker = imported(name, scheme="gym", other_names=["an id"])
            return module_host.build_with(maker, full, request)
    try:
        made = foreign_host.made_with_mode(
            partial(_make, gym, env_id, request), full, request.render_mode
        )
    except gym.error.DependencyNotInstalled as exc:
        raise raised_as(EnvStartError, error.DependencyNotInstalled)(f"{full}: {exc}") from exc
    except gym.error.Error as exc:  # gym has a class for each way in which an id may be wrong
        kind = getattr(error, type(exc).__name__, error.UnregisteredEnv)
        raise raised_as(UnknownEnvironmentError, kind)(
            f"{full}: gym {gym.__version__} does not make it: {str(exc).rstrip('.')}. An id that a "
            "module registers with gym is named with it, as gym:module:id"
        ) from exc
    if foreign_host.is_foreign(made):
        made = foreign_host.adapted(made, full, render_mode=request.render_mode)
    return module_host.host(made, full)


def knows(env_id: str) -> bool:
    """Return whether gym has been imported here, and an id is registered with it."""
    gym = sys.modules.get("gym")
    if gym is None or not hasattr(gym, "make"):
        return False
    registry = gym.envs.registry
    return env_id in getattr(registry, "env_specs", registry)  # of gym before 0.26


def _gym(name: str) -> Any:
    try:
        import gym  # type: ignore[import-not-found,unused-ignore]  # where it is installed
    except ImportError as exc:
        raise raised_as(EnvStartError, type(exc))(
            f"{name} needs the package gym, which {sys.executable} cannot import ({exc}); install "
            "it: pip install 'gym==0.26.2' 'numpy<2'. Gymnasium's own ids are named without gym:"
        ) from exc
    if not hasattr(gym, "make"):
        raise EnvStartError(
            f"{name}: expected the package gym, got {gym!r}, which has no make; rename what is in "
            "its way"
        )
    return gym


def _make(gym: Any, env_id: str, request: Open, **mode: str) -> Any:
    """Make it as ``gym.make`` does, with the time limit as ``request`` asks."""
    spec = copy.deepcopy(gym.spec(env_id))
    limit = request.max_episode_steps
    if limit is not None:
        spec.max_episode_steps = None if limit == NO_TIME_LIMIT else limit
    known = parameters_of(gym.make)
    names = [] if known is None else known.names
    arguments = {**request.kwargs, **mode}
    if "disable_env_checker" in names:  # it asks numpy for names that newer ones do not have
        arguments.setdefault("disable_env_checker", True)
    env = spec.make(**arguments)
    # The wrappers of gym 0.26 fail with an environment of four values, unless they are told.
    told = "apply_api_compatibility"
    if told not in names or told in arguments or _takes_a_seed(env.unwrapped):
        return env
    env.close()
    return spec.make(**arguments, **{told: True})


def _takes_a_seed(env: Any) -> bool:
    known = parameters_of(env.reset)
    return known is None or known.takes_others or "seed" in known.names
