"""What a schema that is not ours says in JSON, and what the space says, exactly there and back."""

from __future__ import annotations

import json
import string
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import json_codec
from openenv_gym.errors import InvalidRequestError
from openenv_gym.spaces import infer, read_schema
from openenv_gym.wire.schema_view import SchemaView

pytestmark = pytest.mark.single_env

UNBOUNDED = gs.Box(-np.inf, np.inf, (), np.float64)
TINY = float(np.nextafter(0, 1))
SIDE = {"type": "string", "enum": ["left", "right"]}
NUMBER = {"type": "number"}
NULL = {"type": "null"}
TEXT = {"type": "string", "maxLength": 4}
TEXT_SPACE = gs.Text(4, min_length=0, charset=string.printable)


def integer(low: int, high: int, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high, **more}


def array(items: Any, length: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


# schema, its space, and pairs of a value in the schema's JSON and in the space's
CASES: list[tuple[dict[str, Any], gs.Space[Any], list[tuple[Any, Any]]]] = [
    (integer(-2, 2), gs.Discrete(5, start=-2), [(-2, -2), (2, 2)]),
    ({**integer(0, 9), "exclusiveMinimum": 2, "exclusiveMaximum": 5}, gs.Discrete(2, start=3), []),
    ({"type": "integer", "minimum": 0.5, "maximum": 3.5}, gs.Discrete(3, start=1), [(1, 1)]),
    (integer(-5, 9, multipleOf=3), gs.Discrete(5), [(-3, 0), (0, 1), (9, 4)]),
    (integer(0, 2, multipleOf=0.5), gs.Discrete(3), [(2, 2)]),
    (integer(0, 2**62, multipleOf=2**54), gs.Discrete(257), [(2**62, 256)]),
    (integer(0, 2**62), gs.Discrete(2**62 + 1), [(2**62, 2**62)]),
    ({"type": "boolean"}, gs.Discrete(2), [(False, 0), (True, 1)]),
    (NULL, gs.Discrete(1), [(None, 0)]),
    ({"const": "go"}, gs.Discrete(1), [("go", 0)]),
    ({"const": None}, gs.Discrete(1), [(None, 0)]),
    (SIDE, gs.Discrete(2), [("left", 0), ("right", 1)]),
    ({"enum": [2, 3, 5]}, gs.Discrete(3), [(2, 0), (5, 2)]),
    (
        {"enum": [1, True, "1", None, [1]]},
        gs.Discrete(5),
        list(zip([1, True, "1", None, [1]], range(5), strict=True)),
    ),
    ({"enum": ["a", "a", "b"]}, gs.Discrete(2), [("b", 1)]),
    ({"enum": [1, 2, 3, 4], "minimum": 2, "multipleOf": 2}, gs.Discrete(2), [(4, 1)]),
    ({"type": ["string", "null"], "enum": ["a", 1, None]}, gs.Discrete(2), [(None, 1)]),
    ({"anyOf": [SIDE, NULL]}, gs.Discrete(3), [("right", 1), (None, 2)]),
    ({"oneOf": [integer(3, 4), NULL]}, gs.Discrete(3), [(3, 0), (None, 2)]),
    ({"type": ["boolean", "null"]}, gs.Discrete(3), [(True, 1), (None, 2)]),
    ({"anyOf": [{"const": 1}, {"enum": [1, 2]}]}, gs.Discrete(2), [(2, 1)]),
    ({"allOf": [integer(0, 9), {"minimum": 3}], "maximum": 4}, gs.Discrete(2, start=3), [(4, 4)]),
    ({"allOf": [{"type": "number", "minimum": 0}, integer(-5, 2)]}, gs.Discrete(3), [(2, 2)]),
    ({"allOf": [SIDE, {"enum": ["right", "up"]}]}, gs.Discrete(1), [("right", 0)]),
    ({"$ref": "#/$defs/s", "default": "left", "$defs": {"s": SIDE}}, gs.Discrete(2), [("left", 0)]),
    (
        {"$ref": "#/$defs/i", "minimum": -9, "maximum": 1, "$defs": {"i": integer(0, 3)}},
        gs.Discrete(2),
        [(1, 1)],
    ),
    (NUMBER, UNBOUNDED, [(1.5, np.array(1.5))]),
    (
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        gs.Box(TINY, float(np.nextafter(1, 0)), (), np.float64),
        [(0.5, np.array(0.5))],
    ),
    (
        {"type": "string", "minLength": 1, "maxLength": 3},
        gs.Text(3, min_length=1, charset=string.printable),
        [("a b", "a b")],
    ),
    (
        array(array(NUMBER, 2), 1),
        gs.Box(-np.inf, np.inf, (1, 2), np.float64),
        [([[1.0, 2.5]], np.array([[1, 2.5]]))],
    ),
    (
        array(array(integer(1, 3), 2), 2),
        gs.MultiDiscrete(np.full((2, 2), 3), start=np.full((2, 2), 1)),
        [([[1, 2], [3, 1]], np.array([[1, 2], [3, 1]]))],
    ),
    (
        array(array(SIDE, 2), 1),
        gs.MultiDiscrete(np.full((1, 2), 2)),
        [([["right", "left"]], np.array([[1, 0]]))],
    ),
    (array({"type": "boolean"}, 2), gs.MultiDiscrete([2, 2]), [([True, False], np.array([1, 0]))]),
    (array(TEXT, 2), gs.Tuple([TEXT_SPACE] * 2), [(["a", ""], ("a", ""))]),
    (
        {"type": "array", "items": SIDE},
        gs.Sequence(gs.Discrete(2)),
        [([], ()), (["left", "right"], (0, 1))],
    ),
    (
        {"type": "array", "items": {"type": "array", "items": integer(0, 3)}},
        gs.Sequence(gs.Sequence(gs.Discrete(4))),
        [([[1], []], ((1,), ()))],
    ),
    (
        {"type": "array", "prefixItems": [SIDE, integer(0, 1)], "items": False},
        gs.Tuple([gs.Discrete(2)] * 2),
        [(["right", 1], (1, 1))],
    ),
    (
        {"type": "array", "items": [SIDE, TEXT], "additionalItems": False},
        gs.Tuple([gs.Discrete(2), TEXT_SPACE]),
        [(["left", "x"], (0, "x"))],
    ),
    (
        record(z=SIDE, a=record(b={"type": "boolean"})),
        gs.Dict([("z", gs.Discrete(2)), ("a", gs.Dict(b=gs.Discrete(2)))]),
        [({"z": "right", "a": {"b": True}}, {"z": 1, "a": {"b": 1}})],
    ),
    (
        {"allOf": [record(a=integer(0, 9)), record(a={"maximum": 1}, b=SIDE)]},
        gs.Dict([("a", gs.Discrete(2)), ("b", gs.Discrete(2))]),
        [({"a": 1, "b": "left"}, {"a": 1, "b": 0})],
    ),
    (
        {"anyOf": [NUMBER, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
        UNBOUNDED,
        [("Infinity", np.array(np.inf))],
    ),
]

if hasattr(gs, "OneOf"):  # since Gymnasium 1.0
    MOVE, SAY = record(kind={"const": "move"}, to=SIDE), record(kind={"const": "say"}, text=TEXT)
    MOVE_SPACE = gs.Dict([("kind", gs.Discrete(1)), ("to", gs.Discrete(2))])
    SAY_SPACE = gs.Dict([("kind", gs.Discrete(1)), ("text", TEXT_SPACE)])
    CASES += [
        (
            {"anyOf": [NUMBER, NULL]},
            gs.OneOf([UNBOUNDED, gs.Discrete(1)]),
            [(None, (1, 0)), (2.0, (0, np.array(2.0)))],
        ),
        (
            {"type": ["string", "null", "boolean"], "maxLength": 4},
            gs.OneOf([TEXT_SPACE, gs.Discrete(1), gs.Discrete(2)]),
            [("hi", (0, "hi")), (True, (2, 1))],
        ),
        (
            {"oneOf": [MOVE, SAY], "discriminator": {"propertyName": "kind"}},
            gs.OneOf([MOVE_SPACE, SAY_SPACE]),
            [
                ({"kind": "move", "to": "right"}, (0, {"kind": 0, "to": 1})),
                ({"kind": "say", "text": "a"}, (1, {"kind": 0, "text": "a"})),
            ],
        ),
        (
            {"anyOf": [{"anyOf": [MOVE, SAY]}, NULL]},
            gs.OneOf([gs.OneOf([MOVE_SPACE, SAY_SPACE]), gs.Discrete(1)]),
            [(None, (1, 0)), ({"kind": "say", "text": ""}, (0, (1, {"kind": 0, "text": ""})))],
        ),
        (
            {"type": "array", "items": {"anyOf": [TEXT, NUMBER]}},
            gs.Sequence(gs.OneOf([TEXT_SPACE, UNBOUNDED])),
            [(["a", 1.0], ((0, "a"), (1, np.array(1.0))))],
        ),
    ]

PAIRS = [(schema, *pair) for schema, _, pairs in CASES for pair in pairs]


def as_json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


@pytest.mark.parametrize(("schema", "space"), [case[:2] for case in CASES], ids=str)
def test_a_schema_gives_a_plain_space(schema: Any, space: gs.Space[Any]):
    found = read_schema(schema).space
    assert type(found) is type(space)
    assert found == space


@pytest.mark.parametrize(("schema", "data", "value"), PAIRS, ids=str)
def test_a_value_goes_there_and_back(schema: Any, data: Any, value: Any):
    form = read_schema(schema)
    codec = json_codec(form)
    read = codec.from_json(data, "$")
    assert read in form.space
    np.testing.assert_equal(read, value)
    assert as_json(codec.to_json(value)) == as_json(data)


@pytest.mark.parametrize("schema", [case[0] for case in CASES], ids=str)
def test_a_sample_of_the_space_goes_there_and_back(schema: Any):
    form = read_schema(schema)
    form.space.seed(5)
    codec = json_codec(form)
    for _ in range(20):
        sample = form.space.sample()
        data = json.loads(as_json(codec.to_json(sample)))
        assert as_json(codec.to_json(codec.from_json(data, "$"))) == as_json(data)


WRONG: list[tuple[Any, Any, str]] = [
    (SIDE, "up", r"^\$: expected one of \['left', 'right'\], got 'up'"),
    ({"enum": [1, 2]}, True, r"^\$: expected one of"),
    (integer(0, 9, multipleOf=3), 4, r"^\$: expected a multiple of 3"),
    (array(SIDE, 2), ["left", 5], r"^\$\[1\]: expected one of"),
    (array(SIDE, 2), "left", r"^\$: expected an array"),
    (record(a=SIDE), {"a": {}}, r"^\$\.a: expected one of"),
    (record(a=SIDE), {}, r"^\$: expected an object with the keys a"),
    (record(a=SIDE), {"a": "left", "b": 1}, r"^\$: expected an object with the keys a"),
    (record(a=SIDE), [], r"^\$: expected an object"),
    ({"type": "array", "prefixItems": [SIDE]}, [], r"^\$: expected an array of 1 items"),
]


@pytest.mark.parametrize(("schema", "data", "message"), WRONG, ids=str)
def test_a_value_that_is_none_of_the_schema_is_refused_by_path(
    schema: Any, data: Any, message: str
):
    with pytest.raises(InvalidRequestError, match=message):
        json_codec(read_schema(schema)).from_json(data, "$")


@pytest.mark.skipif(not hasattr(gs, "OneOf"), reason="Gymnasium has OneOf since 1.0")
@pytest.mark.parametrize("data", [{"kind": "jump"}, {}, 5, None])
def test_a_value_of_no_branch_is_refused_by_path(data: Any):
    codec = json_codec(read_schema({"type": "array", "items": {"oneOf": [MOVE, SAY]}}))
    with pytest.raises(InvalidRequestError, match=r"^\$\[0\]: expected a value of one of the 2"):
        codec.from_json([data], "$")


@pytest.mark.parametrize("number", [-1, 2])
def test_a_number_without_a_member_is_never_written(number: int):
    with pytest.raises(ValueError, match=f"expected a number below 2, got {number}"):
        json_codec(read_schema(SIDE)).to_json(number)


def test_a_missing_optional_property_has_its_default():
    schema = {"type": "object", "properties": {"a": SIDE, "b": {**SIDE, "default": "right"}}}
    assert json_codec(read_schema(schema)).from_json({"a": "left"}, "$") == {"a": 0, "b": 1}
    with pytest.raises(InvalidRequestError, match=r"^\$: expected an object with the keys a, b"):
        json_codec(read_schema(schema)).from_json({"b": "left"}, "$")


def test_actions_and_observations_of_others_are_written_as_their_schemas_say():
    observation = {"properties": {"sides": array(SIDE, 2), "done": {"type": "boolean"}}}
    view = SchemaView(infer({"properties": {"side": SIDE}}, observation), observation)
    assert view.dump_action(np.int64(1)) == {"side": "right"}
    result = view.load_result({"observation": {"sides": ["right", "left"]}})
    assert result.obs.tolist() == [1, 0]
