"""``check_seeding``: seeds mean the same again, something else with another, and later too."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import openenv_gym
from openenv_gym.endpoints import EmbeddedEndpoint
from openenv_gym.protocol import Open

DRAWN = "tests.support.envs:Drawn-v0"
SAYS = {
    "seed": "",
    "everything": "different values{} in the reset; it ignores seeds",
    "opponent": "different values{} in step 1 after the reset; it ignores seeds",
    "later": "different values{} in a further reset, without a seed; what comes after a reset",
    "nothing": "3 other seeds gave the same as 5{}, in 10 resets and steps",
}


def warned(env: Any, seeds: tuple[Any, ...]) -> str:
    """What is warned of at resets with these seeds; the last one has its effect all the same."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in seeds:
            env.reset(seed=seed)
    return " | ".join(str(each.message) for each in caught)


@pytest.mark.parametrize("by", SAYS)
def test_what_is_drawn_from_elsewhere_is_told(by: str):
    env = gym.make("openenv/gymnasium-v0", env_id=DRAWN, by=by, check_seeding=True)
    told = warned(env, (5, 6))
    assert told.count("RemoteEnv") == (0 if by == "seed" else 1)
    assert SAYS[by].format("") in told
    env.close()


@pytest.mark.parametrize("by", SAYS)
def test_many_sub_environments(by: str):
    envs = gym.make_vec("openenv/gymnasium-v0", 3, env_id=DRAWN, by=by, check_seeding=True)
    told = warned(envs, (5, 6))
    assert told.count("RemoteVectorEnv") == (0 if by == "seed" else 1)
    assert SAYS[by].format(" in the sub-environments [0, 1, 2]") in told
    envs.close()


def test_of_many_those_are_named_that_ignore_their_seeds():
    ways = ["seed", "everything", "opponent"]
    endpoints = [
        EmbeddedEndpoint(
            request=Open(DRAWN, {"by": by}, num_envs=1),
            options=openenv_gym.endpoints.ConnectOptions(check_seeding=True),
            worker=0,
        )
        for by in ways
    ]
    envs = openenv_gym.RemoteVectorEnv(endpoints)
    assert "in the sub-environments [1] in the reset" in warned(envs, (5,))
    envs.close()


def test_a_seed_that_is_not_given_is_not_checked():
    envs = gym.make_vec(
        "openenv/gymnasium-v0", 2, env_id=DRAWN, by="everything", check_seeding=True
    )
    assert warned(envs, (None, [None, None])) == ""
    assert "sub-environments [1]" in warned(envs, ([None, 3],))
    envs.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_on_servers_too_with_the_values_of_an_unchecked_reset(codec: str, serve: Any):
    url = serve("openspiel:leduc_poker").base_url
    plain, checked = (
        gym.make_vec("openenv/remote-v0", 2, base_url=url, codec=codec, check_seeding=check)
        for check in (False, True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected, got = plain.reset(seed=1)[0], checked.reset(seed=1)[0]
    assert np.array_equal(expected, got)
    plain.close()
    checked.close()
