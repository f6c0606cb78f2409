"""``enum`` and ``const`` of a JSON schema → ``Discrete``, the n-th value for the n-th member."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from openenv_gym.spaces.schema_document import NOTES, Place, count_nodes, types_of
from openenv_gym.spaces.schema_space import SchemaSpace, choice, json_key, kind_of
from openenv_gym.spaces.to_schema import Schema


def read_choice(schema: Schema, place: Place) -> SchemaSpace:
    """Return the choice among the members that the other keywords of ``schema`` leave.

    Raises:
        SpaceError: no member is left, or a keyword is none that a member is checked with.
    """
    members = schema.get("enum", [schema.get("const")])
    if not isinstance(members, list):
        raise place.refusal("'enum' with a list", schema)
    place.visit(count_nodes(members))
    distinct = list({json_key(member): member for member in members}.values())
    narrowing = schema.keys() - NOTES - {"enum"}
    if unread := narrowing - _ALLOWS.keys():
        raise place.refusal(f"'enum' or 'const' without {', '.join(sorted(unread))}", schema)
    for key in narrowing:
        distinct = [member for member in distinct if _ALLOWS[key](member, schema[key])]
    if not distinct:
        raise place.refusal("at least one value", schema)
    return choice(distinct)


def _is_of_type(member: Any, kind: Any) -> bool:
    kinds = types_of({"type": kind})
    if kind_of(member) == "number" and member == int(member) and "integer" in kinds:
        return True
    return kind_of(member) in kinds


def _of(kind: str, allows: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return a check that applies to members of one kind and passes all others."""
    return lambda member, value: kind_of(member) != kind or allows(member, value)


def _is_multiple(member: float, step: float) -> bool:
    return Fraction(str(member)) % Fraction(str(step)) == 0


_ALLOWS: dict[str, Callable[[Any, Any], bool]] = {
    "type": _is_of_type,
    "const": lambda member, value: json_key(member) == json_key(value),
    "minimum": _of("number", lambda member, bound: bool(member >= bound)),
    "maximum": _of("number", lambda member, bound: bool(member <= bound)),
    "exclusiveMinimum": _of("number", lambda member, bound: bool(member > bound)),
    "exclusiveMaximum": _of("number", lambda member, bound: bool(member < bound)),
    "multipleOf": _of("number", _is_multiple),
    "minLength": _of("string", lambda member, length: len(member) >= length),
    "maxLength": _of("string", lambda member, length: len(member) <= length),
}
"""Whether a member passes a keyword that stands beside ``enum`` or ``const``."""
