"""The client: a typed ``EnvClient`` with its three methods."""

from typing import Any

from openenv.core import EnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.types import State

from benchmarks.stock.cartpole.models import CartPoleAction, CartPoleObservation


class CartPoleClient(EnvClient[CartPoleAction, CartPoleObservation, State]):
    def _step_payload(self, action: CartPoleAction) -> dict[str, Any]:
        return {"action": action.action}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[CartPoleObservation]:
        fields = payload.get("observation", {})
        observation = CartPoleObservation(
            obs=fields.get("obs", []),
            done=payload.get("done", False),
            reward=payload.get("reward"),
            metadata=payload.get("metadata") or {},
        )
        return StepResult(
            observation=observation,
            reward=payload.get("reward"),
            done=payload.get("done", False),
        )

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(episode_id=payload.get("episode_id"), step_count=payload.get("step_count", 0))
