"""An environment as a client reads it from the JSON schemas of its server."""

from __future__ import annotations

from typing import Any, NamedTuple

from openenv_gym.codecs import info_from_json, json_codec
from openenv_gym.errors import InvalidRequestError, NotOpenEnvError
from openenv_gym.spaces import Inference
from openenv_gym.spaces.infer import BASE_FIELDS
from openenv_gym.spaces.numbers import from_json_number
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
        self._action = json_codec(inference.action_form)
        self._observation = json_codec(inference.observation_form)
        # Our own servers say with this field that `info` is Gymnasium's, types and all.
        properties = observation_schema.get("properties", {})
        self._has_info = "info_types" in properties

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
        info = self._info(observation, data)
        return LoadedResult(obs, _reward(data.get("reward")), terminated, truncated, info)

    def _info(self, observation: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        if self._has_info:
            info = info_from_json(observation.get("info", {}), observation.get("info_types", {}))
            if not isinstance(info, dict):
                raise InvalidRequestError(
                    f"$.data.observation.info: expected an object, got {brief(repr(info), 80)}"
                )
            return info
        key = self._inference.observation_key
        rest = {k: v for k, v in observation.items() if k != key and k not in BASE_FIELDS}
        metadata = data.get("metadata") or observation.get("metadata")
        return {**rest, "metadata": metadata} if metadata else rest


def _reward(reward: Any) -> float | None:
    try:
        return None if reward is None else float(from_json_number(reward))
    except (ValueError, OverflowError) as exc:
        raise InvalidRequestError(
            f"$.data.reward: expected a number or null, got {brief(repr(reward), 80)}"
        ) from exc
