"""Cases that are measured in turns, A B C A B C, so that noise of the machine hits all alike."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

from benchmarks.children import BenchmarkError
from benchmarks.workload import Played, VectorWorkload, Workload

Kind = Literal["limit", "peer", "ours"]
"""A ``limit`` bounds us, a ``peer`` does the same job, ``ours`` is this package."""

Player = Callable[[Any], "float | Played"]
"""Plays a workload; where there is no environment, only the seconds come back."""

Opened = AbstractContextManager[Player]
"""Starts what a case needs, and ends it."""


def say(text: str) -> None:
    print(text, flush=True)


class SkippedCase(Exception):
    """The case cannot be measured here; the message says why."""


class Case(NamedTuple):
    """One way to step an environment."""

    kind: Kind
    name: str  # in the formulas and the JSON
    label: str  # for people
    open: Callable[[], Opened]
    share: int = 1  # a slow case plays one step for so many of the others


def case(
    kind: Kind,
    name: str,
    label: str,
    open_: Callable[..., Opened],
    *arguments: Any,
    share: int = 1,
    **options: Any,
) -> Case:
    """Return a case that is opened by ``open_`` with these arguments."""
    return Case(kind, name, label, partial(open_, *arguments, **options), share)


class Group(NamedTuple):
    """Cases of one environment, in the order of the table."""

    cases: Sequence[Case]
    steps: int  # a round
    label: str  # for people
    name: str = ""  # in the formulas and the JSON
    num_envs: int = 0  # how many sub-environments; 0 for an environment that is no vector
    choices: int = 2  # how many actions there are
    is_seeded: bool = True  # whether a reset takes a seed

    def workload(self, number: int, share: int = 1) -> Workload | VectorWorkload:
        steps = max(1, self.steps // share)
        if not self.num_envs:
            return Workload(number, steps)
        seed = 10_000 * number if self.is_seeded else None
        return VectorWorkload(seed, steps, self.num_envs, self.choices, number)


class Result(NamedTuple):
    """What was measured of a group."""

    group: Group
    times_us: dict[str, list[float]]  # a step, of each round
    skipped: dict[str, str]  # why a case is not there


def take_turns(
    players: Mapping[str, Callable[[int], float]], rounds: int
) -> dict[str, list[float]]:
    """Call all players with the number of the round, round after round; return what they said."""
    times: dict[str, list[float]] = {name: [] for name in players}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        for name, play in players.items():
            times[name].append(play(number))
    return times


def measure(group: Group, rounds: int) -> Result:
    """Play a round that does not count, and ``rounds`` rounds of all cases in turns.

    Raises:
        BenchmarkError: two cases did not play the same episodes.
    """
    players: dict[str, Player] = {}
    skipped: dict[str, str] = {}
    first: dict[tuple[int, int], tuple[str, Played]] = {}

    def play(name: str, share: int, number: int) -> float:
        """Return the microseconds of a step; those that play as many must play the same."""
        gc.collect()
        workload = group.workload(number, share)
        played = players[name](workload)
        steps = workload.steps * max(1, group.num_envs)
        if isinstance(played, float):
            return played / steps * 1e6
        other, same = first.setdefault((number, share), (name, played))
        if played[1:] != same[1:]:
            raise BenchmarkError(
                f"{name} of {group.label} did not play the episodes that {other} played: expected "
                f"{same.episodes} ends, {same.score:g} in rewards and {same.last} at last, got "
                f"{played.episodes}, {played.score:g} and {played.last}"
            )
        return played.seconds / steps * 1e6

    with ExitStack() as stack:
        for one in group.cases:
            say(f"{group.label}: starting {one.label}")
            try:
                players[one.name] = stack.enter_context(one.open())
            except SkippedCase as exc:
                say(f"{group.label}: {one.label} is left out: {exc}")
                skipped[one.name] = str(exc)
        shares = {one.name: one.share for one in group.cases if one.name in players}
        for name in players:  # so few that all can play them
            play(name, max(shares.values()), 0)
        turns = {name: partial(play, name, share) for name, share in shares.items()}
        times_us = take_turns(turns, rounds) if turns else {}
    return Result(group, times_us, skipped)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Compares the cases of one round; its value is the median over the rounds."""

    name: str  # in the JSON
    over: Mapping[str, float]  # weights of the cases above the line
    under: Mapping[str, float] = field(default_factory=dict)  # and below it; 1 where there is none
    unit: str = ""  # of the value, where there is nothing below the line
    at_most: float | None = None  # the target, where smaller is better
    at_least: float | None = None  # the target, where greater is better
    rate: tuple[str, float] | None = None  # a case whose steps a second do instead, and how many

    @classmethod
    def faster(cls, name: str, than: str, ours: str, at_least: float | None = None) -> Ratio:
        """How many times as fast as ``than`` is ``ours``."""
        return cls(name=name, over={than: 1}, under={ours: 1}, at_least=at_least)

    @property
    def cases(self) -> set[str]:
        return {*self.over, *self.under}

    @property
    def formula(self) -> str:
        return f"{_sum(self.over)} / {_sum(self.under)}" if self.under else _sum(self.over)

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:g} {self.unit}".rstrip()
        other = f", or {self.rate[1]:,.0f} steps/s" if self.rate else ""
        return "" if self.at_least is None else f"at least {self.at_least:g}{other}"

    def reached(self, times: Mapping[str, Sequence[float]]) -> float | None:
        """Return how much of the target was reached; None where there is none."""
        median = statistics.median(self.per_round(times))
        if self.at_least is None:
            return None if self.at_most is None else self.at_most / median
        part = median / self.at_least
        if self.rate is None:
            return part
        return max(part, 1e6 / statistics.median(times[self.rate[0]]) / self.rate[1])

    def hit(self, times: Mapping[str, Sequence[float]]) -> bool | None:
        part = self.reached(times)
        return None if part is None else part >= 1

    def per_round(self, times: Mapping[str, Sequence[float]]) -> list[float]:
        def weighed(weights: Mapping[str, float], i: int) -> float:
            return sum(weight * times[name][i] for name, weight in weights.items())

        rounds = range(min(len(times[name]) for name in self.cases))
        return [weighed(self.over, i) / (weighed(self.under, i) or 1) for i in rounds]


def _sum(weights: Mapping[str, float]) -> str:
    terms = [name if weight == 1 else f"{weight:g} * {name}" for name, weight in weights.items()]
    return f"({' + '.join(terms)})" if len(terms) > 1 else terms[0]
