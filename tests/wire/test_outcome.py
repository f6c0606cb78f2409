"""Ends and rewards, in all the ways that servers say them."""

from __future__ import annotations

from typing import Any

import pytest

from openenv_gym.errors import InvalidRequestError
from openenv_gym.wire.outcome import end_of, reward_of

pytestmark = pytest.mark.single_env


@pytest.mark.parametrize(
    ("data", "terminated", "truncated"),
    [
        ({}, False, False),
        ({"done": True}, True, False),
        ({"done": None, "observation": {"terminated": None}}, False, False),
        ({"observation": {"truncated": "...", "done": ["dishes"]}}, False, False),
        ({"observation": {"done": True}}, True, False),
        ({"done": True, "observation": {"truncated": True}}, False, True),
        ({"done": True, "observation": {"truncated": False}}, True, False),
        ({"done": False, "observation": {"truncated": True}}, False, True),
        ({"done": True, "observation": {"terminated": False}}, False, True),
        ({"done": False, "observation": {"terminated": False}}, False, False),
        ({"done": True, "observation": {"terminated": False, "truncated": False}}, True, False),
        ({"observation": {"terminated": True}}, True, False),
        ({"done": True, "observation": None, "metadata": {"is_truncated": True}}, False, True),
        ({"done": True, "metadata": [], "info": {"TimeLimit.truncated": True}}, False, True),
    ],
    ids=str,
)
def test_a_flag_is_taken_wherever_it_stands(data: Any, terminated: bool, truncated: bool):
    assert end_of(data) == (terminated, truncated)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"done": 1}, r"\$\.data\.done: expected true, false or null, got 1"),
        ({"done": "yes"}, r"\$\.data\.done: .* got 'yes'"),
        ({"terminated": "true"}, r"\$\.data\.terminated: .* got 'true'"),
        ({"observation": {"terminated": [True]}}, r"\$\.data\.observation\.terminated: .*\[True\]"),
        ({"observation": {"truncated": 0}}, r"\$\.data\.observation\.truncated: .* got 0"),
        ({"observation": {"TimeLimit.truncated": "False"}}, "observation.TimeLimit.truncated"),
    ],
    ids=str,
)
def test_what_is_meant_for_a_flag_and_is_none_is_refused(data: Any, says: str):
    with pytest.raises(InvalidRequestError, match=says):
        end_of(data)


def test_a_bare_done_is_what_is_said():
    assert end_of({"done": True}, "truncated") == (False, True)
    assert end_of({"done": False}, "truncated") == (False, False)
    unset = {"done": True, "observation": {"terminated": False, "truncated": False}}
    assert end_of(unset, "truncated") == (False, True)


@pytest.mark.parametrize(
    ("data", "reward"),
    [
        ({}, None),
        ({"reward": True}, 1.0),
        ({"reward": 3}, 3.0),
        ({"reward": "-Infinity"}, float("-inf")),
        ({"reward": None, "observation": {"reward": 0.5}}, 0.5),
        ({"reward": 1.0, "observation": {"reward": 0.5}}, 1.0),
    ],
    ids=str,
)
def test_a_reward_is_a_float(data: Any, reward: float | None):
    assert reward_of(data) == reward


@pytest.mark.parametrize("reward", ["1", [], {}])
def test_what_is_no_number_is_no_reward(reward: Any):
    with pytest.raises(InvalidRequestError, match=r"^\$\.data\.reward: expected a number or null"):
        reward_of({"reward": reward})
