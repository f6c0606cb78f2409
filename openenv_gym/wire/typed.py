"""The typed views of environments: pydantic models outside, values inside.

A view reads the JSON of an action into the value that ``Env.step`` takes. It writes what
``Env.step`` returned as the JSON of an observation. There is a view for any Gymnasium environment,
one with OpenEnv's field names for OpenSpiel games, and one that passes on a user's own models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium.spaces as gs
import numpy as np
from pydantic import BaseModel, Field, create_model

from openenv_gym.codecs import info_to_json, json_codec
from openenv_gym.errors import (
    InvalidActionError,
    ProtocolError,
    SpaceError,
    shown,
)
from openenv_gym.wire.batch_view import BatchView
from openenv_gym.wire.description import Description
from openenv_gym.wire.model_source import value_class
from openenv_gym.wire.models import Action, Observation, State
from openenv_gym.wire.space_model import space_type
from openenv_gym.wire.typed_view import TypedModels, TypedView, class_name, validate_action

__all__ = [
    "BatchView",
    "GymnasiumView",
    "ModelView",
    "OpenSpielState",
    "OpenSpielView",
    "TypedModels",
    "TypedView",
    "validate_action",
    "view_for",
]


_EPISODE_FIELDS: dict[str, Any] = {
    "terminated": (bool, Field(default=False, description="The task itself ended the episode")),
    "truncated": (bool, Field(default=False, description="Something else ended it, as a limit")),
    "info": (dict[str, Any], Field(default_factory=dict, description="Gymnasium's info")),
    "info_types": (
        dict[str, str],
        Field(
            default_factory=dict,
            description="Types of the values in info that JSON does not say, by JSON pointer",
        ),
    ),
}


class _SpaceView(TypedView):
    """The base of views over spaces: it makes the models from the spaces and writes infos."""

    action_key: str
    observation_key: str
    state_model: type[State] = State

    def __init__(self, description: Description) -> None:
        action_space, observation_space = (
            description.action_space,
            description.observation_space,
        )
        if action_space is None or observation_space is None:
            raise ProtocolError(f"the {description.view} view needs both spaces")
        self._action_space, self._observation_space = action_space, observation_space
        self._reward_space = description.reward_space
        self.pays_arrays = self._reward_space is not None
        self._observation_to_json = json_codec(observation_space).to_json
        self._name = class_name(description.environment)
        values = self._models(
            space_type(action_space, is_action=True), space_type(observation_space)
        )
        self._action_model = values.action
        self.action_schema, self.observation_schema, self.state_schema = (
            model.model_json_schema() for model in values
        )

    def models(self) -> TypedModels:
        action = space_type(
            self._action_space, value_class(self._name, self.action_key), is_action=True
        )
        observation = space_type(
            self._observation_space, value_class(self._name, self.observation_key)
        )
        return self._models(action, observation)

    def _models(self, action_type: Any, observation_type: Any) -> TypedModels:
        action = create_model(
            f"{self._name}Action", __base__=Action, **self.action_fields(action_type)
        )
        observation = create_model(
            f"{self._name}Observation",
            __base__=Observation,
            **self.observation_fields(observation_type),
            **self._reward_field(),
            **_EPISODE_FIELDS,
        )
        return TypedModels(action, observation, self.state_model)

    def _reward_field(self) -> dict[str, Any]:
        """The field of array rewards, in place of the number that other models have."""
        declared = self._reward_space
        if declared is None:
            return {}
        # Environments seldom keep to the bounds that they declare for rewards.
        dtype: Any = declared.dtype if np.issubdtype(declared.dtype, np.floating) else np.float64
        space = gs.Box(-np.inf, np.inf, declared.shape, dtype)
        known = Observation.model_fields["reward"]
        return {"reward": (space_type(space) | None, Field(None, description=known.description))}

    def action_fields(self, value_type: Any) -> dict[str, Any]:
        """Return the fields of the action model, as ``create_model`` takes them."""
        return {self.action_key: (value_type, ...)}

    def observation_fields(self, value_type: Any) -> dict[str, Any]:
        """Return the fields of the observation model, as ``create_model`` takes them."""
        return {self.observation_key: (value_type, ...)}

    def parse_action(self, data: dict[str, Any]) -> Any:
        return getattr(validate_action(self._action_model, data, strict=True), self.action_key)

    def dump_observation(
        self, obs: Any, terminated: bool, truncated: bool, info: dict[str, Any]
    ) -> dict[str, Any]:
        plain, types = info_to_json(info)
        return {
            self.observation_key: self._observation_to_json(obs),
            "terminated": terminated,
            "truncated": truncated,
            "info": plain,
            "info_types": types,
        }


class GymnasiumView(_SpaceView):
    """The view of any Gymnasium environment, with the fields ``action`` and ``obs``."""

    action_key = "action"
    observation_key = "obs"


class OpenSpielState(State):
    """The state of an OpenSpiel game, with OpenEnv's field names."""

    game_name: str = "catch"
    agent_player: int | str = 0
    opponent_policy: str | list[str] = "random"
    game_params: dict[str, Any] = Field(default_factory=dict)
    num_players: int = 1
    snapshot: dict[str, Any] | None = Field(
        default=None, description="The episode; reset takes it as options.state"
    )
    serialized_state: str | None = Field(
        default=None, description="The text of pyspiel.serialize_game_and_state"
    )


