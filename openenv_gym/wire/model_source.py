"""JSON schema of a typed model → Python source of the pydantic class, for people to copy.

The classes read what the server sends and write what it reads. Bounds are comments, because the
server checks them and its message says more.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from openenv_gym.spaces import ANNOTATION, from_descriptor
from openenv_gym.spaces.budget import NODE_BYTES, SpaceBudget
from openenv_gym.spaces.schema_form import check_model
from openenv_gym.spaces.to_schema import BIG_INTEGER, NON_FINITE, Schema
from openenv_gym.texts import escaped
from openenv_gym.wire.models import Action, Observation, State

_BASES: dict[str, Any] = {"action": Action, "observation": Observation, "state": State}
_SIMPLE = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}
_IMPORTS = {
    "enum": ("IntEnum",),
    "typing": ("Any", "Literal", "NamedTuple"),
    "openenv_gym": ("Action", "Observation", "State"),
    "pydantic": ("BaseModel", "Field"),
}
_EMPTY: dict[str, Any] = {"dict": {}, "list": []}
_MOST_WIDTH = 100


def model_source(schemas: dict[str, Schema], budget: SpaceBudget | None = None) -> str:
    """Return a Python module with the classes of ``action``, ``observation`` and ``state``.

    Args:
        schemas: The JSON schema of each model, as ``GET /schema`` answers them.
        budget: What is left to read them with; a new one unless given.

    Raises:
        SpaceError: one of them is not a JSON schema, or they take more than the budget.
    """
    budget = SpaceBudget() if budget is None else budget
    for side, schema in schemas.items():
        check_model(schema, side)
    classes = [_Writer(schemas[side], side, budget).source() for side in _BASES if side in schemas]
    body = "\n\n".join(text for text in classes if text)
    used = {
        name for names in _IMPORTS.values() for name in names if re.search(rf"\b{name}\b", body)
    }
    imports = [
        f"from {module} import {', '.join(name for name in names if name in used)}\n"
        for module, names in _IMPORTS.items()
        if used & set(names)
    ]
    return "".join(["from __future__ import annotations\n\n", *imports]) + f"\n\n{body}"


def value_class(environment: str, key: str) -> str:
    """Return the name of the class of a labelled field.

    >>> value_class("CartPole", "obs"), value_class("CartPole", "action")
    ('CartPoleObs', 'CartPoleActionValue')
    """
    name = environment + _class_name(key)
    return (
        f"{name}Value" if name.endswith(tuple(base.__name__ for base in _BASES.values())) else name
    )


class _Writer:
    """Writes the class of one schema, after the classes that it needs."""

    def __init__(self, schema: Schema, side: str, budget: SpaceBudget) -> None:
        self._path, self._budget = f"$.{side}", budget
        self._root = schema
        self._name = _class_name(str(schema.get("title") or side))
        self._base: type[BaseModel] = _BASES[side]
        self._classes: dict[str, str] = {}
        self._open: set[str] = set()

    def source(self) -> str:
        """Return the classes, "" if the base class is enough."""
        base = self._base.__name__
        own = self._root.get("properties", {}).keys() - self._base.model_fields.keys()
        if not own and self._name == base:
            return ""
        text = self._class(self._name, self._root, base, frozenset(self._base.model_fields))
        return "\n\n".join([*self._classes.values(), text])

    def _class(
        self, name: str, schema: Schema, base: str, inherited: frozenset[str] = frozenset()
    ) -> str:
        lines = [f"class {name}({base}):"]
        if text := _one_line(str(schema.get("description", ""))):
            lines.append(f'    """{text}"""\n')
        required = schema.get("required", [])
        owner = name.removesuffix(base) or name
        for key, child in schema.get("properties", {}).items():
            if key not in inherited:
                field = child if isinstance(child, dict) else {}
                lines.append(self._field(owner, key, field, key in required))
        return "\n".join(lines if len(lines) > 1 else [*lines, "    pass"]) + "\n"

    def _field(self, owner: str, key: str, schema: Schema, is_required: bool) -> str:
        attribute, kind = _attribute(key), self._type(schema, value_class(owner, key))
        options = {} if attribute == key else {"alias": _literal_of(key)}
        if not is_required:
            default = schema.get("default", _EMPTY.get(kind.partition("[")[0]))
            options["default"] = _literal_of(default)
            if default is None and "None" not in kind and kind != "Any":
                kind = f"{kind} | None"
        listed = ", ".join(f"{name}={text}" for name, text in options.items())
        value = f"Field({listed})" if "alias" in options else options.get("default", "")
        return f"    {attribute}: {kind}{value and f' = {value}'}{self._comment(schema)}"

    def _type(self, schema: Any, name: str) -> str:
        """Return the type of a field, after the classes that it needs are written."""
        self._budget.spend(NODE_BYTES, self._path, "another part of the schema")
        text = self._written(schema, name) if isinstance(schema, dict) else "Any"
        self._budget.spend(len(text), self._path, "its classes as text")
        return text

    def _written(self, schema: Schema, name: str) -> str:
        for key, write in self._by_keyword().items():
            if key in schema:
                return write(schema, name)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return " | ".join(self._type({**schema, "type": kind}, name) for kind in kinds) or "Any"
        if kinds == "array":
            return f"list[{self._type(schema.get('items'), name + 'Item')}]"
        if kinds == "object":
            return f"dict[str, {self._type(schema.get('additionalProperties'), name + 'Value')}]"
        return _SIMPLE.get(str(kinds), "Any")

    def _by_keyword(self) -> dict[str, Callable[[Schema, str], str]]:
        return {
            "$ref": lambda schema, name: self._reference(str(schema["$ref"])),
            "enum": lambda schema, name: _choice(schema["enum"]),
            "const": lambda schema, name: _choice([schema["const"]]),
            "anyOf": lambda schema, name: self._union(schema["anyOf"], name),
            "oneOf": self._one_of,
            "allOf": lambda schema, name: self._type(schema["allOf"][0], name),
            "prefixItems": self._tuple,
            "properties": self._model,
        }

    def _reference(self, reference: str) -> str:
        key = reference.rpartition("/")[2]
        name, schema = _class_name(key), self._root.get("$defs", {}).get(key)
        if not isinstance(schema, dict):
            return "Any"
        if "properties" not in schema:
            return "Any" if key in self._open else self._within(key, schema, name)
        if name not in self._classes and key not in self._open:
            self._within(key, schema, name)
        return name

    def _within(self, key: str, schema: Schema, name: str) -> str:
        self._open.add(key)
        try:
            return self._type(schema, name)
        finally:
            self._open.discard(key)

    def _union(self, branches: list[Any], name: str) -> str:
        kinds = [
            self._type(branch, f"{name}{i or ''}")
            for i, branch in enumerate(branches)
            if branch not in (NON_FINITE, BIG_INTEGER)  # pydantic reads these numbers by itself
        ]
        return " | ".join(dict.fromkeys(kinds)) or "Any"

    def _one_of(self, schema: Schema, name: str) -> str:
        branches = schema["oneOf"]
        if not all(
            isinstance(one, dict) and "title" in one and type(one.get("const")) is int
            for one in branches
        ):
            return self._union(branches, name)
        members = [f"    {_attribute(str(one['title']))} = {one['const']!r}" for one in branches]
        self._classes[name] = "\n".join([f"class {name}(IntEnum):", *members]) + "\n"
        return name

    def _tuple(self, schema: Schema, name: str) -> str:
        items = schema["prefixItems"]
        titles = [str(item.get("title", "")) if isinstance(item, dict) else "" for item in items]
        if not all(titles):
            kinds = [self._type(item, f"{name}{i}") for i, item in enumerate(items)]
            return f"tuple[{', '.join(kinds)}]"
        fields = [
            f"    {_attribute(title)}: {self._type(item, name + _class_name(title))}"
            f"{self._comment(item)}"
            for title, item in zip(titles, items, strict=True)
        ]
        self._classes[name] = "\n".join([f"class {name}(NamedTuple):", *fields]) + "\n"
        return name

    def _model(self, schema: Schema, name: str) -> str:
        self._classes[name] = ""  # reserves its place before the classes that need it
        text = self._class(name, schema, "BaseModel")
        del self._classes[name]
        self._classes[name] = text
        return name

    def _comment(self, schema: Schema) -> str:
        """Return a comment with what the type cannot say: the space, or the bounds."""
        if ANNOTATION in schema:
            text = _one_line(str(from_descriptor(schema[ANNOTATION], self._path, self._budget)))
        else:
            branch = next(
                iter(schema.get("anyOf", ())), schema
            )  # the number, before our NON_FINITE
            bounds = [branch.get(key) for key in ("minimum", "maximum")]
            text = " to ".join(f"{bound:g}" for bound in bounds if type(bound) in (int, float))
            if " " not in text and text:
                text = f"at least {text}" if bounds[0] is not None else f"at most {text}"
        short = text if len(text) <= _MOST_WIDTH else text[: _MOST_WIDTH - 1] + "…"
        return f"  # {short}" if short else ""


def _choice(members: Any) -> str:
    is_plain = all(isinstance(one, str | int | bool | None) for one in members)
    return f"Literal[{', '.join(map(_literal_of, members))}]" if is_plain and members else "Any"


def _literal_of(data: Any) -> str:
    return json.dumps(data) if isinstance(data, str) else repr(data)


def _one_line(text: str) -> str:
    return re.sub(r"[\s\"\\]+", " ", escaped(text.partition("\n\n")[0])).strip()


def _class_name(text: str) -> str:
    parts = re.split(r"[^A-Za-z0-9]+", text)
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    return name if name[:1].isalpha() else f"Model{name}"


def _attribute(key: str) -> str:
    """Return a name for a field: the key itself if Python allows it."""
    name = re.sub(r"\W", "_", key, flags=re.ASCII).strip("_") or "field"
    name = f"field_{name}" if not name[0].isalpha() else name
    return f"{name}_" if keyword.iskeyword(name) else name
