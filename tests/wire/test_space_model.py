"""A pydantic field of a space takes what the space contains, in JSON and as a value."""

from __future__ import annotations

import json
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest
from pydantic import BaseModel, ValidationError, create_model

from openenv_gym.spaces import from_schema
from openenv_gym.wire.space_model import space_type
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES, ForeignArray, samples


def model_of(space: gs.Space[Any]) -> type[BaseModel]:
    return create_model("Model", value=(space_type(space), ...))


@pytest.mark.parametrize("name", NAMES)
def test_a_value_goes_through_the_model_and_its_json(name: str):
    space, model = CATALOGUE[name], model_of(CATALOGUE[name])
    for value in samples(space, 3):
        text = model(value=value).model_dump_json()
        json.loads(text, parse_constant=pytest.fail)
        again = model.model_validate_json(text)
        assert space.contains(again.value)
        assert again.model_dump_json() == text


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_of_the_model_gives_the_space_back(name: str):
    schema = model_of(CATALOGUE[name]).model_json_schema()
    assert from_schema(schema["properties"]["value"], root=schema) == CATALOGUE[name]


REFUSED: list[tuple[gs.Space[Any], Any]] = [
    *((gs.Discrete(3), value) for value in ("1", True, 1.0, 3, 2**70, None, np.float32(1))),
    *((gs.Dict(a=gs.Discrete(2)), value) for value in ({"a": True}, {"a": "1"}, {}, {"b": 1})),
    (gs.Dict(a=gs.Box(0, 255, (1,), np.uint8)), {"a": [300]}),
    (gs.Box(0, 255, (2,), np.uint8), np.zeros(2, np.float32)),
    (gs.Tuple((gs.Discrete(2),)), (5,)),
]


@pytest.mark.parametrize(("space", "value"), REFUSED, ids=str)
def test_what_the_space_does_not_contain_is_refused(space: gs.Space[Any], value: Any):
    with pytest.raises(ValidationError, match="expected") as caught:
        model_of(space)(value=value)
    json.dumps(caught.value.errors(include_input=False))  # OpenEnv's server does so


def test_a_value_of_this_process_is_kept_as_it_is():
    value = np.array([1, 2], np.uint8)
    assert same(model_of(gs.Box(0, 255, (2,), np.uint8))(value=value).value, value)


def test_an_action_may_lie_a_rounding_beyond_a_bound_and_an_observation_may_not():
    box = gs.Box(-2, 0.2, (1,), np.float32)
    action = create_model("Action", value=(space_type(box, is_action=True), ...))
    assert same(action(value=[0.20000005]).value, np.array([0.20000005], np.float32))
    for model, value in ((action, [0.2001]), (model_of(box), [0.20000005])):
        with pytest.raises(ValidationError, match="expected one in Box"):
            model(value=value)


def test_a_model_of_actions_takes_what_step_takes_and_keeps_values_of_the_space():
    space = gs.Dict(a=gs.Box(-1, 1, (2,), np.float32), b=gs.Discrete(3))
    model = create_model("Action", value=(space_type(space, is_action=True), ...))
    value = model(value={"b": ForeignArray(2), "a": np.array([0.5, 1])}).value
    assert same(value, {"b": 2, "a": np.array([0.5, 1], np.float32)})
