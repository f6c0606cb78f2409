"""A seat of a game on OpenSpiel's own ``rl_environment``, which knows no seats: others draw.

Knows OpenSpiel and NumPy only, because the stock peer imports it in a venv of its own.
"""

import numpy as np
from open_spiel.python.rl_environment import Environment, TimeStep

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
