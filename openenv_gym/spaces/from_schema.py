"""JSON schema → Space: the annotation where there is one, else what plain schema can say.

What stays ambiguous is refused with its path and the keyword argument that settles it. Without
an annotation, only schemas that fix a space completely are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.descriptor import Space, from_descriptor
from openenv_gym.spaces.to_schema import ANNOTATION, Schema


def from_schema(schema: Schema, path: str = "$", root: Schema | None = None) -> Space:
    """Return the space of the values that ``schema`` allows.

    Args:
        schema: A JSON schema.
        path: Where it stands, for error messages.
        root: The document that ``$ref`` is resolved in; ``schema`` itself unless given.

    >>> from_schema({"type": "integer", "minimum": 0, "maximum": 4})
    Discrete(5)

    Raises:
        SpaceError: the schema does not fix a space; the message names the path.
    """
    root = schema if root is None else root
    schema = resolve(schema, path, root)
    if ANNOTATION in schema:
        return from_descriptor(schema[ANNOTATION])
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _BY_TYPE:
        return _BY_TYPE[kind](schema, path, root)
    raise _ambiguous(path, f"a schema with a 'type' among {', '.join(_BY_TYPE)}", schema)


def resolve(schema: Schema, path: str, root: Schema) -> Schema:
    """Follow local ``$ref``s.

    Raises:
        SpaceError: the reference leads nowhere, or back to itself.
    """
    seen: set[str] = set()
    while "$ref" in schema:
        reference = schema["$ref"]
        if reference in seen or not str(reference).startswith("#/"):
            raise SpaceError(f"{path}: cannot follow the reference {reference!r}")
        seen.add(reference)
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part.replace("~1", "/").replace("~0", "~"))
            if not isinstance(target, dict):
                raise SpaceError(f"{path}: the reference {reference!r} leads nowhere")
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _ambiguous(path: str, expected: str, schema: Schema) -> SpaceError:
    return SpaceError(
        f"{path}: expected {expected}, got {_brief(schema)}; "
        "pass the space yourself with action_space= or observation_space="
    )


def _brief(schema: Schema) -> str:
    shown = {key: value for key, value in schema.items() if key not in ("title", "description")}
    text = repr(shown)
    return text if len(text) <= 120 else text[:117] + "..."


def _integer(schema: Schema, path: str, root: Schema) -> Space:
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, int) and isinstance(high, int) and low <= high:
        return gs.Discrete(high - low + 1, start=low)
    raise _ambiguous(path, "an integer with 'minimum' and 'maximum'", schema)


def _boolean(schema: Schema, path: str, root: Schema) -> Space:
    return gs.Discrete(2)


def _number(schema: Schema, path: str, root: Schema) -> Space:
    low, high = schema.get("minimum", -np.inf), schema.get("maximum", np.inf)
    return gs.Box(float(low), float(high), (), np.float64)


def _array(schema: Schema, path: str, root: Schema) -> Space:
    if "prefixItems" in schema:
        items = enumerate(schema["prefixItems"])
        return gs.Tuple([from_schema(item, f"{path}[{i}]", root) for i, item in items])
    length = schema.get("minItems")
    if length is None or length != schema.get("maxItems"):
        raise _ambiguous(path, "an array of fixed length ('minItems' equal to 'maxItems')", schema)
    child = from_schema(schema.get("items", {}), f"{path}[*]", root)
    if isinstance(child, gs.Box):
        low, high = np.stack([child.low] * length), np.stack([child.high] * length)
        return gs.Box(low, high, (length, *child.shape), child.dtype.type)
    if isinstance(child, gs.Discrete):
        return gs.MultiDiscrete([child.n] * length, start=[child.start] * length)
    return gs.Tuple([child] * length)


def _object(schema: Schema, path: str, root: Schema) -> Space:
    properties = schema.get("properties")
    if not properties:
        raise _ambiguous(path, "an object with 'properties'", schema)
    return gs.Dict(
        [(name, from_schema(child, f"{path}.{name}", root)) for name, child in properties.items()]
    )


_BY_TYPE: dict[str, Callable[[Schema, str, Schema], Space]] = {
    "integer": _integer,
    "boolean": _boolean,
    "number": _number,
    "array": _array,
    "object": _object,
}
