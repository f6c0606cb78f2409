"""Space → JSON schema: constraints that any language reads, and an annotation that ours reads.

The plain keywords say what JSON schema can express: types, lengths, bounds, enums. Beside them, the
annotation ``x-gymnasium-space`` holds the descriptor, from which the exact space is restored.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any, TypeAlias

import gymnasium.spaces as gs
import numpy as np
from numpy.typing import NDArray

from openenv_gym.spaces.descriptor import Space, to_descriptor
from openenv_gym.spaces.labels import labels_of
from openenv_gym.spaces.numbers import EXACT_INTEGERS
from openenv_gym.spaces.schema_pattern import charset_pattern
from openenv_gym.spaces.unicode_text import UnicodeText

Schema: TypeAlias = dict[str, Any]

ANNOTATION = "x-gymnasium-space"
"""The keyword under which a schema carries the descriptor of a space."""

MAX_LISTED = 1024
"""Up to this many elements, an array whose bounds differ is written element by element."""

BIG_INTEGER: Schema = {"type": "string", "pattern": "^-?[1-9][0-9]{15,}$"}
"""The text that stands for an integer beyond 2**53, which many parsers would round."""

NON_FINITE: Schema = {"enum": ["NaN", "Infinity", "-Infinity"]}
"""The texts that stand for the floats that JSON does not have."""


def to_schema(space: Space) -> Schema:
    """Return the annotated JSON schema of the values of ``space``.

    >>> to_schema(gs.Discrete(3))["maximum"]
    2

    Raises:
        SpaceError: the space is of a kind that has no descriptor.
    """
    return {**plain_schema(space), ANNOTATION: to_descriptor(space)}


@singledispatch
def plain_schema(space: Space) -> Schema:
    """Return the JSON schema of ``space`` without the annotation; {} for an unregistered kind."""
    return {}


@plain_schema.register
def _(space: gs.Discrete) -> Schema:
    low = int(space.start)
    item = _integer(low, low + int(space.n) - 1)
    if names := labels_of(space):
        item["oneOf"] = [{"const": low + i, "title": name} for i, name in enumerate(names)]
    return item


@plain_schema.register
def _(space: gs.Box) -> Schema:
    if space.dtype.kind == "b":
        return _array(lambda low, high: {"type": "boolean"}, space, space.low, space.high)
    item = _integer if space.dtype.kind in "iu" else _float
    return _array(item, space, space.low, space.high)


@plain_schema.register
def _(space: gs.MultiDiscrete) -> Schema:
    low = np.asarray(space.start).astype(object)  # the highest may not fit the dtype
    high = np.asarray(low + space.nvec.astype(object) - 1, object)  # a number without axes
    return _array(_integer, space, low, high)


@plain_schema.register
def _(space: gs.MultiBinary) -> Schema:
    low = np.zeros(space.shape, np.int8)
    return _array(_integer, space, low, low + 1)


@plain_schema.register
def _(space: gs.Text) -> Schema:
    return {
        "type": "string",
        "minLength": int(space.min_length),
        "maxLength": int(space.max_length),
        "pattern": charset_pattern(space.character_list),
    }


@plain_schema.register
def _(space: UnicodeText) -> Schema:
    return {
        "type": "string",
        "minLength": int(space.min_length),
        "maxLength": int(space.max_length),
    }


@plain_schema.register
def _(space: gs.Dict) -> Schema:
    return {
        "type": "object",
        "properties": {key: plain_schema(child) for key, child in space.spaces.items()},
        "required": list(space.spaces),
        "additionalProperties": False,
    }


@plain_schema.register(gs.Tuple)
def _(space: gs.Tuple[Any]) -> Schema:
    return _items([plain_schema(child) for child in space.spaces], labels_of(space))


@plain_schema.register
def _(space: gs.Sequence) -> Schema:
    if space.stack:
        return _stacked(space.feature_space)
    return {"type": "array", "items": plain_schema(space.feature_space)}


@plain_schema.register
def _(space: gs.Graph) -> Schema:
    edges: Schema = {"type": "null"}
    links = edges
    if space.edge_space is not None:
        edges = {"anyOf": [edges, _stacked(space.edge_space)]}
        pair = _nested({"type": "integer", "minimum": 0}, (2,))
        links = {"anyOf": [links, {"type": "array", "items": pair}]}
    nodes = _stacked(space.node_space)
    return {
        "type": "object",
        "properties": {"nodes": nodes, "edges": edges, "edge_links": links},
        "required": ["nodes", "edges", "edge_links"],
        "additionalProperties": False,
    }


if hasattr(gs, "OneOf"):  # since Gymnasium 1.0

    @plain_schema.register(gs.OneOf)
    def _(space: gs.OneOf[Any]) -> Schema:
        return {
            "oneOf": [
                {
                    "type": "array",
                    "prefixItems": [{"const": index}, plain_schema(child)],
                    "minItems": 2,
                    "maxItems": 2,
                }
                for index, child in enumerate(space.spaces)
            ]
        }


def _stacked(feature: Space) -> Schema:
    """Return the schema of a batch of values, as a vector environment has them."""
    if isinstance(feature, gs.Dict):
        return {
            "type": "object",
            "properties": {key: _stacked(child) for key, child in feature.spaces.items()},
            "required": list(feature.spaces),
            "additionalProperties": False,
        }
    if isinstance(feature, gs.Tuple):
        return _items([_stacked(child) for child in feature.spaces])
    return {"type": "array", "items": plain_schema(feature)}


def _integer(lowest: int, highest: int) -> Schema:
    item: Schema = {"type": "integer", "minimum": lowest, "maximum": highest}
    is_exact = max(-lowest, highest) <= EXACT_INTEGERS
    return item if is_exact else {"anyOf": [item, BIG_INTEGER]}


def _float(lowest: float, highest: float) -> Schema:
    item: Schema = {"type": "number"}
    if np.isfinite(lowest):
        item["minimum"] = lowest
    if np.isfinite(highest):
        item["maximum"] = highest
    return item if len(item) == 3 else {"anyOf": [item, NON_FINITE]}


def _array(
    item: Callable[[Any, Any], Schema], space: Space, low: NDArray[Any], high: NDArray[Any]
) -> Schema:
    """Return the schema of an array whose elements have the bounds ``low`` and ``high``."""
    names = labels_of(space)
    is_uniform = not low.size or bool((low == low.flat[0]).all() and (high == high.flat[0]).all())
    if names or (low.size <= MAX_LISTED and not is_uniform):
        return _listed(item, low, high, names)
    if not low.size:
        return _nested(item(0, 0), low.shape)
    return _nested(item(_plain(low.min()), _plain(high.max())), low.shape)


def _listed(
    item: Callable[[Any, Any], Schema],
    low: NDArray[Any],
    high: NDArray[Any],
    names: tuple[str, ...] = (),
) -> Schema:
    if not np.ndim(low):
        return item(_plain(low), _plain(high))
    return _items([_listed(item, *bounds) for bounds in zip(low, high, strict=True)], names)


def _items(items: list[Schema], names: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an array of these named items, which stand once if all are equal."""
    length = len(items)
    if names:
        items = [{"title": name, **item} for name, item in zip(names, items, strict=True)]
    if all(item == items[0] for item in items):
        return _nested(items[0] if items else {}, (length,))
    return {"type": "array", "prefixItems": items, "minItems": length, "maxItems": length}


def _plain(bound: Any) -> Any:
    """Return a bound as a Python number."""
    return bound.item() if isinstance(bound, np.generic | np.ndarray) else bound


def _nested(item: Schema, shape: tuple[int, ...]) -> Schema:
    for length in reversed(shape):
        item = {"type": "array", "items": item, "minItems": length, "maxItems": length}
    return item
