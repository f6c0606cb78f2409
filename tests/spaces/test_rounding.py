"""Numbers that lie beyond a bound because an algorithm rounded."""

from __future__ import annotations

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.spaces.rounding import onto_bounds, rounding_limits
from tests.support.rollouts import same

pytestmark = pytest.mark.single_env

PAIRS = [(low / 10, high / 10) for low in range(-20, 10) for high in range(low + 1, 21)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_scaled_to_the_bounds_lies_within_the_limits(dtype: type):
    beyond = 0
    for low, high in PAIRS:
        limits = rounding_limits(gs.Box(low, high, (), dtype))
        ends = np.array([low, high], np.float32)
        scaled = ends[0] + np.float32(0.5) * (np.array([-1, 1], np.float32) + 1) * (
            ends[1] - ends[0]
        )
        for numbers in (ends, scaled, scaled.astype(dtype), np.array([low, high])):
            assert limits[0] <= numbers[0] and numbers[1] <= limits[1]
        beyond += scaled[1] > ends[1]
    assert beyond > 100


def test_the_limits_are_a_millionth_of_the_larger_bound_away():
    lows, highs = np.array([-1000.0, 0, -np.inf]), np.array([1.0, 0, 2])
    low, high = rounding_limits(gs.Box(lows, highs, dtype=np.float64))
    assert low.tolist()[1:] == [0, -np.inf]
    assert 0.0005 < -1000 - low[0] < 0.001 and 0.0005 < high[0] - 1 < 0.001
    assert high[1] == 0 and 1e-6 < high[2] - 2 < 2e-6


def test_what_lies_beyond_a_bound_is_moved_onto_it():
    box = gs.Box(-2, 0.2, (2,), np.float64)
    space = gs.Dict({"a": gs.Tuple((box, gs.Discrete(3))), "b": gs.Sequence(box)})
    near, moved = np.array([0.20000005, -2.0000002], np.float32), np.array([0.2, -2])
    action = {"b": (near,), "a": (near, 2)}
    assert same(onto_bounds(space)(action), {"b": [moved], "a": [moved, 2]})
