"""What a server publishes where a JSON schema belongs is refused by its place."""

from __future__ import annotations

from typing import Any

import pytest

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import infer
from openenv_gym.spaces.schema_form import check_model

pytestmark = pytest.mark.single_env

GOOD: dict[str, Any] = {"properties": {"x": {"type": "integer"}}, "required": ["x"]}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"required": 1}, "$.action.required"),
        ({"required": [{}]}, "$.action.required"),
        ({"properties": {"x": 5}}, "$.action.properties.x"),
        ({"properties": {"x": {"anyOf": 5}}}, "$.action.properties.x.anyOf"),
        ({"properties": {"x": {"allOf": []}}}, "$.action.properties.x.allOf"),
        ({"properties": {"x": {"anyOf": [True, 3]}}}, "$.action.properties.x.anyOf[1]"),
        ({"properties": {"x": {"$ref": 1.5}}}, "$.action.properties.x.$ref"),
        ({"properties": {"x": {"maxItems": None}}}, "$.action.properties.x.maxItems"),
        ({"properties": {"x": {"enum": "ab"}}}, "$.action.properties.x.enum"),
        ({"properties": {"x": {"type": [{}]}}}, "$.action.properties.x.type"),
        ({"$defs": []}, "$.action.$defs"),
        ({"properties": {"x": {"items": None}}}, "$.action.properties.x.items"),
    ],
    ids=str,
)
def test_a_broken_schema_is_refused_by_its_place(schema: dict[str, Any], place: str):
    with pytest.raises(SpaceError) as caught:
        infer(schema, GOOD)
    assert str(caught.value).startswith(f"{place}: expected ")


def test_values_of_keywords_are_no_schemas():
    child = {"const": {"items": 5}, "default": {"anyOf": 1}, "examples": [{"type": 1}]}
    check_model({"properties": {"required": child, "enum": True}}, "state")


def test_a_schema_may_be_nested_deeply():
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    check_model({"properties": {"x": schema}}, "action")
