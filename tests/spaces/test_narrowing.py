"""What one value adds to an open schema, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from openenv_gym.spaces.narrowing import is_open, narrow, schema_of_value
from openenv_gym.spaces.schema_document import Place

pytestmark = pytest.mark.single_env

NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}
TEXT = {"type": "string"}
NULL = {"type": "null"}


def array(items: Any, length: int | None = None) -> dict[str, Any]:
    fixed = {} if length is None else {"minItems": length, "maxItems": length}
    return {"type": "array", "items": items, **fixed}


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


NARROWED: list[tuple[Any, Any, Any]] = [
    (array(NUMBER), [1, 2.5], array(NUMBER, 2)),
    (array(array(INTEGER)), [[1, 2, 3]] * 2, array(array(INTEGER, 3), 2)),
    (array(array(array(INTEGER))), [[[1], [2]]], array(array(array(INTEGER, 1), 2), 1)),
    (array(array(INTEGER), 2), [[1], [2]], array(array(INTEGER, 1), 2)),
    (record(a=array(NUMBER), b=TEXT), {"a": [1.0]}, record(a=array(NUMBER, 1), b=TEXT)),
    ({"anyOf": [array(NUMBER), NULL]}, [1], {"anyOf": [array(NUMBER, 1), NULL]}),
    (
        {"type": "object", "additionalProperties": array(NUMBER)},
        {"x": [1, 2], "y": []},
        {**record(x=array(NUMBER, 2), y=array(NUMBER)), "required": ["x", "y"]},
    ),
]


@pytest.mark.parametrize(("schema", "value", "narrowed"), NARROWED, ids=str)
def test_a_value_fixes_lengths_and_keys(schema: Any, value: Any, narrowed: Any):
    place = Place(path="$", root=schema)
    assert is_open(schema, place)
    assert narrow(schema, value, place) == narrowed


LEFT: list[tuple[Any, Any]] = [
    (array(NUMBER), []),
    (array(array(INTEGER)), [[1, 2], [3]]),
    (array(array(INTEGER)), [[], []]),
    (array(array(INTEGER)), [[1], 2]),
    (array(NUMBER), None),
    ({"anyOf": [array(NUMBER), NULL]}, None),
    ({**array(NUMBER), "minItems": 3}, [1]),
]


@pytest.mark.parametrize(("schema", "value"), LEFT, ids=str)
def test_what_is_ragged_empty_or_against_the_schema_fixes_nothing(schema: Any, value: Any):
    assert narrow(schema, value, Place(path="$", root=schema)) == schema


CLOSED: list[Any] = [
    NUMBER,
    TEXT,
    {},
    True,
    array(NUMBER, 2),
    array(TEXT),
    array(record(a=INTEGER)),
    {"type": "object", "additionalProperties": True},
    {"type": "object", "additionalProperties": TEXT},
    {"$ref": "#/nowhere"},
    {"$ref": "#"},
]


@pytest.mark.parametrize("schema", CLOSED, ids=str)
def test_other_schemas_need_no_probe(schema: Any):
    assert not is_open(schema, Place(path="$", root=schema))


def test_references_are_followed_and_recursion_ends():
    root = {"$defs": {"V": array(NUMBER), "T": record(v={"$ref": "#/$defs/V"})}}
    tree = {"$ref": "#/$defs/T"}
    place = Place(path="$", root=root)
    assert is_open(tree, place)
    assert narrow(tree, {"v": [1, 2]}, place) == record(v=array(NUMBER, 2))
    own = {"$ref": "#/$defs/N", "$defs": {"N": record(next={"$ref": "#/$defs/N"})}}
    assert not is_open(own, Place(path="$", root=own))


VALUES: list[tuple[Any, Any]] = [
    (1, INTEGER),
    (1.5, NUMBER),
    (True, {"type": "boolean"}),
    ("x", TEXT),
    (None, {}),
    ([], array({})),
    ([1, 2.5], array(NUMBER)),
    ([[1], [2.0]], array(array(NUMBER))),
    ([1, "x"], array({})),
    ({"a": 1}, {**record(a=INTEGER), "required": ["a"]}),
]


@pytest.mark.parametrize(("value", "schema"), VALUES, ids=str)
def test_a_value_has_a_schema(value: Any, schema: Any):
    assert schema_of_value(value) == schema
