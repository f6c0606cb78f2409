"""The models, with the fields that OpenEnv's ``openspiel_env`` has."""

from typing import Any

from openenv.core.env_server.types import Action, Observation
from pydantic import Field

from benchmarks.workload import GAME


class OpenSpielAction(Action):
    action_id: int = Field(..., description="one of the legal actions")
    game_name: str = GAME
    game_params: dict[str, Any] = Field(default_factory=dict)


class OpenSpielObservation(Observation):
    info_state: list[float] = Field(
        default_factory=list, description="the tensor of what the agent sees"
    )
    legal_actions: list[int] = Field(default_factory=list)
    game_phase: str = Field("playing", description="initial, playing or terminal")
    current_player_id: int = 0
    opponent_last_action: int | None = None
