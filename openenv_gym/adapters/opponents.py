"""Policies for the seats that the agent does not play.

A named policy is a row of :data:`OPPONENTS`; a new one is a function and a row. Other policies are
a file of probabilities, an OpenSpiel policy or a callable. A policy draws only from the generator
that it is given, so that the seed of the environment decides the opponents' moves too.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from openenv_gym.adapters.policy_opponents import (
    SHOWN,
    FileOpponent,
    PolicyLike,
    PolicyOpponent,
)
from openenv_gym.adapters.search_opponents import MctsOpponent, MinimaxOpponent
from openenv_gym.errors import InvalidRequestError
from openenv_gym.workers.facts import misfit_of

__all__ = [
    "OPPONENTS",
    "FileOpponent",
    "Opponent",
    "OpponentPolicy",
    "PolicyLike",
    "PolicyOpponent",
    "opponent_names",
    "seat_opponents",
]


class Opponent(Protocol):
    """Chooses the moves of a seat."""

    def __call__(
        self, state: Any, player: int, legal_actions: list[int], rng: np.random.Generator
    ) -> int:
        """Return the action to play.

        Args:
            state: A ``pyspiel.State`` at which this player chooses, alone or at once with others.
                It may be read and cloned, not changed.
            player: The seat to choose for.
            legal_actions: The actions to choose from, in ascending order.
            rng: The generator of the environment, a ``numpy.random.Generator``.
        """
        ...


OpponentPolicy: TypeAlias = str | os.PathLike[str] | PolicyLike | Opponent
"""A name, the path of a file of probabilities, an OpenSpiel policy, or a callable."""

# --- named policies --------------------------------------------------------------------------


def _random(state: Any, player: int, legal_actions: list[int], rng: np.random.Generator) -> int:
    # This takes a third of the time of rng.integers(), and is as even: random() is a multiple of
    # 2**-53.
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
"""By name, the function that makes the policy for a ``pyspiel.Game``. Its further parameters are
integers with a default, written after the name: ``"mcts(simulations=500)"``."""

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
                f"The opponent policy {name!r} takes {takes}; got {SHOWN.repr(policy)}."
            )
        params[key] = int(parameter.group(2))
    return factory(game, **params)


def _unknown(policy: str, name: str) -> InvalidRequestError:
    close = difflib.get_close_matches(name[:50].lower(), OPPONENTS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return InvalidRequestError(
        f"There is no opponent policy {SHOWN.repr(policy)}. {hint}There are: "
        f"{', '.join(OPPONENTS)}. A string is never a path: a file of probabilities is given as "
        "a pathlib.Path."
    )


# --- policies of the caller ---------------------------------------------------------------------


def seat_opponents(
    policy: OpponentPolicy | Sequence[OpponentPolicy], game: Any
) -> tuple[Opponent, ...]:
    """Return the policy of every seat of a game.

    Args:
        policy: One policy for all seats, or a list or tuple of one per seat. The agent's own
            seat has an entry as well, so that a seat is its index; that entry is not played. A
            string is a name of :data:`OPPONENTS`, with its parameters: ``"mcts"``,
            ``"mcts(simulations=500)"``; a :class:`pathlib.Path` is a file, see
            ``FileOpponent``; from an object with ``action_probabilities(state, player_id)``, moves
            are drawn; any other callable is an :class:`Opponent` itself.
        game: The game, a ``pyspiel.Game``.

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
    """Return the name of a policy, or a list of names for a list of policies.

    Args:
        policy: One policy, or a list of one per seat, as :func:`seat_opponents` takes it.

    Returns:
        The name itself; of a file, the name without the folder; of a function, its name; of any
        other object, the name of its class. For a list, a list of these.
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
            f"rng) -> action, or a list of one per seat; got {SHOWN.repr(policy)}"
            + (", a class: give an instance of it." if is_class else ".")
        )
    if (exc := misfit_of(policy, 4)) is not None:
        raise InvalidRequestError(
            "An opponent policy that is a callable is called with (state, player, "
            f"legal_actions, rng); {_name(policy)}{inspect.signature(policy)} does not take that: "
            f"{exc}."
        ) from exc
    made: Opponent = policy
    return made
