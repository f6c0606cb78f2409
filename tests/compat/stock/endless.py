"""Done again and again: a step after the end goes on, and only ``reset`` begins anew."""

from typing import Any
from uuid import uuid4

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State
from pydantic import Field

LENGTH = 2


class CountAction(Action):
    by: int = Field(..., ge=0, le=3)


class CountObservation(Observation):
    total: int = Field(default=0, ge=0, le=1_000_000)


class EndlessEnvironment(Environment):
    """Counts; every second step says that the episode is over, and nothing ends."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._state = State(episode_id=str(uuid4()), step_count=0)
        self._total = 0

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> CountObservation:
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        self._total = 0
        return CountObservation()

    def step(
        self, action: CountAction, timeout_s: float | None = None, **kwargs: Any
    ) -> CountObservation:
        self._state.step_count += 1
        self._total += action.by
        is_over = self._state.step_count % LENGTH == 0
        return CountObservation(total=self._total, reward=float(action.by), done=is_over)

    @property
    def state(self) -> State:
        return self._state


SERVED = (EndlessEnvironment, CountAction, CountObservation)
