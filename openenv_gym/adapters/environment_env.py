"""OpenEnv ``Environment`` → ``gymnasium.Env``: a user's own models, as JSON objects.

Its actions and observations are dicts: the fields of the models. No Gymnasium space describes them,
so ``action_space`` and ``observation_space`` are not set. The schemas of the models describe them.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
from pydantic import BaseModel, RootModel

from openenv_gym.errors import InvalidRequestError
from openenv_gym.wire.typed import validate_action
from openenv_gym.workers.facts import parameters_of

Fields = dict[str, Any]


class EnvironmentEnv(gym.Env[Fields, Fields]):
    """A typed environment, ours or OpenEnv's, behind Gymnasium's interface.

    Args:
        environment: An object with ``reset``, ``step`` and ``state``.
        action_model: The pydantic class of its actions.

    Attributes:
        takes_seed: Whether the environment's ``reset`` has a parameter for a seed.
    """

    def __init__(self, environment: Any, action_model: type[BaseModel]) -> None:
        self.environment = environment
        self._action_model = action_model
        reset = parameters_of(environment.reset)
        # None where it takes any.
        self._accepted = None if reset is None or reset.takes_others else frozenset(reset.names)
        self.takes_seed = self._accepted is None or "seed" in self._accepted

    def reset(
        self, *, seed: int | None = None, options: Fields | None = None
    ) -> tuple[Fields, Fields]:
        """Begin an episode; ``options`` are further arguments of the environment's ``reset``.

        A reset of Gymnasium has no reward. If the environment gives one, or says that the episode
        is over at once, the info has it under ``reward`` and ``done``. A seed that the environment
        cannot take is left out: trainers give one to every environment, and who made this one was
        told, see :attr:`takes_seed`.

        Raises:
            InvalidRequestError: the environment's ``reset`` does not take an argument.
        """
        super().reset(seed=seed)
        arguments = dict(options or {})
        if seed is not None and self.takes_seed:
            arguments["seed"] = seed
        self._check(arguments)
        observation = self.environment.reset(**arguments)
        info: Fields = {"done": True} if observation.done else {}
        if observation.reward is not None:
            info["reward"] = float(observation.reward)
        return self._fields(observation), info

    def step(self, action: Fields) -> tuple[Fields, SupportsFloat, bool, bool, Fields]:
        """Act with the fields of an action. The reward is None if the environment gave none.

        Raises:
            InvalidActionError: the fields are not those of the action model.
        """
        made = validate_action(self._action_model, action)
        if isinstance(made, RootModel):  # of a union, of which it is one
            made = made.root
        observation = self.environment.step(made)
        done = bool(observation.done)
        truncated = done and bool(getattr(observation, "truncated", False))
        return self._fields(observation), observation.reward, done and not truncated, truncated, {}

    def close(self) -> None:
        """Close the environment, if it can be closed."""
        close = getattr(self.environment, "close", None)
        if close is not None:
            close()

    def state_fields(self) -> Fields:
        """The fields of the environment's own state."""
        fields: Fields = self.environment.state.model_dump(mode="json")
        return fields

    def _fields(self, observation: BaseModel) -> Fields:
        return observation.model_dump(mode="json", exclude={"done", "reward"})

    def _check(self, arguments: Fields) -> None:
        if self._accepted is None:
            return
        # The session keeps `episode_id` itself, so an environment need not take it.
        if "episode_id" not in self._accepted:
            arguments.pop("episode_id", None)
        unknown = [name for name in arguments if name not in self._accepted]
        if unknown:
            raise InvalidRequestError(
                f"reset of {type(self.environment).__name__} takes "
                f"{', '.join(self._accepted) or 'no arguments'}, got {', '.join(unknown)}"
            )
