"""No value of a space is more in JSON than the space says."""

from __future__ import annotations

import json
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import json_codec
from openenv_gym.spaces.size import json_size
from tests.support.spaces import CATALOGUE, NAMES, float_corners, samples

UNBOUNDED = ("sequence", "graph", "nested", "of sequences")


def count(data: Any) -> int:
    inside = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return 1 + sum(map(count, inside))


def assert_fits(space: gs.Space[Any], value: Any) -> None:
    size, data = json_size(space), json_codec(space).to_json(value)
    assert size is not None
    assert len(json.dumps(data, separators=(",", ":"))) <= size.bytes
    assert count(data) <= size.values


@pytest.mark.parametrize("name", NAMES)
def test_no_sample_is_more_than_its_space_says(name: str):
    space = CATALOGUE[name]
    if json_size(space) is None:
        assert any(word in name for word in (*UNBOUNDED, "one of", "union")), name
        return
    for value in samples(space):
        assert_fits(space, value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_no_float_is_longer_than_its_space_says(dtype: Any):
    corners = np.append(float_corners(dtype), np.array([np.finfo(dtype).min], dtype))
    for value in corners:
        assert_fits(gs.Box(-np.inf, np.inf, (1,), dtype), np.array([value], dtype))


def test_the_longest_number_of_each_kind_fills_its_space():
    for space in gs.Box(-128, 127, (2, 2), np.int8), gs.MultiDiscrete([5, 5], dtype=np.int64):
        longest = np.full(space.shape, np.iinfo(space.dtype).min, space.dtype)
        assert_fits(space, longest)


def test_the_longest_text_fills_its_space():
    assert_fits(gs.Text(5, charset="🙂"), "🙂" * 5)


def test_what_has_an_unbounded_part_has_no_size():
    endless = gs.Sequence(gs.Discrete(2))
    assert json_size(gs.Tuple((gs.Discrete(2), endless))) is None
    assert json_size(gs.Dict(a=gs.Dict(b=endless))) is None
