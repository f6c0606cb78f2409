"""A pydantic field accepts what ``space.contains`` accepts, but for the differences listed here.

They are those that ``docs/spaces.md`` tells; a difference of another kind fails these tests.
"""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from typing import Any

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import TypeAdapter, ValidationError

from openenv_gym.codecs import json_codec
from openenv_gym.errors import InvalidRequestError
from openenv_gym.wire.space_model import space_type
from tests.support.examples import examples
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES, samples
from tests.support.strategies import spaces, values

# `contains` of a Box says so of all that is no array; that it does is one of the differences.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array"),
    pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning"),
]

Space = gs.Space[Any]


class Three(enum.IntEnum):
    ONE = 1


POOL: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    3,
    255,
    256,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    0.0,
    1.0,
    0.5,
    float("nan"),
    float("inf"),
    Three.ONE,
    np.bool_(True),
    np.str_("ab"),
    np.int8(1),
    np.uint8(1),
    np.int64(1),
    np.uint64(1),
    np.float32(0.5),
    np.float64(1),
    "",
    "a",
    "ab",
    "1",
    "1.5",
    "NaN",
    "Infinity",
    str(2**53 + 1),
    "zaä",
    b"",
    b"ab",
    [],
    (),
    {},
    [0],
    (0,),
    [0, 1],
    (0, 1),
    [[0]],
    [[]],
    [0.5, 0.5],
    [True, False],
    [1.0, 0.0],
    [0, 1, 1, 0],
    (0, 1, 1, 0),
    [True, False, True, False],
    [1.0, 0.0, 1.0, 0.0],
    [0.5, 0.5, 0.5, 0.5],
    ["0", "1", "1", "0"],
    ["Infinity", 0, 1, 1],
    [300] * 3,
    [1.5] * 3,
    *(np.zeros(4, dtype) for dtype in "?bBiqQefd"),
    *(np.zeros(shape, np.int64) for shape in ((), (1,), (2,), (3,), (2, 2), (2, 3), (0, 3))),
    *(np.full(4, number) for number in (0.5, np.nan, np.inf, 2.0)),
    np.zeros(2, np.float32),
    np.zeros((2, 3), np.float64),
    np.array(0.5, np.float32),
    np.zeros((0, 2), np.float32),
    np.zeros((3, 2), np.float64),
    np.array(["0"] * 4),
    {"a": 1},
    {"a": 1, "b": [0, 1]},
    OrderedDict(a=(0, 0)),
    {"a": [0, 1]},
    {"a": True},
    {"a": (0, 1)},
    {"a": np.int64(0)},
    {"a": (0, np.int64(1))},
    {"a": [0, np.int64(1)]},
    [np.int64(0), np.int64(1)],
    (np.int64(0), [0.5, 0.5], "a"),
    [0, [0.5, 0.5], "a"],
    (0, 1),
    (np.int64(0), 1),
    (True, np.zeros(2, np.float32)),
    [2, "ab"],
    (2, "ab"),
    [True, 0],
    {"nodes": [0, 1], "edges": None, "edge_links": None},
    {"nodes": [[0, 0, 0]], "edges": [1], "edge_links": [[0, 0]]},
    gs.GraphInstance(np.array([0, 1]), None, None),
    gs.GraphInstance([0, 1], [1], [[0, 0]]),
    *(each for name in NAMES for each in samples(CATALOGUE[name], 1)),
]

JSON_FORM = "the JSON form of a value is one"
OTHER_DTYPE = "numbers of another dtype are read, if they fit"
STRICT_JSON = "JSON is read as its schema says, without casts"
CANNOT_LOOK = (TypeError, ValueError, LookupError, gym.error.CustomSpaceError)
DIFFERENCES = {JSON_FORM, OTHER_DTYPE, STRICT_JSON}


def is_json(data: Any) -> bool:
    if isinstance(data, dict):
        return all(map(is_json, data.values()))
    if isinstance(data, list):
        return all(map(is_json, data))
    return data is None or type(data) in (str, bool, int, float)


def contains(space: Space, value: Any) -> bool:
    try:
        return bool(space.contains(value))
    except CANNOT_LOOK:
        return False  # Gymnasium says so of what it cannot look into, instead of "no"


def can_contain(space: Space, value: Any) -> bool:
    """Whether ``contains`` gives an answer."""
    try:
        space.contains(value)
    except CANNOT_LOOK:
        return False
    return True


