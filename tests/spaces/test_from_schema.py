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
    *(({**INTEGER, key: 1}, "$") for key in ("multipleOf", "exclusiveMaximum", "const", "not")),
    ({**INTEGER, "enum": [1, 3]}, "$"),
    ({"anyOf": [INTEGER, {"type": "null"}]}, "$"),
    *(({"type": "number", "minimum": low}, "$") for low in ("a", None, [], {})),
    *(({"type": "array", "items": INTEGER, **more}, "$") for more in ({}, {"minItems": 2})),
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
    ({**NODE, "$defs": {"Node": NODE}}, "$.next.next.next"),
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
