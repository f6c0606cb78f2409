"""Named policies for the seats that the agent does not play.

A policy is a row of :data:`OPPONENTS`: adding one adds a function and a row, and edits nothing.
Everything random in a policy comes from the generator that it is given, so that the seed of
the environment decides the opponents' moves too.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from openenv_gym.errors import InvalidRequestError

Opponent = Callable[[Any, list[int], np.random.Generator], int]
"""``(state, legal_actions, rng) -> action``: a ``pyspiel.State`` at this player's turn, which a
policy may read and clone but not change, the actions to choose from in ascending order, and the
environment's generator."""


def _random(state: Any, legal_actions: list[int], rng: np.random.Generator) -> int:
    # A third of the time of rng.integers(), and as even: random() is a multiple of 2**-53.
    return legal_actions[int(rng.random() * len(legal_actions))]


def _first(state: Any, legal_actions: list[int], rng: np.random.Generator) -> int:
    return legal_actions[0]


def _middle(state: Any, legal_actions: list[int], rng: np.random.Generator) -> int:
    return legal_actions[len(legal_actions) // 2]


def _last(state: Any, legal_actions: list[int], rng: np.random.Generator) -> int:
    return legal_actions[-1]


OPPONENTS: dict[str, Opponent] = {
    "random": _random,
    "first": _first,
    "middle": _middle,
    "last": _last,
}


def opponent(name: str) -> Opponent:
    """Find a policy by its name.

    Args:
        name: A key of :data:`OPPONENTS`.

    Returns:
        The policy.

    Raises:
        InvalidRequestError: No policy has this name.
    """
    if isinstance(name, str) and name in OPPONENTS:
        return OPPONENTS[name]
    close = difflib.get_close_matches(str(name), OPPONENTS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise InvalidRequestError(
        f"There is no opponent policy {name!r}. {hint}There are: {', '.join(OPPONENTS)}."
    )


def seat_opponents(policy: str | Sequence[str], num_players: int) -> tuple[Opponent, ...]:
    """Give every seat of a game its policy.

    Args:
        policy: One name for all seats, or one name per seat. The agent's own seat has an entry
            as well, so that a seat is its index; that entry is not played.
        num_players: How many seats the game has.

    Returns:
        One policy per seat.

    Raises:
        InvalidRequestError: A name is unknown, or the names are not one per seat.
    """
    if isinstance(policy, str):
        return (opponent(policy),) * num_players
    if not isinstance(policy, Sequence):
        raise InvalidRequestError(
            "opponent_policy takes one name or a sequence of names, one per seat; "
            f"got {type(policy).__name__}."
        )
    if len(policy) != num_players:
        raise InvalidRequestError(
            f"opponent_policy takes one name, or one per seat, the agent's own included: "
            f"the game has {num_players} seats, and {len(policy)} names came."
        )
    return tuple(opponent(name) for name in policy)
