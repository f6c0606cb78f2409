"""Schemas that others wrote: read where they fix a space, else refused by path and override."""

from __future__ import annotations

import tracemalloc
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import ANNOTATION, from_schema

pytestmark = pytest.mark.single_env

UNBOUNDED = gs.Box(-np.inf, np.inf, (), np.float64)
INTEGER = {"type": "integer", "minimum": 0, "maximum": 4}


def array(items: Any, length: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


READ = [
    (INTEGER, gs.Discrete(5)),
    ({"type": "integer", "minimum": -3, "maximum": -3}, gs.Discrete(1, start=-3)),
    ({"type": "boolean"}, gs.Discrete(2)),
    ({"type": "number"}, UNBOUNDED),
    ({"type": "number", "minimum": -1}, gs.Box(-1, np.inf, (), np.float64)),
    (array({"type": "number"}, 3), gs.Box(-np.inf, np.inf, (3,), np.float64)),
    (array(array({"type": "number"}, 3), 2), gs.Box(-np.inf, np.inf, (2, 3), np.float64)),
    (array(INTEGER, 2), gs.MultiDiscrete([5, 5])),
    (array({"type": "boolean"}, 2), gs.MultiDiscrete([2, 2])),
    (
        {"type": "array", "prefixItems": [INTEGER, {"type": "number"}]},
        gs.Tuple((gs.Discrete(5), UNBOUNDED)),
    ),
    (
        {"type": "object", "properties": {"b": INTEGER, "a": {"type": "number"}}},
        gs.Dict([("b", gs.Discrete(5)), ("a", UNBOUNDED)]),
    ),
    (
        array({"type": "object", "properties": {"a": INTEGER}}, 1),
        gs.Tuple((gs.Dict(a=gs.Discrete(5)),)),
    ),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": INTEGER}}, gs.Discrete(5)),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/y"}, "y": INTEGER}}, gs.Discrete(5)),
]


@pytest.mark.parametrize(("schema", "space"), READ, ids=str)
def test_a_schema_that_fixes_a_space_is_read(schema: dict[str, Any], space: gs.Space[Any]):
    assert from_schema(schema) == space


def test_the_annotation_wins_over_the_keywords():
    descriptor = {"type": "Discrete", "n": 2, "start": 0, "dtype": "int64"}
    assert from_schema({"type": "string", "enum": ["a"], ANNOTATION: descriptor}) == gs.Discrete(2)


NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
REFUSED: list[tuple[Any, str]] = [
    *((schema, "$") for schema in (True, None, [], "integer")),
    *((schema, "$") for schema in ({}, {"type": "string"}, {"type": None}, {"type": ["integer"]})),
    *(({"type": "integer", **more}, "$") for more in ({}, {"minimum": 0}, {"maximum": 1})),
    *(
        ({**INTEGER, **more}, "$")
        for more in ({"minimum": "0"}, {"maximum": -1}, {"minimum": None})
    ),
    ({"type": "integer", "minimum": -(2**70), "maximum": 2**70}, "$"),
    ({"type": "integer", "minimum": True, "maximum": 2}, "$"),
    *(({**INTEGER, key: 1}, "$") for key in ("not", "if", "contains")),
    *(({**INTEGER, "multipleOf": step}, "$") for step in (0, -1, "2", None)),
    *(({**INTEGER, key: 5}, "$") for key in ("exclusiveMinimum", "enum", "const", "$ref", "allOf")),
    ({**INTEGER, "exclusiveMaximum": True}, "$"),
    ({"type": "integer", "minimum": 1, "maximum": 4, "multipleOf": 5}, "$"),
    *(({"enum": members}, "$") for members in ([], None, "ab")),
    ({"type": "string", "enum": [1, 2]}, "$"),
    ({"enum": [1, 2], "anyOf": [INTEGER]}, "$"),
    ({"type": "number", "multipleOf": 0.5}, "$"),
    ({"type": "number", "minimum": 1, "maximum": 0}, "$"),
    ({"type": "number", "exclusiveMinimum": 1, "maximum": 1}, "$"),
    *(({"type": "string", "maxLength": size}, "$") for size in (-1, "5", None, True)),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "$"),
    *(({"type": "string", "maxLength": 9, key: "x"}, "$") for key in ("pattern", "format")),
    *(({"anyOf": branches}, "$") for branches in ([], None, [INTEGER, {"type": "number"}])),
    ({"anyOf": [INTEGER], "oneOf": [INTEGER]}, "$"),
    ({"oneOf": [{"const": 1}, INTEGER]}, "$"),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "$"),
    ({"anyOf": [array(INTEGER, 2), array(INTEGER, 3)]}, "$"),
    ({"anyOf": [{"type": "object", "properties": {"a": INTEGER}}] * 2}, "$"),
    ({"allOf": [{"type": "string"}, INTEGER]}, "$"),
    ({"allOf": [{"pattern": "a"}, {"pattern": "b"}, {"type": "string", "maxLength": 2}]}, "$"),
    *(({"type": "number", "minimum": low}, "$") for low in ("a", None, [], {})),
    *(
        ({"type": "array", "items": INTEGER, **more}, "$")
        for more in ({"minItems": 2}, {"maxItems": 2}, {"minItems": 1, "maxItems": 2})
    ),
    ({"type": "array", "items": INTEGER, "uniqueItems": True}, "$"),
    ({"type": "array"}, "$[*]"),
    ({"type": "array", "prefixItems": [INTEGER], "items": INTEGER}, "$"),
    *(
        ({"type": "array", "prefixItems": [INTEGER], key: 2}, "$")
        for key in ("minItems", "maxItems")
    ),
    ({"type": "object", "properties": {"a": INTEGER}, "additionalProperties": True}, "$"),
    ({"type": "object", "additionalProperties": INTEGER}, "$"),
    ({"type": "object", "properties": {"a": INTEGER}, "required": ["b"]}, "$"),
    (
        {
            "allOf": [
                {"type": "object", "properties": {"a": INTEGER}, "additionalProperties": False},
                {"properties": {"b": INTEGER}},
            ]
        },
        "$",
    ),
    ({"type": "array", "items": INTEGER, "minItems": "2", "maxItems": "2"}, "$"),
    (array(INTEGER, -1), "$"),
    (array({"type": "string"}, 2), "$[*]"),
    (array({}, 2), "$[*]"),
    ({"type": "array", "prefixItems": [INTEGER, {}]}, "$[1]"),
    ({"type": "array", "prefixItems": 5}, "$"),
    *(({"type": "object", **more}, "$") for more in ({}, {"properties": {}}, {"properties": []})),
    ({"type": "object", "properties": ["a"]}, "$"),
    ({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}, "$.a.b"),
    ({"type": "object", "properties": {"a": True}}, "$.a"),
    *(({"$ref": reference}, "$") for reference in ("#/$defs/x", "other.json#/a", 5, ["a"], "#")),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/x"}}}, "$"),
    ({**NODE, "$defs": {"Node": NODE}}, "$.next.next"),
    ({ANNOTATION: {"type": "Cube"}}, f"$.{ANNOTATION}"),
    ({ANNOTATION: None}, f"$.{ANNOTATION}"),
]


