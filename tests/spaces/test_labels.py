"""Components have names, and the space is still the same."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import from_descriptor, from_schema, label, labels_of, to_descriptor
from openenv_gym.spaces.to_schema import plain_schema, to_schema

BOX = gs.Box(np.array([-1, 0], np.float32), np.array([1, 5], np.float32))
NAMES = ("angle", "speed")
LABELLED = [
    label(BOX, NAMES),
    label(gs.MultiDiscrete([2, 3]), NAMES),
    label(gs.MultiBinary(2), NAMES),
    label(gs.Discrete(2, start=-1), NAMES),
    label(gs.Tuple((gs.Discrete(2), gs.Box(0, 1, (3,)))), NAMES),
]


@pytest.mark.parametrize("space", LABELLED, ids=str)
def test_a_labelled_space_is_the_same_space(space: gs.Space[Any]):
    plain = copy.deepcopy(space)
    del plain.labels
    assert type(space) is type(plain)
    assert space == plain and plain == space and repr(space) == repr(plain)
    assert labels_of(plain) == ()


@pytest.mark.parametrize("space", LABELLED, ids=str)
def test_labels_come_back(space: gs.Space[Any]):
    schema = json.loads(json.dumps(to_schema(space)))
    for again in (
        from_schema(schema),
        from_descriptor(to_descriptor(space)),
        copy.deepcopy(space),
        pickle.loads(pickle.dumps(space)),
    ):
        assert again == space
        assert labels_of(again) == NAMES


def test_labels_within_other_spaces_come_back():
    space = gs.Dict({"robot": gs.Tuple((label(BOX, NAMES), gs.Discrete(3)))})
    again = from_schema(to_schema(space))
    assert labels_of(again["robot"][0]) == NAMES
    assert labels_of(again["robot"]) == labels_of(again) == ()


def test_the_schema_names_each_component_and_its_bounds():
    assert plain_schema(label(BOX, NAMES)) == {
        "type": "array",
        "prefixItems": [
            {"title": "angle", "type": "number", "minimum": -1.0, "maximum": 1.0},
            {"title": "speed", "type": "number", "minimum": 0.0, "maximum": 5.0},
        ],
        "minItems": 2,
        "maxItems": 2,
    }
    assert plain_schema(label(gs.Discrete(2, start=-1), ["left", "right"])) == {
        "type": "integer",
        "minimum": -1,
        "maximum": 0,
        "oneOf": [{"const": -1, "title": "left"}, {"const": 0, "title": "right"}],
    }


def test_the_labelled_space_has_a_generator_of_its_own():
    space = gs.Discrete(1000)
    space.seed(3)
    labelled = label(space, [f"n{i}" for i in range(1000)])
    expected = [space.sample() for _ in range(3)]
    assert [labelled.sample() for _ in range(3)] == expected


REFUSED: list[tuple[gs.Space[Any], Any, str]] = [
    (BOX, ["a"], "expected 2 labels .* got 1"),
    (BOX, ["a", "a"], "distinct names, got 'a' twice"),
    *((BOX, ["a", name], "identifiers") for name in ("", "1b", "b c", "class", "_b", "count", 5)),
    (gs.Box(0, 1, (2, 2)), ["a", "b"], "of one axis"),
    (gs.Dict(a=gs.Discrete(2)), ["a"], "to label, got Dict"),
    (gs.Text(3), ["a", "b", "c"], "to label"),
]


@pytest.mark.parametrize(("space", "names", "message"), REFUSED, ids=str)
def test_wrong_labels_are_refused(space: gs.Space[Any], names: Any, message: str):
    with pytest.raises(SpaceError, match=message):
        label(space, names)


@pytest.mark.parametrize("labels", [["a"], None, 5, ["a", 1], {"a": 1}])
def test_wrong_labels_of_a_peer_are_refused(labels: Any):
    with pytest.raises(SpaceError, match=r"label|malformed"):
        from_descriptor({**to_descriptor(BOX), "labels": labels})