class OpenSpielView(_SpaceView):
    """The view of an OpenSpiel game, with the field names of OpenEnv's own OpenSpiel clients."""

    action_key = "action_id"
    observation_key = "info_state"
    state_model = OpenSpielState

    def __init__(self, description: Description) -> None:
        self._game_name = str(description.state.get("game_name", ""))
        self._game_params = description.state.get("game_params", {})
        super().__init__(description)

    def action_fields(self, value_type: Any) -> dict[str, Any]:
        """Return the fields of the action: the action, and the game, which OpenEnv's repeats."""
        # OpenEnv's default is "catch", whatever game is served. So "catch" may mean that nothing
        # was given, and is accepted for every game.
        return {
            **super().action_fields(value_type),
            "game_name": (str, Field(default=self._game_name)),
            "game_params": (dict[str, Any], Field(default_factory=dict)),
        }

    def observation_fields(self, value_type: Any) -> dict[str, Any]:
        """Return the fields of the observation, with those that OpenEnv has beside it."""
        return {
            **super().observation_fields(value_type),
            "legal_actions": (list[int], Field(default_factory=list)),
            "game_phase": (str, Field(default="playing")),
            "current_player_id": (int, Field(default=0)),
            "opponent_last_action": (int | None, Field(default=None)),
        }

    def parse_action(self, data: dict[str, Any]) -> Any:
        """Return the action; refuse an action for another game."""
        self._check_game("game_name", data, ("catch", self._game_name))
        self._check_game("game_params", data, ({}, self._game_params))
        return super().parse_action(data)

    def _check_game(self, key: str, data: dict[str, Any], accepted: tuple[Any, Any]) -> None:
        if key in data and data[key] not in accepted:
            raise InvalidActionError(
                f"$.action.{key}: expected {accepted[1]!r}, the game that is served here, "
                f"got {shown(data[key], 60)}; leave it out, or start a server for that game"
            )

    def dump_observation(
        self, obs: Any, terminated: bool, truncated: bool, info: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the observation with OpenEnv's fields beside it."""
        return {
            **super().dump_observation(obs, terminated, truncated, info),
            "legal_actions": info.get("legal_actions", []),
            "game_phase": info.get("game_phase", "playing"),
            "current_player_id": info.get("current_player", 0),
            "opponent_last_action": info.get("opponent_last_action"),
        }


class ModelView(TypedView):
    """The view of a user's own models, whose JSON objects it passes on.

    Args:
        schemas: The JSON schemas of the models, under ``action``, ``observation`` and ``state``.
        action_model: The action class, None if the server does not have it. The worker has it
            and validates in any case.
    """

    def __init__(
        self, schemas: dict[str, Any], action_model: type[BaseModel] | None = None
    ) -> None:
        self.action_schema = schemas["action"]
        self.observation_schema = schemas["observation"]
        self.state_schema = schemas["state"]
        self._action_model = action_model

    def models(self) -> TypedModels:
        """Refuse: only the process of the environment has the models."""
        raise SpaceError(
            "expected an environment whose models are made from its spaces, got one with models "
            "of its own; import these from where the environment is"
        )

    def parse_action(self, data: dict[str, Any]) -> Any:
        """Return the fields of the action, validated if its class is known."""
        if self._action_model is None:
            return data
        return validate_action(self._action_model, data).model_dump(mode="json")

    def dump_observation(
        self, obs: Any, terminated: bool, truncated: bool, info: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the fields of the observation; NaN and infinities are strings."""
        plain: dict[str, Any] = info_to_json(obs)[0]
        return plain


_VIEWS: dict[str, Callable[[Description], TypedView]] = {
    "gymnasium": GymnasiumView,
    "openspiel": OpenSpielView,
    "model": lambda description: ModelView(description.schemas),
}


def view_for(description: Description) -> TypedView:
    """Return the typed view that ``description`` names.

    Raises:
        ProtocolError: this version has no such view.
    """
    if description.num_envs is not None:
        return BatchView(description)
    if description.view not in _VIEWS:
        raise ProtocolError(
            f"expected a view among {', '.join(_VIEWS)}, got {description.view!r}; "
            "install the same version of openenv-gym on both sides"
        )
    return _VIEWS[description.view](description)
