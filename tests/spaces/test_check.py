"""An action is checked before it is sent, and again before it is acted."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import InvalidActionError
from openenv_gym.spaces.check import action_check
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES, ForeignArray, samples

pytestmark = pytest.mark.single_env


@pytest.mark.parametrize("name", NAMES)
def test_what_a_space_samples_is_an_action(name: str):
    space = CATALOGUE[name]
    check = action_check(space)
    for value in samples(space):
        assert same(check(value), value)


BOX = gs.Box(-1, 1, (2,), np.float32)
NESTED = gs.Dict({"move": BOX, "pair": gs.Tuple((gs.Discrete(2), gs.MultiBinary(2)))})
ACCEPTED = [
    (gs.Discrete(3, start=-1), -1),
    (gs.Discrete(3), np.int8(2)),
    (gs.Discrete(3), np.uint64(2)),
    (gs.Discrete(3), np.array(2, np.int32)),
    (gs.Discrete(3), True),
    (BOX, [0, 0.5]),
    (BOX, (np.float32(0.5), 1)),
    (BOX, np.array([0.5, -1], np.float64)),
    (BOX, np.array([0, 1])),
    (BOX, np.array([7, -np.inf])),
    (gs.Box(-1, 1, (), np.float32), 0.5),
    (gs.Box(0, 5, (2,), np.int64), np.array([0, 5], np.uint8)),
    (gs.MultiDiscrete([2, 5], start=[1, 0]), [2, 4]),
    (gs.MultiBinary(2), np.array([0.0, 1.0])),
    (NESTED, {"pair": [1, [0, 1]], "move": np.array([0, 1])}),
    (NESTED, {"move": [np.array(0.5), 1], "pair": (np.int32(1), np.array([True, False]))}),
    (gs.Tuple((gs.Discrete(2), gs.Discrete(3))), np.array([1, 2])),
    (gs.Sequence(BOX), [np.array([0.0, 1.0]), [0, 1]]),
]


@pytest.mark.parametrize(("space", "action"), ACCEPTED, ids=str)
def test_what_an_environment_in_process_takes_is_taken_as_it_is(space: gs.Space[Any], action: Any):
    taken = action_check(space)(action)
    assert same(taken, tuple(action) if isinstance(space, gs.Tuple) else action)
    assert same(action_check(space)(taken), taken)


FOREIGN = [
    (gs.Discrete(3), ForeignArray(2), np.int64(2)),
    (BOX, ForeignArray([0.5, 1]), np.array([0.5, 1])),
    (BOX, [ForeignArray(0.5), 1], np.array([0.5, 1])),
    (BOX, np.array([0.5, 1], np.longdouble), np.array([0.5, 1])),
    (gs.Tuple((BOX,)), (ForeignArray([0.5, 1]),), (np.array([0.5, 1]),)),
    (gs.Dict({"a": gs.Discrete(2)}), {"a": ForeignArray(1)}, {"a": np.int64(1)}),
]


@pytest.mark.parametrize(("space", "action", "taken"), FOREIGN, ids=repr)
def test_arrays_of_other_packages_become_arrays(space: gs.Space[Any], action: Any, taken: Any):
    assert same(action_check(space)(action), taken)


def test_bounds_that_a_schema_has_are_kept_but_for_rounding():
    check = action_check(gs.Box(-2, 0.2, (), np.float32), keeps_bounds=True)
    for action in (np.float32(0.20000005), -2.0000002, 0.2):
        assert check(action) == action
    for action in (0.20001, -2.0001, np.inf):
        with pytest.raises(InvalidActionError, match=r"wrappers\.ClipAction"):
            check(action)
    with pytest.raises(InvalidActionError, match="it lies outside"):
        action_check(gs.Box(0, 5, (), np.int64), keeps_bounds=True)(1.5)


REFUSED = [
    *((gs.Discrete(3), action) for action in (-1, 3, 2**70, -(2**70), 1.0, "1", None, [1])),
    (gs.Discrete(3, start=-1), 2),
    (gs.Discrete(3), np.float32(1)),
    (gs.Discrete(3), np.bool_(True)),
    *((BOX, action) for action in (2, [0], [[0, 0]], "ab", None, [0, None], ["0", "0"])),
    (BOX, [0, float("nan")]),
    (BOX, [[0], [0, 1]]),
    (BOX, np.array([1j, 0])),
    (gs.Box(0, 5, (2,), np.int64), [0, 6]),
    (gs.MultiDiscrete([2, 2]), [[0], [0, 1]]),
    (gs.MultiDiscrete([2, 2]), np.array([0.0, 1.0])),
    (gs.MultiBinary(2), [0, 0.5]),
    (gs.MultiDiscrete([2, 2]), np.array([0, 2])),
    (gs.MultiBinary(2), np.array([0, 2])),
    (gs.Text(2, charset="ab"), "abc"),
    (gs.Tuple((gs.Discrete(2),)), (2,)),
    (gs.Tuple((gs.Discrete(2),)), (1, 1)),
    (gs.Tuple((gs.Discrete(2),)), 1),
    (gs.Dict({"a": gs.Discrete(2)}), {"b": 0}),
    (gs.Dict({"a": gs.Discrete(2)}), [1]),
]


@pytest.mark.parametrize(("space", "action"), REFUSED, ids=str)
def test_a_wrong_action_is_refused_with_the_space_and_what_came(space: Any, action: Any):
    with pytest.raises(InvalidActionError) as caught:
        action_check(space)(action)
    text = str(caught.value)
    assert str(space) in text
    assert repr(action)[:90] in text
    assert type(action).__name__ in text


def test_a_long_action_is_cut():
    with pytest.raises(InvalidActionError) as caught:
        action_check(BOX)(list(range(10_000)))
    assert len(str(caught.value)) < 300
