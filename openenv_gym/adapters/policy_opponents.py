"""Opponents that draw their moves from probabilities: OpenSpiel's policies, and files."""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from openenv_gym.errors import InvalidRequestError

SHOWN = reprlib.Repr()
"""Shortens values in messages, but shows a name with its parameters in full."""
SHOWN.maxstring = SHOWN.maxother = 80


class PolicyLike(Protocol):
    """An object that gives probabilities, such as an ``open_spiel.python.policy.Policy``."""

    def action_probabilities(self, state: Any, player_id: int) -> Mapping[int, float]:
        """Return the probability of each action; an action that is left out has 0."""
        ...


class PolicyOpponent:
    """Draws from the probabilities of an ``open_spiel.python.policy.Policy``, or the like.

    Args:
        policy: An object with ``action_probabilities(state, player_id)``, or a
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
                f"{source} gave {SHOWN.repr(given)} for player {player}; "
                "action_probabilities returns a dict of actions to probabilities."
            )
        pairs = _checked(given.items(), source, 1e-4)  # a network gives float32
        return _draw(pairs, legal_actions, rng, source)

    def _probabilities(self, state: Any, player: int) -> Any:
        import pyspiel

        if not isinstance(self._policy, pyspiel.Policy):
            return self._policy.action_probabilities(state, player)
        # Policies written in C++ take one argument and read the player from the state.
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
        path: The path of the JSON file.
        game: The game, a ``pyspiel.Game``.

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
                f"{source} holds {SHOWN.repr(entry)}; it must be an object of actions to "
                'probabilities such as {"0": 0.25, "1": 0.75}.'
            )
        numbers = {}
        for key, probability in entry.items():
            if not re.fullmatch(r"0|[1-9][0-9]{0,17}", key) or int(key) >= num_actions:
                raise InvalidRequestError(
                    f"{source} has an unknown action {SHOWN.repr(key)}; the actions of the "
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
    if len(result) < len(pairs):  # json would silently keep the last
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} is there twice")
    return result


def _checked(
    items: Iterable[tuple[Any, Any]], source: str, tolerance: float = 1e-6
) -> list[tuple[int, float]]:
    """Return the actions with a probability above 0, in ascending order, after a check."""
    pairs = []
    for action, probability in items:
        if not isinstance(action, (int, np.integer)):
            raise InvalidRequestError(
                f"{source} has the action {SHOWN.repr(action)} of type "
                f"{type(action).__name__}; an action is an integer."
            )
        is_number = isinstance(probability, (int, float, np.integer, np.floating))
        # The comparison is false for NaN too.
        if not is_number or isinstance(probability, bool) or not 0 <= probability <= 1 + tolerance:
            raise InvalidRequestError(
                f"{source} gives the action {action} the probability "
                f"{SHOWN.repr(probability)}; a probability is a number from 0 to 1."
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
                f"are {SHOWN.repr(legal_actions)}."
            )
    left = rng.random() * math.fsum(probability for _, probability in pairs)
    for action, probability in pairs:
        left -= probability
        if left < 0:
            return action
    return pairs[-1][0]  # rounding left a small remainder
