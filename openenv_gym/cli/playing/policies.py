"""Policies that play in a person's place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

from openenv_gym.cli.playing.choosing import legal_of
from openenv_gym.errors import InvalidRequestError
from openenv_gym.workers.imports import imported

Policy: TypeAlias = Callable[[Any, dict[str, Any]], Any]
"""Returns an action for an observation and its info."""


def policy_of(name: str, env: gym.Env[Any, Any], seed: int) -> Policy:
    """Return the policy that ``name`` stands for.

    Args:
        name: ``random``, which draws from the legal actions; or ``module:function`` or
            ``file.py:function``. The function takes an observation, and its info too if it has a
            second argument without a default. It returns an action, or an action and a state, as
            ``predict`` of Stable-Baselines3 does.
        env: The environment that is played.
        seed: The seed of random actions.

    Raises:
        UnknownEnvironmentError: there is no such function.
        InvalidRequestError: it is no function of an observation.
    """
    if name == "random":
        return _random(env, seed)
    function: Any = imported(name, "function")
    takes_info = _takes_info(function, name)

    def policy(obs: Any, info: dict[str, Any]) -> Any:
        action = function(obs, info) if takes_info else function(obs)
        return action[0] if isinstance(action, tuple) and len(action) == 2 else action

    return policy


def _random(env: gym.Env[Any, Any], seed: int) -> Policy:
    generator = np.random.default_rng(seed)
    space = env.action_space
    space.seed(seed)

    def policy(obs: Any, info: Mapping[str, Any]) -> Any:
        legal = legal_of(env, dict(info))
        if legal is None:
            return space.sample()
        return int(getattr(space, "start", 0)) + legal[int(generator.integers(len(legal)))]

    return policy


def _takes_info(function: Any, name: str) -> bool:
    try:
        needed = [
            one
            for one in inspect.signature(function).parameters.values()
            if one.default is one.empty
            and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        raise InvalidRequestError(
            f"--policy: expected a function of an observation, got {name}, which is "
            f"{type(function).__name__}"
        ) from None
    if not 1 <= len(needed) <= 2:
        raise InvalidRequestError(
            f"--policy: expected a function of an observation, or of an observation and its info, "
            f"got {name}, which needs {len(needed)} arguments"
        )
    return len(needed) == 2
