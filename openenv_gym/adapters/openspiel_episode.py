"""One episode of an OpenSpiel game: who is to move, the opponents' moves, and the rewards.

``pyspiel`` ends the process on some illegal moves and silently accepts others. So only actions in
the current ``legal_actions()`` reach ``apply_action``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from openenv_gym.adapters.openspiel_population import Population
from openenv_gym.adapters.opponents import Opponent
from openenv_gym.errors import InvalidActionError, InvalidRequestError

CHANCE = -1  # pyspiel.PlayerId, as State.current_player() gives them
SIMULTANEOUS = -2
TERMINAL = -4
MEAN_FIELD = -5

ALL = -100
"""The seat of an agent that plays every seat; no player has this number."""

_NO_ACTION = 0  # the action of a player who has no choice while others choose at once
_SHOWN_ACTIONS = 20

Move = tuple[int, int]
"""A player, or ``CHANCE``, and its action."""


class GameEpisode:
    """One episode of the game: the agent moves, then chance and the opponents move.

    Between calls, the agent is to move or the game is over. If several players choose at once, the
    opponents choose after the agent, from the same state. An agent that plays every seat is asked
    for one player after the other, and the choices act together.

    Attributes:
        state: The state of the game, a ``pyspiel.State``.
        player: The seat to move, one of the agent's, or ``TERMINAL``.
        mover: The agent's seat that moved last; before its first move, the seat to move.
        legal: The legal actions of the agent, in ascending order; empty at the end.
        opponent_actions: The opponents' moves since the agent's last move.
        opponent_last_action: The last move of any opponent so far, None if there was none.
        paid: The rewards of each player so far.
        chosen: The choices made so far at a node where several choose at once, None elsewhere.
    """

    __slots__ = (
        "_forfeit",
        "_opponents",
        "_population",
        "_seat",
        "chosen",
        "legal",
        "mover",
        "opponent_actions",
        "opponent_last_action",
        "paid",
        "player",
        "state",
    )

    def __init__(
        self,
        state: Any,
        seat: int,
        opponents: Sequence[Opponent],
        population: Population | None,
        rng: np.random.Generator,
        moved: Sequence[int] = (),
    ) -> None:
        self.state = state
        self.legal: list[int] = []
        self.player = TERMINAL
        self.mover = seat
        self.opponent_actions: list[Move] = []
        self.opponent_last_action: int | None = None
        self.paid = [0.0] * len(opponents)
        if moved and seat in (ALL, *moved):  # then the agent was rewarded up to here
            self.paid = [float(value) for value in state.returns()]
        self.chosen: dict[int, int] | None = None
        self._forfeit: int | None = None
        self._opponents = opponents
        self._population = population
        self._seat = seat
        self._answer(rng)
        if seat == ALL:
            self.mover = self.player if self.player >= 0 else [0, *moved][-1]

    def play(self, action: int, rng: np.random.Generator) -> None:
        """Play a legal move of the agent and everything up to its next turn."""
        self.mover = self.player
        self.opponent_actions = []
        if self.chosen is None:
            self.state.apply_action(action)
        else:
            self.chosen[self.player] = action
            if self._asks_next(self.player + 1):
                return
            self._apply_joint(rng)
        self._answer(rng)

    def take_reward(self) -> float:
        """Return the growth of the mover's return since the last call."""
        seat = self.mover
        total = float(self.state.returns()[seat])
        reward = total - self.paid[seat]
        self.paid[seat] = total
        return reward

    def take_rewards(self) -> list[float]:
        """Return the growth of every player's return since the last call."""
        totals = [float(value) for value in self.state.returns()]
        rewards = [total - paid for total, paid in zip(totals, self.paid, strict=True)]
        self.paid = totals
        return rewards

    def forfeit(self, reward: float) -> None:
        """End the episode before the end of the game, with this reward for the mover."""
        self._forfeit = self.mover = self.player
        self.player = TERMINAL
        self.legal = []
        self.opponent_actions = []
        self.paid[self.mover] += reward

    def returns(self) -> list[float]:
        """Return the returns of every player; for one who forfeited, the sum of its rewards."""
        returns = [float(value) for value in self.state.returns()]
        if self._forfeit is not None:
            returns[self._forfeit] = self.paid[self._forfeit]
        return returns

    def legal_by_player(self) -> list[list[int]]:
        """Return the legal actions by player: of the one to move, and of those asked after it."""
        choices: list[list[int]] = [[] for _ in self.paid]
        if self.player == TERMINAL:
            return choices
        choices[self.player] = self.legal.copy()
        if self.chosen is not None:
            for player in range(self.player + 1, len(self.paid)):
                choices[player] = self.state.legal_actions(player)
        return choices

    def _answer(self, rng: np.random.Generator) -> None:
        state, seat = self.state, self._seat
        while (player := state.current_player()) != seat:
            player = int(player)  # Python games give a PlayerId if nobody is to move
            if player >= 0:
                if seat == ALL:
                    break
                state.apply_action(self._opponent_action(player, state.legal_actions(), rng))
            elif player == TERMINAL:
                self.player, self.legal = TERMINAL, []
                return
            elif player == CHANCE:
                state.apply_action(_draw(state.chance_outcomes(), rng))
            elif player == SIMULTANEOUS:
                self.chosen = {}
                if self._asks_next(0):
                    return
                self._apply_joint(rng)
            else:
                assert player == MEAN_FIELD and self._population is not None
                self._population.update(state)
        self.player = player if seat == ALL else seat
        self.legal = state.legal_actions()

    def _asks_next(self, first: int) -> bool:
        """Turn to the agent's next seat from ``first`` on that has a choice here; return if any."""
        seats = range(first, len(self.paid)) if self._seat == ALL else (self._seat,)
        for seat in seats:
            if seat >= first and (legal := self.state.legal_actions(seat)):
                self.player, self.legal = seat, legal
                return True
        return False

    def _apply_joint(self, rng: np.random.Generator) -> None:
        state, chosen = self.state, self.chosen or {}
        for player in range(len(self.paid)):
            if player in chosen or self._seat in (player, ALL):
                continue
            if legal := state.legal_actions(player):
                chosen[player] = self._opponent_action(player, legal, rng)
        self.chosen = None
        state.apply_actions([chosen.get(player, _NO_ACTION) for player in range(len(self.paid))])

    def _opponent_action(self, player: int, legal: list[int], rng: np.random.Generator) -> int:
        action = self._opponents[player](self.state, player, legal, rng)
        if action not in legal:
            raise InvalidActionError(
                f"The opponent policy of player {player} played {reprlib.repr(action)}; legal "
                f"were {shorten(legal)}. The episode is lost: correct the policy and reset."
            )
        self.opponent_last_action = action
        self.opponent_actions.append((player, action))
        return action


