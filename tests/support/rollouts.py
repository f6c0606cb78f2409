"""Playing two environments side by side, and comparing what they say to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal to the bit: types, dtypes, shapes, signed zeros, NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (np.ndarray, np.generic)):
        return (
            left.dtype == right.dtype
            and left.shape == right.shape
            and np.asarray(left).tobytes() == np.asarray(right).tobytes()
        )
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right)


def assert_same_episodes(local: Any, remote: Any, seeds: range, steps: int = 200) -> int:
    """Play the same seeds and actions on both; return how many steps were compared.

    The first reset of each seed is seeded; those after it, within the steps, are not, so that
    the generator is compared too.
    """
    compared = 0
    for seed in seeds:
        local.action_space.seed(seed)
        expected, actual = local.reset(seed=seed), remote.reset(seed=seed)
        assert same(expected, actual), f"reset with seed {seed}: {expected} != {actual}"
        for step in range(steps):
            action = local.action_space.sample()
            expected, actual = local.step(action), remote.step(action)
            expected = (expected[0], float(expected[1]), *expected[2:])
            assert same(expected, actual), f"seed {seed}, step {step}: {expected} != {actual}"
            compared += 1
            if expected[2] or expected[3]:
                expected, actual = local.reset(), remote.reset()
                assert same(expected, actual), f"seed {seed}: reset after step {step} differs"
    return compared
