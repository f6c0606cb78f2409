"""An OpenSpiel game as a :class:`gymnasium.Env`: one seat for the agent, the rest is answered.

From top to bottom: which games are taken, and how one is loaded (:func:`load_game`); how a
player sees a state (``_TensorReader``); one play of a game (``_Episode``); and the environment
that puts them together (:class:`OpenSpielEnv`).

``pyspiel`` ends the process on some wrong calls and accepts others in silence, so nothing
reaches ``apply_action`` that is not in ``legal_actions()`` of that moment, and no game is
loaded before every name in its parameters was looked at.
"""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from openenv_gym.adapters.opponents import Opponent, seat_opponents
from openenv_gym.errors import (
    EnvStartError,
    InvalidActionError,
    InvalidRequestError,
    ResetNeededError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)

IllegalAction = Literal["terminate", "raise", "random"]
"""What to do with an action of the action space that is not legal now."""

REFUSED_GAMES: Mapping[str, str] = {
    "add_noise": "it draws its noise inside, where the seed does not reach",
    "chat_game": "it corrupts the memory of its process",
    "crossword": "its actions are structs, not integers, and it reads a file",
    "efg_game": "it reads a file",
    "nfg_game": "it reads a file",
}
"""Games that are never loaded, not inside another game either, and why."""

_CHANCE = -1  # pyspiel.PlayerId, as State.current_player() gives them
_TERMINAL = -4

_SHOWN_ACTIONS = 20
_FEW_ACTIONS = 40  # up to here a loop beats NumPy's indexing with a list, by three times for 9


# --- loading ---------------------------------------------------------------------------------


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
        raise EnvStartError(f"OpenSpiel does not load {_call(name, params)}: {exc}") from exc
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
        return game, _plain_params(game_params or {})
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


def _plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Copy parameters, and let only such values through as cannot hide a game from the checks.

    Pyspiel itself would make a game of a list of pairs too.
    """
    plain: dict[str, Any] = {}
    for key, given in params.items():
        value = given.item() if isinstance(given, np.generic) else given
        if isinstance(value, Mapping):
            value = _plain_params(value)
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


def _call(name: str, params: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in params.items())})"


# --- observation -----------------------------------------------------------------------------


class _TensorReader:
    """Reads what a player sees: the information state tensor where there is one.

    Games written in C++ write their tensor into a buffer of ours, which spares a Python float
    per entry (40 microseconds of 41 in chess) and gives the same numbers; games written in
    Python have observers that do not always agree with their tensor, so theirs is read as it is.
    """

    def __init__(self, game: Any) -> None:
        from open_spiel.python.observation import INFO_STATE_OBS_TYPE, make_observation

        self._game = game
        self._is_info_state = bool(game.get_type().provides_information_state_tensor)
        shape = (
            game.information_state_tensor_shape()
            if self._is_info_state
            else game.observation_tensor_shape()
        )
        self.size = math.prod(shape) if min(shape, default=0) > 0 else 0
        self._observer: Any = None
        if self.size and not hasattr(game, "make_py_observer"):
            kind = INFO_STATE_OBS_TYPE if self._is_info_state else None
            self._observer = make_observation(game, kind)

    def read(self, state: Any, player: int) -> npt.NDArray[np.float32]:
        """Return a new array of shape ``(size,)``."""
        if self._observer is not None:
            self._observer.set_from(state, player)
            tensor: npt.NDArray[np.float32] = self._observer.tensor.copy()
            return tensor
        if self._is_info_state:
            return np.array(state.information_state_tensor(player), np.float32)
        return np.array(state.observation_tensor(player), np.float32)

    def __reduce__(self) -> tuple[type[_TensorReader], tuple[Any]]:
        return _TensorReader, (self._game,)  # the buffer itself cannot be copied or pickled


# --- one play of the game --------------------------------------------------------------------


class _Episode:
    """One play of the game: the agent's moves come in, chance and the opponents answer.

    It always stands where the agent is to move, or at the end.

    Attributes:
        state: The ``pyspiel.State``.
        player: Whose turn it is: the agent's, or ``_TERMINAL``.
        legal: What the agent may play now, in ascending order; empty at the end.
        opponent_last_action: The last move of any opponent so far.
        paid: What the agent was given in rewards so far.
    """

    __slots__ = (
        *("state", "player", "legal", "opponent_last_action", "paid"),
        *("_agent", "_is_forfeited", "_opponents"),
    )

    def __init__(
        self, state: Any, agent: int, opponents: Sequence[Opponent], rng: np.random.Generator
    ) -> None:
        self.state = state
        self.legal: list[int] = []
        self.player = agent
        self.opponent_last_action: int | None = None
        self.paid = 0.0
        self._agent = agent
        self._opponents = opponents
        self._is_forfeited = False
        self._answer(rng)

    def play(self, action: int, rng: np.random.Generator) -> None:
        """Play a legal move of the agent and everything up to its next turn."""
        self.state.apply_action(action)
        self._answer(rng)

    def take_reward(self) -> float:
        """Return what the agent's return grew by since this was last asked."""
        total = float(self.state.returns()[self._agent])
        reward = total - self.paid
        self.paid = total
        return reward

    def forfeit(self, reward: float) -> None:
        """End the episode here, though the game goes on."""
        self.player = _TERMINAL
        self.legal = []
        self.paid += reward
        self._is_forfeited = True

    def returns(self) -> list[float]:
        """Return what every player has got; the agent's is the sum of its rewards."""
        returns = [float(value) for value in self.state.returns()]
        if self._is_forfeited:
            returns[self._agent] = self.paid
        return returns

    def _answer(self, rng: np.random.Generator) -> None:
        state = self.state
        while (player := state.current_player()) != self._agent:
            if player == _CHANCE:
                state.apply_action(_draw(state.chance_outcomes(), rng))
            elif player == _TERMINAL:
                break
            else:
                state.apply_action(self._opponent_action(player, rng))
        self.player = player
        self.legal = state.legal_actions() if player == self._agent else []

    def _opponent_action(self, player: int, rng: np.random.Generator) -> int:
        legal = self.state.legal_actions()
        action = self._opponents[player](self.state, legal, rng)
        if action not in legal:
            raise InvalidActionError(
                f"The opponent policy of player {player} played {reprlib.repr(action)}; legal "
                f"were {_shorten(legal)}. The episode is lost: correct the policy and reset."
            )
        self.opponent_last_action = action
        return action


