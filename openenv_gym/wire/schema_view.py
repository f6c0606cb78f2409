"""An environment as a client reads it from the JSON schemas of its server."""

from __future__ import annotations

from typing import Any, NamedTuple

from openenv_gym.codecs import info_from_json, json_codec
from openenv_gym.errors import NotOpenEnvError
from openenv_gym.spaces import Inference
from openenv_gym.spaces.infer import BASE_FIELDS
from openenv_gym.wire.error_codes import brief


class LoadedResult(NamedTuple):
    """One observation message, read.

    Attributes:
        obs: The observation, a value of the observation space.
        reward: The reward; None where the server sent null.
        terminated: As in Gymnasium.
        truncated: As in Gymnasium.
        info: As in Gymnasium; the fields that the observation space does not hold.
    """

    obs: Any
    reward: float | None
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class SchemaView:
    """Writes actions and reads observations in the form that the schemas ask for."""

    def __init__(self, inference: Inference, observation_schema: dict[str, Any]) -> None:
        self._inference = inference
        self._action = json_codec(inference.action_space)
        self._observation = json_codec(inference.observation_space)
        # Our own servers say with this field that `info` is Gymnasium's, types and all.
        self._has_info = "info_types" in observation_schema.get("properties", {})

    def dump_action(self, value: Any) -> dict[str, Any]:
        """Return the ``data`` of the step message for the action ``value``."""
        return {self._inference.action_key: self._action.to_json(value)}

    def load_result(self, data: dict[str, Any]) -> LoadedResult:
        """Return what the ``data`` of an observation message says.

        Raises:
            NotOpenEnvError: the message has no observation.
            InvalidRequestError: the observation does not have the form of its space.
        """
        observation, key = data.get("observation"), self._inference.observation_key
        if not isinstance(observation, dict) or key not in observation:
            raise NotOpenEnvError(
                f"$.data.observation: expected an object with the field {key!r}, "
                f"got {brief(repr(observation), 80)}"
            )
        obs = self._observation.from_json(observation[key], f"$.data.observation.{key}")
        truncated = bool(observation.get("truncated", False))
        done = bool(data.get("done", False))
        terminated = bool(observation.get("terminated", done and not truncated))
        reward = data.get("reward")
        return LoadedResult(
            obs,
            None if reward is None else float(reward),
            terminated,
            truncated,
            self._info(observation, data),
        )

    def _info(self, observation: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        if self._has_info:
            info: dict[str, Any] = info_from_json(
                observation.get("info", {}), observation.get("info_types", {})
            )
            return info
        key = self._inference.observation_key
        rest = {k: v for k, v in observation.items() if k != key and k not in BASE_FIELDS}
        metadata = data.get("metadata") or observation.get("metadata")
        return {**rest, "metadata": metadata} if metadata else rest
