"""Does what goes wrong, when it is told to."""

import os
import time
from typing import Any
from uuid import uuid4

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State
from pydantic import Field


class TrapAction(Action):
    value: int = Field(default=0, ge=0, le=100)
    sleep_s: float = 0.0
    do: str = ""


class TrapObservation(Observation):
    numbers: list[float] = Field(default_factory=lambda: [0.0, 0.0], min_length=2, max_length=2)


class TrapEnvironment(Environment):
    """Observes the last value and the number of steps."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._state = State(episode_id=str(uuid4()), step_count=0)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> TrapObservation:
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        return TrapObservation(metadata={"note": "begun"})

    def step(
        self, action: TrapAction, timeout_s: float | None = None, **kwargs: Any
    ) -> TrapObservation:
        time.sleep(action.sleep_s)
        self._state.step_count += 1
        if action.do == "raise":
            raise ValueError("told to raise")
        if action.do == "exit":
            os._exit(3)
        numbers, reward = [float(action.value), float(self._state.step_count)], 1.0
        if action.do == "nan":
            numbers, reward = [float("nan"), float("-inf")], float("nan")
        return TrapObservation(numbers=numbers, reward=reward, metadata={"note": "stepped"})

    @property
    def state(self) -> State:
        return self._state


SERVED = (TrapEnvironment, TrapAction, TrapObservation)
