"""What every case plays: the same seeded episodes, action by action.

Knows the standard library only, because the stock peer imports it in a venv of its own.
"""

from __future__ import annotations

import random
from typing import NamedTuple

ENV_ID = "CartPole-v1"

GAME = "tic_tac_toe"
AGENT = 0
"""The agent's seat in the game."""


class Workload(NamedTuple):
    """One round: ``steps`` random actions on an environment that is reset with ``seed`` first."""

    seed: int
    steps: int

    def actions(self) -> list[int]:
        """Of CartPole."""
        generator = random.Random(self.seed)
        return [generator.getrandbits(1) for _ in range(self.steps)]

    def draws(self) -> list[float]:
        """From 0 to below 1: which of the legal actions of a game, ``legal[int(draw * len)]``."""
        generator = random.Random(self.seed)
        return [generator.random() for _ in range(self.steps)]


class Played(NamedTuple):
    """What a round took, and what proves that it did the work.

    Attributes:
        seconds: From the first step to the last; the resets between episodes are in it, the
            seeded reset before the first step is not.
        episodes: How many episodes ended.
        last: The last observation.
        score: The sum of all rewards.
    """

    seconds: float
    episodes: int
    last: tuple[float, ...]
    score: float
