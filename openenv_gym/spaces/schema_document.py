"""A JSON schema without ``$ref`` and ``allOf``: references followed, parts merged, work bounded.

A short schema can be endless (a model that contains itself) or very large once expanded
(definitions that name each other twice). The first is found by the references that are open above
a place. The second is found by paying for each node that is visited, from one budget.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.budget import JSON_NUMBER_BYTES, NODE_BYTES, SPACE_BYTES, SpaceBudget
from openenv_gym.spaces.descriptor import MAX_DEPTH
from openenv_gym.spaces.schema_space import json_key
from openenv_gym.spaces.to_schema import ANNOTATION, Schema

OVERRIDE = (
    "pass the space yourself with action_space= or observation_space=, "
    "or pick another field with action_key= or observation_key="
)
_MOST_PATH = 200
_MOST_MULTIPLE = 1 << 64
NOTES = frozenset(
    {
        "$anchor",
        "$comment",
        "$defs",
        "$id",
        "$schema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "discriminator",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    }
)
"""Keywords that say nothing about which values are allowed."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place of a reader in a document.

    Attributes:
        path: The path of the value, for error messages.
        root: The document that ``$ref`` is resolved in.
        depth: The number of schemas around this place.
        references: The references that were followed to reach it.
        budget: What is left to read schemas with; all places of one server share it.
        is_open: Whether leaves without bounds are read as spaces without bounds.
    """

    path: str
    root: Schema
    depth: int = 0
    references: frozenset[str] = frozenset()
    budget: SpaceBudget = field(default_factory=SpaceBudget)
    is_open: bool = False

    def below(self, step: str) -> Place:
        """Return the place of a part."""
        path = self.path if len(self.path) > _MOST_PATH else f"{self.path}{step:.100}"
        return replace(self, path=path, depth=self.depth + 1)

    def refusal(self, expected: str, schema: Any) -> SpaceError:
        """Return the error of a schema that fixes no space."""
        return SpaceError(
            f"{_short(self.path)}: expected {expected}, got {_brief(schema)}; {OVERRIDE}"
        )

    def visit(self, nodes: int = 1) -> None:
        """Pay for ``nodes`` more of the document.

        Raises:
            SpaceError: these are too many, or nested too deep.
        """
        self.spend(nodes * NODE_BYTES, "another part of the schema")
        if self.depth > MAX_DEPTH:
            raise SpaceError(
                f"{_short(self.path)}: expected a schema of at most {MAX_DEPTH} levels, "
                f"references and branches included, got more; {OVERRIDE}"
            )

    def make(self, spaces: int = 1) -> None:
        """Pay for so many spaces, before they are made.

        Raises:
            SpaceError: these and those before are too many.
        """
        self.spend(spaces * SPACE_BYTES, f"{spaces} more" if spaces > 1 else "one more")

    def write(self, length: int, letters: int) -> None:
        """Pay for a text of up to ``length`` characters, with so many different ones.

        Raises:
            SpaceError: it and what was made before are too much.
        """
        with _naming_the_override():
            self.budget.text(length, letters, _short(self.path))

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Pay for an array of ``shape``, before it is built.

        Raises:
            SpaceError: it and those before are too large together.
        """
        with _naming_the_override():
            self.budget.array(shape, dtype, _short(self.path), per_number=JSON_NUMBER_BYTES)

    def spend(self, nbytes: int, what: str) -> None:
        """Pay for what is about to be made, see :meth:`SpaceBudget.spend`.

        Raises:
            SpaceError: it and what was made before are too much.
        """
        with _naming_the_override():
            self.budget.spend(nbytes, _short(self.path), what)

    def follow(self, reference: Any, schema: Schema) -> tuple[Any, Place]:
        """Return what a local ``$ref`` names, and the place with that reference open.

        Raises:
            SpaceError: the reference leads nowhere, or back to itself.
        """
        if not isinstance(reference, str) or not (reference + "/").startswith("#/"):
            raise self.refusal("a reference into the same document", schema)
        if reference in self.references:
            raise self.refusal("no recursive schema", schema)
        target: Any = self.root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or name not in target:
                raise self.refusal("a reference that leads somewhere", schema)
            target = target[name]
        return target, replace(self, references=self.references | {reference})


@contextmanager
def _naming_the_override() -> Iterator[None]:
    try:
        yield
    except SpaceError as exc:
        raise SpaceError(f"{exc}; or {OVERRIDE}") from exc


