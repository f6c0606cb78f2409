"""One play of an OpenSpiel game, and what a player sees of it.

``pyspiel`` ends the process on some wrong moves and accepts others in silence, so nothing reaches
``apply_action`` that is not in ``legal_actions()`` of that moment.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from openenv_gym.adapters.opponents import Opponent
from openenv_gym.errors import InvalidActionError

CHANCE = -1  # pyspiel.PlayerId, as State.current_player() gives them
TERMINAL = -4

_SHOWN_ACTIONS = 20


class TensorReader:
    """Reads what a player sees: the information state tensor where there is one.

    Games written in C++ write their tensor into a buffer of ours, which spares a Python float
    per entry (40 microseconds of 41 in chess) and gives the same numbers; games written in
    Python have observers that do not always agree with their tensor, so theirs is read as it is.
    """

    def __init__(self, game: Any) -> None:
        from open_spiel.python.observation import INFO_STATE_OBS_TYPE, make_observation

        self._game = game
        self._is_info_state = bool(game.get_type().provides_information_state_tensor)
        shape = (
            game.information_state_tensor_shape()
            if self._is_info_state
            else game.observation_tensor_shape()
        )
        self.size = math.prod(shape) if min(shape, default=0) > 0 else 0
        self._observer: Any = None
        if self.size and not hasattr(game, "make_py_observer"):
            kind = INFO_STATE_OBS_TYPE if self._is_info_state else None
            self._observer = make_observation(game, kind)

    def read(self, state: Any, player: int) -> npt.NDArray[np.float32]:
        """Return a new array of shape ``(size,)``."""
        if self._observer is not None:
            self._observer.set_from(state, player)
            tensor: npt.NDArray[np.float32] = self._observer.tensor.copy()
            return tensor
        if self._is_info_state:
            return np.array(state.information_state_tensor(player), np.float32)
        return np.array(state.observation_tensor(player), np.float32)

    def __reduce__(self) -> tuple[type[TensorReader], tuple[Any]]:
        return TensorReader, (self._game,)  # the buffer itself cannot be copied or pickled


class Episode:
    """One play of the game: the agent's moves come in, chance and the opponents answer.

    It always stands where the agent is to move, or at the end.

    Attributes:
        state: The ``pyspiel.State``.
        player: Whose turn it is: the agent's, or ``TERMINAL``.
        legal: What the agent may play now, in ascending order; empty at the end.
        opponent_last_action: The last move of any opponent so far.
        paid: What the agent was given in rewards so far.
    """

    __slots__ = (
        *("state", "player", "legal", "opponent_last_action", "paid"),
        *("_agent", "_is_forfeited", "_opponents"),
    )

    def __init__(
        self, state: Any, agent: int, opponents: Sequence[Opponent], rng: np.random.Generator
    ) -> None:
        self.state = state
        self.legal: list[int] = []
        self.player = agent
        self.opponent_last_action: int | None = None
        self.paid = 0.0
        self._agent = agent
        self._opponents = opponents
        self._is_forfeited = False
        self._answer(rng)

    def play(self, action: int, rng: np.random.Generator) -> None:
        """Play a legal move of the agent and everything up to its next turn."""
        self.state.apply_action(action)
        self._answer(rng)

    def take_reward(self) -> float:
        """Return what the agent's return grew by since this was last asked."""
        total = float(self.state.returns()[self._agent])
        reward = total - self.paid
        self.paid = total
        return reward

    def forfeit(self, reward: float) -> None:
        """End the episode here, though the game goes on."""
        self.player = TERMINAL
        self.legal = []
        self.paid += reward
        self._is_forfeited = True

    def returns(self) -> list[float]:
        """Return what every player has got; the agent's is the sum of its rewards."""
        returns = [float(value) for value in self.state.returns()]
        if self._is_forfeited:
            returns[self._agent] = self.paid
        return returns

    def _answer(self, rng: np.random.Generator) -> None:
        state = self.state
        while (player := state.current_player()) != self._agent:
            if player == CHANCE:
                state.apply_action(_draw(state.chance_outcomes(), rng))
            elif player == TERMINAL:
                break
            else:
                state.apply_action(self._opponent_action(player, rng))
        self.player = player
        self.legal = state.legal_actions() if player == self._agent else []

    def _opponent_action(self, player: int, rng: np.random.Generator) -> int:
        legal = self.state.legal_actions()
        action = self._opponents[player](self.state, legal, rng)
        if action not in legal:
            raise InvalidActionError(
                f"The opponent policy of player {player} played {reprlib.repr(action)}; legal "
                f"were {shorten(legal)}. The episode is lost: correct the policy and reset."
            )
        self.opponent_last_action = action
        return action


def _draw(outcomes: Sequence[tuple[int, float]], rng: np.random.Generator) -> int:
    left = rng.random()
    for action, probability in outcomes:
        left -= probability
        if left < 0:
            return action
    return max(outcomes, key=lambda outcome: outcome[1])[0]  # they summed to a bit less than 1


def shorten(actions: Sequence[int]) -> str:
    """Return the first of ``actions``, for messages."""
    shown = ", ".join(map(str, actions[:_SHOWN_ACTIONS]))
    more = len(actions) - _SHOWN_ACTIONS
    return f"{shown} and {more} more" if more > 0 else shown
