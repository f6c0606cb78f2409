"""Catch of OpenSpiel with the field names of OpenEnv's environment; the seed is honoured."""

from typing import Any
from uuid import uuid4

import numpy as np
import pyspiel
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State
from pydantic import Field


class OpenSpielAction(Action):
    action_id: int
    game_name: str = "catch"
    game_params: dict[str, Any] = Field(default_factory=dict)


class OpenSpielObservation(Observation):
    info_state: list[float]
    legal_actions: list[int]
    game_phase: str = "playing"
    current_player_id: int = 0
    opponent_last_action: int | None = None


class OpenSpielState(State):
    game_name: str = "catch"
    agent_player: int = 0
    opponent_policy: str = "random"
    game_params: dict[str, Any] = Field(default_factory=dict)
    num_players: int = 1


class OpenSpielEnvironment(Environment):
    """Plays Catch."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._game = pyspiel.load_game("catch")
        self._random = np.random.default_rng()
        self._play = self._game.new_initial_state()
        self._state = OpenSpielState(episode_id=str(uuid4()))

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> OpenSpielObservation:
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._state = OpenSpielState(episode_id=episode_id or str(uuid4()))
        self._play = self._game.new_initial_state()
        while self._play.is_chance_node():
            outcomes, chances = zip(*self._play.chance_outcomes(), strict=True)
            self._play.apply_action(int(self._random.choice(outcomes, p=chances)))
        return self._observe("initial", None)

    def step(
        self, action: OpenSpielAction, timeout_s: float | None = None, **kwargs: Any
    ) -> OpenSpielObservation:
        self._state.step_count += 1
        self._play.apply_action(action.action_id)
        is_over = self._play.is_terminal()
        phase = "terminal" if is_over else "playing"
        return self._observe(phase, float(self._play.player_reward(0)))

    def _observe(self, phase: str, reward: float | None) -> OpenSpielObservation:
        is_over = self._play.is_terminal()
        return OpenSpielObservation(
            info_state=list(self._play.observation_tensor(0)),
            legal_actions=[] if is_over else self._play.legal_actions(),
            game_phase=phase,
            current_player_id=-4 if is_over else 0,
            done=is_over,
            reward=reward,
        )

    @property
    def state(self) -> OpenSpielState:
        return self._state


SERVED = (OpenSpielEnvironment, OpenSpielAction, OpenSpielObservation)
