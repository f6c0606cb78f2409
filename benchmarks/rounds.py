"""Cases that are measured in turns, A B C A B C, so that noise of the machine hits all alike."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.errors import BenchmarkError
from benchmarks.workload import Played, Workload

Kind = Literal["limit", "peer", "ours"]
Player = Callable[[Workload], "float | Played"]
"""Plays one round; where there is no environment, only the seconds come back."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to step an environment.

    Attributes:
        name: In the formulas and the JSON.
        label: For people.
        kind: ``limit`` bounds us, a ``peer`` does the same job, ``ours`` is this package.
        open: Starts everything that the case needs, and ends it.
    """

    name: str
    label: str
    kind: Kind
    open: Callable[[], AbstractContextManager[Player]]


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Compares the cases of one round; its value is the median over the rounds.

    Attributes:
        name: In the JSON.
        over: Weights of the cases above the line.
        under: Weights of the cases below it.
        at_most: The target, where smaller is better.
        at_least: The target, where greater is better.
    """

    name: str
    over: Mapping[str, float]
    under: Mapping[str, float]
    at_most: float | None = None
    at_least: float | None = None

    @property
    def cases(self) -> set[str]:
        return {*self.over, *self.under}

    @property
    def formula(self) -> str:
        below = _sum(self.under)
        return f"{_sum(self.over)} / {f'({below})' if len(self.under) > 1 else below}"

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return "" if self.at_least is None else f"at least {self.at_least:g}"

    def hit(self, times: Mapping[str, Sequence[float]]) -> bool | None:
        """Whether the median is within the target, None where there is none."""
        median = statistics.median(self.per_round(times))
        if self.at_most is not None:
            return median <= self.at_most
        return None if self.at_least is None else median >= self.at_least

    def per_round(self, times: Mapping[str, Sequence[float]]) -> list[float]:
        count = min(len(times[name]) for name in self.cases)
        return [
            sum(weight * times[name][i] for name, weight in self.over.items())
            / sum(weight * times[name][i] for name, weight in self.under.items())
            for i in range(count)
        ]


def _sum(weights: Mapping[str, float]) -> str:
    return " + ".join(
        name if weight == 1 else f"{weight:g} * {name}" for name, weight in weights.items()
    )


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run measured: microseconds a step, per case and round."""

    steps: int
    cases: Sequence[Case]
    times_us: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        return min(len(times) for times in self.times_us.values())

    def median_us(self, name: str) -> float:
        return statistics.median(self.times_us[name])


def measure(cases: Sequence[Case], rounds: int, steps: int, say: Callable[[str], None]) -> Result:
    """Play one round that does not count, then ``rounds`` rounds of all cases in turns.

    Raises:
        BenchmarkError: two cases did not play the same episodes.
    """
    result = Result(steps=steps, cases=cases, times_us={case.name: [] for case in cases})
    with ExitStack() as stack:
        players = {}
        for case in cases:
            say(f"starting: {case.label}")
            players[case.name] = stack.enter_context(case.open())
        for number in range(rounds + 1):
            say(f"round {number} of {rounds}" if number else "warming up")
            workload = Workload(seed=number, steps=steps)
            for name, seconds in _round(players, workload):
                if number:
                    result.times_us[name].append(seconds / steps * 1e6)
    return result


def _round(players: Mapping[str, Player], workload: Workload) -> Iterator[tuple[str, float]]:
    expected: tuple[str, Played] | None = None
    for name, play in players.items():
        gc.collect()
        played = play(workload)
        if isinstance(played, float):
            yield name, played
            continue
        expected = expected or (name, played)
        if played[1:] != expected[1][1:]:
            raise BenchmarkError(
                f"{name} did not play the episodes that {expected[0]} played: expected "
                f"{expected[1].episodes} ends, {expected[1].score:g} in rewards and "
                f"{expected[1].last} at last, got {played.episodes}, {played.score:g} and "
                f"{played.last}"
            )
        yield name, played.seconds
