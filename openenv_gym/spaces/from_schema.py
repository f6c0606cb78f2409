"""JSON schema → Space: from the annotation if there is one, else from plain keywords.

An ambiguous schema is refused; the error names its path and the keyword argument that settles it.
Without an annotation, a schema must fix a space completely. An open reader is less strict: it
reads integers, texts and arrays without bounds as spaces without bounds. Keywords are read as JSON
Schema 2020-12 defines them; a type of schema is a row of ``_BY_TYPE``.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import schema_space
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.descriptor import Space, from_descriptor
from openenv_gym.spaces.numbers import EXACT_INTEGERS, from_json_number
from openenv_gym.spaces.schema_choice import read_choice
from openenv_gym.spaces.schema_document import OVERRIDE, Place, flatten
from openenv_gym.spaces.schema_pattern import read_pattern
from openenv_gym.spaces.schema_space import SchemaSpace
from openenv_gym.spaces.schema_union import read_union
from openenv_gym.spaces.to_schema import ANNOTATION, Schema
from openenv_gym.spaces.unicode_text import MAX_LENGTH, UnicodeText

# Keywords that narrow a schema and are not read: a space without them would be a guess.
_UNREAD = frozenset(
    {
        "$dynamicRef",
        "$recursiveRef",
        "contains",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "maxProperties",
        "minProperties",
        "not",
        "nullable",
        "patternProperties",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
_UNREAD_OF_TEXT = frozenset({"format", "contentEncoding", "contentMediaType"})
_INT64 = np.iinfo(np.int64)


def from_schema(schema: Schema, path: str = "$", root: Schema | None = None) -> Space:
    """Return the space of the values that ``schema`` allows.

    Some schemas write a value in another form than its space does; see :func:`read_schema`.

    Args:
        schema: The JSON schema to read.
        path: The path of the schema in its document, for error messages.
        root: The document in which ``$ref`` is resolved. The default is ``schema`` itself.

    >>> from_schema({"type": "integer", "minimum": 0, "maximum": 4})
    Discrete(5)

    Raises:
        SpaceError: the schema does not fix a space; the message names the path.
    """
    return read_schema(schema, path, root).space


def read_schema(
    schema: Schema,
    path: str = "$",
    root: Schema | None = None,
    *,
    is_open: bool = False,
    budget: SpaceBudget | None = None,
) -> SchemaSpace:
    """Return the space of the values that ``schema`` allows, and how the values are written.

    Args:
        schema: The JSON schema to read.
        path: The path of the schema in its document, for error messages.
        root: The document in which ``$ref`` is resolved. The default is ``schema`` itself.
        is_open: Whether integers without bounds, texts of any characters and length, and arrays
            of any length are spaces too.
        budget: What is left to make spaces with; a new one unless given.

    >>> form = read_schema({"enum": ["left", "right"]})
    >>> form.space, form.to_json(1), form.from_json("left", "$")
    (Discrete(2), 'right', 0)

    Raises:
        SpaceError: the schema does not fix a space; the message names the path.
    """
    document = schema if root is None else root
    given = SpaceBudget() if budget is None else budget
    return _read(schema, Place(path=path, root=document, is_open=is_open, budget=given))


def _read(schema: Any, place: Place) -> SchemaSpace:
    try:
        flat, place = flatten(schema, place)
        return _read_flat(flat, place)
    except SpaceError:
        raise
    except (
        TypeError,
        ValueError,
        AttributeError,
        AssertionError,
        OverflowError,
        ZeroDivisionError,
        RecursionError,
    ) as exc:
        raise place.refusal(f"a valid JSON schema ({str(exc)[:120]})", schema) from exc


def _read_flat(schema: Schema, place: Place) -> SchemaSpace:
    if ANNOTATION in schema:
        try:
            path = f"{place.path}.{ANNOTATION}"
            return SchemaSpace(space=from_descriptor(schema[ANNOTATION], path, place.budget))
        except SpaceError as exc:
            raise SpaceError(f"{exc}; or {OVERRIDE}") from exc
    place.make()
    unread = [key for key in schema if key in _UNREAD and schema[key] is not False]
    if unread:
        raise place.refusal(f"a schema without {', '.join(sorted(unread))}", schema)
    kind = schema.get("type")
    if schema.keys() & {"enum", "const"}:
        return read_choice(schema, place)
    if isinstance(kind, list) or schema.keys() & {"anyOf", "oneOf"}:
        return read_union(schema, place, _read)
    if isinstance(kind, str) and kind in _BY_TYPE:
        return _BY_TYPE[kind](schema, place)
    raise place.refusal(f"a schema with a 'type' among {', '.join(_BY_TYPE)}", schema)


def _number_at(schema: Schema, key: str, place: Place) -> int | float | None:
    value = schema.get(key)
    if key in schema and type(value) not in (int, float):
        raise place.refusal(f"a number under {key!r}", schema)
    return value


def _length_at(schema: Schema, key: str, place: Place) -> int | None:
    value = schema.get(key)
    if key in schema and (type(value) is not int or value < 0):
        raise place.refusal(f"a length under {key!r}", schema)
    return value


def _integer(schema: Schema, place: Place) -> SchemaSpace:
    low, high = _integer_bounds(schema, place)
    multiple = _number_at(schema, "multipleOf", place)
    if low is None or high is None:
        if place.is_open and multiple in (None, 1):
            return _unbounded(low, high)
        raise place.refusal("an integer with 'minimum' and 'maximum'", schema)
    step = 1 if multiple is None else Fraction(str(multiple)).numerator
    if step <= 0:
        raise place.refusal("a positive 'multipleOf'", schema)
    low = -(-low // step) * step
    if not _INT64.min <= low <= high <= _INT64.max or high - low >= _INT64.max:
        raise place.refusal("at least one integer, and 64-bit bounds", schema)
    if step > 1:
        return schema_space.multiples(range(low, high + 1, step))
    keywords: dict[str, Any] = {}
    if max(-low, high) > EXACT_INTEGERS:  # our own codec writes such integers as text
        keywords["to_json"] = from_json_number
    return SchemaSpace(
        space=gs.Discrete(high - low + 1, start=low),
        kinds=frozenset({"number"}),
        members=range(low, high + 1),
        **keywords,
    )


def _unbounded(low: int | None, high: int | None) -> SchemaSpace:
    """Return a ``Box`` of one integer with the bounds that are known; a ``Discrete`` needs both."""
    bounds = {
        "low": "-Infinity" if low is None else low,
        "high": "Infinity" if high is None else high,
    }
    box = from_descriptor({"type": "Box", "dtype": "int64", "shape": [], **bounds})
    return SchemaSpace(space=box, kinds=frozenset({"number"}))


def _integer_bounds(schema: Schema, place: Place) -> tuple[int | None, int | None]:
    """Return the least and the greatest allowed integer, None for one without a bound."""
    lows, highs = [], []
    if (bound := _number_at(schema, "minimum", place)) is not None:
        lows.append(math.ceil(bound))
    if (bound := _number_at(schema, "exclusiveMinimum", place)) is not None:
        lows.append(math.floor(bound) + 1)
    if (bound := _number_at(schema, "maximum", place)) is not None:
        highs.append(math.floor(bound))
    if (bound := _number_at(schema, "exclusiveMaximum", place)) is not None:
        highs.append(math.ceil(bound) - 1)
    return max(lows, default=None), min(highs, default=None)


def _boolean(schema: Schema, place: Place) -> SchemaSpace:
    return schema_space.choice([False, True])


def _null(schema: Schema, place: Place) -> SchemaSpace:
    return schema_space.choice([None])


def _number(schema: Schema, place: Place) -> SchemaSpace:
    if "multipleOf" in schema:  # a Box holds what lies between, and rounding would be silent
        raise place.refusal("a number without 'multipleOf'", schema)
    low, high = -math.inf, math.inf
    if (bound := _number_at(schema, "minimum", place)) is not None:
        low = float(bound)
    if (bound := _number_at(schema, "maximum", place)) is not None:
        high = float(bound)
    if (bound := _number_at(schema, "exclusiveMinimum", place)) is not None:
        low = max(low, math.nextafter(bound, math.inf))
    if (bound := _number_at(schema, "exclusiveMaximum", place)) is not None:
        high = min(high, math.nextafter(bound, -math.inf))
    if not low <= high:
        raise place.refusal("a 'minimum' up to the 'maximum'", schema)
    box = gs.Box(low, high, (), np.float64)
    return SchemaSpace(space=box, kinds=frozenset({"number"}))


def _text(schema: Schema, place: Place) -> SchemaSpace:
    unread = _UNREAD_OF_TEXT & schema.keys()
    if unread and not place.is_open:  # they are notes to people, but a Text would sample others
        raise place.refusal(f"a string without {', '.join(sorted(unread))}", schema)
    least = _length_at(schema, "minLength", place) or 0
    most = _length_at(schema, "maxLength", place)
    charset = string.printable
    if "pattern" in schema:
        pattern = read_pattern(schema["pattern"])
        if pattern is None:
            raise place.refusal("a 'pattern' of one character class, as '^[a-z ]*$'", schema)
        charset, least = pattern.charset, max(least, pattern.least)
        most = min((n for n in (most, pattern.most) if n is not None), default=None)
    if place.is_open and "pattern" not in schema:
        most = max(MAX_LENGTH, least) if most is None else most
        if least <= most:
            place.write(least, 0)
            text = UnicodeText(most, min_length=least)
            return SchemaSpace(space=text, kinds=frozenset({"string"}))
    if most is None or most < least:
        raise place.refusal("a string with 'maxLength', at least its 'minLength'", schema)
    place.write(most, len(charset))
    return SchemaSpace(
        space=gs.Text(most, min_length=least, charset=charset), kinds=frozenset({"string"})
    )


def _array(schema: Schema, place: Place) -> SchemaSpace:
    least = _length_at(schema, "minItems", place) or 0
    most = _length_at(schema, "maxItems", place)
    items = schema.get("items", {})
    if isinstance(items, list):  # how drafts before 2020-12 write a tuple
        return _tuple(items, schema.get("additionalItems", True), schema, place)
    if "prefixItems" in schema:
        return _tuple(schema["prefixItems"], items, schema, place)
    if most is not None and least == most:
        return _repeated(_read(items, place.below("[*]")), most, place)
    if (least or most is not None) and not place.is_open:
        expected = "an array of fixed length ('minItems' equal to 'maxItems') or of any length"
        raise place.refusal(expected, schema)
    child = _read(items, place.below("[*]"))
    return schema_space.array(gs.Sequence(child.space), child, child.size)


def _tuple(prefix: Any, rest: Any, schema: Schema, place: Place) -> SchemaSpace:
    length = len(prefix)
    least, most = schema.get("minItems", length), schema.get("maxItems", length)
    is_open = "maxItems" not in schema and rest not in (False, True, {})
    if least > length or most != length or is_open or not isinstance(prefix, list):
        raise place.refusal(f"an array of just the {length} items that are listed", schema)
    forms = [_read(item, place.below(f"[{i}]")) for i, item in enumerate(prefix)]
    if forms and all(form.is_plain for form in forms):
        numbers = _numbers([form.space for form in forms], length, place)
        if numbers is not None:
            return schema_space.array(numbers, forms[0], 1)
    return schema_space.tuple_of(forms)


def _repeated(child: SchemaSpace, length: int, place: Place) -> SchemaSpace:
    """Return the space of ``length`` items: one array if they are numbers, else a ``Tuple``."""
    numbers = _numbers([child.space], length, place)
    if numbers is not None:
        return schema_space.array(numbers, child, 1)
    place.make(length * max(1, child.size))
    return schema_space.array(gs.Tuple([child.space] * length), child, length * child.size)


def _numbers(spaces: Sequence[Any], length: int, place: Place) -> Space | None:
    """Return one space for ``length`` numbers or arrays of numbers, None if their kinds differ.

    Args:
        spaces: The space of each item, or a list of one space that all items share.
        length: The number of items.
        place: The place of the items in the document.
    """
    shape = (length, *(spaces[0].shape or ()))
    if any(space.shape != shape[1:] for space in spaces):
        return None
    dtype = spaces[0].dtype
    if all(isinstance(space, gs.Box) and space.dtype == dtype for space in spaces):
        place.allocate(shape, dtype)
        low = np.broadcast_to(np.stack([space.low for space in spaces]), shape)
        high = np.broadcast_to(np.stack([space.high for space in spaces]), shape)
        box = gs.Box(low, high, shape, dtype.type)
        # An integer without a bound has the end of its dtype there, which Box takes for a bound.
        below = np.stack([space.bounded_below for space in spaces])
        above = np.stack([space.bounded_above for space in spaces])
        box.bounded_below = np.broadcast_to(below, shape).copy()
        box.bounded_above = np.broadcast_to(above, shape).copy()
        return box
    if all(isinstance(space, gs.Discrete | gs.MultiDiscrete) for space in spaces):
        place.allocate(shape, np.dtype(np.int64))
        counts = [space.n if isinstance(space, gs.Discrete) else space.nvec for space in spaces]
        nvec = np.broadcast_to(np.stack(counts), shape).astype(np.int64)
        start = np.broadcast_to(np.stack([space.start for space in spaces]), shape).astype(np.int64)
        return gs.MultiDiscrete(nvec, start=start)
    return None


def _object(schema: Schema, place: Place) -> SchemaSpace:
    properties = schema.get("properties")
    if not properties:
        raise place.refusal("an object with 'properties'", schema)
    if schema.get("additionalProperties", False) is not False:
        raise place.refusal("an object without further properties", schema)
    if unknown := [name for name in schema.get("required", ()) if name not in properties]:
        raise place.refusal(f"'properties' with the required {unknown[0]!r}", schema)
    fields = {name: _read(child, place.below(f".{name}")) for name, child in properties.items()}
    defaults = {
        name: child["default"]
        for name, child in properties.items()
        if name not in schema.get("required", ()) and "default" in child
    }
    return schema_space.object_of(fields, defaults)


_BY_TYPE: dict[str, Callable[[Schema, Place], SchemaSpace]] = {
    "integer": _integer,
    "boolean": _boolean,
    "null": _null,
    "number": _number,
    "string": _text,
    "array": _array,
    "object": _object,
}
