"""A typed environment whose schemas leave its spaces open, as most do."""

from __future__ import annotations

import random
from typing import Literal

from openenv_gym import Action, Environment, Observation, State


class WalkAction(Action):
    move: Literal["left", "right", "stay"]
    speed: float


class WalkObservation(Observation):
    place: list[float]
    said: str
    path: list[int]
    hint: str | None = None
    truncated: bool = False


class Walk(Environment[WalkAction, WalkObservation, State]):
    """Walks on a line from a random place; the episode ends at 3, and is cut after nine steps."""

    def __init__(self, start: float = 0.0) -> None:
        self._start = start
        self._random = random.Random()

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, start: float | None = None
    ) -> WalkObservation:
        if seed is not None:
            self._random = random.Random(seed)
        self._place = self._start if start is None else start
        self._place += self._random.random()
        self._path: list[int] = []
        return self._observe(None)

    def step(self, action: WalkAction) -> WalkObservation:
        if action.speed > 50:
            raise ValueError("too fast")
        self._place += {"left": -1, "right": 1, "stay": 0}[action.move] * action.speed
        self._path.append(round(self._place))
        return self._observe(-abs(self._place))

    @property
    def state(self) -> State:
        return State(step_count=len(self._path))

    def _observe(self, reward: float | None) -> WalkObservation:
        is_there, is_late = self._place > 3, len(self._path) >= 9
        return WalkObservation(
            place=[self._place, float("nan") if is_there else -0.0],
            said=f"at {self._place:.1f} ⚑",
            path=self._path,
            hint="right" if self._place < 0 else None,
            reward=reward,
            done=is_there or is_late,
            truncated=is_late and not is_there,
            metadata={"steps": len(self._path)},
        )


class RiddleAction(Action):
    guess: int | None = None
    question: str | None = None


class Riddle(Environment[RiddleAction, Observation, State]):
    """Which of its action's fields is meant, nobody can tell."""

    def reset(self, seed: int | None = None, episode_id: str | None = None) -> Observation:
        return Observation()

    def step(self, action: RiddleAction) -> Observation:
        return Observation(done=True)

    @property
    def state(self) -> State:
        return State()
