"""``anyOf``, ``oneOf`` and lists of types of a JSON schema → ``Discrete`` or ``OneOf``.

A union of choices is one choice: ``"left"``, ``"right"`` or null is ``Discrete(3)``. Any other
union is a ``OneOf``, if each value shows its branch: by its kind of JSON, or, among objects, by a
field whose values differ between the branches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import gymnasium
import gymnasium.spaces as gs

from openenv_gym.spaces.schema_document import NOTES, Place, types_of
from openenv_gym.spaces.schema_space import SchemaSpace, choice, json_key, kind_of, one_of
from openenv_gym.spaces.to_schema import BIG_INTEGER, NON_FINITE, Schema

MAX_ITEMS = 10_000
"""The most members of all branches that are put together into one choice."""

Read: TypeAlias = Callable[[Any, Place], SchemaSpace]


def read_union(schema: Schema, place: Place, read: Read) -> SchemaSpace:
    """Return the space of a union, whose branches are read with ``read``.

    Raises:
        SpaceError: a branch fixes no space, or a value does not show its branch.
    """
    branches, is_exclusive = _branches(schema, place)
    if len(branches) == 2 and branches[1] in (NON_FINITE, BIG_INTEGER):
        return read(branches[0], place.below(""))  # our own form of a number that JSON lacks
    if place.is_open and {"type": "number"} in branches:  # each integer is a number too
        branches = [branch for branch in branches if branch != {"type": "integer"}]
    forms = [read(branch, place.below("")) for branch in branches]
    if len(forms) == 1:
        return forms[0]
    if (members := _members(forms)) is not None:
        place.visit(len(members))
        distinct = {json_key(member): member for member in members}
        if is_exclusive and len(distinct) < len(members):
            raise place.refusal("'oneOf' without a value in two branches", schema)
        return choice(list(distinct.values()))
    pick = _picker(forms, schema)
    if pick is None:
        raise place.refusal("a union whose values tell their branch", schema)
    if not hasattr(gs, "OneOf"):
        raise place.refusal(
            f"Gymnasium 1.0 or newer, which has OneOf (this is {gymnasium.__version__})", schema
        )
    return one_of(forms, pick)


def _branches(schema: Schema, place: Place) -> tuple[list[Any], bool]:
    """Return the branches, narrowed by the keywords beside them, and whether just one may match."""
    keys = [key for key in ("anyOf", "oneOf") if key in schema]
    if len(keys) > 1:
        raise place.refusal("'anyOf' or 'oneOf'", schema)
    if not keys:
        names = types_of(schema)
        return [{**schema, "type": name} for name in names], False
    (key,) = keys
    branches = schema[key]
    if not isinstance(branches, list) or not branches:
        raise place.refusal(f"a list under {key!r}", schema)
    beside = {name: item for name, item in schema.items() if name != key and name not in NOTES}
    if beside:
        branches = [{"allOf": [beside, branch]} for branch in branches]
    return branches, key == "oneOf"


def _members(forms: Sequence[SchemaSpace]) -> list[Any] | None:
    """Return the members of all branches if each is a choice and they are few, else None."""
    counts = [len(form.members) if form.members is not None else MAX_ITEMS + 1 for form in forms]
    if sum(counts) > MAX_ITEMS:
        return None
    return [member for form in forms for member in form.members or ()]


def _picker(forms: Sequence[SchemaSpace], schema: Schema) -> Callable[[Any], int | None] | None:
    """Return a function that tells the branch of a value, None if values do not tell it."""
    by_kind: dict[str, list[int]] = {}
    for index, form in enumerate(forms):
        for kind in form.kinds:
            by_kind.setdefault(kind, []).append(index)
    shared = {kind for kind, indices in by_kind.items() if len(indices) > 1}
    if not shared:
        only = {kind: indices[0] for kind, indices in by_kind.items()}
        return lambda data: only.get(kind_of(data))
    tag = _tag(forms, by_kind["object"], schema) if shared == {"object"} else None
    if tag is None:
        return None
    name, tagged = tag

    def pick(data: Any) -> int | None:
        kind = kind_of(data)
        if kind == "object":
            return tagged.get(json_key(data.get(name)))
        return by_kind.get(kind, [None])[0]

    return pick


def _tag(
    forms: Sequence[SchemaSpace], indices: list[int], schema: Schema
) -> tuple[str, dict[Any, int]] | None:
    """Find a field whose members differ between all branches; map each member to its branch."""
    names = list(forms[indices[0]].fields)
    discriminator = schema.get("discriminator")
    if isinstance(discriminator, dict):
        names.sort(key=lambda name: name != discriminator.get("propertyName"))
    for name in names:
        fields = [forms[index].fields.get(name) for index in indices]
        members = [field.members if field is not None else None for field in fields]
        if any(one is None or len(one) > MAX_ITEMS for one in members):
            continue
        pairs = [
            (json_key(member), index)
            for one, index in zip(members, indices, strict=True)
            for member in one or ()
        ]
        if len(dict(pairs)) == len(pairs):
            return name, dict(pairs)
    return None
