"""What a policy takes."""

from __future__ import annotations

import pytest

from openenv_gym.errors import InvalidRequestError
from openenv_gym.recovery import FaultPolicy, fault_policy


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"on_fault": "ignore"}, "on_fault"),
        ({"restarts": -1}, "restarts"),
        ({"restarts": 1.0}, "restarts"),
        ({"backoff_s": float("nan")}, "backoff_s"),
        ({"max_backoff_s": True}, "max_backoff_s"),
        ({"reconnect_timeout_s": "1"}, "reconnect_timeout_s"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, object], name: str):
    with pytest.raises(InvalidRequestError, match=f"^{name}: expected"):
        FaultPolicy(**arguments)


def test_an_argument_is_a_policy_or_the_name_of_one():
    assert fault_policy("raise") == FaultPolicy(on_fault="raise")
    policy = FaultPolicy(restarts=3)
    assert fault_policy(policy) is policy and policy.is_soft


def test_the_longest_pause_doubles_up_to_a_limit():
    policy = FaultPolicy(backoff_s=1.0, max_backoff_s=3.0)
    assert [policy.backoff(number) for number in range(4)] == [0.0, 1.0, 2.0, 3.0]
