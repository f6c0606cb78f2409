"""An OpenSpiel game as a :class:`gymnasium.Env`: one seat for the agent, the rest is answered."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from openenv_gym.adapters.openspiel_episode import TERMINAL, Episode, TensorReader, shorten
from openenv_gym.adapters.openspiel_games import call_text, load_game, plain_params
from openenv_gym.adapters.opponents import seat_opponents
from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    ResetNeededError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)

IllegalAction = Literal["terminate", "raise", "random"]
"""What to do with an action of the action space that is not legal now."""

_FEW_ACTIONS = 40  # up to here a loop beats NumPy's indexing with a list, by three times for 9


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
        self._reader = TensorReader(self._game)
        if not self._reader.size:
            raise UnknownEnvironmentError(
                f"{call_text(self._game_name, self._game_params)} is not supported: "
                "its observation tensor is empty. Check the sizes among its parameters."
            )
        self._illegal_action = illegal_action
        self._min_utility = float(self._game.min_utility())
        self._num_actions: int = self._game.num_distinct_actions()
        self._episode: Episode | None = None
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
        episode = Episode(
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
        self._is_over = episode.player == TERMINAL
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
            "game_params": plain_params(self._game_params),
            "agent_player": self._agent,
            "opponent_policy": policy if isinstance(policy, str) else list(policy),
            "num_players": self._num_players,
        }

    def _begun(self, call: str) -> Episode:
        if self._episode is None:
            raise ResetNeededError(f"{call} was called before the first reset: call reset.")
        return self._episode

    def _legal_or_not(self, action: Any, episode: Episode) -> tuple[int, int | None]:
        """Make an int of an action: the one to play, and the one given if that is illegal."""
        given = self._as_int(action)
        legal = episode.legal
        if not legal or given in legal:  # without legal actions none is played
            return given, None
        if self._illegal_action == "raise":
            raise InvalidActionError(
                f"The action {given} is not legal now. Legal are: {shorten(legal)}. The game is "
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

    def _info(self, episode: Episode, phase: str) -> dict[str, Any]:
        legal = episode.legal
        info = {
            "legal_actions": legal.copy(),
            "action_mask": self._mask(legal),
            "current_player": episode.player,
            "game_phase": phase,
            "opponent_last_action": episode.opponent_last_action,
        }
        if episode.player == TERMINAL:
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
