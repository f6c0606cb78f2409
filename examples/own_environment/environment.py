"""Step 2: what happens when an agent acts."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from openenv_gym import Environment

from .models import EchoAction, EchoObservation, EchoState

GOODBYE = "bye"


class EchoEnvironment(Environment[EchoAction, EchoObservation, EchoState]):
    """Repeats each message, rewards every letter, and ends with the message ``bye``."""

    def __init__(self) -> None:
        self._state = EchoState()

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> EchoObservation:
        self._state = EchoState(episode_id=episode_id or uuid4().hex)
        return EchoObservation(echo="")

    def step(
        self, action: EchoAction, timeout_s: float | None = None, **kwargs: Any
    ) -> EchoObservation:
        letters = len(action.message)
        self._state.step_count += 1
        self._state.letters += letters
        done = action.message == GOODBYE
        return EchoObservation(echo=action.message, reward=float(letters), done=done)

    @property
    def state(self) -> EchoState:
        return self._state