def _draw(outcomes: Sequence[tuple[int, float]], rng: np.random.Generator) -> int:
    left = rng.random()
    for action, probability in outcomes:
        left -= probability
        if left < 0:
            return action
    return max(outcomes, key=lambda outcome: outcome[1])[0]  # they summed to a bit less than 1


def _shorten(actions: Sequence[int]) -> str:
    shown = ", ".join(map(str, actions[:_SHOWN_ACTIONS]))
    more = len(actions) - _SHOWN_ACTIONS
    return f"{shown} and {more} more" if more > 0 else shown


# --- the environment -------------------------------------------------------------------------


class OpenSpielEnv(gymnasium.Env[npt.NDArray[np.float32], int]):
    """An OpenSpiel game, played from one seat; chance and the other seats are played for it.

    An observation is what the agent's seat sees, as the game's own tensor: ``float32`` of shape
    ``(n,)``, the information state where the game has one and the observation tensor where not.
    An action is the number of a move, an integer below ``game.num_distinct_actions()``. A reward
    is what the agent's return grew by up to its next turn, so that the opponents' last move is
    in it; ``terminated`` is the end of the game, ``truncated`` is never true.

    The seed and the actions decide the whole episode, since chance and the opponents draw from
    :attr:`np_random` alone; a reset without a seed goes on with the same generator.

    **The info** of reset and step, new objects each time:

    - ``legal_actions``: list of int, ascending, empty at the end;
    - ``action_mask``: ``int8`` of shape ``(actions,)``, 1 where legal, for ``Discrete.sample``;
    - ``current_player``: the agent's seat, or -4 at the end;
    - ``game_phase``: ``"initial"`` before anybody moved, ``"playing"``, or ``"terminal"``;
    - ``opponent_last_action``: the last move of any opponent in this episode, or None;
    - ``returns``: list of float, one per player, at the end only;
    - ``illegal_action``: the action, where it was not legal (see ``illegal_action`` below).

    **A game that ends before the agent's first turn** (an opponent who opens by folding): reset
    cannot say so in Gymnasium, and dealing again would change the game. So reset returns that
    last observation, with no legal action and ``"terminal"`` in its info, and the next step
    plays nothing: whatever action of the space it is given, it returns the same observation,
    the episode's reward and ``terminated=True``.

    Args:
        game: A game of OpenSpiel, with parameters or without: ``"catch(rows=5,columns=4)"``.
        game_params: The parameters, where ``game`` is a bare name.
        agent_player: The seat of the agent, from 0.
        opponent_policy: A name of :data:`~openenv_gym.adapters.opponents.OPPONENTS` for all
            other seats, or a sequence of one name per seat, in which the agent's own is unused.
        illegal_action: What an action of the space that is not legal now does. ``"terminate"``
            ends the episode with the game's minimum utility as reward, which also is the agent's
            entry in ``returns`` then, next to what the others have got so far; ``"raise"``
            raises and leaves the game as it was; ``"random"`` plays a random legal action.
        render_mode: ``"ansi"``, or None.

    Raises:
        UnknownEnvironmentError: No game has this name, or it is not supported.
        InvalidRequestError: An argument does not have the form above.
        UnsupportedRenderModeError: The render mode is another one.
        EnvStartError: OpenSpiel is not installed, or it refused the game's parameters.

    Example:
        >>> env = OpenSpielEnv("tic_tac_toe", opponent_policy="first")
        >>> _, info = env.reset(seed=0)
        >>> _, reward, terminated, _, info = env.step(4)
        >>> reward, terminated, info["opponent_last_action"], info["legal_actions"]
        (0.0, False, 0, [1, 2, 3, 5, 6, 7, 8])
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}

    def __init__(
        self,
        game: str = "catch",
        *,
        game_params: Mapping[str, Any] | None = None,
        agent_player: int = 0,
        opponent_policy: str | Sequence[str] = "random",
        illegal_action: IllegalAction = "terminate",
        render_mode: str | None = None,
    ) -> None:
        if illegal_action not in get_args(IllegalAction):
            raise InvalidRequestError(
                f"illegal_action is one of {', '.join(get_args(IllegalAction))}; "
                f"got {illegal_action!r}."
            )
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UnsupportedRenderModeError(
                f"The render mode {render_mode!r} does not exist; "
                f"there are: {', '.join(self.metadata['render_modes'])}."
            )
        self._game, self._game_name, self._game_params = load_game(game, game_params)
        self._num_players: int = self._game.num_players()
        self._agent = _check_seat(agent_player, self._num_players)
        self._opponents = seat_opponents(opponent_policy, self._num_players)
        self._opponent_policy = (
            opponent_policy if isinstance(opponent_policy, str) else list(opponent_policy)
        )
        self._reader = _TensorReader(self._game)
        if not self._reader.size:
            raise UnknownEnvironmentError(
                f"{_call(self._game_name, self._game_params)} is not supported: its observation "
                "tensor is empty. Check the sizes among its parameters."
            )
        self._illegal_action = illegal_action
        self._min_utility = float(self._game.min_utility())
        self._num_actions: int = self._game.num_distinct_actions()
        self._episode: _Episode | None = None
        self._is_over = True  # no step can be taken
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0.0, np.inf, (self._reader.size,), np.float32)
        self.action_space = spaces.Discrete(self._num_actions)  # type: ignore[assignment]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Deal a new game and play it up to the agent's first turn.

        Args:
            seed: Starts the generator anew; None goes on with it.
            options: There are none: None or an empty dict.

        Returns:
            The observation, and the info that the class describes.

        Raises:
            InvalidRequestError: There was an option.
        """
        if options:
            raise InvalidRequestError(
                f"reset of {type(self).__name__} has no option {next(iter(options))!r}, nor any "
                "other: parameters of the game are given when the environment is made."
            )
        super().reset(seed=seed)
        self._is_over = True  # and stays so if a policy raises
        episode = _Episode(
            self._game.new_initial_state(), self._agent, self._opponents, self.np_random
        )
        self._episode = episode
        self._is_over = False
        is_untouched = episode.opponent_last_action is None
        info = self._info(episode, "initial" if is_untouched else "playing")
        return self._reader.read(episode.state, self._agent), info

    def step(
        self, action: int
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Play a move of the agent, and everything up to its next turn or the end.

        Args:
            action: An integer of the action space, a Python int or a NumPy one.

        Returns:
            The observation, the reward as a float, whether the game is over, False, and the
            info that the class describes.

        Raises:
            InvalidActionError: It is no integer or outside the action space, or with
                ``illegal_action="raise"`` it is not legal now. The game is as it was.
            ResetNeededError: Before the first reset, or after the end of the episode.
        """
        episode = self._episode or self._begun("step")
        if self._is_over:
            raise ResetNeededError("step was called after the end of the episode: call reset.")
        illegal: int | None = None
        if type(action) is not int or action not in episode.legal:
            action, illegal = self._legal_or_not(action, episode)
        self._is_over = True  # and stays so if a policy raises
        if illegal is not None and self._illegal_action == "terminate":
            reward = self._min_utility
            episode.forfeit(reward)
        else:
            if episode.legal:
                episode.play(action, self.np_random)
            reward = episode.take_reward()
        self._is_over = episode.player == _TERMINAL
        info = self._info(episode, "playing")
        if illegal is not None:
            info["illegal_action"] = illegal
        observation = self._reader.read(episode.state, self._agent)
        return observation, reward, self._is_over, False, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are legal now, in the form that MaskablePPO asks for.

        Returns:
            ``bool`` of shape ``(actions,)``; all False at the end.

        Raises:
            ResetNeededError: Before the first reset.
        """
        return self._mask(self._begun("action_masks").legal).view(np.bool_)

    def render(self) -> str | None:
        """Return the state as OpenSpiel prints it, hidden cards of other players included.

        Returns:
            The text in the render mode ``"ansi"``; None, with a warning, where there is no mode.

        Raises:
            ResetNeededError: Before the first reset.
        """
        episode = self._begun("render")
        if self.render_mode is None:
            gymnasium.logger.warn(
                'render() draws nothing without a render mode: make it with render_mode="ansi".'
            )
            return None
        return str(episode.state)

    @property
    def history(self) -> list[int]:
        """All actions of the episode so far, those of chance and the opponents included.

        Applied one after the other to ``game.new_initial_state()`` they give the same state.

        Raises:
            ResetNeededError: Before the first reset.
        """
        return list(self._begun("history").state.history())

    @property
    def openenv_state(self) -> dict[str, Any]:
        """What OpenEnv's ``OpenSpielState`` holds about the game, by its field names."""
        policy = self._opponent_policy
        return {
            "game_name": self._game_name,
            "game_params": _plain_params(self._game_params),
            "agent_player": self._agent,
            "opponent_policy": policy if isinstance(policy, str) else list(policy),
            "num_players": self._num_players,
        }

    def _begun(self, call: str) -> _Episode:
        if self._episode is None:
            raise ResetNeededError(f"{call} was called before the first reset: call reset.")
        return self._episode

    def _legal_or_not(self, action: Any, episode: _Episode) -> tuple[int, int | None]:
        """Make an int of an action: the one to play, and the one given if that is illegal."""
        given = self._as_int(action)
        legal = episode.legal
        if not legal or given in legal:  # without legal actions none is played
            return given, None
        if self._illegal_action == "raise":
            raise InvalidActionError(
                f"The action {given} is not legal now. Legal are: {_shorten(legal)}. The game is "
                'as it was: play one of info["legal_actions"].'
            )
        if self._illegal_action == "random":
            return legal[int(self.np_random.random() * len(legal))], given
        return given, given

    def _as_int(self, action: Any) -> int:
        is_int = isinstance(action, int) and not isinstance(action, bool)
        if isinstance(action, (np.integer, np.ndarray)):
            is_int = action.shape == () and np.issubdtype(action.dtype, np.integer)
        if not is_int or not 0 <= action < self._num_actions:
            raise InvalidActionError(
                f"An action is an integer from 0 to {self._num_actions - 1}; got "
                f"{reprlib.repr(action)} of type {type(action).__name__}. The game is as it was: "
                'play one of info["legal_actions"].'
            )
        return int(action)

    def _info(self, episode: _Episode, phase: str) -> dict[str, Any]:
        legal = episode.legal
        info = {
            "legal_actions": legal.copy(),
            "action_mask": self._mask(legal),
            "current_player": episode.player,
            "game_phase": phase,
            "opponent_last_action": episode.opponent_last_action,
        }
        if episode.player == _TERMINAL:
            info["game_phase"] = "terminal"
            info["returns"] = episode.returns()
        return info

    def _mask(self, legal: list[int]) -> npt.NDArray[np.int8]:
        mask = np.zeros(self._num_actions, np.int8)
        if len(legal) > _FEW_ACTIONS:
            mask[legal] = 1
            return mask
        for action in legal:
            mask[action] = 1
        return mask


def _check_seat(agent_player: int, num_players: int) -> int:
    is_int = isinstance(agent_player, (int, np.integer)) and not isinstance(agent_player, bool)
    if not is_int or not 0 <= agent_player < num_players:
        raise InvalidRequestError(
            f"agent_player is a seat of the game, an integer from 0 to {num_players - 1}; "
            f"got {agent_player!r}."
        )
    return int(agent_player)
