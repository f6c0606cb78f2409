"""Step 1: what an agent does, what it sees, and what is known about the episode."""

from __future__ import annotations

from pydantic import Field

from openenv_gym import Action, Observation, State


class EchoAction(Action):
    message: str = Field(min_length=1, description="What to say; 'bye' ends the episode")


class EchoObservation(Observation):
    echo: str = Field(description="What was said last; empty after a reset")


class EchoState(State):
    letters: int = Field(default=0, ge=0, description="Letters said in the episode")
