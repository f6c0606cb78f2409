"""Policies for the seats that the agent does not play.

A named policy is a row of :data:`OPPONENTS`: adding one adds a function and a row, and edits
nothing. A policy that is no name is a file of probabilities, an OpenSpiel policy or a callable.
Everything random in a policy comes from the generator that it is given, so that the seed of
the environment decides the opponents' moves too.
"""

from __future__ import annotations

import difflib
import inspect
import json
import math
import os
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from openenv_gym.adapters.search_opponents import MctsOpponent, MinimaxOpponent
from openenv_gym.errors import InvalidRequestError


class Opponent(Protocol):
    """Chooses the moves of a seat."""

    def __call__(
        self, state: Any, player: int, legal_actions: list[int], rng: np.random.Generator
    ) -> int:
        """Return the action to play.

        Args:
            state: A ``pyspiel.State`` at this player's turn, or where several players choose at
                once; it may be read and cloned, not changed.
            player: The seat to choose for.
            legal_actions: The actions to choose from, in ascending order.
            rng: The environment's generator.
        """
        ...


class PolicyLike(Protocol):
    """What ``open_spiel.python.policy.Policy`` is here: something with probabilities."""

    def action_probabilities(self, state: Any, player_id: int) -> Mapping[int, float]:
        """Return the probability of each action; 0 where one is left out."""
        ...


OpponentPolicy: TypeAlias = str | os.PathLike[str] | PolicyLike | Opponent
"""A name, the path of a file of probabilities, an OpenSpiel policy, or a callable."""

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 80  # a name with its parameters is seen whole

# --- the named ones --------------------------------------------------------------------------


def _random(state: Any, player: int, legal_actions: list[int], rng: np.random.Generator) -> int:
    # A third of the time of rng.integers(), and as even: random() is a multiple of 2**-53.
    return legal_actions[int(rng.random() * len(legal_actions))]


def _first(state: Any, player: int, legal_actions: list[int], rng: np.random.Generator) -> int:
    return legal_actions[0]


