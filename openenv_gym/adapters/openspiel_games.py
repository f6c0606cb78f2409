"""The supported games of OpenSpiel, and how a game is loaded.

On some names and parameters, ``pyspiel`` reads files or ends the process. So every name in the
parameters is checked before a game is loaded.
"""

from __future__ import annotations

import copy
import difflib
import importlib
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from openenv_gym.adapters.openspiel_observations import forms_of, has_empty_tensor
from openenv_gym.adapters.openspiel_parameters import (
    correct_game,
    problem_of_game,
    problem_of_parameters,
)
from openenv_gym.errors import EnvStartError, InvalidRequestError, UnknownEnvironmentError

REFUSED_GAMES: Mapping[str, str] = {
    "chat_game": "it corrupts the memory of its process",
    "crossword": "its actions are structs, not integers, and it reads a file",
    "efg_game": "it reads a file",
    "nfg_game": "it reads a file",
}
"""Games that are never loaded, not even inside another game, with the reasons."""

EXAMPLES: Mapping[str, str] = {
    "add_noise": "add_noise(game=kuhn_poker(),epsilon=0.5,seed=1)",
    "cached_tree": "cached_tree(game=tic_tac_toe())",
    "misere": "misere(game=tic_tac_toe())",
    "normal_form_extensive_game": "normal_form_extensive_game(game=kuhn_poker())",
    "repeated_game": "repeated_game(stage_game=matrix_pd(),num_repetitions=10)",
    "repeated_poker": "repeated_poker(max_num_hands=3,reset_stacks=true,rotate_dealer=true,"
    "universal_poker_game_string=universal_poker())",
    "restricted_nash_response": "restricted_nash_response(game=kuhn_poker())",
    "start_at": "start_at(game=tic_tac_toe(),history=0;1)",
    "turn_based_simultaneous_game": "turn_based_simultaneous_game(game=goofspiel())",
    "zerosum": "zerosum(game=matrix_pd())",
}
"""Games that do not load without parameters, each with an example that loads."""

_SEED_PARAMETERS = ("rng_seed", "seed")
_MOST_SEEDS = 2**31 - 1  # a C int


class LoadedGame:
    """A game of OpenSpiel that can be played here.

    Some games draw their chance inside (``SAMPLED_STOCHASTIC``), from a generator of their own
    that a parameter seeds. Such a game is loaded again for each episode, with a seed from the
    environment's generator, so that seed and actions decide this episode too.

    Args:
        kinds: The type of every game, a ``pyspiel.GameType``, by short name.

    Attributes:
        game: The game, a ``pyspiel.Game``.
        name: The short name of the game.
        params: The parameters of the game, as they were given.
    """

    def __init__(
        self, game: Any, name: str, params: dict[str, Any], kinds: Mapping[str, Any]
    ) -> None:
        self.game = game
        self.name = name
        self.params = params
        self._seed_path = _seed_path(name, params, kinds)
        self._same = Episodic(game, None)  # the same for every episode if there is no seed

    @property
    def samples_inside(self) -> bool:
        """Whether the game has a generator of its own."""
        return self._seed_path is not None

    def for_episode(self, rng: np.random.Generator, seed: int | None = None) -> Episodic:
        """Return the game of one episode, and the seed of its own generator.

        Args:
            rng: Draws the seed, if the game has a generator and its parameters have no seed.
            seed: The seed, None to draw one.
        """
        if self._seed_path is None:
            return self._same
        *above, key = self._seed_path
        params = inner = copy.deepcopy(self.params)
        for name in above:
            inner = inner[name]
        if seed is None:
            seed = int(inner[key]) if key in inner else int(rng.integers(_MOST_SEEDS))
        inner[key] = seed
        return Episodic(_load(self.name, params), seed)


class Episodic(NamedTuple):
    """The game of one episode.

    Attributes:
        game: The game, a ``pyspiel.Game``.
        seed: The seed of the game's own generator, None if it has none.
    """

    game: Any
    seed: int | None


def import_pyspiel() -> Any:
    """Import OpenSpiel.

    Raises:
        EnvStartError: It is not installed.
    """
    try:
        import pyspiel
    except ImportError as exc:
        raise EnvStartError(
            f"OpenSpiel could not be imported ({exc}). Install it: pip install open_spiel"
        ) from exc
    return pyspiel


def import_python_games() -> None:
    """Register the games that are written in Python, which takes about a second."""
    importlib.import_module("open_spiel.python.games")
    importlib.import_module("open_spiel.python.mfg.games")