def accepts(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def is_read(space: Space, data: Any) -> bool:
    """Whether ``data`` is the written form of a value that is contained."""
    try:
        return contains(space, json_codec(space).from_json(data, "$"))
    except InvalidRequestError:
        return False


def difference(space: Space, adapter: TypeAdapter[Any], value: Any) -> str | None:
    """The kind of the difference between a field and the space; None where they agree."""
    accepted, contained = accepts(adapter, value), contains(space, value)
    if accepted == contained:
        return None
    if accepted and is_read(space, value):
        return JSON_FORM if is_json(value) else OTHER_DTYPE
    if contained and is_json(value):
        return STRICT_JSON
    return f"unlisted: {'accepted' if accepted else 'refused'} {value!r} for {space}"


@pytest.mark.parametrize("name", NAMES)
def test_a_field_differs_from_its_space_only_as_listed(name: str):
    space = CATALOGUE[name]
    adapter = TypeAdapter(space_type(space))
    asked = [value for value in POOL if is_json(value) or can_contain(space, value)]
    assert len(asked) > 50
    found = {difference(space, adapter, value) for value in asked}
    assert found <= {None, *DIFFERENCES}


@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(spaces(1), spaces(1).flatmap(values))
def test_a_field_of_any_space_differs_only_as_listed(space: Space, other: Any):
    adapter = TypeAdapter(space_type(space))
    for value in [other, *POOL[::4]]:
        if is_json(value) or can_contain(space, value):
            assert difference(space, adapter, value) in {None, *DIFFERENCES}


FLOATS, OPEN = gs.Box(-1, 1, (2,), np.float32), gs.Box(-np.inf, np.inf, (), np.float64)
BYTES, BITS, COUNTS = gs.Box(0, 9, (2,), np.uint8), gs.MultiBinary(2), gs.MultiDiscrete([3, 3])

# (space, value, whether it is contained, whether a field accepts it)
TABLE: dict[str, list[tuple[Space, Any]]] = {
    JSON_FORM: [
        (gs.Sequence(gs.Discrete(3)), [0, 2]),
        (gs.OneOf([gs.Discrete(2), gs.Text(3)]) if hasattr(gs, "OneOf") else gs.Text(1), [1, "ab"]),
        (gs.Graph(gs.Discrete(3), None), {"nodes": [0], "edges": None, "edge_links": None}),
        (gs.Discrete(2**60), str(2**53 + 1)),
    ],
    OTHER_DTYPE: [
        (FLOATS, np.array([0.5, 0.1], np.float64)),
        (FLOATS, np.array([0, 1], np.int64)),
        (BYTES, np.array([0, 9], np.int64)),
        (COUNTS, np.array([0, 1], np.uint64)),
    ],
    STRICT_JSON: [
        *((gs.Discrete(2), flag) for flag in (True, False)),
        *((space, [True, False]) for space in (BITS, BYTES, FLOATS)),
        (BITS, [1.0, 0.0]),
        (BYTES, [1.5, 0.0]),
        (OPEN, "1.5"),
        *((gs.Sequence(FLOATS, stack=True), empty) for empty in ("", {})),
    ],
}
ROWS = [(kind, *row) for kind, rows in TABLE.items() for row in rows]


@pytest.mark.parametrize(("kind", "space", "value"), ROWS, ids=str)
def test_each_difference_is_as_told(kind: str, space: Space, value: Any):
    if isinstance(space, gs.Text):
        pytest.skip("OneOf is since Gymnasium 1.0")
    adapter = TypeAdapter(space_type(space))
    assert difference(space, adapter, value) == kind
    assert contains(space, value) is (kind == STRICT_JSON)


AGREED: list[tuple[Space, Any, bool]] = [
    *((gs.Discrete(3), value, True) for value in (1, np.int8(1), np.array(1), Three.ONE)),
    *((gs.Discrete(3), value, False) for value in (1.0, "1", np.bool_(True), np.uint64(1), [1])),
    *((gs.Discrete(3, dtype=np.int8), value, value == 1) for value in (1, 300)),
    (gs.Discrete(3, dtype=np.int8), np.int64(1), False),
    *((FLOATS, value, True) for value in ([0, 0.5], (0, 0.5), np.zeros(2, np.float16))),
    *((FLOATS, value, False) for value in ([0, 2], [0], [0, None], np.full(2, np.nan), {0, 1})),
    *((BYTES, value, False) for value in (np.zeros(2, np.float64), [0, 10], [-1, 0])),
    *((BITS, value, True) for value in ([0, 1], (0, 1), np.array([True, False]), np.ones(2))),
    *((gs.Text(2), value, True) for value in ("ab", np.str_("ab"))),
    *((gs.Text(2), value, False) for value in ("", "abc", "é", b"ab", 1, ["a"])),
    *((gs.Tuple((BITS,)), value, True) for value in ([[0, 1]], ([0, 1],), [np.ones(2, np.int8)])),
    (gs.Sequence(gs.Discrete(3)), [np.int64(1)], False),
    (gs.Sequence(gs.Discrete(3)), (1, np.int64(2)), True),
]


@pytest.mark.parametrize(("space", "value", "expected"), AGREED, ids=str)
def test_a_field_and_its_space_agree(space: Space, value: Any, expected: bool):
    assert contains(space, value) is expected
    assert accepts(TypeAdapter(space_type(space)), value) is expected


def test_values_of_another_dtype_are_held_in_that_of_the_space():
    held = TypeAdapter(space_type(FLOATS)).validate_python(np.array([0.1, 1.0]))
    assert same(held, np.array([0.1, 1.0], np.float32))


def test_what_only_the_space_reads_is_held_as_it_is():
    value = np.array([True, False])
    assert TypeAdapter(space_type(BITS)).validate_python(value) is value


# --- faults that were found here ------------------------------------------------------------


@pytest.mark.parametrize("value", [np.array([True, False]), np.array([1.0, 0.0])], ids=str)
def test_a_value_that_is_contained_with_another_dtype_can_be_written(value: Any):
    adapter = TypeAdapter(space_type(BITS))
    text = adapter.dump_json(adapter.validate_python(value))
    assert json.loads(text) == [1, 0]
    assert same(adapter.validate_json(text), np.array([1, 0], np.int8))


def test_an_ordered_dict_is_a_dict_to_the_field_as_to_the_space():
    space = gs.Dict(a=gs.Discrete(2))
    assert contains(space, OrderedDict(a=1))
    assert accepts(TypeAdapter(space_type(space)), OrderedDict(a=1))


RAISES: list[tuple[Space, Any]] = [
    (gs.Sequence(gs.Discrete(2), stack=True), np.int64(5)),
    (gs.Sequence(gs.Dict(a=gs.Discrete(2)), stack=True), (np.int64(5),)),
    (gs.Graph(gs.Discrete(2), None), gs.GraphInstance(5, None, None)),
]


@pytest.mark.parametrize(("space", "value"), RAISES, ids=str)
def test_what_the_space_cannot_look_into_is_refused(space: Space, value: Any):
    assert not can_contain(space, value)
    assert not accepts(TypeAdapter(space_type(space)), value)
