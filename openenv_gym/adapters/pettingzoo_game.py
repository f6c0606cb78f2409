"""One interface over both of PettingZoo's: who is to act, what each sees, and how each stands.

In an AEC environment one agent acts at a time, in a parallel one all do. An agent that has ended
keeps its last observation and its flags here, whatever PettingZoo still has of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from openenv_gym.spaces.blank import blank

MASK = "action_mask"


class PettingZooGame(ABC):
    """A PettingZoo environment with the agents that it may ever have.

    Args:
        env: An ``AECEnv`` or a ``ParallelEnv``.

    Attributes:
        env: The environment.
        agents: All that there may be, in its order: its ``possible_agents``.
        to_act: Those whose actions the next :meth:`play` takes; none when the game is over.
        ended: Whether an agent was terminated, and whether it was truncated, by agent; those that
            play on are not in it.
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.agents: list[Any] = list(env.possible_agents)
        self.to_act: list[Any] = []
        self.ended: dict[Any, tuple[bool, bool]] = {}
        self._rewards: dict[Any, float] = {}

    def reset(self, seed: int | None, options: dict[str, Any] | None) -> None:
        """Begin a game."""
        self.ended, self._rewards = {}, dict.fromkeys(self.agents, 0.0)
        self._begin(seed, options)

    def play(self, actions: Mapping[Any, Any]) -> None:
        """Play the actions of all agents who are to act."""
        self._play(actions)
        if not self.to_act:  # a game may drop an agent without a word
            for agent in self.agents:
                self.ended.setdefault(agent, (True, False))

    def take_rewards(self) -> dict[Any, float]:
        """Return what each agent was rewarded with since this was asked last."""
        taken, self._rewards = self._rewards, dict.fromkeys(self.agents, 0.0)
        return taken

    def mask(self, agent: Any) -> Any:
        """Return which actions of ``agent`` are legal now, None where the game does not say.

        PettingZoo's games say it in the observation or in the info.
        """
        seen = self.observe(agent)
        if isinstance(seen, Mapping) and MASK in seen:
            return seen[MASK]
        return self.info(agent).get(MASK)

    @abstractmethod
    def observe(self, agent: Any) -> Any:
        """Return what ``agent`` sees, or saw last."""

    @abstractmethod
    def info(self, agent: Any) -> dict[str, Any]:
        """Return the info of ``agent``, or its last one."""

    @abstractmethod
    def _begin(self, seed: int | None, options: dict[str, Any] | None) -> None: ...

    @abstractmethod
    def _play(self, actions: Mapping[Any, Any]) -> None: ...

    def _add(self, rewards: Mapping[Any, Any]) -> None:
        for agent, reward in rewards.items():
            self._rewards[agent] += float(reward)


class ParallelGame(PettingZooGame):
    """A game of PettingZoo's parallel interface."""

    def observe(self, agent: Any) -> Any:
        """Return what ``agent`` sees, or saw last; a blank where it has not seen anything."""
        if agent not in self._seen:
            self._seen[agent] = blank(self.env.observation_space(agent))
        return self._seen[agent]

    def info(self, agent: Any) -> dict[str, Any]:
        """Return the info of ``agent``, or its last one."""
        return dict(self._infos.get(agent) or {})

    def _begin(self, seed: int | None, options: dict[str, Any] | None) -> None:
        seen, infos = self.env.reset(seed=seed, options=options)
        self._seen, self._infos = dict(seen), dict(infos or {})
        self.to_act = list(self.env.agents)

    def _play(self, actions: Mapping[Any, Any]) -> None:
        seen, rewards, terminated, truncated, infos = self.env.step(dict(actions))
        self._seen.update(seen)
        self._infos.update(infos)
        self._add(rewards)
        for agent in self.to_act:
            flags = bool(terminated.get(agent)), bool(truncated.get(agent))
            if any(flags):
                self.ended[agent] = flags
        self.to_act = [agent for agent in self.env.agents if agent not in self.ended]


class AECGame(PettingZooGame):
    """A game of PettingZoo's AEC interface, in which one agent acts at a time."""

    def observe(self, agent: Any) -> Any:
        """Return what ``agent`` sees, or saw last."""
        return self._last[agent][0] if agent in self._last else self.env.observe(agent)

    def info(self, agent: Any) -> dict[str, Any]:
        """Return the info of ``agent``, or its last one."""
        found = self._last[agent][1] if agent in self._last else self.env.infos.get(agent)
        return dict(found or {})

    def _begin(self, seed: int | None, options: dict[str, Any] | None) -> None:
        self._last: dict[Any, tuple[Any, Any]] = {}
        self.env.reset(seed=seed, options=options)
        self._let_go()

    def _play(self, actions: Mapping[Any, Any]) -> None:
        self.env.step(actions[self.env.agent_selection])
        self._add(self.env.rewards)
        self._let_go()

    def _let_go(self) -> None:
        """Keep the last word of agents that have ended, and step past those that are selected."""
        env = self.env
        for agent in env.agents:
            flags = bool(env.terminations[agent]), bool(env.truncations[agent])
            if any(flags) and agent not in self.ended:
                self.ended[agent] = flags
                self._last[agent] = env.observe(agent), env.infos.get(agent)
        while env.agents and env.agent_selection in self.ended:
            env.step(None)
        self.to_act = [env.agent_selection] if env.agents else []


def without_mask(space: gym.Space[Any]) -> gym.Space[Any]:
    """Return the space of what an agent sees, without the mask that PettingZoo puts beside it."""
    if not isinstance(space, gym.spaces.Dict) or MASK not in space.spaces:
        return space
    parts = {name: part for name, part in space.spaces.items() if name != MASK}
    return parts["observation"] if list(parts) == ["observation"] else gym.spaces.Dict(parts)


def seen_without_mask(seen: Any) -> Any:
    """Return what an agent sees, without the mask, as :func:`without_mask` has it."""
    if not isinstance(seen, Mapping) or MASK not in seen:
        return seen
    parts = {name: part for name, part in seen.items() if name != MASK}
    return parts["observation"] if list(parts) == ["observation"] else parts


def legal_actions(space: gym.Space[Any], mask: Any) -> list[int] | None:
    """Return the actions of a ``Discrete`` that a mask allows, None without one of either."""
    if mask is None or not isinstance(space, gym.spaces.Discrete):
        return None
    return [int(space.start) + int(index) for index in np.flatnonzero(np.asarray(mask))]
