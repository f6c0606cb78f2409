"""The seeds after faults are the same in every version: a run with faults can be repeated."""

from __future__ import annotations

from openenv_gym.recovery import seed_after_fault


def test_each_sub_environment_and_each_incarnation_has_a_seed_of_its_own():
    seeds = [[seed_after_fault(7, env, incarnation) for env in range(3)] for incarnation in (1, 2)]
    assert seeds == [
        [1834709978, 3983357107, 2731737470],
        [856967280, 2032283795, 1577427517],
    ]
