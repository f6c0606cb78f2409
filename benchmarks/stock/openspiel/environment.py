"""The environment: a seat of the game behind OpenEnv's interface."""

from typing import Any
from uuid import uuid4

from open_spiel.python.rl_environment import TimeStep
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import State

from benchmarks.rl_game import RlGame
from benchmarks.stock.openspiel.models import OpenSpielAction, OpenSpielObservation
from benchmarks.workload import AGENT


class OpenSpielEnvironment(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._game = RlGame()
        self._state = State(episode_id=str(uuid4()), step_count=0)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> OpenSpielObservation:
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        return self._observation(self._game.reset(seed))

    def step(
        self, action: OpenSpielAction, timeout_s: float | None = None, **kwargs: Any
    ) -> OpenSpielObservation:
        self._state.step_count += 1
        return self._observation(self._game.step(action.action_id))

    @property
    def state(self) -> State:
        return self._state

    def _observation(self, time_step: TimeStep) -> OpenSpielObservation:
        seen, rewards = time_step.observations, time_step.rewards
        phase = "initial" if time_step.first() else "playing"
        return OpenSpielObservation(
            info_state=seen["info_state"][AGENT],
            legal_actions=seen["legal_actions"][AGENT],
            game_phase="terminal" if time_step.last() else phase,
            current_player_id=seen["current_player"],
            opponent_last_action=self._game.opponent_last_action,
            done=time_step.last(),
            reward=None if rewards is None else float(rewards[AGENT]),
        )
