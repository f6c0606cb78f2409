"""What the parameters of an OpenSpiel game must fit, and a game that does not follow its own.

A game is asked about its parameters before it is loaded, because on some that do not fit each other
OpenSpiel ends the process. What it then says of itself is compared with what was asked for, and
with its first state: an argument is honoured or refused.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

_SEATS = ("players", "num_players", "numPlayers")
"""The parameters that say how many seats a game has."""


def problem_of_parameters(kind: Any, params: Mapping[str, Any]) -> str | None:
    """Return why a game must not be loaded with these parameters, None if it may be.

    Args:
        kind: The declared type of the game, a ``pyspiel.GameType``.
        params: Its parameters.
    """
    name, least, most = kind.short_name, kind.min_num_players, kind.max_num_players
    for key in () if _is_mean_field(kind) else _SEATS:
        seats = params.get(key)
        if seats == kind.parameter_specification.get(key) == -1:  # none are asked for
            continue
        if type(seats) is int and not least <= seats <= most:
            return f"{key}={seats}: {name} has from {least} to {most} players"
    if name not in _RULES:
        return None
    broken = next((rule for rule, holds in _RULES[name](params, kind) if not holds), None)
    return broken and f"its parameters do not fit each other: expected that {broken}"


def problem_of_game(game: Any, params: Mapping[str, Any]) -> str | None:
    """Return what a loaded game says of itself and does not keep, None if it keeps all.

    Without parameters it keeps all, as the tests show for every game.

    Args:
        game: The game, a ``pyspiel.Game``.
        params: The parameters that it was loaded with.
    """
    if not params:
        return None
    is_mean_field, seats = _is_mean_field(game.get_type()), game.num_players()
    for key in () if is_mean_field else _SEATS:
        asked = params.get(key)
        if type(asked) is int and asked > 0 and asked != seats:
            return f"{key}={asked}: the game has {seats}, which this parameter does not change"
    state = (
        game.new_initial_state_for_population(0)
        if is_mean_field and seats > 1
        else game.new_initial_state()
    )
    found = state.num_players(), len(state.returns())
    if found != (seats, seats):
        return f"it says that it has {seats} players, and its states have {found[0]}"
    actions = game.num_distinct_actions()
    most = max(state.legal_actions() if int(state.current_player()) >= 0 else (), default=0)
    if most >= actions:
        return f"it says that it has {actions} actions, and {most} is legal"
    return None


def _is_mean_field(kind: Any) -> bool:
    """Whether its seats are populations of players."""
    found: bool = kind.dynamics.name == "MEAN_FIELD"
    return found


ParameterRules: TypeAlias = Iterator[tuple[str, bool]]


def _poker_rules(params: Mapping[str, Any], kind: Any) -> ParameterRules:
    """What ``universal_poker`` needs, which else ends the process or plays without end."""
    given = {**kind.parameter_specification, **params}
    names = ("numPlayers", "numRounds", "numSuits", "numRanks", "numHoleCards")
    if not all(type(given[name]) is int for name in names):
        return  # OpenSpiel itself refuses
    players, rounds, suits, ranks, hole = (given[name] for name in names)
    try:
        blinds, stacks, first, board = (
            [int(word) for word in str(given[name]).split()]
            for name in ("blind", "stack", "firstPlayer", "numBoardCards")
        )
    except ValueError:
        return  # likewise
    yield "numRounds is from 1 to 4", 1 <= rounds <= 4
    yield "numSuits is from 1 to 4", 1 <= suits <= 4
    yield "numRanks is from 2 to 13", 2 <= ranks <= 13
    yield "numHoleCards is from 1 to 5", 1 <= hole <= 5
    yield f"blind has a number for each of {players} players", len(blinds) >= players
    yield f"stack has a number for each of {players} players", len(stacks) >= players
    yield (
        f"firstPlayer has a player, from 1 to {players}, for each of {rounds} rounds",
        len(first) >= rounds and all(1 <= one <= players for one in first[:rounds]),
    )
    yield f"numBoardCards has a number for each of {rounds} rounds", len(board) >= rounds
    shown = sum(board[:rounds])
    yield "from 0 to 7 cards are on the board", shown <= 7 and min(board) >= 0
    yield f"{suits * ranks} cards are enough", players * hole + shown <= suits * ranks
    seats = list(zip(blinds, stacks, strict=False))[:players]
    yield "nobody's blind is more than the stack", all(blind <= stack for blind, stack in seats)
    richer = sum(blind < stack for blind, stack in seats)
    yield "two players have more than their blinds", richer > 1


def _hanabi_rules(params: Mapping[str, Any], kind: Any) -> ParameterRules:
    """What ``hanabi`` needs, which else ends the process."""
    given = {"players": 2, "colors": 5, "ranks": 5, "hand_size": 1, **params}
    players, colors, ranks, hand = (given[name] for name in list(given)[:4])
    if not all(type(number) is int for number in (players, colors, ranks, hand)):
        return  # OpenSpiel itself refuses
    yield "colors is from 1 to 5", 1 <= colors <= 5
    yield "ranks is from 1 to 5", 1 <= ranks <= 5
    yield "hand_size is 1 or more", hand >= 1
    if "hand_size" not in params:
        hand = 5 if players < 4 else 4
    cards = colors * max(3, 2 * ranks)  # 3 of the lowest rank, 1 of the highest
    yield f"{cards} cards are enough for {players} hands of {hand}", players * hand <= cards


_RULES: Mapping[str, Callable[[Mapping[str, Any], Any], ParameterRules]] = {
    "universal_poker": _poker_rules,
    "hanabi": _hanabi_rules,
}
"""By game, what its parameters must fit: each rule with whether it holds, the first ones first."""


def correct_game(name: str) -> None:
    """Have OpenSpiel load ``name`` as its later versions do, where this one ignores parameters."""
    if name == "python_liars_poker":
        _correct_liars_poker()


@functools.cache
def _correct_liars_poker() -> None:
    """Give the game the size that its parameters say; OpenSpiel 2.0.2 always gives the default."""
    import pyspiel

    module: Any = importlib.import_module("open_spiel.python.games.liars_poker")
    if not hasattr(module, "_GAME_INFO"):  # it follows its parameters
        return
    kind = module._GAME_TYPE

    class LiarsPoker(module.LiarsPoker):  # type: ignore[misc]  # OpenSpiel has no types
        def __init__(self, params: Any = None) -> None:
            given = {**kind.parameter_specification, **(params or {})}
            players, hand, digits = (given[key] for key in ("players", "hand_length", "num_digits"))
            bids = players * hand * digits
            info = pyspiel.GameInfo(
                num_distinct_actions=bids + 1,
                max_chance_outcomes=hand * digits,
                num_players=players,
                min_utility=1 - players,
                max_utility=players - 1,
                utility_sum=0.0,
                max_game_length=bids * players,
            )
            pyspiel.Game.__init__(self, kind, info, params or {})
            self.hand_length, self.num_digits = hand, digits
            self.deck = module._FULL_DECK[:digits]

    pyspiel.register_game(kind, LiarsPoker)
