"""The properties of every game of OpenSpiel, and which games are not supported.

A row shows what :class:`~openenv_gym.adapters.openspiel_env.OpenSpielEnv` makes of a game, since it
loads each game and begins an episode. Importing this module does not import ``pyspiel``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openenv_gym.adapters.openspiel_env import OpenSpielEnv
from openenv_gym.adapters.openspiel_games import (
    EXAMPLES,
    REFUSED_GAMES,
    import_pyspiel,
    import_python_games,
    load_game,
)
from openenv_gym.adapters.openspiel_observations import forms_of, tensor_shape

_CHANCE = {
    "DETERMINISTIC": "deterministic",
    "EXPLICIT_STOCHASTIC": "explicit",
    "SAMPLED_STOCHASTIC": "sampled",
}


class GameRow(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of one game.

    A game that is not supported is not loaded. It has what the library declares, and None for what
    loading would tell.

    Attributes:
        name: The short name of the game.
        example: A text that loads it: the name, with parameters if it needs any.
        why_not: Why the game is not supported, "" if it is.
        dynamics: ``sequential``, ``simultaneous`` or ``mean_field``.
        chance: ``deterministic``; ``explicit`` if chance makes moves; or ``sampled`` if the game
            draws inside.
        rewards: ``terminal`` if they come at the end only, else ``rewards``, as declared.
        utility: ``zero_sum``, ``constant_sum``, ``general_sum`` or ``identical``, as declared.
        information: ``perfect``, ``imperfect`` or ``one_shot``, as declared.
        min_players: The fewest players that the game declares.
        max_players: The most players that the game declares.
        players: The number of players in the example.
        actions: The size of the action space.
        info_state: The shape of the information state tensor, None if it has none.
        observation: The shape of the observation tensor, None if it has none.
        has_string: Whether it has a text of what a player sees.
        default: The default form of an observation.
        max_length: The most moves without those of chance, as declared.
        is_python: Whether the game is written in Python.
    """

    name: str
    example: str
    why_not: str = ""
    dynamics: str
    chance: str
    rewards: str
    utility: str
    information: str
    min_players: int
    max_players: int
    players: int | None = None
    actions: int | None = None
    info_state: tuple[int, ...] | None = None
    observation: tuple[int, ...] | None = None
    has_string: bool | None = None
    default: str | None = None
    max_length: int | None = None
    is_python: bool | None = None


def survey_games() -> list[GameRow]:
    """Load every game of the library, begin an episode, and return a row for each.

    Returns:
        A row per game, sorted by name.

    Raises:
        EnvStartError: OpenSpiel is not installed.
    """
    pyspiel = import_pyspiel()
    import_python_games()
    return [_row(kind) for kind in sorted(pyspiel.registered_games(), key=_short_name)]


def encode_rows(rows: list[GameRow]) -> str:
    """Return the rows as JSON, one on each line, so that a change shows as lines."""
    lines = ",\n".join(msgspec.json.encode(row).decode() for row in rows)
    return f"[\n{lines}\n]\n"


def decode_rows(text: str | bytes) -> list[GameRow]:
    """Return the rows that :func:`encode_rows` wrote."""
    return msgspec.json.decode(text, type=list[GameRow])


def _short_name(kind: Any) -> str:
    name: str = kind.short_name
    return name


def _row(kind: Any) -> GameRow:
    name = _short_name(kind)
    if name in REFUSED_GAMES:
        return GameRow(name=name, example=name, why_not=REFUSED_GAMES[name], **_declared(kind))
    example = EXAMPLES.get(name, name)
    try:
        OpenSpielEnv(example).reset(seed=0)
        game = load_game(example).game
    except Exception as exc:  # a game written in Python raises whatever it likes
        return GameRow(name=name, example=example, why_not=str(exc), **_declared(kind))
    # A game made of another one declares more once it is loaded. Only its type declares how many
    # could play it.
    declared = _declared(game.get_type())
    declared |= {"min_players": kind.min_num_players, "max_players": kind.max_num_players}
    return GameRow(name=name, example=example, **declared, **_loaded(game))


def _declared(kind: Any) -> dict[str, Any]:
    return {
        "dynamics": kind.dynamics.name.lower(),
        "chance": _CHANCE[kind.chance_mode.name],
        "rewards": kind.reward_model.name.lower(),
        "utility": kind.utility.name.lower(),
        "information": kind.information.name.lower().removesuffix("_information"),
        "min_players": kind.min_num_players,
        "max_players": kind.max_num_players,
    }


def _loaded(game: Any) -> dict[str, Any]:
    forms = forms_of(game)
    return {
        "players": game.num_players(),
        "actions": game.num_distinct_actions(),
        "info_state": tensor_shape(game, "info_state"),
        "observation": tensor_shape(game, "observation"),
        "has_string": "string" in forms,
        "default": forms[0],
        "max_length": game.max_game_length(),
        "is_python": hasattr(game, "make_py_observer"),
    }
