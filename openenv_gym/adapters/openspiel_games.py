"""Which games of OpenSpiel are taken, and how one is loaded.

``pyspiel`` reads files and ends the process on some names and parameters, so no game is loaded
before every name in its parameters was looked at.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from openenv_gym.errors import EnvStartError, InvalidRequestError, UnknownEnvironmentError

REFUSED_GAMES: Mapping[str, str] = {
    "add_noise": "it draws its noise inside, where the seed does not reach",
    "chat_game": "it corrupts the memory of its process",
    "crossword": "its actions are structs, not integers, and it reads a file",
    "efg_game": "it reads a file",
    "nfg_game": "it reads a file",
}
"""Games that are never loaded, not inside another game either, and why."""


def load_game(
    game: str, game_params: Mapping[str, Any] | None = None
) -> tuple[Any, str, dict[str, Any]]:
    """Load a game of OpenSpiel that this module can play.

    Args:
        game: A name, or a name with parameters as in ``"catch(rows=5,columns=4)"``.
        game_params: The parameters, where ``game`` is a bare name. A game within the game is a
            mapping with its ``"name"`` and its parameters.

    Returns:
        The ``pyspiel.Game``, its name, and its parameters as they were given.

    Raises:
        UnknownEnvironmentError: No game has this name, or it is not supported.
        InvalidRequestError: The arguments do not have the form above.
        EnvStartError: OpenSpiel is not installed, or it refused the parameters.
    """
    try:
        import pyspiel
    except ImportError as exc:
        raise EnvStartError(
            f"OpenSpiel could not be imported ({exc}). Install it: pip install open_spiel"
        ) from exc
    name, params = _name_and_params(pyspiel, game, game_params)
    known = pyspiel.registered_names()
    _check_game(name, params, known)
    for nested in _nested_games(params):
        _check_game(str(nested.get("name", "")), nested, known)
    try:
        loaded = pyspiel.load_game(name, params)
    except (pyspiel.SpielError, TypeError) as exc:
        raise EnvStartError(f"OpenSpiel does not load {call_text(name, params)}: {exc}") from exc
    reason = _why_not(pyspiel.GameType, loaded.get_type())
    if reason is not None:
        raise UnknownEnvironmentError(f"The OpenSpiel game {name!r} is not supported: {reason}.")
    return loaded, name, params


def _name_and_params(
    pyspiel: Any, game: str, game_params: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    if not isinstance(game, str):
        raise InvalidRequestError(
            f'game is a name such as "catch" or "catch(rows=5)"; got {type(game).__name__}.'
        )
    if game_params is not None and not isinstance(game_params, Mapping):
        raise InvalidRequestError(
            f"game_params is a mapping of names to values; got {type(game_params).__name__}."
        )
    if "(" not in game:
        return game, plain_params(game_params or {})
    if game_params:
        raise InvalidRequestError(
            f"{game!r} has parameters of its own, and game_params came too: give them in one place."
        )
    try:
        params = pyspiel.game_parameters_from_string(game)
    except pyspiel.SpielError as exc:
        raise InvalidRequestError(f"{game!r} cannot be read as a game: {exc}") from exc
    if not game.endswith(")") or "name" not in params:  # pyspiel drops what follows in silence
        raise InvalidRequestError(
            f'{game!r} cannot be read as a game; the form is "name(parameter=value,...)".'
        )
    return params.pop("name"), params


def plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Copy parameters, and let only such values through as cannot hide a game from the checks.

    Pyspiel itself would make a game of a list of pairs too.
    """
    plain: dict[str, Any] = {}
    for key, given in params.items():
        value = given.item() if isinstance(given, np.generic) else given
        if isinstance(value, Mapping):
            value = plain_params(value)
        if not isinstance(key, str) or not isinstance(value, (str, bool, int, float, dict)):
            raise InvalidRequestError(
                "Game parameters have string names, and values that are a string, bool, int, "
                f"float or, for a game, a mapping; got {reprlib.repr({key: value})}."
            )
        plain[key] = value
    return plain


def _nested_games(params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    waiting = [params]
    while waiting:
        games = [value for value in waiting.pop().values() if isinstance(value, dict)]
        yield from games
        waiting.extend(games)


def _check_game(name: str, params: Mapping[str, Any], known: Sequence[str]) -> None:
    if name in REFUSED_GAMES:
        raise UnknownEnvironmentError(
            f"The OpenSpiel game {name!r} is not supported: {REFUSED_GAMES[name]}."
        )
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = (
            f"Did you mean {' or '.join(map(repr, close))}?"
            if close
            else "pyspiel.registered_names() lists them; games written in Python are there "
            "after `import open_spiel.python.games`."
        )
        raise UnknownEnvironmentError(f"OpenSpiel has no game {reprlib.repr(name)}. {hint}")
    for key, value in params.items():
        if key.endswith(("_file", "filename")) and value:
            raise UnknownEnvironmentError(
                f"The OpenSpiel game {name!r} is not supported with {key!r}: it reads a file. "
                "Leave this parameter out."
            )


def _why_not(game_type: Any, this: Any) -> str | None:
    """Tell why a loaded game cannot be played here, or None."""
    if this.dynamics != game_type.Dynamics.SEQUENTIAL:
        return f"its dynamics are {this.dynamics.name}, and only turn-based games are played so far"
    if this.chance_mode == game_type.ChanceMode.SAMPLED_STOCHASTIC:
        return "it samples its chance inside, where the seed does not reach"
    if getattr(this, "action_structs_only", False):
        return "its actions are structs, not integers"
    if not (this.provides_information_state_tensor or this.provides_observation_tensor):
        return "it has no observation tensor"
    return None


def call_text(name: str, params: Mapping[str, Any]) -> str:
    """Return the game as OpenSpiel writes it, for messages."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in params.items())})"
