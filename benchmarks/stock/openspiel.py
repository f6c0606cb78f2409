"""A seat of a game on OpenSpiel's ``rl_environment``, as OpenEnv's own ``openspiel_env`` has it."""

from typing import Any

import numpy as np
from open_spiel.python.rl_environment import Environment, TimeStep
from openenv.core.client_types import StepResult
from openenv.core.env_server.types import Action, Observation
from pydantic import Field

from benchmarks.stock.peer import StockClient, StockEnvironment
from benchmarks.workload import AGENT, GAME


class RlGame:
    """The game, played up to the agent's next turn as OpenEnv's ``openspiel_env`` does.

    The opponent draws from the generator that ours draws from, so that both play alike.

    Attributes:
        opponent_last_action: None before its first in an episode.
    """

    def __init__(self) -> None:
        self._env = Environment(GAME)
        self._rng = np.random.default_rng()
        self.opponent_last_action: int | None = None

    def reset(self, seed: int | None = None) -> TimeStep:
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.opponent_last_action = None
        return self._answered(self._env.reset())

    def step(self, action: int) -> TimeStep:
        return self._answered(self._env.step([action]))

    def _answered(self, time_step: TimeStep) -> TimeStep:
        while not time_step.last():
            player = time_step.observations["current_player"]
            if player == AGENT:
                break
            legal = time_step.observations["legal_actions"][player]
            action = legal[int(self._rng.random() * len(legal))]
            self.opponent_last_action = action
            time_step = self._env.step([action])
        return time_step


class OpenSpielAction(Action):
    action_id: int = Field(..., description="one of the legal actions")
    game_name: str = GAME
    game_params: dict[str, Any] = Field(default_factory=dict)


class OpenSpielObservation(Observation):
    info_state: list[float] = Field(default_factory=list)
    legal_actions: list[int] = Field(default_factory=list)
    game_phase: str = Field("playing", description="initial, playing or terminal")
    current_player_id: int = 0
    opponent_last_action: int | None = None


class OpenSpielEnvironment(StockEnvironment):
    def __init__(self) -> None:
        super().__init__()
        self._game = RlGame()

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> OpenSpielObservation:
        self.begin(episode_id)
        return self._observation(self._game.reset(seed))

    def step(
        self, action: OpenSpielAction, timeout_s: float | None = None, **kwargs: Any
    ) -> OpenSpielObservation:
        self._state.step_count += 1
        return self._observation(self._game.step(action.action_id))

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


class OpenSpielClient(StockClient):
    ACTION, OBSERVATION = OpenSpielAction, OpenSpielObservation


def act(result: StepResult[OpenSpielObservation], draw: float) -> OpenSpielAction:
    legal = result.observation.legal_actions
    return OpenSpielAction(action_id=legal[int(draw * len(legal))])


ENVIRONMENT, CLIENT = OpenSpielEnvironment, OpenSpielClient


def inputs(workload: Any) -> list[Any]:
    return workload.draws()


def values(observation: OpenSpielObservation) -> list[float]:
    return observation.info_state
