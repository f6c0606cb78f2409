"""Environments of PettingZoo's interfaces that one can reckon by hand, and a policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo.utils.env import AECEnv, ParallelEnv


class Race(ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Runners of different speed: each is terminated at the goal, and all others go on.

    A step costs each runner 1. Runner n moves by its action, and ends at ``goals[n]``.
    """

    metadata = {"name": "race", "render_modes": ["ansi"]}

    def __init__(
        self, goals: tuple[int, ...] = (2, 4), limit: int = 6, render_mode: str | None = None
    ) -> None:
        self.possible_agents = [f"runner_{number}" for number in range(len(goals))]
        self.goals = dict(zip(self.possible_agents, goals, strict=True))
        self.limit, self.render_mode, self.agents = limit, render_mode, []
        self.was_closed = False

    def observation_space(self, agent: str) -> Any:
        return spaces.Box(0, 100, (1,), np.float32)

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.agents, self.steps = self.possible_agents.copy(), 0
        start = (options or {}).get("start", 0)
        self.places = dict.fromkeys(self.agents, start)
        return self.seen(), {agent: {"place": start} for agent in self.agents}

    def seen(self) -> dict[str, Any]:
        return {agent: np.array([self.places[agent]], np.float32) for agent in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        assert list(actions) == self.agents
        self.steps += 1
        for agent, action in actions.items():
            self.places[agent] += action
        rewards = dict.fromkeys(self.agents, -1.0)
        ended = {agent: self.places[agent] >= self.goals[agent] for agent in self.agents}
        late = dict.fromkeys(self.agents, self.steps >= self.limit)
        result = self.seen(), rewards, ended, late, {one: {"place": 0} for one in self.agents}
        self.agents = [agent for agent in self.agents if not (ended[agent] or late[agent])]
        return result

    def render(self) -> str:
        return str(self.places)

    def close(self) -> None:
        self.was_closed = True


class Arrivals(Race):
    """The second runner comes when the first one has taken a step, and sees nothing before."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed, options)
        self.agents = ["runner_0"]
        return self.seen(), {}

    def step(self, actions: dict[str, int]) -> Any:
        result = super().step(actions)
        if self.steps == 1:
            self.agents.append("runner_1")
            result[0].update(self.seen())
        return result


class Nim(AECEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Three players take one or two of a heap; who takes the last one wins 2 of the others.

    The mask is in the info, and the first player starts with a heap of ``heap``.
    """

    metadata = {"name": "nim", "render_modes": []}

    def __init__(self, heap: int = 5) -> None:
        self.possible_agents = ["ann", "bob", "cid"]
        self.heap = heap
        super().__init__()

    def observation_space(self, agent: str) -> Any:
        return spaces.Discrete(self.heap + 1)

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(2, start=1)

    def observe(self, agent: str) -> Any:
        return self.left

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        self.agents, self.left = self.possible_agents.copy(), self.heap
        self.rewards = dict.fromkeys(self.agents, 0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.agent_selection = "ann"
        self._skip_agent_selection = None
        self._tell()

    def step(self, action: int | None) -> None:
        agent = self.agent_selection
        if self.terminations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0
        self._clear_rewards()
        assert action is not None and 1 <= action <= min(2, self.left)
        self.left -= action
        if not self.left:
            self.rewards = {one: 2 if one == agent else -1 for one in self.agents}
            self.terminations = dict.fromkeys(self.agents, True)
        later = (self.agents.index(agent) + 1) % len(self.agents)
        self.agent_selection = self.agents[later]
        self._tell()
        self._accumulate_rewards()
        self._deads_step_first()

    def _tell(self) -> None:
        mask = np.array([self.left >= 1, self.left >= 2], np.int8)
        self.infos = {agent: {"action_mask": mask} for agent in self.agents}

    def close(self) -> None:
        pass


def greedy(observation: Any, agent: str, action_space: Any, action_mask: Any) -> int:
    """The largest legal action, where the mask is told, and the largest one where it is not."""
    legal = range(int(action_space.n)) if action_mask is None else np.flatnonzero(action_mask)
    return int(action_space.start) + int(legal[-1])


parallel_env: Callable[..., Any] = Race
env: Callable[..., Any] = Nim
