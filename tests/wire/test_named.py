"""Labelled values have names, and are still the numbers that they were."""

from __future__ import annotations

import gymnasium.spaces as gs
import numpy as np
import pytest
from pydantic import ValidationError, create_model

from openenv_gym.codecs import json_codec
from openenv_gym.spaces import from_schema, label, labels_of
from openenv_gym.wire.named import named
from openenv_gym.wire.space_model import space_type
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES, samples

BOX = label(gs.Box(-2, 2, (2,), np.float32), ["angle", "speed"])
MOVE = label(gs.Discrete(2, start=5), ["left", "right"])
PAIR = label(gs.Tuple((BOX, MOVE)), ["body", "move"])
SPACES = [
    BOX,
    MOVE,
    PAIR,
    label(gs.MultiDiscrete([3, 4], dtype=np.uint8), ["a", "b"]),
    label(gs.MultiBinary(2), ["a", "b"]),
    label(gs.Box(0, 9, (2,), np.int16), ["a", "b"]),
    gs.Dict({"plain": gs.Box(0, 1, (2,)), "pair": gs.Tuple((PAIR, gs.Text(3)))}),
    gs.Tuple((gs.Discrete(3), MOVE)),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_value_comes_back_from_its_names_and_their_json(space: gs.Space):
    names, model = named(space, "Value"), create_model("M", value=(space_type(space, "Value"), ...))
    codec = json_codec(space)
    for sample in samples(space, 5):
        value = codec.from_json(codec.to_json(sample), "$")
        shown = model(value=value).value
        assert same(names.value(shown), value)
        assert same(names.value(model(value=shown).value), value)
        text = model(value=value).model_dump_json()
        assert (
            text == create_model("P", value=(space_type(space), ...))(value=value).model_dump_json()
        )
        assert same(names.value(model.model_validate_json(text).value), value)


def test_components_have_names_at_every_depth():
    value = named(SPACES[6], "Value").show(
        {"plain": np.zeros(2), "pair": ((np.array([0.5, -1], np.float32), 6), "abc")}
    )
    body, move = value["pair"][0]
    assert value["pair"][0].body is body
    assert (body.angle, body.speed, body[1]) == (0.5, -1.0, -1.0)
    assert move.name == "right" and move == 6 and isinstance(move, int)
    assert type(body).__name__ == "ValuePair0Body"


@pytest.mark.parametrize("name", NAMES)
def test_a_space_without_labels_is_shown_as_it_is(name: str):
    assert named(CATALOGUE[name], "Value").show is None


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_the_model_publishes_the_space_with_its_labels(space: gs.Space):
    schema = create_model("M", value=(space_type(space, "Value"), ...)).model_json_schema()
    again = from_schema(schema["properties"]["value"], root=schema)
    assert again == space and labels_of(again) == labels_of(space)


@pytest.mark.parametrize("value", [[3, 0], [0], {"angle": 0, "speed": 0}, None, "ab"])
def test_what_the_space_does_not_contain_is_refused(value):
    with pytest.raises(ValidationError, match="value: expected"):
        create_model("M", value=(space_type(BOX, "Value"), ...))(value=value)


@pytest.mark.parametrize("wrong", [(0.5, 1), (70000, 1), (-1, 2), ("a", 1), (None, 1)])
def test_a_named_tuple_of_other_numbers_is_refused(wrong):
    space = label(gs.Box(0, 9, (2,), np.int16), ["a", "b"])
    kind = named(space, "Value").kind
    with pytest.raises(ValidationError, match="value: expected"):
        create_model("M", value=(space_type(space, "Value"), ...))(value=kind(*wrong))
