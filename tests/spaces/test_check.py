"""An action is checked before it is sent, and again before it is acted."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import InvalidActionError
from openenv_gym.spaces.check import action_check
from tests.support.spaces import CATALOGUE, NAMES, samples

pytestmark = pytest.mark.single_env


@pytest.mark.parametrize("name", NAMES)
def test_what_a_space_samples_is_an_action(name: str):
    space = CATALOGUE[name]
    check = action_check(space)
    for value in samples(space):
        check(value)


BOX = gs.Box(-1, 1, (2,), np.float32)
ACCEPTED = [
    (gs.Discrete(3, start=-1), -1),
    (gs.Discrete(3), np.int8(2)),
    (gs.Discrete(3), np.uint64(2)),
    (BOX, [0, 0.5]),
    (BOX, np.array([0.5, -1], np.float64)),
    (BOX, np.array([0, 1])),
    (gs.Box(-1, 1, (), np.float32), 0.5),
]


@pytest.mark.parametrize(("space", "action"), ACCEPTED, ids=str)
def test_what_an_environment_in_process_takes_is_taken(space: gs.Space[Any], action: Any):
    assert action_check(space)(action) is None


REFUSED = [
    *((gs.Discrete(3), action) for action in (-1, 3, 2**70, -(2**70), 1.0, "1", None, True, [1])),
    (gs.Discrete(3, start=-1), 2),
    (gs.Discrete(3), np.float32(1)),
    (gs.Discrete(3), np.bool_(True)),
    *((BOX, action) for action in (2, [0, 2], [0], [[0, 0]], "ab", None, [0, None], ["0", "0"])),
    (BOX, [0, float("nan")]),
    (BOX, [[0], [0, 1]]),
    (gs.MultiDiscrete([2, 2]), np.array([0, 2])),
    (gs.MultiBinary(2), np.array([0, 2])),
    (gs.Text(2, charset="ab"), "abc"),
    (gs.Tuple((gs.Discrete(2),)), (2,)),
    (gs.Dict({"a": gs.Discrete(2)}), {"b": 0}),
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
