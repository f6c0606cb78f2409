"""PettingZoo environments as ``gymnasium.Env``: one agent's seat, or all seats at once.

This module is the adapter of the scheme ``pettingzoo:``, which this package declares in its
metadata as any other package may. The other direction, OpenSpiel's games for PettingZoo, is in
:mod:`openenv_gym.pettingzoo`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from openenv_gym.adapters.pettingzoo_game import (
    MASK,
    PettingZooGame,
    legal_actions,
    seen_without_mask,
    without_mask,
)
from openenv_gym.adapters.pettingzoo_games import known_ids, make_game
from openenv_gym.adapters.pettingzoo_opponents import agent_policy, seed_space
from openenv_gym.errors import (
    InvalidRequestError,
    ResetNeededError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)

ALL = "all"


def make(
    name: str,
    *,
    agent_player: str | int | None = None,
    opponent_policy: Any = None,
    api: str = "auto",
    render_mode: str | None = None,
    **kwargs: Any,
) -> gym.Env[Any, Any]:
    """Make a PettingZoo environment, for one of its agents or for all.

    Args:
        name: An id of PettingZoo's registry, ``classic/tictactoe-v3``; or a module that has
            ``parallel_env`` or ``env``, ``my_games.duel_v0``; or a class or a function in a module,
            ``my_games.duel.Duel``. After a colon may stand the agent to play, or ``all``.
        agent_player: The agent to play, by name or by number among ``possible_agents``; or
            ``"all"``. Unless the name or this says so, it is the first one.
        opponent_policy: Who plays the other agents: ``"random"``, the default, ``"first"``,
            ``"module:function"``, or a function ``(observation, agent, action_space, action_mask)
            -> action``.
        api: Which interface of PettingZoo is used where there are both: ``"parallel"`` or
            ``"aec"``; ``"auto"`` takes the parallel one.
        render_mode: A render mode of the environment.
        **kwargs: Keyword arguments of the environment.

    Returns:
        A :class:`PettingZooEnv`, or for all agents a :class:`PettingZooAllEnv`.

    Raises:
        UnknownEnvironmentError: there is no such environment, or no such agent in it.
        EnvStartError: PettingZoo or something that the environment needs is not installed.
        InvalidRequestError: an argument makes no sense.
        UnsupportedRenderModeError: the environment has no such render mode.
    """
    place, _, seat = name.partition(":")
    if seat and agent_player not in (None, seat):
        raise InvalidRequestError(
            f"agent_player: pettingzoo:{name} names {seat!r}, got {agent_player!r} too; leave one "
            "out"
        )
    wanted = seat or (0 if agent_player is None else agent_player)
    if wanted == ALL and opponent_policy is not None:
        raise InvalidRequestError(
            f"opponent_policy: nobody else plays where all agents are played, got "
            f"{opponent_policy!r:.80}; leave it out"
        )
    game = make_game(place, api, render_mode, kwargs)
    try:
        _check_mode(game, place, render_mode)
        if wanted == ALL:
            return PettingZooAllEnv(game, render_mode=render_mode)
        agent = _agent(game, place, wanted)
        policy = "random" if opponent_policy is None else opponent_policy
        return PettingZooEnv(game, agent, opponent_policy=policy, render_mode=render_mode)
    except BaseException:
        game.env.close()
        raise


def names() -> list[str]:
    """Return the ids of PettingZoo's registry.

    Raises:
        EnvStartError: PettingZoo is not installed.
    """
    return known_ids()


class _PettingZooEnv(gym.Env[Any, Any]):
    """What the environments for one agent and for all have in common."""

    def __init__(self, game: PettingZooGame, render_mode: str | None) -> None:
        self._game = game
        self._is_over = True  # no step can be taken
        self.render_mode = render_mode
        self.metadata = {**game.env.metadata, "possible_agents": game.agents}

    def render(self) -> Any:
        """Return what the environment's own ``render`` returns."""
        return self._game.env.render()

    def close(self) -> None:
        """Close the environment."""
        self._game.env.close()

    def _check_begun(self) -> None:
        if self._is_over:
            raise ResetNeededError("step was called without an episode: call reset first")