def _middle(state: Any, player: int, legal_actions: list[int], rng: np.random.Generator) -> int:
    return legal_actions[len(legal_actions) // 2]


def _last(state: Any, player: int, legal_actions: list[int], rng: np.random.Generator) -> int:
    return legal_actions[-1]


OPPONENTS: dict[str, Callable[..., Opponent]] = {
    "random": lambda game: _random,
    "first": lambda game: _first,
    "middle": lambda game: _middle,
    "last": lambda game: _last,
    "mcts": MctsOpponent,
    "minimax": MinimaxOpponent,
}
"""From a name to what makes the policy for a ``pyspiel.Game``. Further parameters of the function
are integers with a default, and are written behind the name: ``"mcts(simulations=500)"``."""

_CALL = re.compile(r"\s*(\w+)\s*(?:\((.*)\)\s*)?", re.ASCII | re.DOTALL)
_PARAMETER = re.compile(r"\s*(\w+)\s*=\s*([+-]?\d{1,18})\s*", re.ASCII)


def _named(policy: str, game: Any) -> Opponent:
    call = _CALL.fullmatch(policy)
    name, text = call.groups() if call else (policy, None)
    if name not in OPPONENTS:
        raise _unknown(policy, name)
    factory = OPPONENTS[name]
    allowed = list(inspect.signature(factory).parameters)[1:]
    params: dict[str, int] = {}
    for part in text.split(",") if text and text.strip() else ():
        parameter = _PARAMETER.fullmatch(part)
        key = parameter.group(1) if parameter else ""
        if parameter is None or key not in allowed or key in params:
            takes = " and ".join(f"{one}=<integer>" for one in allowed) or "no parameters"
            raise InvalidRequestError(
                f"The opponent policy {name!r} takes {takes}; got {_SHOWN.repr(policy)}."
            )
        params[key] = int(parameter.group(2))
    return factory(game, **params)


def _unknown(policy: str, name: str) -> InvalidRequestError:
    close = difflib.get_close_matches(name[:50].lower(), OPPONENTS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return InvalidRequestError(
        f"There is no opponent policy {_SHOWN.repr(policy)}. {hint}There are: "
        f"{', '.join(OPPONENTS)}. A string is never a path: a file of probabilities is given as "
        "a pathlib.Path."
    )


# --- probabilities: OpenSpiel's policies and files -------------------------------------------


class PolicyOpponent:
    """Draws from the probabilities of an ``open_spiel.python.policy.Policy``, or the like.

    Args:
        policy: An object with ``action_probabilities(state, player_id)``; or a
            ``pyspiel.Policy``.
    """

    def __init__(self, policy: PolicyLike) -> None:
        self._policy = policy

    def __call__(
        self, state: Any, player: int, legal_actions: list[int], rng: np.random.Generator
    ) -> int:
        """Return the action to play."""
        given = self._probabilities(state, player)
        source = f"The opponent policy {type(self._policy).__name__}"
        if not isinstance(given, Mapping):
            raise InvalidRequestError(
                f"{source} gave {_SHOWN.repr(given)} for player {player}; "
                "action_probabilities returns a dict of actions to probabilities."
            )
        pairs = _checked(given.items(), source, 1e-4)  # those of a network are float32
        return _draw(pairs, legal_actions, rng, source)

    def _probabilities(self, state: Any, player: int) -> Any:
        import pyspiel

        if not isinstance(self._policy, pyspiel.Policy):
            return self._policy.action_probabilities(state, player)
        # Those written in C++ take one argument, and see the player to move in a state.
        policy: Any = self._policy
        is_turn = state.current_player() == player
        return policy.action_probabilities(
            state if is_turn else state.information_state_string(player)
        )


class FileOpponent:
    """Draws from the probabilities of a JSON file, which is read once.

    The file holds ``{"information state": {"action": probability, ...}, ...}``, where the
    information state is ``state.information_state_string(player)``, or
    ``state.observation_string(player)`` in a game without one, and an action is its number. A
    state that the opponent meets and the file does not hold is an error.

    Args:
        path: The file.
        game: The ``pyspiel.Game``.

    Raises:
        InvalidRequestError: The file cannot be read or does not have this form, or the game
            has neither string.
    """

    def __init__(self, path: os.PathLike[str], game: Any) -> None:
        self._name = repr(os.fspath(path))
        game_type = game.get_type()
        self._has_info_state = bool(game_type.provides_information_state_string)
        if not (self._has_info_state or game_type.provides_observation_string):
            raise InvalidRequestError(
                f"The opponent policy file {self._name} cannot be used: the game "
                f"{game_type.short_name!r} has no text of what a player sees. Give a callable."
            )
        self._table = {
            text: self._read_entry(text, entry, game.num_distinct_actions())
            for text, entry in _read_json_object(path, self._name).items()
        }

    def __call__(
        self, state: Any, player: int, legal_actions: list[int], rng: np.random.Generator
    ) -> int:
        """Return the action to play."""
        text = (
            state.information_state_string(player)
            if self._has_info_state
            else state.observation_string(player)
        )
        pairs = self._table.get(text)
        if pairs is None:
            raise InvalidRequestError(
                f"The opponent policy file {self._name} has no entry for the information state "
                f"{text!r} of player {player}. Add it, with a probability for each action."
            )
        return _draw(pairs, legal_actions, rng, self._entry_name(text))

    def _entry_name(self, text: str) -> str:
        return f"The opponent policy file {self._name}, entry {text!r},"

    def _read_entry(self, text: str, entry: Any, num_actions: int) -> list[tuple[int, float]]:
        source = self._entry_name(text)
        if not isinstance(entry, dict):
            raise InvalidRequestError(
                f"{source} holds {_SHOWN.repr(entry)}; it must be an object of actions to "
                'probabilities such as {"0": 0.25, "1": 0.75}.'
            )
        numbers = {}
        for key, probability in entry.items():
            if not re.fullmatch(r"0|[1-9][0-9]{0,17}", key) or int(key) >= num_actions:
                raise InvalidRequestError(
                    f"{source} has an unknown action {_SHOWN.repr(key)}; the actions of the "
                    f"game are the integers from 0 to {num_actions - 1}."
                )
            numbers[int(key)] = probability
        return _checked(numbers.items(), source)


def _read_json_object(path: os.PathLike[str], name: str) -> dict[str, Any]:
    try:
        text = Path(os.fsdecode(path)).read_text(encoding="utf-8")
        table = json.loads(text, object_pairs_hook=_without_repeats)
    except (OSError, ValueError, RecursionError) as exc:
        raise InvalidRequestError(
            f"The opponent policy file {name} cannot be read: {type(exc).__name__}: {exc}. It "
            'must be JSON: {"information state": {"action": probability, ...}, ...}.'
        ) from exc
    if not isinstance(table, dict):
        raise InvalidRequestError(
            f"The opponent policy file {name} holds a {type(table).__name__}; it must be JSON "
            'of the form {"information state": {"action": probability, ...}, ...}.'
        )
    return table


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):  # json would keep the last in silence
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} is there twice")
    return result


