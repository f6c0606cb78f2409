"""How many examples Hypothesis draws for a test: a fifth of them outside of ``make test-long``."""

from __future__ import annotations

from hypothesis import settings

ALL = 500
"""The ``max_examples`` of the profile that draws all of them."""


def examples(most: int) -> int:
    """Return how many of ``most`` examples the profile draws."""
    return most * settings().max_examples // ALL
