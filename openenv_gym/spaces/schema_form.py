"""Checks that a JSON schema is well formed, so that its readers need not check each keyword."""

from __future__ import annotations

from typing import Any

from openenv_gym.errors import SpaceError, shown

_MANY = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_ONE = frozenset({"items", "additionalProperties", "contains", "propertyNames", "not"})
_SIZES = frozenset({"minItems", "maxItems", "minLength", "maxLength"})
_TEXTS = frozenset({"$ref", "pattern", "format"})
_MOST_PATH = 200


def check_model(schema: Any, side: str) -> None:
    """Check that each keyword of a model's schema holds what JSON Schema requires.

    Args:
        schema: The JSON schema of a model, as a server published it.
        side: The name of the model, ``action``, ``observation`` or ``state``, for messages.

    >>> check_model({"required": 5}, "action")
    Traceback (most recent call last):
    openenv_gym.errors.SpaceError: $.action.required: expected a list of names, got 5; the schema \
that the server publishes is broken

    Raises:
        SpaceError: a keyword holds something else.
    """
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        raise SpaceError(
            f"$.{side}: expected a JSON schema with 'properties', got {shown(schema)}; "
            f"no {side}_space= helps here, the server is broken"
        )
    waiting: list[tuple[str, Any]] = [(f"$.{side}", schema)]
    while waiting:  # a loop and no recursion: servers may nest deeply
        place, one = waiting.pop()
        if isinstance(one, bool):
            continue
        _expect(isinstance(one, dict), place, "a JSON schema", one)
        for key, value in one.items():
            waiting += _children(_below(place, key), key, value)


def _children(place: str, key: str, value: Any) -> list[tuple[str, Any]]:
    """Return the schemas under a keyword, after a check of its own value."""
    if key in _NAMED:
        _expect(isinstance(value, dict), place, "an object of schemas", value)
        return [(_below(place, name), child) for name, child in value.items()]
    if key in _MANY:
        is_list = isinstance(value, list) and bool(value or key == "prefixItems")
        _expect(is_list, place, "a list of schemas", value)
        return [(_below(place, i), child) for i, child in enumerate(value)]
    if key in _ONE:
        return [(place, value)]
    if key in _TEXTS:
        _expect(isinstance(value, str), place, "a text", value)
    elif key in _SIZES:
        _expect(type(value) in (int, float) and value >= 0, place, "a number >= 0", value)
    elif key == "enum":
        _expect(isinstance(value, list), place, "a list of values", value)
    elif key == "required":
        _expect(_is_names(value), place, "a list of names", value)
    elif key == "type":
        _expect(isinstance(value, str) or _is_names(value), place, "a type or several", value)
    return []


def _below(place: str, step: str | int) -> str:
    """The path of a part; one of a deep part, or of one with a long name, is cut."""
    if len(place) > _MOST_PATH:
        return place
    return f"{place}[{step}]" if isinstance(step, int) else f"{place}.{step:.100}"


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _expect(is_met: bool, place: str, expected: str, got: Any) -> None:
    if not is_met:
        raise SpaceError(
            f"{place}: expected {expected}, got {shown(got)}; the schema that the server "
            "publishes is broken"
        )
