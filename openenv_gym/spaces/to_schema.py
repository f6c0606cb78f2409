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

Schema: TypeAlias = dict[str, Any]

ANNOTATION = "x-gymnasium-space"
"""The keyword under which a schema carries the descriptor of a space."""

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
    return {"type": "integer", "minimum": low, "maximum": low + int(space.n) - 1}


@plain_schema.register
def _(space: gs.Box) -> Schema:
    low, high = space.low, space.high
    if space.dtype.kind == "f":
        item: Schema = {"type": "number"}
    else:
        item = {"type": "boolean" if space.dtype.kind == "b" else "integer"}
    if space.dtype.kind != "b" and low.size:
        lowest, highest = low.min().item(), high.max().item()
        if np.isfinite(lowest):
            item["minimum"] = lowest
        if np.isfinite(highest):
            item["maximum"] = highest
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            item = {"anyOf": [item, NON_FINITE]}
    return _nested(item, space.shape)


@plain_schema.register
def _(space: gs.MultiDiscrete) -> Schema:
    start = np.asarray(space.start)
    highest = int((start + space.nvec - 1).max())
    item = {"type": "integer", "minimum": int(start.min()), "maximum": highest}
    return _nested(item, space.shape)


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
    return {"type": "array", "prefixItems": items, "minItems": n, "maxItems": n}


@plain_schema.register
def _(space: gs.Sequence) -> Schema:
    return {} if space.stack else {"type": "array", "items": plain_schema(space.feature_space)}


def _nested(item: Schema, shape: tuple[int, ...]) -> Schema:
    for length in reversed(shape):
        item = {"type": "array", "items": item, "minItems": length, "maxItems": length}
    return item
