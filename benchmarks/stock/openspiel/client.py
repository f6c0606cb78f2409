"""The client: a typed ``EnvClient`` with its three methods."""

from typing import Any

from openenv.core import EnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.types import State

from benchmarks.stock.openspiel.models import OpenSpielAction, OpenSpielObservation


class OpenSpielClient(EnvClient[OpenSpielAction, OpenSpielObservation, State]):
    def _step_payload(self, action: OpenSpielAction) -> dict[str, Any]:
        return {
            "action_id": action.action_id,
            "game_name": action.game_name,
            "game_params": action.game_params,
        }

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[OpenSpielObservation]:
        fields = payload.get("observation", {})
        done, reward = payload.get("done", False), payload.get("reward")
        observation = OpenSpielObservation(
            info_state=fields.get("info_state", []),
            legal_actions=fields.get("legal_actions", []),
            game_phase=fields.get("game_phase", "playing"),
            current_player_id=fields.get("current_player_id", 0),
            opponent_last_action=fields.get("opponent_last_action"),
            done=done,
            reward=reward,
            metadata=fields.get("metadata") or {},
        )
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(episode_id=payload.get("episode_id"), step_count=payload.get("step_count", 0))
