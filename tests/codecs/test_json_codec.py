"""Every value of every space comes back from strict JSON, and only such values are read."""

from __future__ import annotations

import json
from inspect import signature
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import json_codec
from openenv_gym.errors import InvalidRequestError
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES, float_corners, samples

pytestmark = pytest.mark.single_env


def round_trip(space: gs.Space[Any], value: Any) -> Any:
    codec = json_codec(space)
    text = json.dumps(codec.to_json(value), allow_nan=False)
    return codec.from_json(json.loads(text), "$")


def canonical(value: Any) -> Any:
    """The value with Python integers for numpy's scalars: JSON does not tell them apart."""
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, tuple):
        items = list(map(canonical, value))
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


@pytest.mark.parametrize("name", NAMES)
def test_values_of_a_space_come_back_to_the_bit(name: str):
    space = CATALOGUE[name]
    for value in samples(space):
        again = round_trip(space, value)
        assert same(canonical(again), canonical(value))
        assert space.contains(again)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_comes_back_with_its_sign(dtype: Any):
    array = float_corners(dtype)
    again = round_trip(gs.Box(-np.inf, np.inf, array.shape, dtype), array)
    nan = np.isnan(array)
    assert same(again[~nan], array[~nan])
    assert np.isnan(again[nan]).all()


def test_arrays_are_writable():
    array = round_trip(gs.Box(0, 255, (2,), np.uint8), np.zeros(2, np.uint8))
    array += 1
    assert array.tolist() == [1, 1]


def test_readers_in_other_languages_see_plain_json():
    space = gs.Dict(a=gs.Box(-1, 1, (2,), np.float32), b=gs.Tuple((gs.Discrete(3), gs.Text(2))))
    value = {"a": np.array([0.5, -1], np.float32), "b": (np.int64(2), "x")}
    assert json_codec(space).to_json(value) == {"a": [0.5, -1.0], "b": [2, "x"]}


UINT8 = gs.Box(0, 255, (2,), np.uint8)
REFUSED: list[tuple[gs.Space[Any], Any, str]] = [
    *(
        (gs.Discrete(3), data, "$: expected an integer")
        for data in ("1", True, 1.5, 1.0, None, [1])
    ),
    *((gs.Discrete(3), data, "$: expected an integer") for data in (2**63, -(2**70), "NaN")),
    *(
        (UINT8, data, "$: expected uint8 values")
        for data in ([256, 0], [-1, 0], ["1", 0], [1.5, 0])
    ),
    *((UINT8, data, "$: expected uint8 values") for data in ([True, 0], [1.5, 0], None, {}, "ab")),
    *((UINT8, data, "$: expected shape") for data in ([1], [1, 2, 3], [[1, 2]], 5)),
    (gs.MultiBinary(2), [True, False], "$: expected int8 values"),
    (gs.Box(-1, 1, (1,), np.float32), ["0.5"], "$: expected float32 values"),
    (gs.Box(-1, 1, (1,), np.float32), [1e39], "$: expected float32 values"),
    *((gs.Text(3), data, "$: expected a string") for data in (1, None, ["a"], True)),
    *((gs.Dict(a=gs.Discrete(2)), data, "with the keys a") for data in ({}, [], {"a": 1, "b": 1})),
    (gs.Dict(a=gs.Discrete(2)), {"a": "1"}, "$.a: expected an integer"),
    *((gs.Tuple((gs.Discrete(2),)), data, "array of 1 items") for data in ([], [1, 1], {}, "1")),
    (gs.Tuple((gs.Discrete(2),)), [True], "$[0]: expected an integer"),
    *((gs.Sequence(gs.Discrete(2)), data, "$: expected an array") for data in ({}, 1, "11", None)),
    (gs.Sequence(gs.Discrete(2)), [0, "1"], "$[1]: expected an integer"),
    *((gs.Sequence(UINT8, stack=True), data, "$: expected stacked") for data in (1, {}, None, "a")),
    (gs.Sequence(UINT8, stack=True), [[1, 2], [3]], "$: expected uint8 values"),
    *((CATALOGUE["graph"], data, "with the keys nodes") for data in ([], {}, {"nodes": []})),
]
EDGES = {"nodes": [1], "edges": [1], "edge_links": [[0, 0]]}
REFUSED.append((CATALOGUE["graph without edges"], EDGES, "$.edges: expected null"))


ONE_OF_REFUSED = [[2, 0], [-1, 0], [True, 0], ["0", 0], [0], {}, None, [1.0, 0]]
if hasattr(gs, "OneOf"):
    ONE_OF = gs.OneOf([gs.Discrete(2), gs.Discrete(3)])
    REFUSED += [(ONE_OF, data, "expected an") for data in ONE_OF_REFUSED]


@pytest.mark.parametrize(("space", "data", "expected"), REFUSED, ids=str)
def test_what_has_another_form_is_refused_by_path(space: Any, data: Any, expected: str):
    with pytest.raises(InvalidRequestError) as caught:
        json_codec(space).from_json(data, "$")
    assert expected in str(caught.value)
    assert "got" in str(caught.value)


def test_what_came_is_cut():
    with pytest.raises(InvalidRequestError) as caught:
        json_codec(gs.Discrete(2)).from_json(list(range(10_000)), "$.data")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [1.5, "1", None])
def test_a_value_that_is_no_integer_is_not_rounded(value: Any):
    with pytest.raises(TypeError):
        json_codec(gs.Discrete(3)).to_json(value)


needs_dtype = pytest.mark.skipif(
    "dtype" not in signature(gs.Discrete).parameters,
    reason="a Discrete of this Gymnasium is always one of int64",
)


@pytest.mark.parametrize(
    ("dtype", "arguments"),
    [
        pytest.param(np.int8, {"dtype": np.int8}, marks=needs_dtype),
        pytest.param(np.int32, {"dtype": np.int32}, marks=needs_dtype),
        (np.int64, {}),
    ],
)
def test_the_least_and_the_largest_integer_of_a_dtype_come_back(
    dtype: Any, arguments: dict[str, Any]
):
    limits, space = np.iinfo(dtype), gs.Discrete(3, **arguments)
    for value in (int(limits.min), int(limits.max)):
        assert same(round_trip(space, value), value)


def test_an_empty_stacked_sequence_comes_back():
    space = gs.Sequence(gs.Discrete(3), stack=True)
    assert same(round_trip(space, np.zeros(0, np.int64)), np.zeros(0, np.int64))
