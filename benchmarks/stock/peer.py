"""What the environments over stock OpenEnv have in common."""

import importlib
from typing import Any
from uuid import uuid4

from openenv.core import EnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State


class StockEnvironment(Environment):
    """An environment with a state, as the documentation has it."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self.begin(None)

    def begin(self, episode_id: str | None) -> None:
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)

    @property
    def state(self) -> State:
        return self._state


class StockClient(EnvClient[Any, Any, State]):
    """A typed client with the three methods; the models are those of its subclass."""

    ACTION: type[Action]
    OBSERVATION: type[Observation]

    def _step_payload(self, action: Any) -> dict[str, Any]:
        return {name: getattr(action, name) for name in self.ACTION.__annotations__}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[Any]:
        done, reward = payload.get("done", False), payload.get("reward")
        observation = self.OBSERVATION(**payload["observation"], done=done, reward=reward)
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(episode_id=payload.get("episode_id"), step_count=payload.get("step_count", 0))


def load(name: str) -> Any:
    """Import ``benchmarks.stock.<name>``, and what its environment needs.

    Such a module has ``ENVIRONMENT`` and ``CLIENT``; ``inputs(workload)``, which decides
    beforehand what it can of each step; ``act(result, given)``, the action by the last result and
    that; and ``values(observation)``, its numbers.
    """
    return importlib.import_module(f"benchmarks.stock.{name}")
