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
from openenv_gym.spaces.descriptor import Space, check_size, from_descriptor
from openenv_gym.spaces.to_schema import ANNOTATION, Schema

MAX_ITEMS = 10_000
MAX_DEPTH = 32
"""How deep schemas may be nested before they count as recursive."""

# Keywords that narrow a schema and are not read: a space without them would be a guess.
_UNREAD = frozenset(
    {
        *("enum", "const", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
        *("allOf", "anyOf", "oneOf", "not", "if"),
    }
)
_OVERRIDE = "pass the space yourself with action_space= or observation_space="


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
    if not isinstance(schema, dict):
        raise _ambiguous(path, "a JSON schema that is an object", schema)
    if path.count(".") + path.count("[") > MAX_DEPTH:
        raise SpaceError(f"{path[:80]}: expected no recursive schema, got one; {_OVERRIDE}")
    root = schema if root is None else root
    schema = resolve(schema, path, root)
    try:
        return _read(schema, path, root)
    except SpaceError:
        raise
    except (TypeError, ValueError, AttributeError, AssertionError, OverflowError) as exc:
        raise _ambiguous(path, f"a valid JSON schema ({exc})", schema) from exc


def _read(schema: Schema, path: str, root: Schema) -> Space:
    if ANNOTATION in schema:
        try:
            return from_descriptor(schema[ANNOTATION])
        except SpaceError as exc:
            raise SpaceError(f"{path}.{ANNOTATION}: {exc}; {_OVERRIDE}") from exc
    if unread := _UNREAD & schema.keys():
        raise _ambiguous(path, f"a schema without {', '.join(sorted(unread))}", schema)
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
        reference = str(schema["$ref"])
        if reference in seen or not reference.startswith("#/"):
            raise SpaceError(f"{path}: cannot follow the reference {reference!r:.80}; {_OVERRIDE}")
        seen.add(reference)
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part.replace("~1", "/").replace("~0", "~"))
            if not isinstance(target, dict):
                raise SpaceError(
                    f"{path}: the reference {reference!r:.80} leads nowhere; {_OVERRIDE}"
                )
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _ambiguous(path: str, expected: str, schema: Any) -> SpaceError:
    return SpaceError(f"{path}: expected {expected}, got {_brief(schema)}; {_OVERRIDE}")


def _brief(schema: Any) -> str:
    if isinstance(schema, dict):
        schema = {key: item for key, item in schema.items() if key not in ("title", "description")}
    text = repr(schema)
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
        shape = (length, *child.shape)
        check_size(shape, child.dtype)
        low, high = np.broadcast_to(child.low, shape), np.broadcast_to(child.high, shape)
        return gs.Box(low, high, shape, child.dtype.type)
    if isinstance(child, gs.Discrete):
        check_size((length,), np.dtype(np.int64))
        return gs.MultiDiscrete(
            np.full(length, child.n, np.int64), start=np.full(length, child.start, np.int64)
        )
    if length > MAX_ITEMS:
        raise _ambiguous(path, f"at most {MAX_ITEMS} items that are no numbers", schema)
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
