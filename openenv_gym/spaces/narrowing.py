"""What one observed value adds to an open schema: lengths of arrays, and keys of objects.

A schema ``list[float]`` and a value of fifty numbers give an array of fifty numbers. Only arrays
of numbers are narrowed, nested to any depth, and only if all arrays of one depth have one length.
The length of a list of messages says nothing about the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.schema_document import Place, flatten, types_of
from openenv_gym.spaces.schema_space import kind_of
from openenv_gym.spaces.to_schema import ANNOTATION, Schema

_NUMBERS = frozenset({"integer", "number", "boolean"})
_MOST_DEPTH = 16


def is_open(schema: Any, place: Place) -> bool:
    """Return whether an observed value would say more than ``schema`` does.

    Args:
        schema: The JSON schema of a field.
        place: The place of the schema in its document, for references.
    """
    flat, place = _flat(schema, place)
    if flat is None or ANNOTATION in flat or place.depth > _MOST_DEPTH:
        return False
    if _is_open_array(flat):
        return _leaf_kinds(flat, place) <= _NUMBERS
    if _is_open_object(flat, place):
        return True
    properties = flat.get("properties")
    parts = list(properties.values()) if isinstance(properties, dict) else []
    branches = flat.get("anyOf")
    parts += branches if isinstance(branches, list) else []
    return any(is_open(part, place.below("")) for part in parts)


def narrow(schema: Any, value: Any, place: Place) -> Any:
    """Return ``schema`` with the lengths and keys of ``value`` filled in where it has none.

    Args:
        schema: The JSON schema of a field.
        value: One value of that field, as JSON.
        place: The place of the schema in its document, for references.
    """
    flat, inside = _flat(schema, place)
    if flat is None or ANNOTATION in flat or inside.depth > _MOST_DEPTH:
        return schema
    if _is_open_array(flat) and isinstance(value, list):
        return _fixed(flat, [value], inside.below("")) or schema
    return _narrow_parts(flat, value, inside.below("")) or schema


def _narrow_parts(flat: Schema, value: Any, below: Place) -> Schema | None:
    properties, branches = flat.get("properties"), flat.get("anyOf")
    if _is_open_object(flat, below) and isinstance(value, dict) and value:
        item = flat["additionalProperties"]
        known = {name: narrow(item, part, below) for name, part in value.items()}
        rest = {key: part for key, part in flat.items() if key != "additionalProperties"}
        return {**rest, "properties": known, "required": list(known)}
    if isinstance(properties, dict) and isinstance(value, dict):
        parts = {
            name: narrow(child, value[name], below) if name in value else child
            for name, child in properties.items()
        }
        return {**flat, "properties": parts}
    if isinstance(branches, list) and value is not None:
        return {**flat, "anyOf": [narrow(branch, value, below) for branch in branches]}
    return None


def schema_of_value(value: Any) -> Schema:
    """Return a schema of ``value``, for a server that publishes none.

    >>> schema_of_value({"pos": [1.5, 2], "name": "x"})["properties"]["pos"]
    {'type': 'array', 'items': {'type': 'number'}}
    """
    kind = kind_of(value)
    if kind == "number":
        return {"type": "integer" if isinstance(value, int) else "number"}
    if kind == "array":
        return {"type": "array", "items": _common([schema_of_value(item) for item in value])}
    if kind == "object":
        properties = {name: schema_of_value(item) for name, item in value.items()}
        return {"type": "object", "properties": properties, "required": list(properties)}
    return {} if value is None else {"type": kind}


def _common(schemas: Sequence[Schema]) -> Schema:
    """Return the schema of an array's items: numbers if there are fractions, unknown if mixed."""
    if not schemas:
        return {}
    if all(schema.get("type") in ("integer", "number") for schema in schemas):
        is_whole = all(schema["type"] == "integer" for schema in schemas)
        return {"type": "integer" if is_whole else "number"}
    if all(schema.get("type") == "array" for schema in schemas):
        return {"type": "array", "items": _common([schema["items"] for schema in schemas])}
    return schemas[0] if all(schema == schemas[0] for schema in schemas) else {}


def _flat(schema: Any, place: Place) -> tuple[Schema | None, Place]:
    """Flatten a schema; return None for one that cannot be read, which is not narrowed."""
    try:
        return flatten(schema, place)
    except SpaceError:
        return None, place


def _is_open_array(flat: Schema) -> bool:
    is_array = flat.get("type") == "array" and isinstance(flat.get("items"), dict)
    has_length = "minItems" in flat and flat.get("minItems") == flat.get("maxItems")
    if is_array and has_length:
        return "prefixItems" not in flat and _is_open_array(flat["items"])
    return is_array and "prefixItems" not in flat


def _is_open_object(flat: Schema, place: Place) -> bool:
    """Return whether it is a free dict of numbers or arrays; in other dicts, keys come and go."""
    item = flat.get("additionalProperties")
    if flat.get("type") != "object" or flat.get("properties") or not isinstance(item, dict):
        return False
    return _leaf_kinds(item, place) <= _NUMBERS


def _leaf_kinds(schema: Any, place: Place) -> set[str]:
    flat, place = _flat(schema, place)
    if flat is None:
        return {"unknown"}
    if flat.get("type") == "array" and "items" in flat and place.depth <= _MOST_DEPTH:
        return _leaf_kinds(flat["items"], place.below(""))
    return {str(kind) for kind in types_of(flat)} or {"unknown"}


def _fixed(schema: Any, values: Sequence[Any], place: Place) -> Schema | None:
    """Return the schema with the length that all ``values`` share, None if they differ."""
    flat, inside = _flat(schema, place)
    if flat is None:
        return None
    kinds = types_of(flat)
    if kinds and set(kinds) <= _NUMBERS:
        return None if any(isinstance(value, list) for value in values) else flat
    is_arrays = flat.get("type") == "array" and all(isinstance(value, list) for value in values)
    if not is_arrays or "items" not in flat:
        return None
    lengths = set(map(len, values))
    items = _fixed(flat["items"], list(chain.from_iterable(values)), inside.below(""))
    if items is None or len(lengths) != 1 or lengths == {0}:
        return None
    (length,) = lengths
    if not flat.get("minItems", length) <= length <= flat.get("maxItems", length):
        return None
    return {**flat, "items": items, "minItems": length, "maxItems": length}
