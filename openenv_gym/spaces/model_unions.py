"""A union of models in place of one model: read as one value, or as the fields of all.

``{"type": "list_tools"}`` or ``{"type": "call_tool", ...}`` is one such: its schema has branches,
and no ``properties``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.schema_document import Place, flatten
from openenv_gym.spaces.to_schema import Schema

_UNSAID = frozenset({"metadata"})
"""Fields of OpenEnv's base models that an action need not have."""


def branches_of(schema: Any, side: str, budget: SpaceBudget) -> list[Schema] | None:
    """Return the models of a union without OpenEnv's ``metadata``, None if ``schema`` is no union.

    Args:
        schema: The JSON schema of a side.
        side: The name of the side, ``action`` or ``observation``, for messages.
        budget: What is left to read schemas with.

    Raises:
        SpaceError: a reference leads nowhere.
    """
    if not isinstance(schema, dict) or "properties" in schema:
        return None
    place = Place(path=f"$.{side}", root=schema, budget=budget)
    flat, place = flatten(schema, place)
    branches = flat.get("anyOf") or flat.get("oneOf")
    if not isinstance(branches, list):
        return None
    models = [flatten(branch, place.below(""))[0] for branch in branches]
    if not all(isinstance(model.get("properties"), dict) for model in models):
        return None
    return [_without_metadata(model) for model in models]


def as_union(schema: Schema, branches: list[Schema]) -> Schema:
    """Return the union of ``branches``, with the definitions of ``schema``."""
    notes: Schema = {
        key: schema[key] for key in ("$defs", "definitions", "discriminator") if key in schema
    }
    return {**notes, "anyOf": branches}


def as_model(schema: Schema, branches: list[Schema], fixed: Mapping[str, Any]) -> Schema:
    """Return one model with the fields of all branches that allow the fixed values.

    Args:
        schema: The JSON schema of the union.
        branches: The schemas of its models.
        fixed: The fields that are always the same, with their values.
    """
    fitting = [model for model in branches if _allows(model["properties"], fixed)]
    properties: dict[str, Any] = {}
    for name in dict.fromkeys(name for model in fitting for name in model["properties"]):
        each = [model["properties"][name] for model in fitting if name in model["properties"]]
        distinct = [item for i, item in enumerate(each) if item not in each[:i]]
        properties[name] = distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
    required = [
        name for name in properties if all(name in model.get("required", ()) for model in fitting)
    ]
    notes: Schema = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return {**notes, "type": "object", "properties": properties, "required": required}


def _allows(properties: Mapping[str, Any], fixed: Mapping[str, Any]) -> bool:
    """Return whether a model has each fixed field and allows its value."""
    return all(
        name in properties
        and (not isinstance(properties[name], dict) or properties[name].get("const", item) == item)
        for name, item in fixed.items()
    )


def _without_metadata(model: Schema) -> Schema:
    others = {name: child for name, child in model["properties"].items() if name not in _UNSAID}
    return {**model, "properties": others}