def _checked(
    items: Iterable[tuple[Any, Any]], source: str, tolerance: float = 1e-6
) -> list[tuple[int, float]]:
    """Return the actions that have a chance, in ascending order, after a look at the numbers."""
    pairs = []
    for action, probability in items:
        if not isinstance(action, (int, np.integer)):
            raise InvalidRequestError(
                f"{source} has the action {_SHOWN.repr(action)} of type "
                f"{type(action).__name__}; an action is an integer."
            )
        is_number = isinstance(probability, (int, float, np.integer, np.floating))
        # The comparison is false for NaN too.
        if not is_number or isinstance(probability, bool) or not 0 <= probability <= 1 + tolerance:
            raise InvalidRequestError(
                f"{source} gives the action {action} the probability "
                f"{_SHOWN.repr(probability)}; a probability is a number from 0 to 1."
            )
        if probability > 0:
            pairs.append((int(action), float(probability)))
    total = math.fsum(probability for _, probability in pairs)
    if abs(total - 1) > tolerance:
        raise InvalidRequestError(
            f"{source} has probabilities that sum to {total:.9g}; they must sum to 1."
        )
    return sorted(pairs)


def _draw(
    pairs: Sequence[tuple[int, float]],
    legal_actions: list[int],
    rng: np.random.Generator,
    source: str,
) -> int:
    for action, _ in pairs:
        if action not in legal_actions:
            raise InvalidRequestError(
                f"{source} gives a chance to the action {action}, which is not legal; legal "
                f"are {_SHOWN.repr(legal_actions)}."
            )
    left = rng.random() * math.fsum(probability for _, probability in pairs)
    for action, probability in pairs:
        left -= probability
        if left < 0:
            return action
    return pairs[-1][0]  # the differences were rounded


# --- what a caller gives ---------------------------------------------------------------------


def seat_opponents(
    policy: OpponentPolicy | Sequence[OpponentPolicy], game: Any
) -> tuple[Opponent, ...]:
    """Give every seat of a game its policy.

    Args:
        policy: One policy for all seats, or a list or tuple of one per seat. The agent's own
            seat has an entry as well, so that a seat is its index; that entry is not played. A
            string is a name of :data:`OPPONENTS`, with its parameters: ``"mcts"``,
            ``"mcts(simulations=500)"``; a :class:`pathlib.Path` is a file, see
            :class:`FileOpponent`; an object with ``action_probabilities(state, player_id)`` is
            drawn from; any other callable is an :class:`Opponent` as it is.
        game: The ``pyspiel.Game``.

    Returns:
        One policy per seat.

    Raises:
        InvalidRequestError: A policy is none of these or cannot play this game, or there is
            not one per seat.
    """
    num_players: int = game.num_players()
    if not isinstance(policy, (list, tuple)):
        return (_opponent(policy, game),) * num_players
    if len(policy) != num_players:
        raise InvalidRequestError(
            "opponent_policy takes one policy, or a list of one per seat, the agent's own "
            f"included: the game has {num_players} seats, and the list has {len(policy)} entries."
        )
    made: dict[str, Opponent] = {}
    for one in policy:
        if isinstance(one, str) and one not in made:  # minimax searches when it is made
            made[one] = _opponent(one, game)
    return tuple(made[one] if isinstance(one, str) else _opponent(one, game) for one in policy)


def opponent_names(policy: OpponentPolicy | Sequence[OpponentPolicy]) -> str | list[str]:
    """Return what a policy is called, in the form in which it was given.

    Args:
        policy: What :func:`seat_opponents` takes.

    Returns:
        A name as it is, of a file the name without its folder, of a function its name, and of
        any other object its class; a list of these where one per seat was given.
    """
    if isinstance(policy, (list, tuple)):
        return [_name(one) for one in policy]
    return _name(policy)


def _name(policy: Any) -> str:
    if isinstance(policy, str):
        return str(policy)
    if isinstance(policy, os.PathLike):
        return os.path.basename(os.fsdecode(policy))
    if inspect.isroutine(policy):
        return str(policy.__name__)
    return type(policy).__name__


def _opponent(policy: Any, game: Any) -> Opponent:
    if isinstance(policy, str):
        return _named(policy, game)
    if isinstance(policy, os.PathLike):
        return FileOpponent(policy, game)
    is_class = isinstance(policy, type)
    if not is_class and callable(getattr(policy, "action_probabilities", None)):
        return PolicyOpponent(policy)
    if is_class or not callable(policy):
        raise InvalidRequestError(
            "opponent_policy takes a name, a pathlib.Path of a file, an object with "
            "action_probabilities(state, player_id), a callable (state, player, legal_actions, "
            f"rng) -> action, or a list of one per seat; got {_SHOWN.repr(policy)}"
            + (", a class: give an instance of it." if is_class else ".")
        )
    _check_signature(policy)
    made: Opponent = policy
    return made


def _check_signature(policy: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(policy)
    except (TypeError, ValueError):
        return  # something built in; what it takes shows when it is called
    try:
        signature.bind(None, None, None, None)
    except TypeError as exc:
        raise InvalidRequestError(
            "An opponent policy that is a callable is called with (state, player, "
            f"legal_actions, rng); {_name(policy)}{signature} does not take that: {exc}."
        ) from exc
