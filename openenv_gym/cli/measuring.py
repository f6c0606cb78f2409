"""How long the steps of an environment take, alone and many together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces as gs
from gymnasium.vector import SyncVectorEnv, VectorEnv

from openenv_gym.cli.playing.policies import policy_of

PERCENTILES = (50, 90, 99)
_WARM_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The steps of one way to have one environment, or many.

    Attributes:
        way: ``local`` for this process, or ``remote``.
        num_envs: How many environments each step is of.
        sessions: Over how many sessions they are spread.
        steps: How many steps were measured, each of all environments.
        percentiles_us: How long a step takes, in microseconds, by percentile.
        worst_us: The longest step, in microseconds.
        steps_per_second: The steps of single environments in a second of stepping.
        reset_us: The median of the resets, in microseconds; None where none was measured.
    """

    way: str
    num_envs: int
    sessions: int
    steps: int
    percentiles_us: dict[int, float]
    worst_us: float
    steps_per_second: float
    reset_us: float | None


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How the environment is had, alone and many together.

    Attributes:
        one: Makes one, at the other side of a connection.
        many: Makes some of them, spread over so many sessions.
        local: Makes one in this process; None where it cannot be made here.
    """

    one: Callable[[], gym.Env[Any, Any]]
    many: Callable[[int, int], VectorEnv[Any, Any, Any]]
    local: Callable[[], gym.Env[Any, Any]] | None


def measure(
    ways: Ways, batches: Sequence[int], sessions: Sequence[int], seconds: float
) -> Iterator[Measured]:
    """Yield what was measured, row by row.

    Actions are drawn before a step is timed. The first steps are left out.

    Args:
        ways: How the environment is had.
        batches: How many environments are stepped together, in one session.
        sessions: Over how many sessions as many environments are spread.
        seconds: How long each row is measured.
    """
    if ways.local is not None:
        yield _of_one("local", ways.local, seconds)
    yield _of_one("remote", ways.one, seconds)
    shapes = [(number, 1) for number in batches] + [(number, number) for number in sessions]
    for number, spread in dict.fromkeys(shapes):
        if number == 1:
            continue
        if ways.local is not None and spread == 1:
            local = SyncVectorEnv([ways.local] * number)
            yield _of_many("local", local, number, 1, seconds)
        yield _of_many("remote", ways.many(number, spread), number, spread, seconds)


def _of_one(way: str, make: Callable[[], gym.Env[Any, Any]], seconds: float) -> Measured:
    env = make()
    try:
        policy = policy_of("random", env, 0)
        resets: list[int] = []

        def reset() -> Any:
            began = time.perf_counter_ns()
            obs, info = env.reset(seed=len(resets))
            resets.append(time.perf_counter_ns() - began)
            return policy(obs, info)

        def step(action: Any) -> Any:
            obs, _, terminated, truncated, info = env.step(action)
            return None if terminated or truncated else (obs, info)

        durations = _durations(reset, step, lambda seen: policy(*seen), seconds)
    finally:
        env.close()
    return _measured(way, 1, 1, durations, resets)


def _of_many(
    way: str, env: VectorEnv[Any, Any, Any], number: int, sessions: int, seconds: float
) -> Measured:
    try:
        generator = np.random.default_rng(0)
        env.action_space.seed(0)

        def reset() -> Any:
            return _actions(env, env.reset(seed=0)[1], generator)

        def choose(info: Any) -> Any:
            return _actions(env, info, generator)

        durations = _durations(reset, lambda actions: env.step(actions)[4], choose, seconds)
    finally:
        env.close()
    return _measured(way, number, sessions, durations, [])


def _durations(
    reset: Callable[[], Any],
    step: Callable[[Any], Any],
    choose: Callable[[Any], Any],
    seconds: float,
) -> list[int]:
    """How long each step takes, in nanoseconds; those that warm up are left out."""
    durations: list[int] = []
    action = reset()
    end_ns = time.perf_counter_ns() + int(seconds * 1e9)
    while time.perf_counter_ns() < end_ns or len(durations) <= _WARM_STEPS:
        began = time.perf_counter_ns()
        seen = step(action)
        durations.append(time.perf_counter_ns() - began)
        action = reset() if seen is None else choose(seen)
    return durations[_WARM_STEPS:]


def _actions(env: VectorEnv[Any, Any, Any], info: Any, generator: np.random.Generator) -> Any:
    """Actions at random, of the legal ones where infos tell them."""
    mask = info.get("action_mask") if isinstance(info, dict) else None
    space = env.single_action_space
    if mask is None or not isinstance(space, gs.Discrete):
        return env.action_space.sample()
    masks = np.stack([np.ones(int(space.n)) if one is None else one for one in mask])
    masks[~masks.any(axis=1)] = 1  # at the end of an episode nothing is legal, and any action goes
    return space.start + (masks * generator.random(masks.shape)).argmax(axis=1)


def _measured(
    way: str, number: int, sessions: int, durations: Sequence[int], resets: Sequence[int]
) -> Measured:
    us = np.array(durations) / 1e3
    return Measured(
        way=way,
        num_envs=number,
        sessions=sessions,
        steps=len(us),
        percentiles_us={one: float(np.percentile(us, one)) for one in PERCENTILES},
        worst_us=float(us.max()),
        steps_per_second=float(number * len(us) / us.sum() * 1e6),
        reset_us=float(np.median(resets)) / 1e3 if resets else None,
    )
