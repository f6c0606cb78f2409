"""Space → JSON schema: honest constraints for every language, and the annotation for ours.

The plain keywords say what JSON schema can say (types, lengths, bounds, enums); the annotation
``x-gymnasium-space`` beside them holds the descriptor, from which the exact space comes back.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, TypeAlias

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.spaces.descriptor import Space, to_descriptor
from openenv_gym.spaces.numbers import EXACT_INTEGERS

Schema: TypeAlias = dict[str, Any]

ANNOTATION = "x-gymnasium-space"
"""The keyword under which a schema carries the descriptor of a space."""

BIG_INTEGER: Schema = {"type": "string", "pattern": "^-?[1-9][0-9]{15,}$"}
"""What stands in JSON for the integers beyond 2**53, which many parsers would round."""

NON_FINITE: Schema = {"enum": ["NaN", "Infinity", "-Infinity"]}
"""What stands in JSON for the floats that JSON does not have."""


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
    """Return the JSON schema of ``space`` without the annotation: any value, unless registered."""
    return {}


@plain_schema.register
def _(space: gs.Discrete) -> Schema:
    low = int(space.start)
    return _integer(low, low + int(space.n) - 1)


@plain_schema.register
def _(space: gs.Box) -> Schema:
    if space.dtype.kind == "b":
        return _nested({"type": "boolean"}, space.shape)
    integral = space.dtype.kind in "iu"
    if not space.low.size:
        return _nested({"type": "integer" if integral else "number"}, space.shape)
    lowest, highest = space.low.min().item(), space.high.max().item()
    item = _integer(lowest, highest) if integral else _float(lowest, highest)
    return _nested(item, space.shape)


@plain_schema.register
def _(space: gs.MultiDiscrete) -> Schema:
    start = np.asarray(space.start)
    highest = int((start + space.nvec - 1).max())
    return _nested(_integer(int(start.min()), highest), space.shape)


@plain_schema.register
def _(space: gs.MultiBinary) -> Schema:
    return _nested({"type": "integer", "minimum": 0, "maximum": 1}, space.shape)


@plain_schema.register
def _(space: gs.Text) -> Schema:
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
    n = len(space.spaces)
    items = [plain_schema(child) for child in space.spaces]
    prefix = {"prefixItems": items} if items else {}  # an empty one is no valid schema
    return {"type": "array", **prefix, "minItems": n, "maxItems": n}


@plain_schema.register
def _(space: gs.Sequence) -> Schema:
    return {} if space.stack else {"type": "array", "items": plain_schema(space.feature_space)}


@plain_schema.register
def _(space: gs.Graph) -> Schema:
    edges: Schema = {"type": "null"}
    links = edges
    if space.edge_space is not None:
        edges = {"anyOf": [edges, {"type": "array", "items": plain_schema(space.edge_space)}]}
        pair = _nested({"type": "integer", "minimum": 0}, (2,))
        links = {"anyOf": [links, {"type": "array", "items": pair}]}
    nodes = {"type": "array", "items": plain_schema(space.node_space)}
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


def _nested(item: Schema, shape: tuple[int, ...]) -> Schema:
    for length in reversed(shape):
        item = {"type": "array", "items": item, "minItems": length, "maxItems": length}
    return item
