"""``call``, ``get_attr`` and ``set_attr`` are those of ``SyncVectorEnv``, where allowed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

import openenv_gym
from openenv_gym.conformance import first_difference
from openenv_gym.errors import (
    InvalidRequestError,
    ProtocolError,
    RemoteEnvError,
    ResetNeededError,
    UnknownAttributeError,
)
from openenv_gym.sb3 import OpenEnvVecEnv

SCRIPTED = "tests.support.envs:Scripted-v0"


def pair(num_envs: int = 5, **options: Any) -> tuple[SyncVectorEnv, Any]:
    local = SyncVectorEnv([lambda: gym.make(SCRIPTED)] * num_envs)
    remote = gym.make_vec(
        "openenv/gymnasium-v0", env_id=SCRIPTED, num_envs=num_envs, shards=2, **options
    )
    assert first_difference(local.reset(seed=1), remote.reset(seed=1)) is None
    return local, remote


@pytest.fixture
def both():
    local, remote = pair()
    yield local, remote
    local.close()
    remote.close()


CALLS = [
    lambda envs: envs.get_attr("scale"),
    lambda envs: envs.call("scale"),
    lambda envs: envs.call("scaled", 2.0, plus=0.5),
    lambda envs: envs.call("scaled", np.array([1.0, 3.0], np.float32)),
    lambda envs: envs.set_attr("scale", 4.0),
    lambda envs: envs.get_attr("scale"),
    lambda envs: envs.set_attr("scale", [1, 2.5, np.float32(3), "text", (1, 2)]),
    lambda envs: envs.get_attr("scale"),
    lambda envs: envs.set_attr("new", {"of": [1, None]}),
    lambda envs: envs.call("new"),
    lambda envs: envs.step(np.zeros(5, np.int64)),
    lambda envs: envs.get_attr("steps"),
]


def test_it_is_that_of_gymnasium(both: Any):
    local, remote = both
    for number, call in enumerate(CALLS):
        assert first_difference(call(local), call(remote)) is None, number


def test_what_is_known_here_is_not_asked_for(both: Any):
    _, remote = both
    assert remote.get_attr("action_space") == (gym.spaces.Discrete(7),) * 5
    assert remote.call("render_mode") == (None,) * 5
    with pytest.raises(UnknownAttributeError, match=r"'render_mode' of .* was fixed"):
        remote.set_attr("render_mode", "human")


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda envs: envs.get_attr("missing"), AttributeError, "has no attribute 'missing'"),
        (lambda envs: envs.get_attr("_np_random"), AttributeError, "underscore are private"),
        (lambda envs: envs.call("__class__"), AttributeError, "underscore are private"),
        (lambda envs: envs.call("step", 0), InvalidRequestError, r"use step\(\) directly"),
        (lambda envs: envs.set_attr("scale", [1, 2]), InvalidRequestError, "expected 5 values"),
        (lambda envs: envs.call("scaled", object()), InvalidRequestError, "type builtins.object"),
        (lambda envs: envs.call("scaled", None), RemoteEnvError, "cannot travel"),
        (lambda envs: envs.get_attr("unwrapped"), RemoteEnvError, "cannot travel"),
        (lambda envs: envs.call("scaled", "x"), RemoteEnvError, "TypeError"),
    ],
)
def test_what_cannot_be_done_says_so_and_changes_nothing(
    both: Any, call: Any, error: Any, says: str
):
    local, remote = both
    with pytest.raises(error, match=says):
        call(remote)
    assert remote.get_attr("scale") == (1.5,) * 5
    actions = np.zeros(5, np.int64)
    assert first_difference(local.step(actions), remote.step(actions)) is None


def test_it_waits_for_the_step_that_is_under_way(both: Any):
    _, remote = both
    remote.step_async(np.zeros(5, np.int64))
    with pytest.raises(ProtocolError, match="call while a step is under way"):
        remote.get_attr("scale")
    remote.step_wait()
    assert remote.get_attr("scale") == (1.5,) * 5


def test_a_server_allows_what_it_was_started_with(serve: Any):
    urls = [serve(SCRIPTED, "--attributes", "scale,scaled").base_url] * 2
    local, remote = pair(base_url=urls)
    for call in (*CALLS[:8], CALLS[10]):
        assert first_difference(call(local), call(remote)) is None
    for call in (
        lambda: remote.get_attr("steps"),
        lambda: remote.set_attr("steps", 1),
        lambda: remote.call("get_wrapper_attr", "steps"),
    ):
        with pytest.raises(UnknownAttributeError, match="allowed are: scale, scaled"):
            call()
    remote.close()


def test_a_server_allows_nothing_unless_told(serve: Any):
    envs = openenv_gym.RemoteVectorEnv(serve(SCRIPTED).base_url, 2)
    with pytest.raises(UnknownAttributeError, match="--attributes"):
        envs.get_attr("scale")
    envs.close()


def test_a_vector_form_cannot_be_asked():
    envs = gym.make_vec("openenv/CartPole-v1", num_envs=4, vectorization="native")
    with pytest.raises(UnknownAttributeError, match=r"CartPoleVectorEnv: .*vectorization='sync'"):
        envs.get_attr("gravity")
    envs.close()


def test_stable_baselines3_reaches_some_of_them():
    # Unwrapped, because its set_attr sets an attribute of the outermost wrapper.
    local = DummyVecEnv([lambda: gym.make(SCRIPTED).unwrapped] * 5)
    remote = OpenEnvVecEnv("openenv/gymnasium-v0", 5, env_id=SCRIPTED, shards=2)
    for envs in (local, remote):
        envs.reset()
        assert envs.get_attr("scale", [3, 0]) == [1.5, 1.5]
        envs.set_attr("scale", 4.0, [1, 4])
        assert envs.get_attr("scale") == [1.5, 4.0, 1.5, 1.5, 4.0]
        values = envs.env_method("scaled", 2.0, indices=[4, 2], plus=1.0)
        assert (
            first_difference(
                values,
                [{"scale": 9.0, "at": (0, np.int16(7))}, {"scale": 4.0, "at": (0, np.int16(7))}],
            )
            is None
        )
        assert envs.get_attr("scaled", 0)[0](2.0)["scale"] == 3.0
        assert envs.get_attr("scale") == [3.0, 4.0, 4.0, 1.5, 9.0]
        assert envs.has_attr("scaled")
        assert not envs.has_attr("missing")
        with pytest.raises(AttributeError):
            envs.env_method("missing")
        envs.close()


def test_masks_of_a_method_of_the_environment_are_found():
    envs = OpenEnvVecEnv("openenv/tic_tac_toe-v0", 2)
    with pytest.raises(ResetNeededError):
        envs.env_method("action_masks")
    envs.close()
