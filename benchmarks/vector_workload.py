"""What every case of ``vector`` plays: the same seeded actions in all sub-environments.

Knows the standard library only, because the stock peer imports it in a venv of its own.
"""

from __future__ import annotations

import random
from typing import NamedTuple


class VectorWorkload(NamedTuple):
    """One round.

    Attributes:
        seed: Of the first sub-environment; it counts up. None continues their generators.
        steps: How often all of them step.
        num_envs: How many there are.
        choices: How many actions there are to choose from.
        number: Of the round, which decides the actions.
    """

    seed: int | None
    steps: int
    num_envs: int
    choices: int
    number: int

    def actions(self) -> list[list[int]]:
        """Return for each step an action of each sub-environment."""
        generator, choices = random.Random(self.number), range(self.choices)
        return [generator.choices(choices, k=self.num_envs) for _ in range(self.steps)]
