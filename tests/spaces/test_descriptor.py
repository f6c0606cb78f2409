"""Space → descriptor → JSON text → descriptor → space is the identity."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import from_descriptor, to_descriptor
from openenv_gym.spaces.budget import MAX_SPACE_BYTES
from openenv_gym.spaces.descriptor import dtype_of
from tests.support.spaces import CATALOGUE, NAMES

pytestmark = pytest.mark.single_env


def through_json(space: gs.Space[Any]) -> gs.Space[Any]:
    return from_descriptor(json.loads(json.dumps(to_descriptor(space), allow_nan=False)))


@pytest.mark.parametrize("name", NAMES)
def test_a_space_comes_back_as_it_was(name: str):
    space = CATALOGUE[name]
    again = through_json(space)
    assert again == space
    assert type(again) is type(space)
    assert to_descriptor(again) == to_descriptor(space)


def test_bounds_come_back_to_the_bit():
    low = np.array([-np.inf, -1.5, np.nextafter(0, 1), 1 / 3])
    high = np.array([np.inf, np.inf, 1.0, np.nextafter(1 / 3, 1)])
    again = through_json(gs.Box(low, high, dtype=np.float64))
    assert again.low.tobytes() == low.tobytes()
    assert again.high.tobytes() == high.tobytes()


def test_the_order_of_keys_and_characters_is_kept():
    space = gs.Dict([("b", gs.Text(3, charset="zyx")), ("a", gs.Discrete(2))])
    again = through_json(space)
    assert list(again.spaces) == ["b", "a"]
    assert again["b"].character_list == space["b"].character_list


@pytest.mark.parametrize("start", [0, 7])
def test_a_discrete_space_keeps_its_start(start: int):
    again = through_json(gs.Discrete(4, start=start))
    assert (again.n, again.start, again.dtype) == (4, start, np.int64)


def test_another_packages_own_kind_of_text_is_text():
    class Mission(gs.Space[str]):
        """As MiniGrid has it."""

        def __init__(self) -> None:
            super().__init__(dtype=str)

    again = from_descriptor(to_descriptor(gs.Dict({"mission": Mission()})))
    assert again["mission"].contains("put the red ball next to the green box, or go")
    assert again["mission"].contains("")


def test_a_space_that_gymnasium_does_not_define_is_refused_with_its_name():
    class Odd(gs.Space[int]):
        pass

    with pytest.raises(SpaceError, match="Odd; convert it"):
        to_descriptor(Odd())
    with pytest.raises(SpaceError, match="Odd"):
        to_descriptor(gs.Dict({"a": Odd()}))


def test_a_dtype_that_differs_between_machines_is_refused():
    with pytest.raises(SpaceError, match="expected a dtype among bool"):
        to_descriptor(gs.Box(-1, 1, (2,), np.longdouble))


BOX = {"type": "Box", "dtype": "float32", "shape": [2], "low": 0, "high": 1}
MALFORMED: list[Any] = [
    None,
    [],
    "Box",
    7,
    {},
    {"type": None},
    {"type": ["Box"]},
    {"type": "Cube"},
    {"type": "Box"},
    *(
        {**BOX, "dtype": dtype}
        for dtype in ("object", "float128", "f4,f4", None, ["f4"], "(2,3)f4")
    ),
    *({**BOX, "shape": shape} for shape in (None, "ab", [-1], [1.5], [[2]])),
    *({**BOX, "low": low} for low in ("1", "low", [0], [0, 1, 2], {}, None, 2)),
    {"type": "Discrete", "n": 0, "start": 0, "dtype": "int64"},
    {"type": "Discrete", "n": "3", "start": 0, "dtype": "int64"},
    {"type": "Discrete", "n": 2**70, "start": 0, "dtype": "int64"},
    {"type": "MultiDiscrete", "dtype": "int64", "nvec": [2, "x"], "start": [0, 0]},
    {"type": "MultiDiscrete", "dtype": "int64", "nvec": [2**70], "start": [0]},
    {"type": "MultiBinary", "n": "many"},
    {"type": "Text", "min_length": 3, "max_length": 1, "charset": "ab"},
    {"type": "Text", "min_length": 0, "max_length": 1, "charset": 5},
    {"type": "Dict", "spaces": ["a"]},
    {"type": "Dict", "spaces": {"a": 1}},
    {"type": "Dict", "spaces": [["a", {"type": "Cube"}]]},
    {"type": "Tuple", "spaces": 5},
    {"type": "Sequence", "space": None, "stack": False},
    {"type": "Graph", "node_space": {"type": "Text"}, "edge_space": None},
]


@pytest.mark.parametrize("descriptor", MALFORMED, ids=lambda value: str(value)[:60])
def test_a_malformed_descriptor_is_a_space_error(descriptor: Any):
    with pytest.raises(SpaceError):
        from_descriptor(descriptor)


@pytest.mark.parametrize("shape", [[2**20, 2**20], [2**62, 2**62], [MAX_SPACE_BYTES]])
def test_a_descriptor_cannot_fill_the_memory(shape: list[int]):
    tracemalloc.start()
    try:
        with pytest.raises(SpaceError, match=f"at most {MAX_SPACE_BYTES} bytes"):
            from_descriptor({**BOX, "shape": shape})
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_descriptor_nested_without_end_is_a_space_error():
    descriptor: dict[str, Any] = {"type": "Discrete", "n": 2, "start": 0, "dtype": "int64"}
    for _ in range(5000):
        descriptor = {"type": "Tuple", "spaces": [descriptor]}
    with pytest.raises(SpaceError):
        from_descriptor(descriptor)


@pytest.mark.parametrize("name", ["bool", "uint8", "int64", "float16", "float64"])
def test_dtypes_are_known_by_numpys_names(name: str):
    assert dtype_of(name) == np.dtype(name)
