"""An image as OpenEnv's Atari sends it: a flat list of bytes, and its shape beside it."""

from typing import Any
from uuid import uuid4

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

HEIGHT, WIDTH = 6, 8


class ScreenAction(Action):
    action_id: int
    game_name: str = "dot"


class ScreenObservation(Observation):
    screen: list[int]
    screen_shape: list[int]
    legal_actions: list[int]
    lives: int = 0
    frame_number: int = 0


class ScreenState(State):
    game_name: str = "dot"
    obs_type: str = "rgb"


class ScreenEnvironment(Environment):
    """A white dot on black; actions move it left, nowhere or right, to the edge."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._begin(None)

    def _begin(self, episode_id: str | None) -> None:
        self._state = ScreenState(episode_id=episode_id or str(uuid4()))
        self._at = WIDTH // 2

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> ScreenObservation:
        self._begin(episode_id)
        return self._observe(reward=None, done=False)

    def step(
        self, action: ScreenAction, timeout_s: float | None = None, **kwargs: Any
    ) -> ScreenObservation:
        self._state.step_count += 1
        self._at += action.action_id - 1
        is_over = self._at in (0, WIDTH - 1)
        return self._observe(reward=float(self._at == WIDTH - 1), done=is_over)

    def _observe(self, **fields: Any) -> ScreenObservation:
        pixels = [0] * (HEIGHT * WIDTH * 3)
        first = (2 * WIDTH + self._at) * 3
        pixels[first : first + 3] = [255, 255, 255]
        return ScreenObservation(
            screen=pixels,
            screen_shape=[HEIGHT, WIDTH, 3],
            legal_actions=[0, 1, 2],
            lives=1,
            frame_number=self._state.step_count,
            **fields,
        )

    @property
    def state(self) -> ScreenState:
        return self._state


SERVED = (ScreenEnvironment, ScreenAction, ScreenObservation)