def flatten(schema: Any, place: Place) -> tuple[Schema, Place]:
    """Return ``schema`` without ``$ref`` and ``allOf``, and the place to read its parts from.

    Keywords beside a ``$ref`` narrow what it names, as they do in JSON schema since 2019.

    Raises:
        SpaceError: a reference leads nowhere or back, or the parts contradict each other.
    """
    place.visit()
    if not isinstance(schema, dict):
        raise place.refusal("a JSON schema that is an object", schema)
    if ANNOTATION in schema or not schema.keys() & {"$ref", "allOf"}:
        return schema, place
    parts, references = [], place.references
    inner = [(part, place.below("")) for part in schema.get("allOf", ())]
    if "$ref" in schema:
        inner.insert(0, place.below("").follow(schema["$ref"], schema))
    for part, start in inner:
        flat, end = flatten(part, start)
        if ANNOTATION in flat:
            return flat, end
        parts.append(flat)
        references |= end.references
    parts.append({key: item for key, item in schema.items() if key not in ("$ref", "allOf")})
    merged: Schema = {}
    for part in parts:
        merged = _merge(merged, part, place)
    return merged, replace(place, references=references)


def _merge(first: Schema, second: Schema, place: Place) -> Schema:
    """Return the schema of the values that both allow."""
    for one, other in ((first, second), (second, first)):
        others = other.get("properties", {}).keys()
        if one.get("additionalProperties") is False and others - one.get("properties", {}).keys():
            raise place.refusal("'allOf' whose parts allow each other's properties", other)
    merged = {**first, **second}
    for key in (first.keys() & second.keys()) - NOTES:
        one, other = first[key], second[key]
        if one is other:
            continue
        place.visit(count_nodes(one))
        if key in _MERGERS:
            try:
                merged[key] = _MERGERS[key](one, other)
            except (TypeError, ValueError, OverflowError, ZeroDivisionError) as exc:
                raise place.refusal(f"parts with {key!r} of one kind", [one, other]) from exc
        elif json_key(one) != json_key(other):
            raise place.refusal(f"parts with the same {key!r}, or one of them", [one, other])
    return merged


def count_nodes(data: Any) -> int:
    """Return how many values JSON ``data`` has, itself included."""
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return 1 + sum(map(count_nodes, parts))


def types_of(schema: Schema) -> list[Any]:
    """Return the names under ``type``, an empty list if it is missing."""
    kind = schema.get("type", [])
    return kind if isinstance(kind, list) else [kind]


def _common_types(first: Any, second: Any) -> list[Any]:
    names = types_of({"type": first}), types_of({"type": second})
    common = [name for name in names[0] if name in names[1]]
    if "integer" in names[0] + names[1] and "integer" not in common:
        numbers = all({"integer", "number"} & set(kinds) for kinds in names)
        common += ["integer"] if numbers else []
    return common


def _common_members(first: list[Any], second: list[Any]) -> list[Any]:
    keys = set(map(json_key, second))
    return [member for member in first if json_key(member) in keys]


def _both_properties(first: Schema, second: Schema) -> Schema:
    both = {
        name: {"allOf": [first[name], item]}
        for name, item in second.items()
        if name in first and first[name] is not item
    }
    return {**first, **second, **both}


def _common_multiple(first: float, second: float) -> float:
    one, other = Fraction(str(first)), Fraction(str(second))
    multiple = Fraction(
        math.lcm(one.numerator, other.numerator), math.gcd(one.denominator, other.denominator)
    )
    if multiple.numerator > _MOST_MULTIPLE:  # many of them together would have no end of digits
        raise ValueError("a multiple beyond 64 bits")
    return int(multiple) if multiple.denominator == 1 else float(multiple)


_MERGERS: dict[str, Callable[[Any, Any], Any]] = {
    "type": _common_types,
    "enum": _common_members,
    "properties": _both_properties,
    "required": lambda first, second: [*first, *second],
    "items": lambda first, second: {"allOf": [first, second]},
    "multipleOf": _common_multiple,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
}
"""For each keyword, a function of two of its values that returns the value both allow."""


def _short(path: str) -> str:
    return path if len(path) <= _MOST_PATH else path[: _MOST_PATH - 3] + "..."


def _brief(schema: Any) -> str:
    if isinstance(schema, dict):
        schema = {key: item for key, item in schema.items() if key not in NOTES}
    text = _SHORT_REPR.repr(schema)
    return text if len(text) <= 120 else text[:117] + "..."


_SHORT_REPR = reprlib.Repr()  # stays short and shallow, however large the schema is
_SHORT_REPR.maxdict, _SHORT_REPR.maxlevel, _SHORT_REPR.maxstring = 8, 4, 60
