"""An OpenSpiel game as a :class:`gymnasium.Env`, in which the agent plays one seat or all."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from openenv_gym.adapters.openspiel_episode import TERMINAL, GameEpisode, shorten
from openenv_gym.adapters.openspiel_games import load_game, plain_params
from openenv_gym.adapters.openspiel_masks import legal_mask
from openenv_gym.adapters.openspiel_observations import Observe, make_reader
from openenv_gym.adapters.openspiel_population import Population
from openenv_gym.adapters.openspiel_snapshot import Snapshot, serialized
from openenv_gym.adapters.openspiel_start import Seat, Starts, check_seat
from openenv_gym.adapters.opponents import OpponentPolicy, opponent_names, seat_opponents
from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    ResetNeededError,
    UnsupportedRenderModeError,
)

IllegalAction = Literal["terminate", "raise", "random"]
"""What to do with an action of the action space that is not legal now."""


class OpenSpielEnv(gymnasium.Env[Any, int]):
    """An OpenSpiel game, in which the agent plays one seat; chance and opponents play the rest.

    Sequential, simultaneous and mean-field games have one interface: a step is a move of the agent
    and everything up to its next choice. If several players choose at once, the opponents choose
    from the state that the agent saw. In a mean-field game the agent's seat is its population, and
    the others are the distribution of a population that plays ``opponent_policy``.

    An observation is what the agent's seat sees. An action is the number of a move, an integer
    below ``game.num_distinct_actions()``. A reward is the growth of the agent's return up to its
    next turn, so it includes the opponents' moves. ``terminated`` says that the game is over,
    ``truncated`` that ``max_steps`` is reached.

    The seed and the actions decide the whole episode: chance, the opponents and the seat are drawn
    from :attr:`np_random` alone. A reset without a seed goes on with the same generator.

    **The info** of reset and step, new objects each time:

    - ``legal_actions``: list of int, ascending, empty at the end;
    - ``action_mask``: ``int8`` of shape ``(actions,)``, 1 where legal, for ``Discrete.sample``;
    - ``current_player``: the seat to move, or -4 at the end;
    - ``game_phase``: ``"initial"`` before anybody moved, ``"playing"``, or ``"terminal"``;
    - ``opponent_actions``: list of ``(player, action)``, the moves of opponents since the agent's
      own last one;
    - ``opponent_last_action``: the last move of any opponent in this episode, if there was one;
    - ``returns``: list of float, one per player, at the end only;
    - ``illegal_action``: the action, if it was not legal (see ``illegal_action`` below);
    - ``rewards`` (of a step) and ``observations``: lists with an entry per player, if the agent
      plays every seat (see ``agent_player`` and ``all_observations``);
    - ``legal_actions_by_player``: with ``observations``, the legal actions of each player: of the
      one to move and, if several choose at once, of those who are asked after it.

    **A game may end before the agent's first turn**, for example when an opponent opens by folding.
    Gymnasium's reset cannot report this, and dealing again would change the game. So reset returns
    that last observation, with no legal action and ``"terminal"`` in its info. The next step plays
    nothing: for any action of the space it returns the same observation, the episode's reward and
    ``terminated=True``.

    Args:
        game: A game of OpenSpiel, with or without parameters: ``"catch(rows=5,columns=4)"``.
        game_params: The parameters, if ``game`` is a bare name.
        agent_player: The seat of the agent, from 0; ``"random"`` draws one for each episode.
            ``"all"`` lets the agent play every seat. An observation is then a dict of
            ``current_player`` and ``observation``, which is what that player sees. The reward is
            that of the seat that moved, for its own move (``rewards`` in the info has all).
            Players who choose at once are asked one after the other.
        opponent_policy: A policy for all other seats, or a sequence of one per seat, in which the
            entry of the agent's own seat is unused. A policy is a name in
            :data:`~openenv_gym.adapters.opponents.OPPONENTS`, or another form that
            :mod:`openenv_gym.adapters.opponents` describes.
        observation: ``"info_state"`` or ``"observation"``, the game's two tensors, ``float32``;
            ``"string"``; or ``"dict"`` of all that the game has. None takes the information state
            tensor; if the game has none, the observation tensor; and if it has neither, text.
        shaped: Whether tensors keep the game's own shape; else they have one axis.
        illegal_action: What happens if an action of the space is not legal now. ``"terminate"``
            ends the episode with the game's minimum utility as reward. ``returns`` then has the
            sum of the agent's rewards, and for the others what they have got so far.
            ``"raise"`` raises and leaves the game as it was. ``"random"`` plays a random legal
            action.
        max_steps: The number of steps of the agent after which the episode is truncated; None for
            no limit.
        all_observations: Whether the info has what every player sees, for an agent that plays
            every seat.
        render_mode: The render mode: ``"ansi"``, ``"rgb_array"``, or None.

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

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}

    def __init__(  # noqa: PLR0913 - Gymnasium passes arguments one by one
        self,
        game: str = "catch",
        *,
        game_params: Mapping[str, Any] | None = None,
        agent_player: Seat = 0,
        opponent_policy: OpponentPolicy | Sequence[OpponentPolicy] = "random",
        observation: Observe | None = None,
        shaped: bool = False,
        illegal_action: IllegalAction = "terminate",
        max_steps: int | None = None,
        all_observations: bool = False,
        render_mode: str | None = None,
    ) -> None:
        _check_arguments(illegal_action, max_steps, render_mode)
        self._loaded = load_game(game, game_params)
        kind = self._loaded.game.get_type()
        self._num_players: int = self._loaded.game.num_players()
        self._agent_player = check_seat(agent_player, self._num_players)
        self._plays_all = self._agent_player == "all"
        self._population: Population | None = None
        if kind.dynamics.name == "MEAN_FIELD":
            if agent_player == "all" and self._num_players > 1:
                raise InvalidRequestError(
                    "agent_player='all' cannot play several populations of a mean-field game at "
                    f"once; take one of the {self._num_players}, from 0, or 'random'."
                )
            self._population = Population(self._loaded.game, opponent_policy)
            self._opponents = seat_opponents("random", self._loaded.game)  # they never move
        else:
            self._opponents = seat_opponents(opponent_policy, self._loaded.game)
        self._starts = Starts(
            loaded=self._loaded, agent_player=self._agent_player, population=self._population
        )
        if all_observations and agent_player != "all":
            raise InvalidRequestError(
                "all_observations shows what other players see: it is for agent_player='all', "
                f"got agent_player={agent_player!r}."
            )
        self._opponent_policy = opponent_names(opponent_policy)
        self._reader = make_reader(self._loaded.game, observation, shaped)
        self._illegal_action = illegal_action
        self._max_steps = max_steps
        self._all_observations = all_observations
        self._num_actions: int = self._loaded.game.num_distinct_actions()
        self._min_utility = float(self._loaded.game.min_utility())
        self._episode: GameEpisode | None = None
        self._seed: int | None = None  # the seed of the game's own generator, in this episode
        self._steps = 0
        self._is_over = True  # no step can be taken
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "dynamics": kind.dynamics.name.lower()}
        self.observation_space = self._reader.space
        if self._plays_all:
            seats = spaces.Discrete(self._num_players)
            parts = [("current_player", seats), ("observation", self._reader.space)]
            self.observation_space = spaces.Dict(parts)
        actions: Any = spaces.Discrete(self._num_actions)  # an action may be a Python int too
        self.action_space = actions

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Deal a new game and play it up to the agent's first turn.

        Args:
            seed: The seed of the generator; None goes on with the same generator.
            options: ``{"state": snapshot}`` restores an episode, see :attr:`snapshot`. A text of
                ``pyspiel.serialize_game_and_state`` in its place does so too.

        Returns:
            The observation, and the info that the class describes.

        Raises:
            InvalidRequestError: There is another option, or the snapshot is of another game.
        """
        restored = self._starts.restored(options, self.np_random) if options else None
        super().reset(seed=seed)
        self._is_over = True  # it stays true if a policy raises
        rng = self.np_random
        seat, state, start_seed, chosen, moved = restored or self._starts.dealt(rng)
        episode = GameEpisode(state, seat, self._opponents, self._population, rng, moved)
        for action in chosen.values():
            episode.play(action, rng)
            episode.take_rewards()
        self._episode, self._seed, self._steps = episode, start_seed, 0
        self._is_over = False
        is_untouched = episode.opponent_last_action is None and restored is None
        info = self._info(episode, "initial" if is_untouched else "playing")
        return self._observe(episode), info

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play a move of the agent, and everything up to its next turn or the end.

        Args:
            action: An integer of the action space, a Python int or a NumPy one.

        Returns:
            The observation, the reward as a float, whether the game is over, whether
            ``max_steps`` is reached, and the info that the class describes.

        Raises:
            InvalidActionError: The action is not an integer or is outside the action space, or with
                ``illegal_action="raise"`` it is not legal now. The game stays as it was.
            ResetNeededError: It was called before the first reset, or after the episode's end.
        """
        episode = self._episode or self._begun("step")
        if self._is_over:
            raise ResetNeededError("step was called after the end of the episode: call reset.")
        illegal: int | None = None
        if type(action) is not int or action not in episode.legal:
            action, illegal = self._legal_or_not(action, episode)
        self._is_over = True  # it stays true if a policy raises
        rewards: list[float] | None = None
        if illegal is None and episode.legal and not self._plays_all:  # most steps
            episode.play(action, self.np_random)
            reward = episode.take_reward()
        else:
            reward, rewards = self._play(action, illegal, episode)
        self._steps += 1
        terminated = episode.player == TERMINAL
        truncated = not terminated and self._steps == self._max_steps
        self._is_over = terminated or truncated
        info = self._info(episode, "playing")
        if rewards is not None:
            info["rewards"] = rewards
        if illegal is not None:
            info["illegal_action"] = illegal
        if self._plays_all:
            return self._observe(episode), reward, terminated, truncated, info
        return self._reader.read(episode.state, episode.mover), reward, terminated, truncated, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are legal now, in the form that MaskablePPO asks for.

        Returns:
            ``bool`` of shape ``(actions,)``; all False at the end.

        Raises:
            ResetNeededError: It was called before the first reset.
        """
        return legal_mask(self._begun("action_masks").legal, self._num_actions).view(np.bool_)

    def legal_action_names(self) -> list[str]:
        """Return what the game calls the legal actions, in their order.

        Raises:
            ResetNeededError: It was called before the first reset.
        """
        episode = self._begun("legal_action_names")
        state, player = episode.state, episode.mover
        return [state.action_to_string(player, action) for action in episode.legal]

    def render(self) -> Any:
        """Show the state as OpenSpiel prints it, hidden cards of other players included.

        Returns:
            The text in the render mode ``"ansi"``; a picture of it, ``uint8`` of shape
            ``(height, width, 3)``, in ``"rgb_array"``; None, with a warning, without a mode.

        Raises:
            ResetNeededError: It was called before the first reset.
            UnsupportedRenderModeError: Pillow, which draws, is not installed.
        """
        episode = self._begun("render")
        if self.render_mode is None:
            gymnasium.logger.warn(
                'render() draws nothing without a render mode: make it with render_mode="ansi".'
            )
            return None
        if self.render_mode == "ansi":
            return str(episode.state)
        from openenv_gym.adapters.openspiel_picture import draw

        return draw(str(episode.state), self._loaded.name)

    @property
    def history(self) -> list[int]:
        """All actions of the episode so far, including those of chance and the opponents.

        Applied in order to ``game.new_initial_state()`` they give the same state. If several
        players choose at once, their actions stand in the order of the players.

        Raises:
            ResetNeededError: It was called before the first reset.
        """
        return list(self._begun("history").state.history())

    @property
    def snapshot(self) -> dict[str, Any]:
        """The episode as plain data, which ``reset(options={"state": snapshot})`` restores.

        It restores the state, the seat and the seed of the game's own generator. The generator of
        the environment is not restored; the ``seed`` of that reset may set it.

        Raises:
            ResetNeededError: It was called before the first reset.
        """
        episode = self._begun("snapshot")
        seat: int | str = "all" if self._plays_all else episode.mover
        return Snapshot(
            game=str(self._loaded.game),
            actions=self.history,
            seat=seat,
            seed=self._seed,
            chosen=dict(episode.chosen or {}) if self._plays_all else {},
        ).to_plain()

    @property
    def openenv_state(self) -> dict[str, Any]:
        """The fields of OpenEnv's ``OpenSpielState`` about the game, by name."""
        return {
            "game_name": self._loaded.name,
            "game_params": plain_params(self._loaded.params),
            "agent_player": self._agent_player,
            "opponent_policy": self._opponent_policy,
            "num_players": self._num_players,
        }

    def session_state(self) -> dict[str, Any]:
        """Return the fields of OpenEnv's state, and what is needed to restore the episode.

        ``snapshot`` is for ``reset(options={"state": ...})``. ``serialized_state`` is the text of
        ``pyspiel.serialize_game_and_state``. Both are None before the first reset.
        """
        begun = self._episode is not None
        return {
            **self.openenv_state,
            "snapshot": self.snapshot if begun else None,
            "serialized_state": serialized(self._begun("state").state) if begun else None,
        }

    def _play(
        self, action: int, illegal: int | None, episode: GameEpisode
    ) -> tuple[float, list[float] | None]:
        """Play; return the reward of the mover, and those of every seat if the agent plays all."""
        if illegal is not None and self._illegal_action == "terminate":
            episode.forfeit(self._min_utility)
            rewards = [0.0] * self._num_players
            rewards[episode.mover] = self._min_utility
            return self._min_utility, rewards if self._plays_all else None
        if episode.legal:
            episode.play(action, self.np_random)
        if not self._plays_all:
            return episode.take_reward(), None
        rewards = episode.take_rewards()
        return rewards[episode.mover], rewards

    def _observe(self, episode: GameEpisode) -> Any:
        player = episode.player if episode.player >= 0 else episode.mover
        observation = self._reader.read(episode.state, player)
        if self._plays_all:
            return {"current_player": player, "observation": observation}
        return observation

    def _begun(self, call: str) -> GameEpisode:
        if self._episode is None:
            raise ResetNeededError(f"{call} was called before the first reset: call reset.")
        return self._episode

    def _legal_or_not(self, action: Any, episode: GameEpisode) -> tuple[int, int | None]:
        """Return the action to play as an int, and the given one if it is illegal, else None."""
        given = self._as_int(action)
        legal = episode.legal
        if not legal or given in legal:  # without legal actions, nothing is played
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

    def _info(self, episode: GameEpisode, phase: str) -> dict[str, Any]:
        legal = episode.legal
        info = {
            "legal_actions": legal.copy(),
            "action_mask": legal_mask(legal, self._num_actions),
            "current_player": episode.player,
            "game_phase": phase,
            "opponent_actions": episode.opponent_actions,
        }
        if episode.opponent_last_action is not None:
            info["opponent_last_action"] = episode.opponent_last_action
        if episode.player == TERMINAL:
            info["game_phase"] = "terminal"
            info["returns"] = episode.returns()
        if self._all_observations:
            read, state = self._reader.read, episode.state
            info["observations"] = [read(state, player) for player in range(self._num_players)]
            info["legal_actions_by_player"] = episode.legal_by_player()
        return info


def _check_arguments(illegal_action: Any, max_steps: Any, render_mode: Any) -> None:
    if illegal_action not in get_args(IllegalAction):
        raise InvalidRequestError(
            f"illegal_action is one of {', '.join(get_args(IllegalAction))}; "
            f"got {illegal_action!r}."
        )
    if max_steps is not None and (type(max_steps) is not int or max_steps < 1):
        raise InvalidRequestError(
            f"max_steps is a number of steps from 1, or None for no limit; got {max_steps!r}."
        )
    modes = OpenSpielEnv.metadata["render_modes"]
    if render_mode is not None and render_mode not in modes:
        raise UnsupportedRenderModeError(
            f"The render mode {render_mode!r} does not exist; there are: {', '.join(modes)}."
        )
