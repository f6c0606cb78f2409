"""Opponents that search the game: Monte Carlo tree search, and exact play of small games.

Both see the whole state, even what is hidden from their seat. Neither carries anything from one
move to the next that could change a move.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from openenv_gym.errors import InvalidRequestError

MAX_SIMULATIONS = 100_000
MAX_SIMULATIONS_IN_PYTHON = 10_000
"""The most simulations for games written in Python. One takes some 200 microseconds, and the memory
of the tree has no bound."""

MAX_VISITS = 200_000
MAX_VISITS_IN_PYTHON = 20_000
"""The most states to visit from its start on in a game that is small enough for exact play. That is
one second both in C++, where a state takes 5 microseconds, and in Python, where it takes 60."""

_MAX_DEPTH = 200  # every move is a Python frame
_SLACK = 10  # a later position may take this many times as many states as the start
_MAX_MEMORY_MB = 100
_MAX_KEPT = 1_000_000

TEXT_IS_THE_POSITION = frozenset(
    {"breakthrough", "clobber", "connect_four", "mnk", "nim", "python_tic_tac_toe", "tic_tac_toe"}
)
"""Games whose text and player to move decide all that can follow: no repetitions are counted and no
points are scored on the way. In other games, only the history is known to be enough."""


class MctsOpponent:
    """Plays the move that OpenSpiel's own Monte Carlo tree search finds.

    ``pyspiel.MCTSBot`` searches a game written in C++. On a game written in Python that bot ends
    the process, so the bot of ``open_spiel.python.algorithms.mcts`` searches it, the same
    algorithm at a twentieth of the speed. Each move makes a new bot (7 microseconds), with seeds
    from the environment's generator.

    Args:
        game: The game, a ``pyspiel.Game``.
        simulations: The number of games that are played at random for each move.

    Raises:
        InvalidRequestError: The number is out of range, or the bot cannot play the game.
    """

    def __init__(self, game: Any, simulations: int = 100) -> None:
        self._game = game
        self._is_python = _is_written_in_python(game)
        most = MAX_SIMULATIONS_IN_PYTHON if self._is_python else MAX_SIMULATIONS
        is_int = isinstance(simulations, (int, np.integer)) and not isinstance(simulations, bool)
        if not is_int or not 1 <= simulations <= most:
            raise InvalidRequestError(
                f"mcts takes simulations, an integer from 1 to {most:,} for this game; "
                f'got {simulations!r}. An example is "mcts(simulations=500)".'
            )
        self._simulations = int(simulations)
        reason = why_no_mcts(game)
        if reason is not None:
            raise InvalidRequestError(
                f"The opponent policy 'mcts' cannot play {game.get_type().short_name!r}: {reason}. "
                "Take 'random', or give a policy or a callable of your own."
            )

    def __call__(
        self, state: Any, player: int, legal_actions: list[int], rng: np.random.Generator
    ) -> int:
        """Return the action to play."""
        if len(legal_actions) == 1:
            return legal_actions[0]
        if self._is_python:
            return self._search_in_python(state, legal_actions, rng)
        import pyspiel

        evaluator = pyspiel.RandomRolloutEvaluator(1, _seed(rng))
        bot = pyspiel.MCTSBot(
            *(self._game, evaluator, 2.0, self._simulations, _MAX_MEMORY_MB),
            True,  # solve
            _seed(rng),
            False,  # verbose
        )
        return int(bot.step(state))

    def _search_in_python(
        self, state: Any, legal_actions: list[int], rng: np.random.Generator
    ) -> int:
        if self._simulations == 1:  # without a tree it raises, where C++ plays at random
            return legal_actions[int(rng.random() * len(legal_actions))]
        from open_spiel.python.algorithms import mcts

        random = np.random.RandomState(_seed(rng))
        evaluator = mcts.RandomRolloutEvaluator(1, random)
        bot = mcts.MCTSBot(self._game, 2.0, self._simulations, evaluator, random_state=random)
        return int(bot.step(state))


def why_no_mcts(game: Any) -> str | None:
    """Return why OpenSpiel's bot cannot play a game, None if it can.

    The first two are its own checks. No other game of the library made it raise or crash.
    """
    this, game_type = game.get_type(), _game_type()
    if game.num_players() == 1:
        return None  # nobody to play for
    if this.dynamics != game_type.Dynamics.SEQUENTIAL:
        return f"its dynamics are {this.dynamics.name}, and the search takes turns"
    if this.reward_model != game_type.RewardModel.TERMINAL:
        return "it pays rewards before its end, and the search only looks at the end"
    if this.chance_mode == game_type.ChanceMode.SAMPLED_STOCHASTIC:
        return "it draws its chance inside, where the seed does not reach"
    return None


class MinimaxOpponent:
    """Plays a small game perfectly, and chooses at random among moves of the same value.

    The value is that of the final result: a faster win is not preferred. Values depend on the
    position alone, so that the results of earlier searches, which are cached, change no move.

    Args:
        game: The game, a ``pyspiel.Game``.

    Raises:
        InvalidRequestError: The game is of another kind, or too large.
    """

    def __init__(self, game: Any) -> None:
        self._game = game
        self._is_text_enough = game.get_type().short_name in TEXT_IS_THE_POSITION
        is_python = _is_written_in_python(game)
        self._max_visits = MAX_VISITS_IN_PYTHON if is_python else MAX_VISITS
        self._forget()
        if game.num_players() == 1:
            return  # nobody to play for
        reason = _why_no_minimax(game)
        if reason is not None:
            raise InvalidRequestError(
                f"The opponent policy 'minimax' cannot play {game.get_type().short_name!r}: "
                f"{reason}. Take 'mcts' or 'random'."
            )
        try:
            if _is_hopeless(game):
                raise _TooLargeError
            self._best_actions(game.new_initial_state(), self._max_visits)
        except _TooLargeError:
            raise InvalidRequestError(
                f"The opponent policy 'minimax' cannot play {game.get_type().short_name!r}: with "
                f"these parameters it has more than the {self._max_visits:,} states that are "
                f"searched, or more than {_MAX_DEPTH} moves. Take 'mcts', or make the game smaller."
            ) from None

    def __call__(
        self, state: Any, player: int, legal_actions: list[int], rng: np.random.Generator
    ) -> int:
        """Return the action to play."""
        if len(self._bounds) + len(self._best) > _MAX_KEPT:
            self._forget()
        try:
            best = self._best_actions(state, _SLACK * self._max_visits)
        except _TooLargeError:
            raise InvalidRequestError(
                "The opponent policy 'minimax' came to a position that takes more than "
                f"{_SLACK * self._max_visits:,} states to search, though the start of the game did "
                f"not. Take 'mcts'. The moves so far: {state.history()}."
            ) from None
        return best[int(rng.random() * len(best))]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_best": {}, "_bounds": {}}  # the caches can be computed again

    def _forget(self) -> None:
        self._best: dict[tuple[int, ...], list[int]] = {}
        self._bounds: dict[tuple[str, int], tuple[float, float]] = {}
        self._visits_left = 0

    def _best_actions(self, state: Any, max_visits: int) -> list[int]:
        history = tuple(state.history())
        best = self._best.get(history)
        if best is None:
            self._visits_left = max_visits
            sign = 1 if state.current_player() == 0 else -1
            values = {
                action: sign * self._value(state.child(action), -math.inf, math.inf, 1)
                for action in state.legal_actions()
            }
            highest = max(values.values())
            best = [action for action, value in values.items() if value == highest]
            self._best[history] = best
        return best

    def _value(self, state: Any, low: float, high: float, depth: int) -> float:
        """Return the further return of player 0: exact between the limits, a bound outside them."""
        if state.is_terminal():
            return float(state.returns()[0])
        self._visits_left -= 1
        if self._visits_left < 0 or depth > _MAX_DEPTH:
            raise _TooLargeError
        player = state.current_player()
        key = (str(state), player) if self._is_text_enough else None
        least, most = self._bounds.get(key, _UNKNOWN) if key is not None else _UNKNOWN
        if least >= high or least == most:
            return least
        if most <= low:
            return most
        value = self._best_child(state, player == 0, low, high, depth)
        if key is not None:
            # A value of at most `low` is an upper bound; one of at least `high` is a lower bound.
            self._bounds[key] = (value if value > low else least, value if value < high else most)
        return value

    def _best_child(
        self, state: Any, is_maximizing: bool, low: float, high: float, depth: int
    ) -> float:
        best = -math.inf if is_maximizing else math.inf
        for action in state.legal_actions():
            value = self._value(state.child(action), low, high, depth + 1)
            if is_maximizing:
                best = max(best, value)
                low = max(low, best)
            else:
                best = min(best, value)
                high = min(high, best)
            if low >= high:
                break
        return best


_UNKNOWN = (-math.inf, math.inf)


class _TooLargeError(Exception):
    pass


def _why_no_minimax(game: Any) -> str | None:
    this, kinds = game.get_type(), _game_type()
    rules = (
        (game.num_players() == 2, f"it has {game.num_players()} players, not 2"),
        (this.dynamics == kinds.Dynamics.SEQUENTIAL, "its players do not take turns"),
        (this.chance_mode == kinds.ChanceMode.DETERMINISTIC, "there is chance in it"),
        (
            this.information == kinds.Information.PERFECT_INFORMATION,
            "its players do not see everything",
        ),
        (this.utility == kinds.Utility.ZERO_SUM, "it is not zero-sum"),
        (
            this.reward_model == kinds.RewardModel.TERMINAL,
            "it pays rewards before its end",
        ),
    )
    return next((reason for is_met, reason in rules if not is_met), None)


def _is_hopeless(game: Any) -> bool:
    """Return whether a search could not finish, without searching.

    States of large games are slow, up to 0.1 ms each, so that visiting 200,000 of them would take
    long. Even a perfect cut visits the square root of the leaves, and the product of the choices
    along one game estimates their number: 10**50 for chess.
    """
    rng = np.random.default_rng(0)
    limit = 2 * math.log(100 * MAX_VISITS)
    return min(_log_of_choices(game, rng, limit) for _ in range(5)) > limit


def _log_of_choices(game: Any, rng: np.random.Generator, limit: float) -> float:
    state = game.new_initial_state()
    log = 0.0
    while log <= limit and not state.is_terminal():
        legal = state.legal_actions()
        log += math.log(len(legal))
        if state.move_number() > _MAX_DEPTH:
            return math.inf
        state.apply_action(legal[int(rng.random() * len(legal))])
    return log


def _is_written_in_python(game: Any) -> bool:
    """Return whether a game, or a game inside a wrapper such as ``misere``, is in Python."""
    import pyspiel

    if hasattr(game, "make_py_observer") or type(game).__module__.split(".")[0] != "pyspiel":
        return True
    for params in _inner_games(game.get_parameters()):
        inner = {key: value for key, value in params.items() if key != "name"}
        if _is_written_in_python(pyspiel.load_game(params["name"], inner)):
            return True
    return False


def _inner_games(params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for value in params.values():
        if isinstance(value, dict) and "name" in value:
            yield value


def _game_type() -> Any:
    import pyspiel

    return pyspiel.GameType


def _seed(rng: np.random.Generator) -> int:
    return int(rng.random() * 2**31)  # half the time of rng.integers()