class PettingZooEnv(_PettingZooEnv):
    """One agent's seat in a PettingZoo environment; the others are played by a policy.

    The observation is that of the agent. PettingZoo's mask of legal actions is not in it but in
    the info, as ``action_mask`` and, where actions are ``Discrete``, as the list ``legal_actions``;
    an observation of nothing but ``observation`` and the mask is the former alone. The reward is
    what the agent gets from its action to its next turn, and in the first step what it got before.
    The episode ends when the agent does, also where others would play on. A game that ends before
    the agent's first turn has one step, which plays nothing.

    Args:
        game: The game.
        agent: The agent to play.
        opponent_policy: The policy of the others, see :func:`make`.
        render_mode: The render mode that the game was made with.

    Attributes:
        has_action_masks: Whether infos carry ``legal_actions``.
    """

    def __init__(
        self,
        game: PettingZooGame,
        agent: Any,
        *,
        opponent_policy: Any = "random",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(game, render_mode)
        self._agent, self._policy = agent, agent_policy(opponent_policy)
        # Copies: the trainer may seed and sample its own, and games may share one among agents.
        self._others = {
            other: copy.deepcopy(game.env.action_space(other))
            for other in game.agents
            if other != agent
        }
        seen = game.env.observation_space(agent)
        self.observation_space = without_mask(seen)
        self.action_space = game.env.action_space(agent)
        has_mask = self.observation_space is not seen
        self.has_action_masks = has_mask and isinstance(self.action_space, spaces.Discrete)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a game and let the others play up to the agent's first turn.

        Args:
            seed: The seed of the game, and of the others' policy; None as the game has it.
            options: The options of the game's own ``reset``.

        Returns:
            The observation and the info of the agent.
        """
        super().reset(seed=seed)
        if seed is not None:
            for number, space in enumerate(self._others.values()):
                seed_space(space, seed, number)
        self._is_over = True  # it stays so if something raises
        self._game.reset(seed, options)
        self._let_others_play()
        self._is_over = False
        return seen_without_mask(self._game.observe(self._agent)), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play an action of the agent, and let the others play up to its next turn.

        Args:
            action: An action of the agent's action space.

        Returns:
            The observation, the reward, whether the agent is terminated, whether it is truncated,
            and its info.

        Raises:
            ResetNeededError: There is no episode.
        """
        self._check_begun()
        self._is_over = True  # it stays so if something raises
        game, agent = self._game, self._agent
        if agent in game.to_act:
            game.play({one: action if one == agent else self._choose(one) for one in game.to_act})
            self._let_others_play()
        reward = game.take_rewards()[agent]
        terminated, truncated = game.ended.get(agent, (False, False))
        self._is_over = terminated or truncated
        seen = seen_without_mask(game.observe(agent))
        return seen, reward, terminated, truncated, self._info()

    def action_masks(self) -> Any:
        """Return which actions are legal now, in the form that MaskablePPO asks for.

        Returns:
            ``bool`` of shape ``(actions,)``.

        Raises:
            ResetNeededError: There was no reset yet, or the game does not tell.
        """
        mask = self._game.mask(self._agent) if self._game.to_act or self._game.ended else None
        if mask is None:
            raise ResetNeededError("action_masks: the game tells no legal actions now")
        return mask.astype(bool)

    def _let_others_play(self) -> None:
        game, agent = self._game, self._agent
        while game.to_act and agent not in game.ended and agent not in game.to_act:
            game.play({one: self._choose(one) for one in game.to_act})

    def _choose(self, other: Any) -> Any:
        game = self._game
        return self._policy(game.observe(other), other, self._others[other], game.mask(other))

    def _info(self) -> dict[str, Any]:
        info, mask = self._game.info(self._agent), self._game.mask(self._agent)
        if mask is None:
            return info
        legal = legal_actions(self.action_space, mask)
        known = {} if legal is None else {"legal_actions": legal}
        return {**info, MASK: mask, **known}


class PettingZooAllEnv(_PettingZooEnv):
    """All agents of a PettingZoo environment, played by one trainer.

    Actions and observations are dicts by agent, of all ``possible_agents``. An agent that has ended
    keeps its last observation, and its actions are ignored, as are those of agents in an AEC
    environment whose turn it is not. The reward is the sum of all agents' rewards. The episode ends
    when all agents have: it is terminated if each of them was, else truncated.

    The info has, by PettingZoo's own words, ``agents``, a list of those whose actions the next step
    takes; ``rewards``, ``terminations``, ``truncations`` and ``infos``, dicts by agent; and
    ``action_masks``, a dict by agent of the masks that the game tells.

    Args:
        game: The game.
        render_mode: The render mode that the game was made with.
    """

    def __init__(self, game: PettingZooGame, *, render_mode: str | None = None) -> None:
        super().__init__(game, render_mode)
        env = game.env
        seen = {str(agent): without_mask(env.observation_space(agent)) for agent in game.agents}
        actions = {str(agent): env.action_space(agent) for agent in game.agents}
        self.observation_space, self.action_space = spaces.Dict(seen), spaces.Dict(actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a game.

        Args:
            seed: The seed of the game; None as the game has it.
            options: The options of the game's own ``reset``.

        Returns:
            The observations and the info that the class describes.
        """
        super().reset(seed=seed)
        self._is_over = True  # it stays so if something raises
        self._game.reset(seed, options)
        self._is_over = False
        return self._observe(), self._info(self._game.take_rewards())

    def step(
        self, action: Mapping[str, Any]
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Play the actions of the agents who are to act.

        Args:
            action: A dict of actions by agent. Those of other agents may be missing.

        Returns:
            The observations, the sum of the rewards, whether all agents are terminated, whether all
            have ended otherwise, and the info that the class describes.

        Raises:
            ResetNeededError: There is no episode.
        """
        self._check_begun()
        self._is_over = True  # it stays so if something raises
        game = self._game
        if game.to_act:
            game.play({agent: action[str(agent)] for agent in game.to_act})
        rewards = game.take_rewards()
        self._is_over = not game.to_act
        terminated = self._is_over and all(flags[0] for flags in game.ended.values())
        truncated = self._is_over and not terminated
        return (
            self._observe(),
            sum(rewards.values()),
            terminated,
            truncated,
            self._info(rewards),
        )

    def _observe(self) -> dict[str, Any]:
        game = self._game
        return {str(agent): seen_without_mask(game.observe(agent)) for agent in game.agents}

    def _info(self, rewards: Mapping[Any, float]) -> dict[str, Any]:
        game = self._game
        going_on = (False, False)
        info: dict[str, Any] = {
            "agents": [str(agent) for agent in game.to_act],
            "rewards": {str(agent): reward for agent, reward in rewards.items()},
            "terminations": {str(one): game.ended.get(one, going_on)[0] for one in game.agents},
            "truncations": {str(one): game.ended.get(one, going_on)[1] for one in game.agents},
            "infos": {str(agent): game.info(agent) for agent in game.agents},
        }
        masks = {str(agent): game.mask(agent) for agent in game.agents}
        if known := {agent: mask for agent, mask in masks.items() if mask is not None}:
            info["action_masks"] = known
        return info


def _agent(game: PettingZooGame, place: str, wanted: str | int) -> Any:
    """Return the agent with this name or number."""
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(game.agents):
        return game.agents[wanted]
    found = [agent for agent in game.agents if agent == wanted or str(agent) == wanted]
    if found:
        return found[0]
    raise UnknownEnvironmentError(
        f"pettingzoo:{place} has the agents {', '.join(map(str, game.agents))}; expected one of "
        f"them, its number from 0, or 'all', got {wanted!r}"
    )


def _check_mode(game: PettingZooGame, place: str, mode: str | None) -> None:
    modes = game.env.metadata.get("render_modes") or []
    if mode is not None and mode not in modes:
        raise UnsupportedRenderModeError(
            f"render_mode: expected one of {list(modes) or 'none at all'} for pettingzoo:{place}, "
            f"got {mode!r}"
        )
