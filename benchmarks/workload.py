"""What every case plays: the same seeded episodes, action by action.

The stock peer imports this in a venv of its own, so it needs the standard library only.
"""

import random
from typing import Any, NamedTuple

ENV_ID = "CartPole-v1"
GAME = "tic_tac_toe"
AGENT = 0  # the agent's seat in the game


class Workload(NamedTuple):
    """One round: ``steps`` random actions on an environment that is reset with ``seed`` first."""

    seed: int
    steps: int

    def actions(self) -> list[int]:
        """Return the actions of CartPole."""
        generator = random.Random(self.seed)
        return [generator.getrandbits(1) for _ in range(self.steps)]

    def draws(self) -> list[float]:
        """Return numbers in [0, 1), which choose the legal action ``legal[int(draw * len)]``."""
        generator = random.Random(self.seed)
        return [generator.random() for _ in range(self.steps)]


class VectorWorkload(NamedTuple):
    """One round on many sub-environments, which play the same seeded actions in every case."""

    seed: int | None  # of the first sub-environment; None continues their generators
    steps: int  # of all of them
    num_envs: int
    choices: int  # how many actions there are
    number: int  # of the round, which decides the actions

    def actions(self) -> list[list[int]]:
        """Return for each step an action of each sub-environment."""
        generator, choices = random.Random(self.number), range(self.choices)
        return [generator.choices(choices, k=self.num_envs) for _ in range(self.steps)]


class Played(NamedTuple):
    """How long a round took, and what proves that it did the work.

    The resets between episodes are in the time, the seeded reset before the first step is not.
    """

    seconds: float
    episodes: int  # how many ended
    score: float  # the sum of all rewards
    last: Any  # the last observation, or a checksum of it
