"""Builds an OpenSpiel game."""

from __future__ import annotations

from typing import Any

from gymnasium.wrappers import TimeLimit

from openenv_gym.adapters.openspiel_env import OpenSpielEnv
from openenv_gym.protocol.events import NO_TIME_LIMIT, Open
from openenv_gym.spaces import to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.workers.built_env import BuiltEnv, plain_metadata


def build(name: str, request: Open) -> BuiltEnv:
    """Load the game ``name``, which may carry parameters, as in ``catch(rows=5)``.

    Raises:
        UnknownEnvironmentError: OpenSpiel has no such game, or it is not supported.
    """
    # A client of typed models may be a person or a language model, and gets an error that says what
    # was wrong. A learning algorithm gets the end of the episode, from which it learns the rules.
    defaults: dict[str, Any] = {"illegal_action": "raise"} if request.is_typed else {}
    arguments = {**defaults, **request.kwargs}
    env = OpenSpielEnv(name, render_mode=request.render_mode, **arguments)
    description = Description(
        environment=f"openspiel:{name}",
        view="openspiel",
        action=to_descriptor(env.action_space),
        observation=to_descriptor(env.observation_space),
        render_modes=list(env.metadata["render_modes"]),
        render_mode=env.render_mode,
        metadata=plain_metadata(env.metadata),
        state=env.openenv_state,
        has_action_masks=True,
        about={"name": name, "description": f"OpenSpiel game {name}"},
    )
    limited: Any = env
    if request.max_episode_steps not in (None, NO_TIME_LIMIT):
        limited = TimeLimit(env, request.max_episode_steps)
    return BuiltEnv(env=limited, description=description, state=env.session_state)
