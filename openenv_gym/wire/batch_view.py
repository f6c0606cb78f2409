"""The typed view of a batched session."""

from __future__ import annotations

from typing import Any

from pydantic import create_model

from openenv_gym.codecs import info_to_json, json_codec
from openenv_gym.errors import ProtocolError, SpaceError
from openenv_gym.spaces import to_schema
from openenv_gym.wire.description import Description
from openenv_gym.wire.models import Action, State
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
            description.batched_action_space(),
            description.batched_observation_space(),
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