@pytest.mark.parametrize(("schema", "path"), REFUSED, ids=str)
def test_a_schema_that_fixes_none_is_refused_by_path_and_override(schema: Any, path: str):
    with pytest.raises(SpaceError) as caught:
        from_schema(schema)
    text = str(caught.value)
    assert text.startswith(path)
    assert "action_space= or observation_space=" in text
    assert "action_key= or observation_key=" in text
    assert len(text) < 600


@pytest.mark.parametrize(
    "items", [{"type": "number"}, INTEGER, {"type": "array", "prefixItems": []}]
)
def test_a_schema_cannot_fill_the_memory(items: dict[str, Any]):
    tracemalloc.start()
    try:
        with pytest.raises(SpaceError):
            from_schema(array(items, 2**40))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("keyword", ["properties", "allOf", "anyOf", "prefixItems"])
@pytest.mark.sample(2)
def test_definitions_that_double_are_refused_soon(keyword: str):
    def twice(name: str) -> dict[str, Any]:
        both = [{"$ref": f"#/$defs/{name}"}] * 2
        if keyword == "properties":
            return {"type": "object", "properties": dict(zip("ab", both, strict=True))}
        return {"type": "array", keyword: both}

    definitions = {f"n{i}": twice(f"n{i + 1}") for i in range(25)} | {"n25": INTEGER}
    tracemalloc.start()
    try:
        with pytest.raises(SpaceError, match=r"action_space="):
            from_schema({"$ref": "#/$defs/n0", "$defs": definitions})
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_tuples_of_tuples_are_bounded_together():
    text = {"type": "string", "maxLength": 2}
    with pytest.raises(SpaceError, match=r"^\$: expected spaces .* 40000 more"):
        from_schema(array(array(text, 200), 200))


def test_members_are_bounded_together_with_all_else():
    with pytest.raises(SpaceError, match=r"^\$: expected spaces and arrays of .*max_space_bytes"):
        from_schema({"enum": list(range(200_000))})


def test_arrays_are_bounded_together():
    schema = {"type": "object", "properties": {}, "$defs": {"a": array({"type": "number"}, 2**20)}}
    schema["properties"] = {f"p{i}": {"$ref": "#/$defs/a"} for i in range(4)}
    with pytest.raises(SpaceError, match=r"^\$\.p3: expected spaces and arrays of"):
        from_schema(schema)


@pytest.mark.skipif(hasattr(gs, "OneOf"), reason="Gymnasium has OneOf since 1.0")
def test_without_one_of_a_union_is_refused():
    with pytest.raises(SpaceError, match=r"^\$: expected Gymnasium 1\.0 or newer.*action_space="):
        from_schema({"type": ["number", "null"]})
