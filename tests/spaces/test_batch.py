"""Spaces of batches are Gymnasium's, whether or not their bounds are written out."""

from __future__ import annotations

import copy
import pickle

import gymnasium.spaces as gs
import numpy as np
import pytest
from gymnasium.vector.utils import batch_space as gymnasiums

from openenv_gym.spaces import batch
from tests.support.rollouts import assert_same
from tests.support.spaces import CATALOGUE, NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_large_batch_is_that_of_gymnasium(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batch, "_LARGE", 1)
    space = CATALOGUE[name]
    space.seed(5)
    expected = gymnasiums(space, 3)
    space.seed(5)
    actual = batch.batch_space(space, 3)
    assert actual == expected
    assert repr(actual) == repr(expected)
    assert vars(actual).keys() == vars(expected).keys()
    assert_same(actual.sample(), expected.sample())
    for again in (copy.deepcopy(actual), pickle.loads(pickle.dumps(actual))):
        assert again == expected


def test_the_bounds_of_a_large_batch_are_not_written_out():
    bounds = batch.batch_space(gs.Box(0, 1, (1 << 17,)), 3).low
    assert np.shares_memory(bounds[0], bounds[2])
