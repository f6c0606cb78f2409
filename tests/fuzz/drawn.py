"""Fuzzes one target with Hypothesis, where there is no Atheris."""

from __future__ import annotations

import time

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, seeds

EXAMPLES = 2000
"""So many inputs are drawn before one looks at the clock."""


def fuzz(name: str, seconds: float) -> int:
    """Draw inputs for a target until the time is over; return how many.

    Raises:
        Exception: what the target raised, with the smallest input that makes it.
    """
    known = sorted(seeds(name))
    inputs = st.one_of(
        st.binary(max_size=300),
        st.builds(_with_a_fault, st.sampled_from(known), st.integers(0, 2**20), st.binary()),
    )
    end_s, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:

        @seed(rounds)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(inputs)
        def drawn(data: bytes) -> None:
            TARGETS[name](data)

        drawn()
        rounds += 1
    return rounds * EXAMPLES


def _with_a_fault(known: bytes, place: int, written: bytes) -> bytes:
    place %= len(known) + 1
    return known[:place] + written + known[place + len(written) :]
