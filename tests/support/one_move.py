"""A typed environment as tutorials have it: no seed, a bare ``Action``, one model beside it."""

from __future__ import annotations

from pydantic import Field

from openenv_gym import Action, Environment, Observation, State


class Move(Action):
    by: int = Field(default=0, ge=-9, le=9)


class Seen(Observation):
    total: int = 0


class Moving(Environment):
    """Adds up its moves."""

    total = 0

    def reset(self):
        self.total = 0
        return Seen()

    def step(self, action: Action) -> Observation:
        self.total += action.by
        return Seen(total=self.total, reward=1.0)

    @property
    def state(self) -> State:
        return State()
