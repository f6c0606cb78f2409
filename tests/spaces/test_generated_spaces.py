"""Any space that can be built comes back from its schema, and its values from both codecs.

The encoded values are changed too, to compare the schema, which every language sees, with what
our own readers accept.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from openenv_gym.codecs import binary_codec, json_codec
from openenv_gym.codecs.binary_codec import Misfit
from openenv_gym.errors import InvalidRequestError
from openenv_gym.spaces import from_schema, to_schema
from openenv_gym.spaces.numbers import EXACT_INTEGERS
from openenv_gym.wire.space_model import space_type
from tests.support.examples import examples
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE
from tests.support.strategies import parts, spaces, spaces_and_values, strictly_equal

pytestmark = [
    # Gymnasium says so of every number of a stack of boxes without axes, which `contains` visits.
    pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array"),
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),  # of what Hypothesis shows
]

Space = gs.Space[Any]


def generated(max_examples: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(max_examples=examples(max_examples), deadline=None, suppress_health_check=slow)


def published(space: Space) -> dict[str, Any]:
    return json.loads(json.dumps(to_schema(space), allow_nan=False))


def through_json(space: Space, value: Any) -> Any:
    return json.loads(json.dumps(json_codec(space).to_json(value), allow_nan=False))


UNSIGNED = np.iinfo(np.uint64)
WORST: list[Space] = [
    gs.Text(3, min_length=0, charset="]^\\-[\n\r\"'🙂𐍈\0\u2028"),
    gs.Text(0, min_length=0, charset="^"),
    gs.Discrete(2**63 - 1, start=-(2**63)),
    gs.Discrete(1, start=UNSIGNED.max, dtype=np.uint64),
    gs.MultiDiscrete([1, 127], dtype=np.int8, start=[-128, 1]),
    gs.Box(0, 1, (2, 0), np.float16),
    gs.Box(np.array([-np.inf, 0]), np.array([0, np.inf]), dtype=np.float64),
    gs.Box(np.array([0, 2**63], np.uint64), np.full(2, UNSIGNED.max), dtype=np.uint64),
    gs.MultiBinary([]),
    gs.Dict([("$ref", gs.Dict([])), ("", gs.Tuple(())), ("a/b~c", gs.Discrete(1))]),
    gs.Sequence(gs.Sequence(gs.Text(2, charset="$"), stack=True), stack=True),
]


@pytest.mark.parametrize("space", WORST, ids=str)
def test_the_worst_spaces_come_back(space: Space):
    Draft202012Validator.check_schema(published(space))
    assert from_schema(published(space)) == space
    assert strictly_equal(from_schema(published(space)), space)


@generated(800)
@given(spaces())
@example(gs.Dict([("b", gs.Text(1, charset="ba")), ("a", gs.Sequence(gs.Discrete(2), stack=True))]))
def test_any_space_comes_back_from_its_schema(space: Space):
    schema = published(space)
    Draft202012Validator.check_schema(schema)
    assert from_schema(schema) == space
    assert strictly_equal(from_schema(schema), space)


def canonical(value: Any) -> Any:
    """A value without what JSON does not say: the type of one integer, and which NaN it is."""
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.where(np.isnan(value), np.array(np.nan, value.dtype), value)
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [canonical(item) for item in value]
        return type(value)(*items) if isinstance(value, gs.GraphInstance) else tuple(items)
    return value


def arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(value, np.ndarray):
        yield value
    items = value.values() if isinstance(value, dict) else value
    for item in items if isinstance(value, dict | tuple) else ():
        yield from arrays(item)


@generated(600)
@given(spaces_and_values())
def test_any_value_is_valid_json_and_comes_back(pair: tuple[Space, Any]):
    space, value = pair
    data = through_json(space, value)
    Draft202012Validator(published(space)).validate(data)
    again = json_codec(space).from_json(data, "$")
    assert same(canonical(again), canonical(value))
    assert all(array.flags.writeable for array in arrays(again))
    assert through_json(space, again) == data


@generated(600)
@given(spaces_and_values(), st.binary(max_size=3))
def test_any_value_comes_back_from_bytes(pair: tuple[Space, Any], before: bytes):
    space, value = pair
    codec = binary_codec(space)
    try:
        packed = codec.pack(value)
    except Misfit:  # only what its eight signed bytes do not hold; it is sent in free form
        assert any(getattr(part, "dtype", None) == np.uint64 for part in parts(space))
        return
    buffer = bytearray(before + packed + b"after")
    again, end = codec.unpack(buffer, len(before))
    assert same(again, value)
    assert end == len(before) + len(packed)
    whole = np.frombuffer(buffer, np.uint8)
    for array in arrays(again):
        assert array.flags.writeable
        assert not np.shares_memory(array, whole)


NAN = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)


def test_bytes_keep_which_nan_it_is_and_json_does_not():
    space = gs.Box(-np.inf, np.inf, (2,), np.float64)
    binary = binary_codec(space)
    assert binary.unpack(binary.pack(NAN), 0)[0].tobytes() == NAN.tobytes()
    assert through_json(space, NAN) == ["NaN", "NaN"]
    again = json_codec(space).from_json(["NaN", "NaN"], "$")
    assert again.tobytes() == np.full(2, np.nan).tobytes()


# --- encoded values with one change -----------------------------------------------------------

DIGITS = re.compile(r"-?[0-9]{16,}\n?")
ATOMS = (
    "x",
    "",
    "]",
    "1",
    "NaN",
    "Infinity",
    "-Infinity",
    str(2**53 + 1),
    str(10**15),
    f"{2**53 + 1}\n",
    f"{-(2**63)}",
    True,
    False,
    None,
    {},
    [],
    [[]],
    0,
    -1,
    1,
    0.5,
    2.0,
    1e300,
    -1e300,
    2**53 + 1,
    2**63,
    2**64 - 1,
    -(2**63),
)


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(data, dict | list):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(item, (*path, key))


def at(data: Any, path: tuple[Any, ...]) -> Any:
    return at(data[path[0]], path[1:]) if path else data


def put(data: Any, path: tuple[Any, ...], item: Any) -> Any:
    if not path:
        return item
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = put(data[path[0]], path[1:], item)
    return copy


def mutants(item: Any) -> list[Any]:
    """Other things in place of ``item``, far from it and close to it."""
    found: list[Any] = list(ATOMS)
    if isinstance(item, list):
        found += [item[:-1], item[1:], [*item, *item[-1:]], [*item, 0], item[0] if item else 0]
        found += [dict(enumerate(map(str, item)))]
    if isinstance(item, dict):
        found += [{k: v for k, v in item.items() if k != key} for key in item]
        found += [{**item, "one more": 0}, list(item.values())]
    if type(item) in (int, float):
        found += [item + 1, item - 1, float(item), str(item), math.nextafter(item, math.inf)]
    if isinstance(item, str):
        found += [f"{item}a", f"{item}\n", item[:-1], item[::-1]]
    return [json.loads(json.dumps(each)) for each in found]


def why_schema_accepts_more(space: Space, old: Any, new: Any) -> str | None:
    """Why JSON schema accepts a change that the reader refuses; None where nothing says so."""
    numeric = type(old) in (int, float) or old in ("NaN", "Infinity", "-Infinity")
    numeric = numeric or (isinstance(old, str) and bool(DIGITS.fullmatch(old)))
    reasons = {
        "stacks of parts may differ in length": any(
            getattr(p, "stack", False) for p in parts(space)
        ),
        "links of a graph depend on its nodes": any(isinstance(p, gs.Graph) for p in parts(space)),
        "1.0 is an integer of JSON schema": type(new) is float and new.is_integer(),
        "NaN, or infinite where there is a bound": new in ("NaN", "Infinity", "-Infinity"),
        "digits beyond a bound, or not that large": (
            numeric and isinstance(new, str) and DIGITS.fullmatch(new)
        ),
        "$ stands before a last newline in Python": isinstance(new, str) and new.endswith("\n"),
        "flags have no bounds in JSON schema": type(new) is bool and type(old) is bool,
        "larger than the floats of the dtype": type(new) in (int, float) and abs(new) > 65504,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def why_reader_accepts_more(space: Space, old: Any, new: Any) -> str | None:
    """Why the reader accepts a change that JSON schema refuses; None where nothing says so."""
    kinds = {np.dtype(part.dtype).kind for part in parts(space) if isinstance(part, gs.Box)}
    reasons = {
        "rounded to the nearest float of the dtype": "f" in kinds and type(new) in (int, float),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def is_accepted(adapter: TypeAdapter[Any], data: Any) -> bool:
    try:
        adapter.validate_python(data)
    except ValidationError:
        return False
    return True


def check_mutants(space: Space, data: Any, rng: random.Random, count: int) -> None:
    validator, adapter = Draft202012Validator(published(space)), TypeAdapter(space_type(space))
    if not is_accepted(adapter, data):  # it has a NaN, beside which no change makes a value
        return
    paths = list(places(data))
    for path in rng.sample(paths, min(len(paths), 4)):
        old = at(data, path)
        choices = mutants(old)
        for new in rng.sample(choices, min(count, len(choices))):
            changed = put(data, path, new)
            valid, accepted = validator.is_valid(changed), is_accepted(adapter, changed)
            if valid == accepted:
                continue
            explain = why_schema_accepts_more if valid else why_reader_accepts_more
            reason = explain(space, old, new)
            assert reason, f"{space}: schema {valid}, reader {accepted}: {changed}"


@generated(500)
@given(spaces_and_values(2), st.integers(0, 2**32))
def test_the_schema_and_the_reader_agree_on_changed_values(pair: tuple[Space, Any], seed: int):
    space, value = pair
    check_mutants(space, through_json(space, value), random.Random(seed), 12)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_schema_and_the_reader_agree_on_the_catalogue(name: str):
    space = CATALOGUE[name]
    space.seed(3)
    data = through_json(space, space.sample())
    for seed in range(3):
        check_mutants(space, data, random.Random(seed), examples(100))


# Here no reason excuses anything: whatever the change, both say the same.
STRICT: list[tuple[Space, Any, bool]] = [
    *((gs.Discrete(3), data, data in (0, 1, 2)) for data in (0, 2, 3, -1)),
    *((gs.Discrete(3), data, False) for data in (True, None, "1", [1], {}, 0.5)),
    *((gs.Box(0, 1, (2,)), data, False) for data in ([0], [0, 0, 0], [0, 1.5], [0, "0"], 0)),
    *((gs.Box(0, 1, (2,)), data, True) for data in ([0, 1], [0.5, 0.25], [1e-50, 0])),
    *((gs.Box(0, 1, (1,), bool), [data], data is True) for data in (True, 1, "true")),
    *((gs.Tuple(()), data, data == []) for data in ([], [0], {}, None)),
    *((gs.Dict({}), data, data == {}) for data in ({}, {"a": 0}, [], None)),
    *((gs.Text(2, charset="]^"), data, data == "]^") for data in ("]^", "", "a", "]]]", "-")),
    *((gs.Sequence(gs.Discrete(2)), data, data == [1]) for data in ([1], [2], {}, 1, [[1]])),
]


@pytest.mark.parametrize(("space", "data", "expected"), STRICT, ids=str)
def test_the_schema_and_the_reader_say_the_same(space: Space, data: Any, expected: bool):
    assert Draft202012Validator(published(space)).is_valid(data) is expected
    assert is_accepted(TypeAdapter(space_type(space)), data) is expected


# --- faults that were found here ------------------------------------------------------------


COMPOUND = gs.Dict({"a": gs.Discrete(2), "b": gs.Box(0, 1, (2,))})
LOST: list[Space] = [
    gs.MultiDiscrete(3),
    gs.MultiDiscrete(np.ones((0, 2), np.int64)),
    gs.Box(-np.inf, np.inf, (2,), np.int32),
    gs.Box(np.array([0.0, -0.0]), np.ones(2), dtype=np.float64),
]


@pytest.mark.parametrize("space", LOST, ids=str)
def test_a_space_comes_back_that_was_once_lost(space: Space):
    assert strictly_equal(from_schema(published(space)), space)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_the_scalars_of_a_space_that_comes_back_have_its_type(dtype: Any):
    for space in (gs.MultiDiscrete([3], dtype=dtype), gs.Box(0, 9, (1,), dtype)):
        again = from_schema(published(space))
        assert type(again.sample()[0]) is type(space.sample()[0])


@pytest.mark.skipif(not hasattr(gs, "OneOf"), reason="graphs of such spaces, since Gymnasium 1.1")
@pytest.mark.parametrize("node", [COMPOUND, gs.Tuple((gs.Discrete(2),))], ids=str)
def test_the_schema_of_a_graph_of_compound_nodes_accepts_its_values(node: Space):
    space = gs.Graph(node, node)
    space.seed(1)
    value = space.sample()
    Draft202012Validator(published(space)).validate(through_json(space, value))


def test_stacked_values_keep_the_order_of_their_keys():
    space = gs.Sequence(gs.Dict([("z", gs.Discrete(2)), ("a", gs.Discrete(2))]), stack=True)
    space.seed(1)
    value = space.sample()
    assert same(json_codec(space).from_json(through_json(space, value), "$"), value)


@pytest.mark.parametrize("feature", [gs.Tuple(()), gs.Dict({"a": gs.Tuple(())})], ids=str)
def test_a_stack_of_nothing_comes_back(feature: Space):
    space = gs.Sequence(feature, stack=True)
    value = space.sample()
    assert space.contains(value)
    assert json_codec(space).from_json(through_json(space, value), "$") == value


@pytest.mark.parametrize("data", [{}, [], 1, None], ids=str)
def test_json_of_a_stack_of_empty_dicts_is_read_or_refused(data: Any):
    codec = json_codec(gs.Sequence(gs.Dict({}), stack=True))
    try:
        codec.from_json(data, "$")
    except InvalidRequestError:
        assert data != {}


def test_a_short_message_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch):
    space = gs.Sequence(gs.Box(0, 255, (64, 64, 3), np.uint8), stack=True)
    sizes: list[int] = []
    tile = np.tile
    monkeypatch.setattr(np, "tile", lambda a, n: sizes.append(np.size(a) * n[0]) or tile(a, n))
    with pytest.raises(InvalidRequestError):
        json_codec(space).from_json([0] * 200, "$")
    assert max(sizes, default=0) <= 64 * 64 * 3


@pytest.mark.parametrize("number", [2**64, 10**20, -(10**19)], ids=str)
def test_floats_may_be_written_without_fraction_as_javascript_does(number: int):
    assert number > -EXACT_INTEGERS or number < 0
    space = gs.Box(-np.inf, np.inf, (2,), np.float64)
    assert Draft202012Validator(published(space)).is_valid([number, 0.5])
    assert json_codec(space).from_json([number, 0], "$").tolist() == [float(number), 0.0]


def test_digits_as_text_are_no_float():
    space = gs.Box(-np.inf, np.inf, (1,), np.float64)
    assert not Draft202012Validator(published(space)).is_valid([str(2**60)])
    with pytest.raises(InvalidRequestError):
        json_codec(space).from_json([str(2**60)], "$")


@pytest.mark.parametrize("data", [[], [[]], [[], [], [], []], [[[]], [[]], [[]]]], ids=str)
def test_an_array_of_nothing_has_its_lengths(data: Any):
    space = gs.Box(0, 1, (3, 0))
    assert not Draft202012Validator(published(space)).is_valid(data)
    with pytest.raises(InvalidRequestError):
        json_codec(space).from_json(data, "$")


def test_long_lists_of_nothing_take_no_memory():
    space = gs.Box(0, 1, (10**12, 0))
    with pytest.raises(InvalidRequestError):
        json_codec(space).from_json([[], []], "$")
