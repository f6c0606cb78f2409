"""Environments that are stepped together, and what each is told.

Each gives a row of :class:`Seen` a step, in the order of time: a step, a reset, or both.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Seen(NamedTuple):
    """What one environment was told."""

    obs: Any
    ending: tuple[float, bool, bool] | None  # reward, terminated, truncated; None of a reset
    said: dict[str, Any]  # what the info says of a fault, or of the reset after one
    asked_s: float  # when the call began
    told_s: float  # when it returned

    @property
    def is_fault(self) -> bool:
        return self.ending is not None and bool(self.said)

    @property
    def is_over(self) -> bool:
        return self.ending is not None and (self.ending[1] or self.ending[2])


Rows = list[list[Seen]]


class Vector:
    """A vector environment of Gymnasium in ``NEXT_STEP``: the step after an end is a reset."""

    def __init__(self, envs: Any) -> None:
        self._envs = envs
        self._was_over = np.ones(envs.num_envs, np.bool_)
        self.close = envs.close

    def reset(self, seed: int) -> Rows:
        asked_s = time.perf_counter()
        obs, info = self._envs.reset(seed=seed)
        told_s = time.perf_counter()
        self._was_over[:] = False
        return [[Seen(own, None, _said(info, i), asked_s, told_s)] for i, own in enumerate(obs)]

    def step(self, numbers: Sequence[int]) -> Rows:
        asked_s = time.perf_counter()
        obs, *endings, info = self._envs.step(np.asarray(numbers))
        told_s = time.perf_counter()
        columns = zip(*(part.tolist() for part in endings), strict=True)
        rows = [
            [Seen(own, None if over else ending, _said(info, i), asked_s, told_s)]
            for i, (own, ending, over) in enumerate(zip(obs, columns, self._was_over, strict=True))
        ]
        self._was_over = endings[1] | endings[2]
        return rows


class VecEnv:
    """A ``VecEnv`` of Stable-Baselines3: an end and the reset after it come in one step."""

    def __init__(self, envs: Any) -> None:
        self._envs = envs
        self.close = envs.close

    def reset(self, seed: int) -> Rows:
        self._envs.seed(seed)
        asked_s = time.perf_counter()
        obs = self._envs.reset()
        resets = self._resets(range(self._envs.num_envs), obs, asked_s, time.perf_counter())
        return [[reset] for reset in resets]

    def step(self, numbers: Sequence[int]) -> Rows:
        asked_s = time.perf_counter()
        obs, rewards, dones, infos = self._envs.step(np.asarray(numbers))
        told_s, rows = time.perf_counter(), []
        for i, info in enumerate(infos):
            by_limit = info["TimeLimit.truncated"]
            ending = (float(rewards[i]), bool(dones[i]) and not by_limit, by_limit)
            last = info["terminal_observation"] if dones[i] else obs[i]
            rows.append([Seen(last, ending, info.get("openenv", {}), asked_s, told_s)])
        over = [i for i, done in enumerate(dones) if done]
        for i, reset in zip(over, self._resets(over, obs, asked_s, told_s), strict=True):
            rows[i].append(reset)
        return rows

    def _resets(self, which: Iterable[int], obs: Any, asked_s: float, told_s: float) -> list[Seen]:
        infos = self._envs.reset_infos
        return [Seen(obs[i], None, infos[i].get("openenv", {}), asked_s, told_s) for i in which]


def _said(info: dict[str, Any], number: int) -> dict[str, Any]:
    """What a batched info says of one environment."""
    said = info.get("openenv", {})
    return {
        key: value[number]
        for key, value in said.items()
        if not key.startswith("_") and said[f"_{key}"][number]
    }


Group = Vector | VecEnv
