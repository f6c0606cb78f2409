"""Space → JSON schema: honest for every validator, and exact for ours."""

from __future__ import annotations

import json
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from openenv_gym.codecs import json_codec
from openenv_gym.spaces import ANNOTATION, from_schema, to_schema
from tests.support.spaces import CATALOGUE, NAMES, samples


def validator(space: gs.Space[Any]) -> Draft202012Validator:
    schema = json.loads(json.dumps(to_schema(space), allow_nan=False))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def through_json(space: gs.Space[Any], value: Any) -> Any:
    return json.loads(json.dumps(json_codec(space).to_json(value), allow_nan=False))


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_of_a_space_gives_the_space_back(name: str):
    space = CATALOGUE[name]
    schema = json.loads(json.dumps(to_schema(space), allow_nan=False))
    assert from_schema(schema) == space
    assert ANNOTATION in schema


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_accepts_every_value_of_the_space(name: str):
    space = CATALOGUE[name]
    check = validator(space)
    for value in samples(space):
        check.validate(through_json(space, value))


MUTATED: list[tuple[str, Any]] = [
    *(("discrete", data) for data in (-1, 5, 1.5, "1", None, True, [1])),
    *(("discrete from below zero", data) for data in (-2, 2)),
    *(("box", data) for data in ([0] * 3, [0] * 5, [0, 0, 0, 2], [0, 0, 0, "1"], 0, ["NaN"] * 4)),
    *(("box of an image", data) for data in (0, [], [[[256, 0, 0]] * 5] * 6)),
    *(("box of bool", data) for data in ([[0, 1], [1, 0]], [[True, False]])),
    *(("box of int64", data) for data in (["1", 2], [0.5, 1], ["Infinity", 0])),
    *(("box with bounds per element", data) for data in ([0, 0, 0], ["x", 0, 0, 0])),
    *(("multi discrete", data) for data in ([0, 0], [0, 0, 5], [0, 0, 0.5])),
    *(("multi binary", data) for data in ([0, 1, 2, 0], [True, False, True, False])),
    *(("text", data) for data in ("", "abcdef", 5, None)),
    *(("tuple", data) for data in ([], [0, [0, 0]], [0, [0, 0], "a", 1], {"0": 0})),
    *(("dict", data) for data in ({}, {"zulu": 0}, [])),
    *(("sequence", data) for data in ({}, [[0]], [[0, 2]], "ab")),
    *(("graph", data) for data in ({}, {"nodes": [[0, 0, 0]]}, {"nodes": 1, "edges": 1})),
    ("graph without edges", {"nodes": [0], "edges": [0], "edge_links": None}),
    *(("one of", data) for data in ([0, 2], [3, 0], [0], [0, 0, 0], 0, [1, [0, 5]])),
]


@pytest.mark.parametrize(("name", "data"), MUTATED, ids=str)
def test_the_schema_rejects_what_is_no_value(name: str, data: Any):
    assert not validator(CATALOGUE[name]).is_valid(data)


def test_plain_keywords_say_what_plain_schema_can():
    assert {**to_schema(gs.Box(-1, 2, (3,), np.float32)), ANNOTATION: None} == {
        "type": "array",
        "items": {"type": "number", "minimum": -1.0, "maximum": 2.0},
        "minItems": 3,
        "maxItems": 3,
        ANNOTATION: None,
    }
    assert to_schema(gs.Discrete(3, start=-1))["minimum"] == -1
    assert to_schema(gs.Discrete(3, start=-1))["maximum"] == 1
    assert to_schema(gs.Box(0, 1, (), np.int8))["type"] == "integer"


PLAIN = ["discrete", "discrete from below zero", "dict"]


@pytest.mark.parametrize("name", PLAIN)
def test_what_plain_schema_says_comes_back_without_the_annotation(name: str):
    schema = to_schema(CATALOGUE[name])
    del schema[ANNOTATION]
    assert from_schema(schema) == CATALOGUE[name]


def test_only_the_outermost_schema_is_annotated():
    assert json.dumps(to_schema(CATALOGUE["nested"])).count(ANNOTATION) == 1
