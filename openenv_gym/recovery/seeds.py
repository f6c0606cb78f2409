"""The seeds of environments that are begun anew, which make a run with faults repeatable."""

from __future__ import annotations

from typing import Any

import numpy as np


def base_seeds_of(seed: Any, count: int, first_env: int = 0) -> list[int | None]:
    """Return the seed of each sub-environment from which its seeds after faults are derived.

    >>> base_seeds_of(9, 2, first_env=2), base_seeds_of([5, None], 2)
    ([7, 7], [5, None])

    Args:
        seed: The argument of a reset: one number, which is the seed of the first of these
            sub-environments and counts up; or a list with one for each.
        count: The number of these sub-environments.
        first_env: The number of the first of them in the whole vector environment. All of a
            vector environment have the same base seed where one number was given.
    """
    if seed is None:
        return [None] * count
    if isinstance(seed, (int, np.integer)):
        return [int(seed) - first_env] * count
    return [None if one is None else int(one) for one in seed]


def seed_after_fault(base_seed: int | None, env_index: int, incarnation: int) -> int | None:
    """Return the seed of an environment that is begun anew; None where none was ever given.

    >>> seed_after_fault(7, 0, 1), seed_after_fault(7, 0, 2)
    (1834709978, 856967280)

    Args:
        base_seed: The last seed that the caller gave.
        env_index: The number of the sub-environment in its vector environment.
        incarnation: How often it was begun anew, this time included.
    """
    if base_seed is None:
        return None
    sequence = np.random.SeedSequence(base_seed, spawn_key=(env_index, incarnation))
    return int(sequence.generate_state(1)[0])
