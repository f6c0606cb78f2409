"""What the spaces of one server may take, all together."""

from __future__ import annotations

import tracemalloc
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import pack_freeform, unpack_freeform
from openenv_gym.codecs.weight import LIGHT_BYTES, check_json, json_bytes
from openenv_gym.errors import ProtocolError, SpaceError
from openenv_gym.protocol.limits import REPLY_ALLOWANCE_BYTES, most_reply_bytes
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.descriptor import from_descriptor, to_descriptor
from openenv_gym.spaces.infer import infer
from openenv_gym.wire.description import Description
from tests.support.spaces import CATALOGUE, NAMES

ACTION = {"properties": {"a": {"enum": [0, 1]}}, "required": ["a"]}
LARGE = {"type": "Box", "dtype": "float32", "shape": [1 << 20], "low": 0, "high": 1}


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "int64", "bool"])
def test_an_array_costs_no_less_than_its_making_takes(dtype: str):
    budget, count = SpaceBudget(None), 100_000
    told = {"type": "Box", "dtype": dtype, "shape": [count], "low": 0, "high": 1}
    tracemalloc.start()
    try:
        from_descriptor(told, budget=budget)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= budget.spent <= 1.5 * peak


@pytest.mark.parametrize("name", NAMES)
def test_a_usual_space_costs_little(name: str):
    budget = SpaceBudget()
    assert from_descriptor(to_descriptor(CATALOGUE[name]), budget=budget) == CATALOGUE[name]
    assert budget.spent < 2**21


def test_spaces_of_one_description_share_a_budget():
    told = Description(environment="x", view="gymnasium", action=LARGE, observation=LARGE)
    told = told.within(30 << 20)
    assert told.action_space is not None
    with pytest.raises(SpaceError, match=r"^\$\.observation: expected .*max_space_bytes"):
        assert told.observation_space


def test_without_a_limit_a_space_may_be_large():
    assert from_descriptor({**LARGE, "shape": [1 << 22]}, budget=SpaceBudget(None)).shape


def test_fields_of_one_inference_share_a_budget():
    child = {"type": "array", "items": {"type": "number"}, "minItems": 1 << 18, "maxItems": 1 << 18}
    model = {"properties": {"a": child, "b": child}, "required": ["a", "b"]}
    assert infer(ACTION, model).observation_space
    with pytest.raises(SpaceError, match=r"^\$\.observation\.b: .*or pass the space yourself"):
        infer(ACTION, model, budget=SpaceBudget(30 << 20))


@pytest.mark.parametrize(
    ("text", "least"),
    [
        (b"{}," * 1000, 64_000),
        (b"[]," * 1000, 64_000),
        (b'"ab",' * 1000, 64_000),
        (b"1.5," * 99, 99),
    ],
)
def test_the_weight_of_json_is_not_underestimated(text: bytes, least: int):
    assert json_bytes(b"[" + text + b"1]") > least


@pytest.mark.parametrize("text", ["{}," * 2**20, "\U0001f642" + "x" * 2**21])
def test_a_heavy_text_is_refused_before_it_is_read(text: str):
    with pytest.raises(ProtocolError, match="bytes of memory when it is read"):
        check_json(text, 2**22)


VALUES: list[Any] = [
    {"frame": np.zeros(LIGHT_BYTES, np.uint8), "names": ["a" * 40] * 100},
    [{"a": (1, (2.5, None), [b"x" * 300, "y" * 70_000]), "b": 2**70}] * 40,
    np.array([{"a": 1}, (1, 2), None] * 100, object),
    gs.GraphInstance(np.zeros((3, 2**17)), None, None),
    {str(i): list(range(-200, 70_000, 997)) for i in range(2_000)},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_long_value_that_is_light_is_read(value: Any):
    payload = pack_freeform([value, bytes(LIGHT_BYTES)])
    assert pack_freeform(unpack_freeform(payload)) == payload


def test_many_small_values_are_refused_before_they_are_read():
    count = 1 << 22
    payload = b"\xdd" + count.to_bytes(4, "big") + b"\x90" * count
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="so many small values"):
            unpack_freeform(payload)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_reply_is_as_long_as_observations_need():
    picture = gs.Dict(screen=gs.Box(0, 255, (1000, 1000, 3), np.uint8))
    more = most_reply_bytes(picture, in_json=False) - most_reply_bytes(
        gs.Discrete(2), in_json=False
    )
    assert more == 4 * 3_000_000
    assert most_reply_bytes(gs.Text(5), in_json=True, num_envs=64) > REPLY_ALLOWANCE_BYTES + 2**28
