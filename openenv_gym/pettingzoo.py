"""OpenSpiel games as environments of PettingZoo, with an agent on every seat.

The functions have the names of those in PettingZoo's own modules. They drive a
:class:`gymnasium.Env` that plays every seat, in this process or elsewhere. docs/multi_agent.md
shows how to serve one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from openenv_gym.adapters.openspiel_env import OpenSpielEnv
from openenv_gym.adapters.openspiel_episode import shorten
from openenv_gym.adapters.openspiel_games import load_game
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.endpoints import AUTO, ConnectOptions, Timeout, embedded_endpoints
from openenv_gym.envs.registration import make_openspiel
from openenv_gym.envs.remote_env import RemoteEnv
from openenv_gym.errors import InvalidActionError, InvalidRequestError, ResetNeededError
from openenv_gym.protocol import Open

try:
    from pettingzoo.utils.env import AECEnv, ParallelEnv
    from pettingzoo.utils.wrappers import OrderEnforcingWrapper
except ImportError as exc:
    raise ImportError(
        f"PettingZoo could not be imported ({exc}); pip install 'openenv-gym[pettingzoo]'"
    ) from exc

_TOLD = ("returns", "illegal_action")  # what every agent is told, if the info has it
_ALL_SEATS: dict[str, Any] = {"agent_player": "all", "all_observations": True}
_JSON = '{"agent_player": "all", "all_observations": true}'
_HOW_TO_SERVE = f"start the server with --kwargs '{_JSON}'"


def env(game: str, **kwargs: Any) -> Any:
    """Make the environment of :func:`raw_env`, in a wrapper that enforces the order of calls."""
    return OrderEnforcingWrapper(raw_env(game, **kwargs))


def raw_env(
    game: str, *, illegal_action: str = "raise", max_steps: int | None = None, **kwargs: Any
) -> OpenSpielAEC:
    """Make the AEC environment of a game. Players who choose at once are asked one by one.

    Args:
        game: A game of OpenSpiel, with or without parameters: ``"kuhn_poker(players=3)"``.
        illegal_action: ``"raise"`` raises and leaves the game as it was; ``"terminate"`` ends it
            with the game's minimum utility for the agent and nothing for the others.
        max_steps: The number of moves, of all agents together, after which all are truncated. In a
            parallel environment it is the number of calls of ``step``. None is no limit.
        **kwargs: ``game_params``, ``observation`` and ``shaped``, as ``OpenSpielEnv`` takes them;
            ``render_mode``. With ``embedded=True`` the game runs in the worker process, with
            ``base_url`` on a server, which must have been started with the same arguments;
            ``codec``, ``token`` and ``options``, a ``WebSocketOptions``, are for a server. For
            both, ``timeout_s`` is how long to wait for a reply, in seconds. ``OPENENV_BASE_URL``
            is not read.

    Raises:
        InvalidRequestError: An argument makes no sense, or the game is a mean-field game.
    """
    return OpenSpielAEC(game, _make_game(game, **kwargs), illegal_action, max_steps)


def parallel_env(
    game: str, *, illegal_action: str = "raise", max_steps: int | None = None, **kwargs: Any
) -> OpenSpielParallel:
    """Make the parallel environment of a game in which all choose at once.

    The arguments are those of :func:`raw_env`.
    """
    return OpenSpielParallel(game, _make_game(game, **kwargs), illegal_action, max_steps)


def _make_game(  # noqa: PLR0913 - the keyword arguments of the functions above
    game: str,
    *,
    game_params: Mapping[str, Any] | None = None,
    observation: str | None = None,
    shaped: bool = False,
    embedded: bool = False,
    base_url: str | None = None,
    codec: str = "auto",
    timeout_s: Timeout = AUTO,
    options: WebSocketOptions | None = None,
    token: str | None = None,
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any]:
    settings = {"game_params": game_params, "observation": observation, "shaped": shaped}
    given: dict[str, Any] = {name: value for name, value in settings.items() if value}
    if embedded and base_url is not None:
        raise InvalidRequestError("embedded=True and base_url are two places: give one of them")
    if base_url is not None:
        # JSON cannot carry arguments. Without any, the spaces tell what is served.
        kwargs = {**_ALL_SEATS, **given} if given else {}
        place: dict[str, Any] = {"base_url": base_url, "codec": codec, "timeout_s": timeout_s}
        place |= {"options": options, "token": token}
        made = make_openspiel(game, **place, render_mode=render_mode, on_fault="raise", **kwargs)
        is_for_one = not given and load_game(game).game.num_players() == 1
        return _OnlySeat(made) if is_for_one and not _has_all_seats(made) else made
    is_for_server = codec != "auto" or options is not None or token is not None
    if is_for_server or (timeout_s != AUTO and not embedded):
        raise InvalidRequestError(
            "codec, options and token need base_url, and timeout_s base_url or embedded=True"
        )
    if embedded:
        request = Open(f"openspiel:{game}", {**_ALL_SEATS, **given}, render_mode)
        embedding = ConnectOptions(timeout_s=timeout_s)
        return RemoteEnv(embedded_endpoints(request, embedding)[0], "raise")
    return OpenSpielEnv(game, render_mode=render_mode, **_ALL_SEATS, **given)


def _has_all_seats(game: gymnasium.Env[Any, Any]) -> bool:
    """Whether one agent plays every seat."""
    seen = game.observation_space
    return isinstance(seen, spaces.Dict) and set(seen) == {"current_player", "observation"}


class _OnlySeat(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A game for one player that was served as it is, told as one whose every seat is played."""

    def __init__(self, game: gymnasium.Env[Any, Any]) -> None:
        super().__init__(game)
        parts = [("current_player", spaces.Discrete(1)), ("observation", game.observation_space)]
        self.observation_space = spaces.Dict(parts)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        return self._told(*self.env.reset(seed=seed, options=options))

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = self.env.step(action)
        told, info = self._told(seen, info)
        return told, reward, terminated, truncated, {**info, "rewards": [float(reward)]}

    def _told(self, seen: Any, info: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        told = {"current_player": 0, "observation": seen}
        legal = [info["legal_actions"]]
        return told, {**info, "observations": [seen], "legal_actions_by_player": legal}


class _Seats:
    """The base of both kinds of environment: a game whose seats one ``gymnasium.Env`` plays."""

    _is_parallel: bool

    def __init__(
        self, name: str, game: gymnasium.Env[Any, Any], illegal_action: str, max_steps: int | None
    ) -> None:
        if (reason := _why_not(game, illegal_action, max_steps, self._is_parallel)) is not None:
            game.close()
            raise InvalidRequestError(f"{name}: {reason}")
        self._game = game
        self._ends_if_illegal = illegal_action == "terminate"
        self._max_steps = max_steps
        self._steps = 0
        self._player = -1  # the player to choose, or the first of them
        self._observations: list[Any] = []
        self._legal: list[list[int]] = []
        self.render_mode = game.render_mode
        self.metadata = {**game.metadata, "name": name, "is_parallelizable": self._is_parallel}
        inner: Any = game.observation_space
        actions: Any = game.action_space
        count = int(actions.n)
        self._mask_space = spaces.Box(0, 1, (count,), np.int8)
        self.agents: list[str] = []
        self.possible_agents = [f"player_{i}" for i in range(inner["current_player"].n)]
        both = spaces.Dict({"observation": inner["observation"], "action_mask": self._mask_space})
        # Each agent has an object of its own, so that each can be seeded.
        self.observation_spaces = {agent: copy.deepcopy(both) for agent in self.possible_agents}
        self.action_spaces = {agent: spaces.Discrete(count) for agent in self.possible_agents}
        if isinstance(one := inner["observation"], spaces.Box):
            shape = (len(self.possible_agents), *one.shape)
            bounds = float(one.low.min()), float(one.high.max())
            self.state_space = spaces.Box(*bounds, shape, np.float32)

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of what ``observe`` returns, the same object each time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of the agent's actions, the same object each time."""
        return self.action_spaces[agent]

    def observe(self, agent: str) -> dict[str, Any]:
        """Return what an agent sees now; its mask is all zeros if it is not to choose."""
        seat = self.possible_agents.index(agent)
        mask = np.zeros(self._mask_space.shape, np.int8)
        mask[self._legal[seat]] = 1
        return {"observation": self._observations[seat], "action_mask": mask}

    def state(self) -> Any:
        """Return what all players see, stacked in their order, if that is a tensor."""
        if not hasattr(self, "state_space"):
            raise NotImplementedError(f"{self}: what its players see is no tensor to stack")
        return np.stack(self._observations)

    def render(self) -> Any:
        """Return the game as a text or a picture, including what players hide from each other."""
        return self._game.render()

    def close(self) -> None:
        """Close the game, and its connection if it is remote."""
        self._game.close()

    def _begin(self, seed: int | None, options: dict[str, Any] | None) -> None:
        given = options or {}
        known = {"state": given["state"]} if "state" in given else None
        if unknown := [*given.keys() - {"state"}]:  # not an error: PettingZoo's tests pass one
            gymnasium.logger.warn(f"reset of {self} has the option 'state' only, not {unknown}")
        self._steps = 0
        self._read(self._game.reset(seed=seed, options=known)[1])
        self.agents = self.possible_agents[:]

    def _play(self, action: int) -> tuple[list[float], bool, bool, dict[str, Any]]:
        """Play the next player's move; return every player's reward, both flags and the info."""
        _, _, terminated, truncated, info = self._game.step(action)
        self._read(info)
        return info["rewards"], terminated, truncated, info

    def _read(self, info: dict[str, Any]) -> None:
        if "observations" not in info:
            raise InvalidRequestError(f"{self} does not tell what all players see: {_HOW_TO_SERVE}")
        self._observations, self._player = info["observations"], info["current_player"]
        self._legal = [[] for _ in self.possible_agents]
        if self._is_parallel:
            self._legal = info["legal_actions_by_player"]
        elif self._player >= 0:
            self._legal[self._player] = info["legal_actions"]

    def _is_truncated(self) -> bool:
        self._steps += 1
        return self._steps == self._max_steps

    def _checked(self, seat: int, action: Any) -> int:
        """Return the action as an int; raise if it is illegal, unless that ends the game."""
        agent, legal = self.possible_agents[seat], self._legal[seat]
        wrong = f"{agent}: the action {action!r:.80} is "
        if not (space := self.action_spaces[agent]).contains(action):
            wrong += f"no integer from 0 to {space.n - 1}"
        elif int(action) in legal or self._ends_if_illegal:
            return int(action)
        else:
            wrong += f"not legal now. Legal are: {shorten(legal)}"
        hint = 'The game is as it was: play one that observation["action_mask"] allows.'
        raise InvalidActionError(f"{wrong}. {hint}")

    def _infos(self, info: dict[str, Any]) -> dict[str, dict[str, Any]]:
        told: dict[str, Any] = {key: info[key] for key in _TOLD if key in info}
        legal = zip(self.possible_agents, self._legal, strict=True)
        return {name: {"legal_actions": now, **copy.deepcopy(told)} for name, now in legal}


class OpenSpielAEC(_Seats, AECEnv):  # type: ignore[misc]  # PettingZoo has no types
    """A game whose agents move one after the other.

    ``infos`` hold ``legal_actions``; at the end ``returns`` of all players; and
    ``illegal_action`` if one ended the game.
    """

    _is_parallel = False

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Deal a new game, or restore one with ``options={"state": snapshot}``."""
        self._begin(seed, options)
        self._skip_agent_selection = None  # drops the dead agents of an unfinished episode
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        begun: Any = ([0.0] * len(self.agents), False, False, {})
        # If the game is over already, a step plays nothing and gives the rewards.
        self._tell(*(begun if self._player >= 0 else self._play(0)))

    def step(self, action: int | None) -> None:
        """Play a move of ``agent_selection``; a dead agent passes None and leaves."""
        if not self.agents:
            raise ResetNeededError(f"step of {self} without agents: call reset.")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        rewards, terminated, truncated, info = self._play(self._checked(self._player, action))
        self._cumulative_rewards[agent] = 0.0
        is_late = self._is_truncated() and not terminated
        self._tell(rewards, terminated, truncated or is_late, info)

    def _tell(self, rewards: list[float], ended: bool, cut: bool, info: dict[str, Any]) -> None:
        self.rewards = dict(zip(self.agents, rewards, strict=True))
        self.terminations = dict.fromkeys(self.agents, ended)
        self.truncations = dict.fromkeys(self.agents, cut)
        self.infos = self._infos(info)
        self.agent_selection = self.agents[0 if ended or cut else self._player]
        self._accumulate_rewards()


class OpenSpielParallel(_Seats, ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """A game whose agents choose at once.

    An agent whose mask is all zeros has no choice: its action is ignored and may be missing. If
    several actions are illegal, the first counts. Infos are those of :class:`OpenSpielAEC`.
    """

    _is_parallel = True

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Deal a new game, or restore one with ``options={"state": snapshot}``."""
        self._begin(seed, options)
        return {agent: self.observe(agent) for agent in self.agents}, self._infos({})

    def step(self, actions: Mapping[str, int | None]) -> tuple[dict[str, Any], ...]:
        """Play an action of each agent. All end together; then ``agents`` is empty."""
        agents = self.agents
        if not agents:
            raise ResetNeededError(f"step of {self} without agents: call reset.")
        if unknown := [agent for agent in actions if agent not in agents]:
            raise InvalidRequestError(f"{self} has no agent {unknown[0]!r}; it has {agents}")
        choosing = [seat for seat, legal in enumerate(self._legal) if legal]
        chosen = [self._checked(seat, actions.get(agents[seat])) for seat in choosing]
        total = np.zeros(len(agents))
        for action in chosen or [0]:  # at the end a step plays nothing
            rewards, terminated, truncated, info = self._play(action)
            total += rewards
            if terminated or truncated:
                break
        truncated = truncated or (self._is_truncated() and not terminated)
        if terminated or truncated:
            self.agents = []
        return (
            {agent: self.observe(agent) for agent in agents},
            dict(zip(agents, total.tolist(), strict=True)),
            dict.fromkeys(agents, terminated),
            dict.fromkeys(agents, truncated),
            self._infos(info),
        )


def _why_not(game: Any, illegal_action: Any, max_steps: Any, is_parallel: bool) -> str | None:
    """Return why PettingZoo cannot have this game with these arguments, None if it can."""
    if illegal_action not in ("raise", "terminate"):
        return f"illegal_action is 'raise' or 'terminate'; got {illegal_action!r}"
    if max_steps is not None and (type(max_steps) is not int or max_steps < 1):
        return f"max_steps is a number of steps from 1, or None for no limit; got {max_steps!r}"
    if not _has_all_seats(game):
        return f"one agent does not play every seat there: {_HOW_TO_SERVE}"
    dynamics = game.metadata.get("dynamics")
    if dynamics == "mean_field":
        return "a mean-field game has a population and no players: play it with OpenSpielEnv"
    if is_parallel and dynamics != "simultaneous":
        return f"its players do not choose at once, it is {dynamics}: make it with env()"
    return None
