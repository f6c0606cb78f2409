"""Look at every transition between environments and who trains, and count the faults."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnvWrapper


@dataclass(kw_only=True)
class Seen:
    """What passed by.

    Attributes:
        faults: Of the transitions that say there was one: the kind, and the sub-environment.
        wrong: What must not be, in words.
        transitions: How many there were.
        digest: Of all of them, but for rewards: each is compared with what its action is worth, and
            which action that was is for who trains to repeat.
    """

    faults: list[tuple[str, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    transitions: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def note(
        self,
        number: int,
        last: Any,
        action: Any,
        obs: Any,
        reward: float,
        ended: tuple[bool, bool],
        said: Any,
    ) -> None:
        """Look at a transition.

        Args:
            number: Of the sub-environment.
            last: The observation before.
            action: The action.
            obs: That after it, of the same episode.
            reward: Of it.
            ended: Whether it was terminated, and truncated.
            said: What the info has of faults.
        """
        self.transitions += 1
        said = said if said and "fault" in said else None
        kind = said["fault"] if said else None
        self.digest.update(repr((number, kind, ended)).encode() + np.asarray(obs).tobytes())
        if not np.isfinite(obs).all() or not np.isfinite(reward):
            self.wrong.append(f"{obs} or {reward} is not finite")
        if said is None:
            # Nothing but a fault truncates what is trained on.
            self.wrong += [f"{number} was truncated without a fault"] if ended[1] else []
            if reward != float(int(action) == int(last[0] >= 0.5)):  # as FaultEnv pays
                self.wrong.append(f"{action} in {last} was paid {reward}")
            return
        self.faults.append((said["fault"], number))
        if (reward, ended) != (0.0, (False, True)) or not np.array_equal(obs, last):
            self.wrong.append(f"a fault gave {reward}, {ended}, {obs} after {last}")


class WatchedVector(gym.vector.VectorWrapper):
    """Watches a vector environment that resets in the next step."""

    def __init__(self, envs: Any) -> None:
        super().__init__(envs)
        self.seen = Seen()

    def reset(self, **keywords: Any) -> Any:
        self._last, info = self.env.reset(**keywords)
        self._last = self._last.copy()
        self._ended = np.zeros(self.num_envs, np.bool_)
        return self._last.copy(), info

    def step(self, actions: Any) -> Any:
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        known = info.get("openenv", {})
        for i in np.flatnonzero(~self._ended):
            is_told = "fault" in known and known["_fault"][i]
            said = {"fault": known["fault"][i]} if is_told else None
            ended = bool(terminated[i]), bool(truncated[i])
            own = int(i), self._last[i], actions[i], obs[i], float(rewards[i])
            self.seen.note(*own, ended, said)
        for i in np.flatnonzero(self._ended):
            self.seen.digest.update(obs[i].tobytes())
            if rewards[i] or terminated[i] or truncated[i]:
                self.seen.wrong.append(f"{i} was reset with {rewards[i]} and an end")
        self._last, self._ended = obs.copy(), terminated | truncated
        return obs, rewards, terminated, truncated, info


class WatchedVecEnv(VecEnvWrapper):
    """Watches a ``VecEnv``, which resets in the same step."""

    def __init__(self, venv: Any) -> None:
        super().__init__(venv)
        self.seen = Seen()

    def reset(self) -> Any:
        self._last = self.venv.reset()
        return self._last.copy()

    def step_async(self, actions: Any) -> None:
        self._actions = actions.copy()
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        obs, rewards, dones, infos = self.venv.step_wait()
        for i, info in enumerate(infos):
            truncated = info["TimeLimit.truncated"]
            ended = bool(dones[i] and not truncated), bool(truncated)
            after = info.get("terminal_observation", obs[i])
            own = i, self._last[i], self._actions[i], after, float(rewards[i])
            self.seen.note(*own, ended, info.get("openenv"))
            self.seen.digest.update(obs[i].tobytes())
        self._last = obs.copy()
        return obs, rewards, dones, infos
