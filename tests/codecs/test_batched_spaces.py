"""The spaces of vector environments: batches of every space, and those of real environments."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np
import pytest
from gymnasium.vector.utils import batch_space
from jsonschema import Draft202012Validator

from openenv_gym.codecs import binary_codec, json_codec
from openenv_gym.spaces import from_schema, to_schema
from openenv_gym.spaces.descriptor import from_descriptor, to_descriptor
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES
from tests.support.strategies import strictly_equal

Space = gs.Space[Any]

BATCHES = [(name, n) for name in NAMES for n in (1, 3)]  # Gymnasium can batch every one


def batch(name: str, n: int) -> Space:
    space = CATALOGUE[name]
    space.seed(5)
    return batch_space(space, n)


def assert_comes_back(space: Space) -> None:
    descriptor = json.loads(json.dumps(to_descriptor(space), allow_nan=False))
    assert strictly_equal(from_descriptor(descriptor), space)
    schema = json.loads(json.dumps(to_schema(space), allow_nan=False))
    Draft202012Validator.check_schema(schema)
    assert strictly_equal(from_schema(schema), space)


def assert_values_come_back(space: Space, values: list[Any]) -> None:
    binary, in_json = binary_codec(space), json_codec(space)
    validator = Draft202012Validator(to_schema(space))
    for value in values:
        packed = binary.pack(value)
        again, end = binary.unpack(packed, 0)
        assert same(again, value)
        assert end == len(packed)
        data = json.loads(json.dumps(in_json.to_json(value), allow_nan=False))
        validator.validate(data)
        again = in_json.from_json(data, "$")
        assert space.contains(again)
        assert json.loads(json.dumps(in_json.to_json(again), allow_nan=False)) == data


@pytest.mark.parametrize(("name", "n"), BATCHES)
def test_a_batch_of_any_space_comes_back(name: str, n: int):
    assert_comes_back(batch(name, n))


@pytest.mark.parametrize(("name", "n"), BATCHES)
def test_values_of_a_batch_come_back(name: str, n: int):
    space = batch(name, n)
    space.seed(7)
    assert_values_come_back(space, [space.sample() for _ in range(3)])


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("name", ["box", "discrete", "multi discrete", "multi binary", "dict"])
def test_a_batch_of_arrays_has_one_more_axis(name: str, n: int):
    space = batch(name, n)
    single = CATALOGUE[name]
    again = from_schema(to_schema(space))
    for key in single if name == "dict" else [None]:
        batched, part = (again, single) if key is None else (again[key], single[key])
        assert batched.shape == (n, *part.shape)
        assert batched.dtype == part.dtype


ENVS = ["CartPole-v1", "FrozenLake-v1", "Blackjack-v1"]
SIDES = ["observation_space", "action_space", "single_observation_space", "single_action_space"]


@pytest.fixture(params=ENVS)
def envs(request: pytest.FixtureRequest) -> Any:
    made = gym.make_vec(request.param, 4, vectorization_mode="sync")
    yield made
    made.close()


@pytest.mark.parametrize("side", SIDES)
def test_the_spaces_of_a_vector_environment_come_back(envs: Any, side: str):
    space = getattr(envs, side)
    assert_comes_back(space)
    space.seed(11)
    assert_values_come_back(space, [space.sample() for _ in range(3)])


def test_the_steps_of_a_vector_environment_come_back(envs: Any):
    observations = [envs.reset(seed=3)[0]]
    envs.action_space.seed(3)
    actions = [envs.action_space.sample() for _ in range(20)]
    observations += [envs.step(action)[0] for action in actions]
    assert all(map(envs.observation_space.contains, observations))
    assert_values_come_back(envs.observation_space, observations)
    assert_values_come_back(envs.action_space, actions)
    assert np.shape(actions) == (20, 4)
