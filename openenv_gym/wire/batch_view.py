"""The typed view of a batched session, from the server's end and from the client's."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from pydantic import create_model

from openenv_gym.codecs import info_from_json, info_to_json, json_codec, reward_from_json
from openenv_gym.errors import (
    InvalidRequestError,
    NotOpenEnvError,
    ProtocolError,
    SpaceError,
    shown,
)
from openenv_gym.spaces import to_schema
from openenv_gym.wire.description import SCHEMA_KEY, Description
from openenv_gym.wire.models import Action, State
from openenv_gym.wire.schema_view import LoadedResult
from openenv_gym.wire.space_model import space_type
from openenv_gym.wire.typed_view import TypedModels, TypedView, class_name, validate_action


class BatchView(TypedView):
    """Many sub-environments in one message. Each part of a single one's message is a list here.

    Args:
        description: The description of a batched session.
    """

    num_envs: int

    def __init__(self, description: Description) -> None:
        action, observation = (
            description.batched_action_space,
            description.batched_observation_space,
        )
        if action is None or observation is None or description.num_envs is None:
            raise ProtocolError("a batched session needs both spaces")
        name = class_name(description.environment)
        self.num_envs = description.num_envs
        self._action_model = create_model(
            f"{name}Actions", __base__=Action, action=(space_type(action, is_action=True), ...)
        )
        self._observation_to_json = json_codec(observation).to_json
        self.action_schema = self._action_model.model_json_schema()
        self.observation_schema = to_schema(observation)
        self.state_schema = State.model_json_schema()
        self.beside_state = {SCHEMA_KEY: msgspec.to_builtins(description)}

    def models(self) -> TypedModels:
        """Refuse; use the models of a single environment."""
        raise SpaceError("expected a single environment, got a batched session of several")

    def parse_action(self, data: dict[str, Any]) -> Any:
        """Return the batched action."""
        model: Any = validate_action(self._action_model, data, strict=True)
        return model.action

    def dump_observation(
        self, obs: Any, terminated: Any, truncated: Any, info: Any
    ) -> dict[str, Any]:
        """Return the batched observation; flags and infos are lists of ``num_envs`` items."""
        is_batched = isinstance(info, dict) and info
        infos = info if is_batched else _by_environment(info or [], self.num_envs)
        plain, types = info_to_json(infos)
        return {
            "obs": self._observation_to_json(obs),
            "terminated": terminated,
            "truncated": truncated,
            "info": plain,
            "info_types": types,
        }


def _by_environment(records: list[tuple[int, dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    """Return the info of each sub-environment, with the final info of an ended episode in it."""
    infos: list[dict[str, Any]] = [{} for _ in range(count)]
    for number, info in records:
        infos[number].update(info)
    return infos


class BatchClientView:
    """Writes the actions of a batched session in JSON, and reads what it answers.

    Args:
        description: The description of the session, as its state has it.
    """

    def __init__(self, description: Description) -> None:
        self._action = json_codec(description.batched_action_space)
        self._observation = json_codec(description.batched_observation_space)

    def dump_action(self, value: Any) -> dict[str, Any]:
        """Return the ``data`` of a step message."""
        return {"action": self._action.to_json(value)}

    def load_result(self, data: dict[str, Any], *, is_first: bool = False) -> LoadedResult:
        """Return the batch in the ``data`` of an observation message.

        Raises:
            NotOpenEnvError: The message has no batched observation.
            InvalidRequestError: A part of it does not have its form.
        """
        said = data.get("observation")
        if not isinstance(said, dict) or "obs" not in said:
            raise NotOpenEnvError(
                f"$.data.observation: expected an object with the field 'obs', got {shown(said)}"
            )
        obs = self._observation.from_json(said["obs"], "$.data.observation.obs")
        types = said.get("info_types", {})
        info = info_from_json(said.get("info", []), types)
        if isinstance(info, list):
            info = _records(info)
        if is_first:
            nothing: Any = None
            return LoadedResult(obs, None, nothing, nothing, info)
        rewards = reward_from_json(data.get("reward"), types)
        if not isinstance(rewards, np.ndarray):
            raise InvalidRequestError(
                f"$.data.reward: expected a list of numbers, got {shown(rewards)}"
            )
        return LoadedResult(
            obs, rewards, _flags(said, "terminated"), _flags(said, "truncated"), info
        )


def _flags(said: dict[str, Any], name: str) -> Any:
    given = said.get(name)
    if not isinstance(given, list) or any(type(flag) is not bool for flag in given):
        raise InvalidRequestError(
            f"$.data.observation.{name}: expected a list of booleans, got {shown(given)}"
        )
    return np.array(given, np.bool_)


def _records(infos: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Return infos in the order in which they were said: at the end of an episode, of both."""
    records = []
    for number, info in enumerate(infos):
        is_last = info.keys() >= _FINAL
        if is_last:
            records.append((number, {key: info[key] for key in _FINAL}))
        rest = {key: item for key, item in info.items() if key not in _FINAL} if is_last else info
        if rest:
            records.append((number, rest))
    return records


_FINAL = dict.fromkeys(("final_obs", "final_info")).keys()  # a set in this order
