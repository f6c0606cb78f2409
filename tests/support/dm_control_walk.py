"""Actions and results that are the same in every interpreter, to compare them to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 120


def actions(low: Any, high: Any, seed: int) -> Any:
    return np.random.default_rng(seed).uniform(low, high, (STEPS, *np.shape(low)))


def written(observation: Any, reward: float, terminated: bool, truncated: bool) -> list[Any]:
    """A step to the bit, as JSON can hold it."""
    parts = {key: np.asarray(value).tobytes().hex() for key, value in dict(observation).items()}
    return [parts, float(reward).hex(), terminated, truncated]
