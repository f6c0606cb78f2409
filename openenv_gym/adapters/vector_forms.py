"""Vector forms that are not ours: an environment's own, or what somebody's factory makes.

Such a form steps all its sub-environments by itself, and many seed them when they are made. So it
is made once, with all of them. Where a caller spreads sub-environments over several sessions, each
session makes one, and they would be twins if nothing told them apart: what makes them is told
the number of its first sub-environment, or is refused.
"""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from openenv_gym.errors import EnvStartError, InvalidRequestError, OpenEnvGymError
from openenv_gym.protocol import NO_TIME_LIMIT, Open, Part
from openenv_gym.workers.built_env import BuiltEnv
from openenv_gym.workers.facts import Parameters, parameters_of

_ANY = Parameters([], True)
"""What is taken for the parameters of a function of which Python knows none."""


def count_of(request: Open) -> int:
    """How many sub-environments a vector form has: all, unless the caller wants it split."""
    part = request.part
    if part is not None and not part.is_wanted:
        return part.whole
    return request.num_envs or 1


def told(factory: Any, name: str, request: Open) -> dict[str, Any]:
    """What is asked of a factory beside the number of sub-environments.

    Raises:
        InvalidRequestError: the factory has no parameter for it.
    """
    known: dict[str, Any] = {}
    if request.max_episode_steps is not None:
        known["max_episode_steps"] = _limit(request.max_episode_steps)
    if request.render_mode is not None:
        known["render_mode"] = request.render_mode
    parameters = parameters_of(factory) or _ANY
    for one, value in known.items():
        if one not in parameters.names and not parameters.takes_others:
            raise InvalidRequestError(
                f"{one}: expected what {name} has a parameter for, got {value!r}; leave it out, or "
                f"give the function a parameter {one}"
            )
    part = request.part
    if part is not None and part.is_wanted:
        if "first_env" not in parameters.names:
            raise InvalidRequestError(_twins(name, part))
        known["first_env"] = part.first_env
    return known


def _twins(name: str, part: Part) -> str:
    """Why a factory that is not told which part it makes is not split."""
    return (
        f"{name} makes one vector environment of all sub-environments, and several of them were "
        f"asked for, to have {part.whole} together: made in the same way, with the same seed, they "
        "could be twins. Leave shards out and name one server; or give the function a parameter "
        "first_env, the number of its first sub-environment, to seed them by"
    )


def _limit(max_episode_steps: int) -> int | None:
    return None if max_episode_steps == NO_TIME_LIMIT else max_episode_steps


def native(request: Open, first: BuiltEnv, mode: Any) -> Any:
    """The environment's own vector form, None where it has none or another is asked for.

    Where nobody asked for several sessions, that of the first part has all sub-environments. If
    it has no vector form, the others have none either.

    Args:
        request: What is asked for.
        first: A single one, which tells whether there is a vector form; it stays open.
        mode: Gymnasium's ``AutoresetMode`` that is asked for.

    Raises:
        EnvStartError: there is none that does what is asked, and no other will do.
        InvalidRequestError: it would have to be split, and is not told which part it is.
    """
    spec, part, name = first.env.spec, request.part, first.description.environment
    is_needed = request.vectorization == "native"
    if spec is None or not first.description.has_vector_form:
        text = f"{name} has no vector entry point; use vectorization='sync'"
        return _none_unless(is_needed, EnvStartError(text))
    is_later = part is not None and not part.is_wanted and part.first_env > 0
    if request.vectorization == "sync" or is_later:
        return None
    arguments = dict(request.kwargs)
    if part is not None and part.is_wanted:
        names, may_be_twins = _what_is_told(spec.vector_entry_point)
        if "first_env" in names:
            arguments["first_env"] = part.first_env
        elif may_be_twins:
            return _none_unless(is_needed, InvalidRequestError(_twins(name, part)))
    if request.max_episode_steps is not None:
        arguments["max_episode_steps"] = _limit(request.max_episode_steps)
    if request.render_mode is not None:
        arguments["render_mode"] = request.render_mode
    form, count = "vector_entry_point", count_of(request)
    envs = gym.make_vec(spec.id, num_envs=count, vectorization_mode=form, **arguments)
    own_mode = envs.metadata.get("autoreset_mode")
    if own_mode is mode:
        return envs
    envs.close()
    text = f"the vector form of {name} resets in the mode {own_mode} only; use vectorization='sync'"
    return _none_unless(is_needed, EnvStartError(text))


def _none_unless(is_needed: bool, error: OpenEnvGymError) -> None:
    """Return None, where another form will do, or raise ``error``."""
    if is_needed:
        raise error


def _what_is_told(entry_point: Any) -> tuple[list[str], bool]:
    """What a vector entry point takes by name, and whether two that it makes may be twins.

    A class is seeded in ``reset``, as Gymnasium has it, unless it takes a seed when it is made.
    """
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    names = (parameters_of(creator) or _ANY).names
    return names, "seed" in names or not inspect.isclass(creator)