def replay(state: Any, actions: Iterable[int], population: Population | None) -> list[int]:
    """Apply the actions of ``state.history()`` to a new state, each only if it is legal.

    Returns:
        The players that moved, each once, in the order of their last moves.

    Raises:
        InvalidRequestError: An action is not legal.
    """
    moved: list[int] = []
    waiting = list(actions)
    waiting.reverse()
    while waiting or state.current_player() == MEAN_FIELD:
        player = int(state.current_player())
        if player == MEAN_FIELD and population is not None:
            population.update(state)
        elif player == SIMULTANEOUS:
            choices = [state.legal_actions(i) for i in range(state.num_players())]
            joint = [waiting.pop() for _ in range(min(len(choices), len(waiting)))]
            _check_replay(joint, [legal or [_NO_ACTION] for legal in choices], state)
            _note(moved, [i for i, legal in enumerate(choices) if legal])
            state.apply_actions(joint)
        else:
            action = waiting.pop()
            _check_replay([action], [_legal(state, player)], state)
            _note(moved, [player] if player >= 0 else [])
            state.apply_action(action)
    return moved


def _note(moved: list[int], players: list[int]) -> None:
    moved[:] = [*(player for player in moved if player not in players), *players]


def check_chosen(state: Any, chosen: Mapping[int, int], seat: int) -> None:
    """Check the choices in a snapshot at a node where several players choose at once.

    Raises:
        InvalidRequestError: A choice is not legal here, or other players choose first.
    """
    if not chosen:
        return
    legal: dict[int, list[int]] = {}
    if seat == ALL and state.current_player() == SIMULTANEOUS:
        legal = {player: state.legal_actions(player) for player in range(state.num_players())}
    asked = [player for player, choices in legal.items() if choices]
    is_first = len(chosen) < len(asked) and list(chosen) == asked[: len(chosen)]
    if not is_first or any(action not in legal[player] for player, action in chosen.items()):
        raise InvalidRequestError(
            f"options['state'] cannot be restored: {reprlib.repr(dict(chosen))} cannot have been "
            "chosen here. The episode is as it was."
        )


def _legal(state: Any, player: int) -> list[int]:
    if player == CHANCE:
        return [action for action, probability in state.chance_outcomes() if probability > 0]
    legal: list[int] = [] if player == TERMINAL else state.legal_actions()
    return legal


def _check_replay(joint: list[int], legal: list[list[int]], state: Any) -> None:
    is_legal = len(joint) == len(legal) and all(
        type(action) is int and action in choices
        for action, choices in zip(joint, legal, strict=True)
    )
    if not is_legal:
        raise InvalidRequestError(
            f"options['state'] cannot be restored: {joint} after {len(state.history())} actions "
            "is not legal in this game. The episode is as it was."
        )


def _draw(outcomes: Sequence[tuple[int, float]], rng: np.random.Generator) -> int:
    left = rng.random()
    for action, probability in outcomes:
        left -= probability
        if left < 0:
            return action
    return max(outcomes, key=lambda outcome: outcome[1])[
        0
    ]  # the probabilities summed to a bit less than 1


def shorten(actions: Sequence[int]) -> str:
    """Return the first few ``actions`` as text, for messages."""
    shown = ", ".join(map(str, actions[:_SHOWN_ACTIONS]))
    more = len(actions) - _SHOWN_ACTIONS
    return f"{shown} and {more} more" if more > 0 else shown
