"""Fields of JSON objects by name or by path: ``"move"``, ``"result.data"``.

A key of an inference is one such path, several of them, or None for the whole object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.to_schema import ANNOTATION, Schema

Key: TypeAlias = str | tuple[str, ...] | None

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "nothing"})()
"""Stands for a field that is missing. A field that is null is not missing."""


def field_at(data: Any, path: str) -> Any:
    """Return what is at ``path`` in ``data``, ``MISSING`` if there is nothing.

    >>> field_at({"result": {"data": 5}}, "result.data"), field_at({}, "a")
    (5, nothing)
    """
    if isinstance(data, dict) and path in data:
        return data[path]
    for part in path.split("."):
        if not isinstance(data, dict) or part not in data:
            return MISSING
        data = data[part]
    return data


def with_field(data: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return ``data`` with ``value`` at ``path``; what is beside it stays.

    >>> with_field({"a": {"b": 1}}, "a.c", 2)
    {'a': {'b': 1, 'c': 2}}
    """
    name, _, rest = path.partition(".")
    if not rest:
        return {**data, name: value}
    inner = data.get(name)
    return {**data, name: with_field(inner if isinstance(inner, dict) else {}, rest, value)}


def paths_of(key: Key) -> tuple[str, ...]:
    """Return the paths of a key."""
    return () if key is None else (key,) if isinstance(key, str) else key


def checked_key(key: Any, side: str) -> Key:
    """Return a caller's key, a list as a tuple.

    Raises:
        SpaceError: it is neither a name nor a sequence of names.
    """
    if key is None or isinstance(key, str):
        return key
    is_names = isinstance(key, Sequence) and key and all(isinstance(name, str) for name in key)
    if not is_names:
        raise SpaceError(f"expected {side}_key= with the name of a field, or names, got {key!r}")
    return tuple(key)


def shown(key: Key) -> str:
    """Return a key as text for messages."""
    return "the whole" if key is None else ", ".join(paths_of(key))


def is_annotated(child: Any) -> bool:
    """Return whether a schema carries the descriptor of its space."""
    return isinstance(child, dict) and ANNOTATION in child


def is_nullable(child: Any) -> bool:
    """Return whether a field may be null, in the form that pydantic writes: a type or null."""
    if not isinstance(child, dict):
        return False
    branches = child.get("anyOf") or child.get("oneOf") or []
    kinds = child.get("type")
    return {"type": "null"} in branches or (isinstance(kinds, list) and "null" in kinds)


def schema_at(schema: Schema, path: str) -> Schema | None:
    """Return the schema of the field at ``path``, None if the schema says nothing of it.

    References above the field are followed one level deep.
    """
    properties = schema.get("properties", {})
    if path in properties:
        found: Schema = properties[path]
        return found
    at: Any = schema
    for part in path.split("."):
        reference = at.get("$ref", "") if isinstance(at, dict) else ""
        if reference.startswith("#/$defs/"):
            at = schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"))
        at = at.get("properties", {}).get(part) if isinstance(at, dict) else None
    return at if isinstance(at, dict) else None
