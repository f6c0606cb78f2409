"""Which fields are the action and which the observation, with their spaces and the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium.spaces as gs

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.fields import (
    Key,
    is_annotated,
    is_nullable,
    paths_of,
    schema_at,
    shown,
)
from openenv_gym.spaces.from_schema import read_schema
from openenv_gym.spaces.infer_forms import SHAPE, FormReader, Found
from openenv_gym.spaces.legal_actions import FIELDS
from openenv_gym.spaces.model_unions import as_model, as_union, branches_of
from openenv_gym.spaces.probing import Sight
from openenv_gym.spaces.schema_space import SchemaSpace, given, object_of
from openenv_gym.spaces.to_schema import Schema

BASE_FIELDS = frozenset({"done", "reward", "metadata", "terminated", "truncated", "info"})
"""Fields that every typed environment may have and that are neither action nor observation."""

FLAGS = frozenset({"is_truncated", "TimeLimit.truncated"})
"""Further names of flags. A flag is no part of a space."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the caller, or a profile, says of one side.

    Attributes:
        key: The field or fields that the caller or the profile names, None if they name none.
        space: The space that the caller gives for this side, None if it gives none.
        fixed: The fields of an action that are always the same, with their values.
        profile: The name of the profile that gave ``key``, "" if the caller gave it.
    """

    key: Key = None
    space: Space | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    profile: str = ""

    def or_profile(self, name: str, key: Key, fixed: Mapping[str, Any] | None = None) -> Asked:
        """Return a copy in which a profile fills in what the caller left out."""
        if self.key is not None or self.fixed:
            return self
        if isinstance(self.space, gs.Dict) and isinstance(key, str):
            return self  # the caller's keys say which fields are meant
        return replace(self, key=key, fixed=fixed or {}, profile=name)

    def why(self, side: str) -> str:
        """Return who named the key, for messages."""
        return f"the profile of {self.profile}" if self.profile else f"{side}_key="


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side after all decisions.

    Attributes:
        key: The field or fields that make up this side, None for the whole object.
        form: The space of these fields, and how their values are written.
        reasons: The reason of each decision, one sentence each.
        fixed: The fields of an action that are always the same, with their values.
        warnings: What nobody has said for sure, and how to say it, one sentence each.
    """

    key: Key
    form: SchemaSpace
    reasons: tuple[str, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def with_form(self, form: SchemaSpace) -> Side:
        """Return this side in another space."""
        return replace(self, form=form)


def action_side(schema: Schema, asked: Asked, sight: Sight) -> Side:
    """Return the fields of the action.

    Raises:
        SpaceError: they are ambiguous.
    """
    branches = branches_of(schema, "action", sight.budget)
    if branches is not None and asked.key is None and not asked.fixed:
        return _union(schema, branches, asked, sight.budget)
    if branches is not None:
        schema = as_model(schema, branches, asked.fixed)
    reader = _reader("action", schema, sight)
    fixed = {**_constants(reader, asked), **asked.fixed}
    key, why = _settled_key(reader, asked) or _action_key(reader, fixed)
    _check_fixed(reader, asked.fixed, key)
    _check_required(reader, fixed, key)
    side = _side(reader, key, why, asked)
    reasons = tuple(f"$.action.{name}: always {item!r}" for name, item in fixed.items())
    return replace(side, fixed=fixed, reasons=side.reasons + reasons)


def observation_side(
    schema: Schema, asked: Asked, sight: Sight, sequences: frozenset[str] = frozenset()
) -> Side:
    """Return the fields of the observation.

    Raises:
        SpaceError: they are ambiguous.
    """
    branches = branches_of(schema, "observation", sight.budget)
    if branches is not None:
        schema = as_model(schema, branches, {})
    reader = _reader("observation", schema, sight, sequences)
    settled = _settled_key(reader, asked)
    if settled is not None:
        return _side(reader, *settled, asked)
    return _usable(reader, *_observation_names(reader), asked)


def _reader(
    side: str, schema: Schema, sight: Sight, sequences: frozenset[str] = frozenset()
) -> FormReader:
    return FormReader(side=side, schema=schema, sight=sight, sequences=sequences)


def _union(schema: Schema, branches: list[Schema], asked: Asked, budget: SpaceBudget) -> Side:
    """Return the side of an action that is one of several models, as one value."""
    path = "$.action: one of several models"
    if asked.space is not None:
        reason = f"{path}; the space is the caller's action_space="
        return Side(key=None, form=given(asked.space), reasons=(reason,))
    form = read_schema(as_union(schema, branches), "$.action", is_open=True, budget=budget)
    return Side(key=None, form=form, reasons=(f"{path}; its branches give {form.space}",))


def _settled_key(reader: FormReader, asked: Asked) -> tuple[Key, str] | None:
    """Return the given key, or the only annotated field, or the keys of a given ``Dict``."""
    properties, side = reader.properties, reader.side
    if asked.key is not None:
        for name in paths_of(asked.key):
            is_free = reader.schema.get("additionalProperties") is True and asked.space is not None
            if name.partition(".")[0] not in properties and name not in properties and not is_free:
                raise SpaceError(
                    f"expected {side}_key to name a field of the {side} ({', '.join(properties)}), "
                    f"got {name!r}"
                )
        return asked.key, asked.why(side)
    annotated = [name for name, child in properties.items() if is_annotated(child)]
    if len(annotated) == 1:
        return annotated[0], "the only annotated field"
    if isinstance(asked.space, gs.Dict) and asked.space.spaces.keys() <= properties.keys():
        return tuple(asked.space.spaces), f"the keys of {side}_space="
    return None


def _action_key(reader: FormReader, fixed: Mapping[str, Any]) -> tuple[Key, str]:
    candidates = [
        name for name in reader.properties if name not in BASE_FIELDS and name not in fixed
    ]
    required = [name for name in reader.schema.get("required", ()) if name in candidates]
    if len(required) == 1:
        return required[0], "the only required field"
    if required:
        return tuple(required), "the required fields"
    if len(candidates) == 1:
        return candidates[0], "the only field"
    raise _ambiguous("action", candidates)


def _observation_names(reader: FormReader) -> tuple[list[str], str]:
    """Return the fields of the observation: those with a shape, else the required, else all."""
    properties = reader.properties
    beside = {f"{name}{SHAPE}" for name in properties} & properties.keys()
    helpers = beside | set(FIELDS) | BASE_FIELDS | FLAGS
    candidates = [name for name in properties if name not in helpers]
    shaped = [name for name in candidates if f"{name}{SHAPE}" in beside]
    if len(shaped) == 1:
        return shaped, f"the field with {shaped[0]}{SHAPE} beside"
    required = [name for name in reader.schema.get("required", ()) if name in candidates]
    if required:
        return required, "the only required field" if len(required) == 1 else "required"
    always = [name for name in candidates if not is_nullable(properties[name])]
    if len(candidates) == 1:
        return candidates, "the only field"
    return always, "the only field that is never null" if len(always) == 1 else "never null"


def _usable(reader: FormReader, names: Sequence[str], why: str, asked: Asked) -> Side:
    """Return the side of the fields that have a space; the others go to ``info``."""
    if asked.space is not None:
        if len(names) != 1:
            raise _ambiguous("observation", names)
        return _side(reader, names[0], why, asked)
    found: dict[str, Found] = {}
    refused: dict[str, str] = {}
    for name in names:
        try:
            found[name] = reader.read(name)
        except SpaceError as exc:
            if reader.budget.is_exceeded:
                raise
            refused[name] = str(exc)
    if not found:
        if len(refused) == 1:
            raise SpaceError(next(iter(refused.values())))
        raise _ambiguous("observation", list(refused) or list(names))
    reasons = [f"$.observation.{name}: {why}; {each.why}" for name, each in found.items()]
    reasons += [f"info: {text.partition('; pass the space')[0]}" for text in refused.values()]
    if len(found) == 1:
        ((name, one),) = found.items()
        return Side(key=name, form=one.form, reasons=tuple(reasons))
    form = object_of({name: each.form for name, each in found.items()}, {})
    return Side(key=tuple(found), form=form, reasons=tuple(reasons))


def _side(reader: FormReader, key: Key, why: str, asked: Asked) -> Side:
    """Return the side of the fields in ``key``, each of which must have a space."""
    if isinstance(key, str):
        found = _found(reader, key, asked.space)
        return Side(key=key, form=found.form, reasons=(f"{reader.path(key)}: {why}; {found.why}",))
    names, space = paths_of(key), asked.space
    if space is not None and not isinstance(space, gs.Dict):
        raise SpaceError(
            f"expected {reader.side}_space= as a Dict of {shown(key)}, got {space}; or name one "
            f"field with {reader.side}_key="
        )
    spaces = {} if space is None else space.spaces
    if space is not None and spaces.keys() != set(names):
        raise SpaceError(
            f"expected {reader.side}_space= with the keys {shown(key)}, got {', '.join(spaces)}"
        )
    each = {name: _found(reader, name, spaces.get(name)) for name in spaces or names}
    reasons = tuple(f"{reader.path(name)}: {why}; {one.why}" for name, one in each.items())
    form = object_of({name: one.form for name, one in each.items()}, {})
    return Side(key=tuple(each), form=form, reasons=reasons)


def _found(reader: FormReader, name: str, space: Space | None) -> Found:
    return reader.read(name) if space is None else reader.given(name, space)


def _constants(reader: FormReader, asked: Asked) -> dict[str, Any]:
    """Return the fields that have only one possible value and that the caller did not ask for."""
    properties = reader.properties
    if any(map(is_annotated, properties.values())):
        return {}
    constants = {
        name: child["const"]
        for name, child in properties.items()
        if isinstance(child, dict) and "const" in child and name not in paths_of(asked.key)
    }
    return constants if properties.keys() - BASE_FIELDS - constants.keys() else {}


def _check_fixed(reader: FormReader, fixed: Mapping[str, Any], key: Key) -> None:
    is_closed = reader.schema.get("additionalProperties") is not True
    for name in fixed:
        if is_closed and schema_at(reader.schema, name) is None:
            raise SpaceError(
                f"expected fixed_action= with fields of the action "
                f"({', '.join(reader.properties)}), got {name!r}"
            )
        if name in paths_of(key):
            raise SpaceError(
                f"expected fixed_action= with other fields than {shown(key)}, which the agent "
                f"chooses, got {name!r}"
            )


def _check_required(reader: FormReader, fixed: Mapping[str, Any], key: Key) -> None:
    if key is not None and any(is_annotated(schema_at(reader.schema, p)) for p in paths_of(key)):
        return  # our own servers know what their actions need
    said = {path.partition(".")[0] for path in (*paths_of(key), *fixed)} | set(paths_of(key))
    if left := [name for name in reader.schema.get("required", ()) if name not in said]:
        raise SpaceError(
            f"expected every required field of the action, got none for {', '.join(left)}; say "
            "what is always the same with fixed_action=, or name the fields in action_key="
        )


def _ambiguous(side: str, candidates: Sequence[str]) -> SpaceError:
    more = ", or all but one with fixed_action=" if side == "action" else ""
    return SpaceError(
        f"$.{side}: expected one field of the {side} that holds it, got "
        f"{', '.join(candidates) or 'none'}; name it with {side}_key={more}"
    )
