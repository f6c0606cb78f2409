"""``flatten=True``: one row of numbers, and actions that algorithms take."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.flattening import flat_action, flat_observation
from openenv_gym.spaces.infer_sides import Side
from openenv_gym.spaces.schema_space import SchemaSpace, object_of
from openenv_gym.spaces.unicode_text import UnicodeText

pytestmark = pytest.mark.single_env

REAL = gs.Box(-1.5, 2.5, (), np.float64)
ARRAY = gs.Box(0, 0.7, (2, 1), np.float64)
WHOLE = gs.Box(-2, 3, (2,), np.int64)
CHOICE = gs.Discrete(3, start=1)
CHOICES = gs.MultiDiscrete([[2, 3]], start=[[-1, 0]])
BITS = gs.MultiBinary(2)


def side(space: Any) -> Side:
    """The side of an action or observation in this space; a ``Dict`` has its fields."""
    if not isinstance(space, gs.Dict):
        return Side(key="a", form=SchemaSpace(space=space), reasons=())
    fields = {name: SchemaSpace(space=child) for name, child in space.spaces.items()}
    return Side(key=tuple(fields), form=object_of(fields, {}), reasons=())


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same up to the rounding of 32-bit floats."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return np.shape(one) == np.shape(other) and bool(np.allclose(one, other, rtol=1e-6))


ACTIONS: list[tuple[Any, Any, Any, Any]] = [
    (gs.Discrete(4), gs.Discrete(4), 3, 3),
    (CHOICE, gs.Discrete(3), np.int64(2), 3),
    (CHOICES, gs.MultiDiscrete([2, 3]), [0, 2], np.array([[-1, 2]])),
    (BITS, gs.MultiDiscrete([2, 2]), [1, 0], np.array([1, 0], np.int8)),
    (WHOLE, gs.MultiDiscrete([6, 6]), [0, 5], np.array([-2, 3])),
    (REAL, gs.Box(np.float32(-1.5), np.float32(2.5), (1,), np.float32), [2.5], np.array(2.5)),
    (ARRAY, gs.Box(np.float32(0), np.float32(0.7), (2,), np.float32),
     np.array([0.7, 0.5], np.float32), np.array([[0.7], [0.5]])),
    (gs.Dict([("c", CHOICE), ("b", BITS), ("t", gs.Tuple([gs.Discrete(2), CHOICES]))]),
     gs.MultiDiscrete([3, 2, 2, 2, 2, 3]), np.array([1, 0, 1, 1, 1, 0]),
     {"c": 2, "b": np.array([0, 1]), "t": (1, np.array([[0, 0]]))}),
    (gs.Dict([("x", REAL), ("y", ARRAY)]),
     gs.Box(np.array([-1.5, 0, 0], np.float32), np.array([2.5, 0.7, 0.7], np.float32)),
     [1, 0.5, 0], {"x": np.array(1.0), "y": np.array([[0.5], [0]])}),
]  # fmt: skip


@pytest.mark.parametrize(("space", "flat", "value", "action"), ACTIONS, ids=str)
def test_a_flat_action_is_put_together_again(space: Any, flat: Any, value: Any, action: Any):
    found = flat_action(side(space))
    assert found.space == flat
    made = found.convert(value)
    assert made in space
    assert alike(made, action)


@pytest.mark.parametrize("space", [row[0] for row in ACTIONS], ids=str)
def test_every_flat_sample_is_an_action(space: Any):
    found = flat_action(side(space))
    found.space.seed(1)
    assert all(found.convert(found.space.sample()) in space for _ in range(50))


REFUSED: list[tuple[Any, str]] = [
    (UnicodeText(9), r"^\$\.action\.a: flatten=True makes an action of numbers, got UnicodeText"),
    (gs.Sequence(REAL), r"action_key= or fixed_action=, or give a space with action_space="),
    (gs.Dict([("x", REAL), ("c", CHOICE)]), r"choices or of floats, got both .*fixed_action="),
    (gs.Box(0, np.iinfo(np.int64).max, (), np.int64), r"makes an action of numbers, got Box"),
    (gs.Dict(), r"got nothing to choose"),
]


@pytest.mark.parametrize(("space", "said"), REFUSED, ids=str)
def test_what_cannot_be_flat_names_the_keyword(space: Any, said: str):
    with pytest.raises(SpaceError, match=said):
        flat_action(side(space))


def test_an_integer_without_a_bound_names_it():
    box = gs.Box(0, 9, (), np.int64)
    box.bounded_above = np.array(False)
    with pytest.raises(SpaceError, match=r"\$\.action\.a: its maximum is not known, which flatten"):
        flat_action(side(box))


def test_texts_are_left_to_the_info_unless_they_are_asked_for():
    space = gs.Dict([("x", REAL), ("said", UnicodeText(9)), ("c", gs.Discrete(2))])
    kept, flat = flat_observation(side(space), is_asked=False, budget=SpaceBudget())
    assert kept.key == ("x", "c") and flat.space.shape == (3,)
    assert flat.convert({"x": np.array(0.5), "c": 1}).tolist() == [0.5, 0, 1]
    (warning,) = kept.warnings
    assert warning.startswith("$.observation.said: flatten=True has no numbers for it")
    for asked, one in ((True, space), (False, gs.Dict([("said", UnicodeText(9))]))):
        with pytest.raises(SpaceError, match=r"\$\.observation\.said .*observation_key="):
            flat_observation(side(one), is_asked=asked, budget=SpaceBudget())
    with pytest.raises(SpaceError, match=r"at most 16777216 numbers, got 33554432"):
        flat_observation(side(gs.Discrete(1 << 25)), is_asked=False, budget=SpaceBudget())