def load_game(game: str, game_params: Mapping[str, Any] | None = None) -> LoadedGame:
    """Load a game of OpenSpiel that this module can play.

    Args:
        game: A name, or a name with parameters as in ``"catch(rows=5,columns=4)"``.
        game_params: The parameters, if ``game`` is a bare name. A game within the game is a
            mapping with its ``"name"`` and its parameters.

    Raises:
        UnknownEnvironmentError: No game has this name, or it is not supported.
        InvalidRequestError: The arguments do not have the form above.
        EnvStartError: OpenSpiel is not installed, it refused the parameters, or they do not fit
            the game.
    """
    pyspiel = import_pyspiel()
    name, params = _name_and_params(pyspiel, game, game_params)
    games = [(name, params)]
    games += [(str(nested.get("name", "")), nested) for nested in _nested_games(params)]
    if any(inner not in pyspiel.registered_names() for inner, _ in games):
        import_python_games()
    known = pyspiel.registered_names()
    kinds = {kind.short_name: kind for kind in pyspiel.registered_games()}
    for inner, inner_params in games:
        _check_game(inner, inner_params, known)
        correct_game(inner)
        if problem := problem_of_parameters(kinds[inner], inner_params):
            raise _not_loaded(name, params, problem)
    loaded = LoadedGame(_load(name, params), name, params, kinds)
    try:
        reason, problem = _why_not(loaded), problem_of_game(loaded.game, params)
    except _refusals() as exc:  # some look at their parameters only now
        raise _not_loaded(name, params, exc) from exc
    if reason is not None:
        raise UnknownEnvironmentError(f"The OpenSpiel game {name!r} is not supported: {reason}.")
    if problem is not None:
        raise _not_loaded(name, params, problem)
    return loaded


def _load(name: str, params: dict[str, Any]) -> Any:
    import pyspiel

    try:
        return pyspiel.load_game(name, params)
    except _refusals() as exc:
        hint = f". It needs parameters, such as {EXAMPLES[name]}" if name in EXAMPLES else ""
        raise _not_loaded(name, params, f"{exc}{hint}") from exc


def _refusals() -> tuple[type[Exception], ...]:
    """What OpenSpiel and its games written in Python raise on bad parameters."""
    import pyspiel

    return pyspiel.SpielError, TypeError, ValueError, RuntimeError  # the last for a large integer


def _not_loaded(name: str, params: Mapping[str, Any], why: object) -> EnvStartError:
    shown = f"{name}({', '.join(f'{key}={value!r}' for key, value in params.items())})"
    return EnvStartError(f"OpenSpiel does not load {shown}: {why}")


def _seed_path(
    name: str, params: Mapping[str, Any], kinds: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """Return the path in the parameters of the seed of a game's own generator, None without one."""
    waiting: list[tuple[tuple[str, ...], str, Mapping[str, Any]]] = [((), name, params)]
    while waiting:
        path, name, params = waiting.pop()
        kind = kinds[name]
        if kind.chance_mode.name == "SAMPLED_STOCHASTIC":
            for key in _SEED_PARAMETERS:
                if key in kind.parameter_specification:
                    return *path, key
        for key, value in params.items():
            if isinstance(value, Mapping):
                waiting.append(((*path, key), str(value["name"]), value))
    return None


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
    """Copy parameters, and refuse values that could hide a game from the checks.

    Pyspiel itself makes a game of a list of pairs too.
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
            else "`openenv-gym list --openspiel` lists them."
        )
        raise UnknownEnvironmentError(f"OpenSpiel has no game {reprlib.repr(name)}. {hint}")
    for key, value in params.items():
        if key.endswith(("_file", "filename")) and value:
            raise UnknownEnvironmentError(
                f"The OpenSpiel game {name!r} is not supported with {key!r}: it reads a file. "
                "Leave this parameter out."
            )


def _why_not(loaded: LoadedGame) -> str | None:
    """Return why a loaded game cannot be played here, None if it can."""
    kind = loaded.game.get_type()
    if getattr(kind, "action_structs_only", False):
        return "its actions are structs, not integers"
    if kind.chance_mode.name == "SAMPLED_STOCHASTIC" and not loaded.samples_inside:
        return "it samples its chance inside, and no parameter seeds it"
    if has_empty_tensor(loaded.game):
        return "its observation tensor is empty: check the sizes among its parameters"
    if not forms_of(loaded.game):
        return "it has neither a tensor nor a text that hides what a player does not see"
    return None
