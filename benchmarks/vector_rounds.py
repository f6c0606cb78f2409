"""Groups of cases that step the same number of sub-environments, measured in turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from benchmarks.errors import BenchmarkError
from benchmarks.rounds import Kind
from benchmarks.vector_workload import VectorWorkload


class SkippedCase(Exception):
    """The case cannot be measured here; the message says why."""


class VectorPlayed(NamedTuple):
    """What a round took, and what proves that it did the work.

    Attributes:
        seconds: From the first step to the last.
        episodes: How many flags said that an episode is over.
        score: The sum of all rewards.
        last: A checksum of the last observation.
    """

    seconds: float
    episodes: int
    score: float
    last: int


VectorPlayer = Callable[[VectorWorkload], "float | VectorPlayed"]
"""Plays one round; where there is no environment, only the seconds come back."""


@dataclass(frozen=True, kw_only=True)
class VectorCase:
    """One way to step many sub-environments.

    Attributes:
        name: In the JSON and, behind that of its group, in the formulas.
        label: For people.
        kind: ``limit`` bounds us, a ``peer`` does the same job, ``ours`` is this package.
        open: Starts everything that the case needs, and ends it.
        share: A slow case plays one step for so many of the others.
    """

    name: str
    label: str
    kind: Kind
    open: Callable[[], AbstractContextManager[VectorPlayer]]
    share: int = 1


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cases of one environment.

    Attributes:
        name: In the formulas and the JSON.
        label: For people.
        num_envs: How many sub-environments.
        steps: A round, of all of them.
        cases: In the order of the table.
        choices: How many actions there are.
        is_seeded: Whether a reset takes a seed.
    """

    name: str
    label: str
    num_envs: int
    steps: int
    cases: Sequence[VectorCase]
    choices: int = 2
    is_seeded: bool = True

    def workload(self, number: int, share: int) -> VectorWorkload:
        seed = 10_000 * number if self.is_seeded else None
        steps = max(1, self.steps // share)
        return VectorWorkload(seed, steps, self.num_envs, self.choices, number)


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """Microseconds of a step of one sub-environment, per case and round.

    Attributes:
        group: What was measured.
        times_us: By the name of the case.
        skipped: Why a case is not there, by its name.
    """

    group: Group
    times_us: dict[str, list[float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def play(envs: Any, workload: VectorWorkload) -> VectorPlayed:
    """Play a round on a ``VectorEnv`` as a training loop would."""
    rows = [np.array(row) for row in workload.actions()]
    episodes, score = 0, 0.0
    obs, _ = envs.reset(seed=workload.seed) if workload.seed is not None else envs.reset()
    started = time.perf_counter()
    for actions in rows:
        obs, rewards, terminated, truncated, _ = envs.step(actions)
        score += float(rewards.sum())
        episodes += int(np.count_nonzero(terminated | truncated))
    seconds = time.perf_counter() - started
    return VectorPlayed(seconds, episodes, score, digest(obs))


def digest(obs: Any) -> int:
    return crc32(np.ascontiguousarray(obs).tobytes())


def measure(group: Group, rounds: int, say: Callable[[str], None]) -> GroupResult:
    """Play a round that all cases play alike, then ``rounds`` rounds in turns.

    Raises:
        BenchmarkError: two cases did not play the same episodes.
    """
    result = GroupResult(group=group)
    with ExitStack() as stack:
        players: dict[str, VectorPlayer] = {}
        for case in group.cases:
            try:
                players[case.name] = stack.enter_context(case.open())
            except SkippedCase as exc:
                say(f"{group.label}: {case.label} is left out: {exc}")
                result.skipped[case.name] = str(exc)
        cases = [case for case in group.cases if case.name in players]
        least = max((case.share for case in cases), default=1)
        _round(group, {case.name: least for case in cases}, players, 0)
        for number in range(1, rounds + 1):
            say(f"{group.label}: round {number} of {rounds}")
            times = _round(group, {case.name: case.share for case in cases}, players, number)
            for name, time_us in times.items():
                result.times_us.setdefault(name, []).append(time_us)
    return result


def _round(
    group: Group, shares: Mapping[str, int], players: Mapping[str, VectorPlayer], number: int
) -> dict[str, float]:
    """Those that play the same number of steps must have played the same."""
    expected: dict[int, tuple[str, VectorPlayed]] = {}
    times = {}
    for name, share in shares.items():
        gc.collect()
        workload = group.workload(number, share)
        played = players[name](workload)
        seconds = played if isinstance(played, float) else played.seconds
        times[name] = seconds / (workload.steps * group.num_envs) * 1e6
        if isinstance(played, float):
            continue
        first, same = expected.setdefault(share, (name, played))
        if played[1:] != same[1:]:
            raise BenchmarkError(
                f"{group.name}.{name} did not play the episodes that {first} played: expected "
                f"{same.episodes} ends, {same.score:g} in rewards and {same.last} as the sum of "
                f"the last observation, got {played.episodes}, {played.score:g} and {played.last}"
            )
    return times
