"""Who plays the agents of a PettingZoo environment that the trainer does not play.

A policy draws from the action space that it is given, which the seed of a reset seeds, so that the
seed decides the others' actions too.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import gymnasium as gym
import numpy as np

from openenv_gym.adapters.pettingzoo_game import legal_actions
from openenv_gym.errors import InvalidRequestError
from openenv_gym.workers.facts import misfit_of
from openenv_gym.workers.imports import imported

AgentPolicy: TypeAlias = Callable[[Any, Any, gym.Space[Any], Any], Any]
"""Called with an observation, the agent's name, its action space and the mask of legal actions, or
None; returns an action. The observation is as PettingZoo has it."""


def _random(observation: Any, agent: Any, space: gym.Space[Any], mask: Any) -> Any:
    legal = legal_actions(space, mask)
    return space.sample() if not legal else legal[int(space.np_random.integers(len(legal)))]


def _first(observation: Any, agent: Any, space: gym.Space[Any], mask: Any) -> Any:
    if not isinstance(space, gym.spaces.Discrete):
        raise InvalidRequestError(
            f"opponent_policy: 'first' plays the first legal action of a Discrete, and {agent!r} "
            f"has {space}; take 'random', or 'module:function'"
        )
    legal = legal_actions(space, mask)
    return legal[0] if legal else int(space.start)


POLICIES: dict[str, AgentPolicy] = {"random": _random, "first": _first}
"""The policies that have a name."""


def agent_policy(policy: Any) -> AgentPolicy:
    """Return the policy that is meant.

    Args:
        policy: A name of :data:`POLICIES`, ``"module:function"``, or a callable.

    Raises:
        InvalidRequestError: it is none of these, or does not take four arguments.
        UnknownEnvironmentError: there is no such module, or nothing of the name in it.
        EnvStartError: the module cannot be imported.
    """
    found: Any = policy
    if isinstance(policy, str):
        if ":" not in policy:
            return _named(policy)
        found = imported(policy, "function", "opponent_policy")
    if isinstance(found, type) or not callable(found):
        raise InvalidRequestError(
            f"opponent_policy: expected one of {', '.join(POLICIES)}, 'module:function' or a "
            "function (observation, agent, action_space, action_mask) -> action, got "
            f"{policy!r:.80}"
        )
    if (exc := misfit_of(found, 4)) is not None:
        raise InvalidRequestError(
            "opponent_policy: a function is called with (observation, agent, action_space, "
            f"action_mask), which {found!r:.80} does not take: {exc}"
        ) from exc
    return cast(AgentPolicy, found)


def _named(name: str) -> AgentPolicy:
    if name in POLICIES:
        return POLICIES[name]
    close = difflib.get_close_matches(name, POLICIES, 1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    raise InvalidRequestError(
        f"opponent_policy: expected one of {', '.join(POLICIES)} or 'module:function', got "
        f"{name!r}{meant}"
    )


def seed_space(space: gym.Space[Any], seed: int, number: int) -> None:
    """Seed an agent's action space, so that no two agents, nor the game, draw the same numbers."""
    space.seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
