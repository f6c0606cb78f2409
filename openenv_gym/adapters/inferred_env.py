"""A typed environment with the spaces that its schemas give, so that many can be stepped at once.

A client of a plain session infers the spaces and reads each message itself. Here the worker does
both, with the same inference, the same view, and one probing reset if the schemas leave something
open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import msgspec

from openenv_gym.adapters.environment_env import EnvironmentEnv
from openenv_gym.codecs import info_to_json
from openenv_gym.errors import SpaceError
from openenv_gym.spaces import Inference, infer, to_descriptor
from openenv_gym.spaces.probing import Probed, probed
from openenv_gym.spaces.tools import ListedTool, tools_in
from openenv_gym.wire.description import Description
from openenv_gym.wire.schema_view import SchemaView
from openenv_gym.workers.built_env import BuiltEnv


class InferredEnv(gym.Env[Any, Any]):
    """A typed environment behind Gymnasium's interface, with spaces.

    Args:
        env: The environment, whose actions and observations are the fields of its models.
        inference: The spaces of the environment, and how their values are read.
        observation_schema: The JSON schema of its observation model.
    """

    def __init__(
        self, env: EnvironmentEnv, inference: Inference, observation_schema: dict[str, Any]
    ) -> None:
        self._env = env
        self._view = SchemaView(inference, observation_schema)
        self.action_space, self.observation_space = (
            inference.action_space,
            inference.observation_space,
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; ``options`` are further arguments of the environment's ``reset``.

        Raises:
            InvalidRequestError: the environment's ``reset`` does not take an argument, or its
                observation does not have the form of its space.
        """
        super().reset(seed=seed)
        message = _first_message(*self._env.reset(seed=seed, options=options))
        result = self._view.load_result(message, is_first=True)
        return result.obs, result.info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Act. The reward is 0 if the environment gives none.

        Raises:
            InvalidActionError: the fields are not those of the action model.
            InvalidRequestError: the observation does not have the form of its space.
        """
        fields, reward, terminated, truncated, _ = self._env.step(self._view.dump_action(action))
        message = _message(fields, reward, terminated or truncated)
        message |= {"terminated": terminated, "truncated": truncated}
        result = self._view.load_result(message)
        return result.obs, result.reward or 0.0, result.terminated, result.truncated, result.info

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def inferred(build_one: Callable[[int], BuiltEnv], first: BuiltEnv) -> Callable[[int], BuiltEnv]:
    """Return a builder of environments with spaces, which returns ``first`` first.

    Args:
        build_one: Builds a typed environment, given its place among others.
        first: An environment that is built already. It is reset once if its schemas leave something
            open.

    Raises:
        SpaceError: a field or a space is ambiguous.
    """
    schemas = first.description.schemas
    inference = infer(
        schemas["action"],
        schemas["observation"],
        probe=lambda: _probe(first),
        list_tools=lambda: _tools(first),
        environment=first.description.about.get("name"),
    )
    description = _described(first.description, inference)
    waiting = [first]

    def build(place: int) -> BuiltEnv:
        built = waiting.pop() if waiting else build_one(place)
        env = InferredEnv(built.env, inference, schemas["observation"])
        return BuiltEnv(env=env, description=description, state=built.state)

    return build


def _probe(built: BuiltEnv) -> Probed:
    return probed(_first_message(*built.env.reset()), built.state())


def _tools(built: BuiltEnv) -> list[ListedTool]:
    """The tools of an environment that has some; it lists them without a reset."""
    fields = built.env.step({"type": "list_tools"})[0]
    tools = tools_in(fields)
    if tools is None:
        raise SpaceError(f"it lists none, and answers {fields!r:.200}")
    return tools


def _first_message(fields: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """Return the ``data`` that an answer to a reset would have."""
    return _message(fields, info.get("reward"), info.get("done", False))


def _message(fields: dict[str, Any], reward: Any, done: bool) -> dict[str, Any]:
    """Return the ``data`` that an answer of OpenEnv's would have."""
    return {"observation": info_to_json(fields)[0], "reward": reward, "done": done}


def _described(description: Description, inference: Inference) -> Description:
    return msgspec.structs.replace(
        description,
        view="gymnasium",
        action=to_descriptor(inference.action_space),
        observation=to_descriptor(inference.observation_space),
        warnings=list(inference.warnings),
    )
