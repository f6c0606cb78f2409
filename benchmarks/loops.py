"""Calls that are timed in turns, A B C A B C, each in a loop that is long enough for the clock."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import TypeAlias

Call: TypeAlias = Callable[[], object]

LOOKS = 3
"""How often the first loops are timed: the system may interrupt one of them, hardly each."""


def measure(
    calls: Mapping[str, Call], rounds: int, loop_ms: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Return the microseconds of one call, per name and round.

    Args:
        calls: By name, in the order of their turns.
        rounds: How many count; the loops are sized before the first.
        loop_ms: How long a loop takes, roughly; a call that takes longer is a loop of its own.
        say: Is told how far it is.
    """
    say("warming up")
    sizes = {name: loop_size(call, loop_ms * 1_000_000) for name, call in calls.items()}
    times_us: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        with without_gc():
            for name, call in calls.items():
                times_us[name].append(loop_ns(call, sizes[name]) / sizes[name] / 1000)
    return times_us


def loop_ns(call: Call, size: int) -> int:
    """Return the nanoseconds of ``size`` calls, one after another."""
    turns = repeat(None, size)
    started = time.perf_counter_ns()
    for _ in turns:
        call()
    return time.perf_counter_ns() - started


def loop_size(call: Call, goal_ns: int) -> int:
    """Return how many calls take about ``goal_ns``, one at least."""
    size = 1
    while (took_ns := min(loop_ns(call, size) for _ in range(LOOKS))) < goal_ns / 8:
        size *= 2
    return max(1, round(size * goal_ns / took_ns))


@contextmanager
def without_gc() -> Iterator[None]:
    """Collect garbage before, and not within: it would hit whoever is timed at that moment."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return what a quarter, and what three quarters of the values do not exceed."""
    if len(values) == 1:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper
