"""Environments for agents that speak: one that draws text, and one with models of its own."""

from __future__ import annotations

import math
from typing import Any, Literal

import gymnasium as gym
from gymnasium import spaces
from pydantic import BaseModel, Field

from openenv_gym import Action, Environment, Observation, State


class Lamp(gym.Env[int, int]):
    """A lamp with a switch; it draws text only."""

    metadata = {"render_modes": ["ansi"]}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.action_space = self.observation_space = spaces.Discrete(2)
        self.is_on = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.is_on = (options or {}).get("on", 0)
        return self.is_on, {"action_mask": [1, 1 - self.is_on]}

    def step(self, action: int):
        self.is_on = action
        return action, float(action), False, False, {"action_mask": [1, 1 - action]}

    def render(self) -> str:
        return "on" if self.is_on else "off"


gym.register("Lamp-v0", Lamp)


class Guess(BaseModel):
    number: int
    words: list[str] = []


class RiddleAction(Action):
    kind: Literal["guess", "ask"]
    guess: Guess | None = None


class RiddleObservation(Observation):
    """Has what a schema made from the class does not promise: NaN, and a reward of its own."""

    reward: float
    answer: str = Field(max_length=3)
    warmth: float
    guesses: list[Guess] = []


class RiddleState(State):
    secret: int = 7


class Riddle(Environment[RiddleAction, RiddleObservation, RiddleState]):
    """Guess a number."""

    def __init__(self) -> None:
        self._state, self._guesses = RiddleState(), []

    def reset(self, seed: int | None = None, episode_id: str | None = None, secret: int = 7):
        self._state, self._guesses = RiddleState(secret=secret, episode_id=episode_id), []
        return RiddleObservation(answer="", warmth=math.nan, reward=0.0)

    def step(self, action: RiddleAction, timeout_s: float | None = None, **kwargs: Any):
        self._state.step_count += 1
        if action.guess is None:
            return RiddleObservation(answer="no", warmth=-math.inf, reward=0.0)
        self._guesses.append(action.guess)
        is_right = action.guess.number == self._state.secret
        return RiddleObservation(
            answer="yes" if is_right else "no",
            warmth=-abs(action.guess.number - self._state.secret),
            guesses=self._guesses,
            reward=float(is_right),
            done=is_right,
        )

    @property
    def state(self) -> RiddleState:
        return self._state
