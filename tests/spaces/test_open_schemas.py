"""Leaves without bounds, which an open reader takes and a strict one refuses."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import json_codec
from openenv_gym.errors import SpaceError
from openenv_gym.spaces import from_descriptor, read_schema, to_descriptor
from openenv_gym.spaces.unicode_text import MAX_LENGTH, UnicodeText

pytestmark = pytest.mark.single_env

INTEGER = {"type": "integer"}
TEXT = {"type": "string"}


def whole(low: Any = "-Infinity", high: Any = "Infinity", *shape: int) -> gs.Space[Any]:
    box = {"type": "Box", "dtype": "int64", "shape": list(shape), "low": low, "high": high}
    return from_descriptor(box)


def array(items: Any, length: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


CASES: list[tuple[dict[str, Any], gs.Space[Any], list[Any]]] = [
    (INTEGER, whole(), [0, -7, 2**53]),
    ({**INTEGER, "minimum": 2}, whole(low=2), [2, 10**12]),
    ({**INTEGER, "exclusiveMaximum": 2}, whole(high=1), [1, -5]),
    (array(INTEGER, 3), whole("-Infinity", "Infinity", 3), [[1, 2, -3]]),
    (array(array({**INTEGER, "minimum": 0}, 2), 1), whole(0, "Infinity", 1, 2), [[[1, 2]]]),
    (TEXT, UnicodeText(MAX_LENGTH), ["", "é 🙂"]),
    ({**TEXT, "minLength": 1, "maxLength": 5}, UnicodeText(5, min_length=1), ["é🙂"]),
    ({**TEXT, "format": "uri"}, UnicodeText(MAX_LENGTH), ["http://x"]),
    ({"type": "array", "items": INTEGER, "minItems": 1}, gs.Sequence(whole()), [[1], [1, 2]]),
    ({"type": "array", "items": TEXT}, gs.Sequence(UnicodeText()), [[], ["a", "ü"]]),
    (
        {"type": "object", "properties": {"role": TEXT, "n": INTEGER}},
        gs.Dict([("role", UnicodeText()), ("n", whole())]),
        [{"role": "tool", "n": 1}],
    ),
]  # fmt: skip
if hasattr(gs, "OneOf"):  # since Gymnasium 1.0
    CASES += [
        ({"anyOf": [TEXT, {"type": "null"}]}, gs.OneOf([UnicodeText(), gs.Discrete(1)]), [None]),
        ({"anyOf": [INTEGER, {"type": "null"}]}, gs.OneOf([whole(), gs.Discrete(1)]), [None, 4]),
    ]  # fmt: skip


@pytest.mark.parametrize(("schema", "space", "values"), CASES, ids=str)
def test_a_leaf_without_bounds_is_a_space_without_bounds(
    schema: dict[str, Any], space: gs.Space[Any], values: list[Any]
):
    form = read_schema(schema, is_open=True)
    assert form.space == space and type(form.space) is type(space)
    assert from_descriptor(to_descriptor(form.space)) == space
    codec = json_codec(form)
    for data in values:
        value = codec.from_json(data, "$")
        assert value in form.space
        assert codec.to_json(value) == data
    form.space.seed(0)
    for _ in range(20):
        codec.to_json(form.space.sample())
    with pytest.raises(SpaceError):
        read_schema({**schema, "not": {}}, is_open=True)


def test_samples_of_unbounded_integers_are_small():
    box = read_schema(array(INTEGER, 100), is_open=True).space
    box.seed(0)
    assert np.abs(box.sample()).max() < 100


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {**TEXT, "pattern": "^(a|b)c$"},
        {**INTEGER, "multipleOf": 3},
        {"type": "object"},
        {"type": "object", "additionalProperties": INTEGER},
        {"type": "array"},
        {"$ref": "#"},
    ],
    ids=str,
)
def test_what_no_space_can_hold_is_refused_all_the_same(schema: dict[str, Any]):
    with pytest.raises(SpaceError, match=r"action_space= or observation_space="):
        read_schema(schema, is_open=True)
