"""A single environment has the attributes that are allowed, and what wrappers for Atari ask."""

from __future__ import annotations

import copy
import traceback
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import VectorEnv
from stable_baselines3.common import atari_wrappers
from stable_baselines3.common.vec_env import DummyVecEnv

from openenv_gym import FaultPolicy, RemoteVectorEnv
from openenv_gym.conformance import first_difference
from openenv_gym.errors import RemoteEnvError, UnknownAttributeError
from tests.support.envs import Scripted

SCRIPTED = "tests.support.envs:Scripted-v0"
PONG = "ale_py:ALE/Pong-v5"
ONE_FRAME = '{"frameskip": 1}'


def made(env_id: str = SCRIPTED, **how: Any) -> gym.Env[Any, Any]:
    return gym.make("openenv/gymnasium-v0", env_id=env_id, **how)


def test_an_embedded_one_has_all_but_private_names():
    env = made()
    inner: Any = env.unwrapped
    assert (inner.scale, env.get_wrapper_attr("scale")) == (1.5, 1.5)
    assert inner.scaled(2.0, plus=1.0) == {"scale": 4.0, "at": (0, np.int16(7))}
    assert inner.scale == 4.0
    assert copy.deepcopy(inner).scale == 1.5  # of a session of its own
    env.reset(seed=0)
    env.step(0)
    assert inner.steps == 1
    assert env.has_wrapper_attr("steps")
    assert not env.has_wrapper_attr("missing")
    for name in ("_np_random_seed_of_another", "__len__", "spec_of_another"):
        assert not hasattr(inner, name)
    with pytest.raises(RemoteEnvError, match="TypeError"):
        inner.scaled("x")
    env.close()


def test_what_cannot_travel_is_no_attribute():
    env = made()
    inner: Any = env.unwrapped
    with pytest.raises(AttributeError, match="cannot travel") as told:
        inner.scaled(None)
    assert isinstance(told.value, RemoteEnvError)
    env.close()


def test_a_server_has_what_it_was_started_with(serve: Any):
    url = serve(SCRIPTED, "--attributes", "scale,scaled").base_url
    env = made(base_url=url)
    inner: Any = env.unwrapped
    assert inner.scale == 1.5  # a session begins, and the reset takes it
    session = inner._connection
    env.reset(seed=0)
    assert inner._connection is session
    with pytest.raises(UnknownAttributeError, match=r"are: scale, scaled.*--attributes steps"):
        print(inner.steps)
    spoken = made(base_url=url, codec="json")
    inner = spoken.unwrapped
    with pytest.raises(UnknownAttributeError, match=r"are: none\. .*codec='json' has none"):
        print(inner.scale)
    for one in (env, spoken):
        one.close()


def test_stable_baselines3_shows_why_there_is_none(serve: Any):
    url = serve(SCRIPTED, "--attributes", "scale,scaled").base_url
    envs = DummyVecEnv([lambda: made(base_url=url)])
    assert envs.get_attr("scale") == [1.5]
    assert envs.env_method("scaled", 1.0)[0]["scale"] == 1.5
    with pytest.raises(AttributeError) as told:
        envs.get_attr("steps")
    assert "--attributes steps" in "".join(traceback.format_exception(told.value))
    envs.close()


def test_after_a_fault_the_last_value_is_told_again():
    env = made(on_fault=FaultPolicy(backoff_s=0))
    env.reset(seed=0)
    env.step(0)
    inner: Any = env.unwrapped
    assert inner.steps == 1
    assert env.step(Scripted.EXIT)[3]
    assert inner.steps == 1
    env.reset()
    assert inner.steps == 0
    env.close()


@pytest.fixture(params=["embedded", "served"])
def pong(request: pytest.FixtureRequest, serve: Any) -> Any:
    """The same game in process and elsewhere; a server of it allows no attributes by name."""
    how = {}
    if request.param == "served":
        how = {"base_url": serve(PONG, "--kwargs", ONE_FRAME).base_url}
    gym.register_envs(ale_py)
    both = gym.make("ALE/Pong-v5", frameskip=1), made(PONG, frameskip=1, **how)
    yield both
    for env in both:
        env.close()


def test_what_wrappers_ask_of_atari(pong: Any):
    local, remote = pong
    asked = []
    for env in (local, remote):
        env.reset(seed=3)
        env.step(2)
        inner = env.unwrapped
        picture, grey = np.zeros((210, 160, 3), np.uint8), np.zeros((210, 160), np.uint8)
        assert inner.ale.getScreenRGB(picture) is None
        inner.ale.getScreenGrayscale(grey)
        draws = [inner.np_random.integers(1, 31) for _ in range(5)]
        asked.append(
            {
                "of the game": [inner._frameskip, inner.get_action_meanings(), inner.ale.lives()],
                "pictures": [picture, grey, inner.ale.getScreenGrayscale()],
                "draws": draws,
                "arguments": env.spec.kwargs["frameskip"],
            }
        )
    assert first_difference(*asked) is None


def wrapped(env: Any) -> Any:
    return atari_wrappers.AtariWrapper(env, action_repeat_probability=0.25)


def preprocessed(env: Any) -> Any:
    return gym.wrappers.AtariPreprocessing(env, terminal_on_life_loss=True)


@pytest.mark.parametrize("wrap", [wrapped, preprocessed])
def test_atari_passes_its_wrappers_with_the_values_of_the_local_one(pong: Any, wrap: Any):
    seen = []
    for env in map(wrap, pong):
        first = env.reset(seed=5)[0]
        seen.append([first, *(env.step(number % 6)[:4] for number in range(15))])
    assert first_difference(*seen) is None


def test_what_wrappers_ask_can_be_read_and_nothing_else(serve: Any):
    url = serve(PONG, "--kwargs", ONE_FRAME).base_url
    envs = gym.make_vec("openenv/remote-v0", 2, base_url=url, vectorization="sync")
    assert envs.call("ale.lives") == (0, 0)
    assert envs.get_attr("_frameskip") == (1, 1)
    for name in ("_frameskip", "get_action_meanings"):
        with pytest.raises(UnknownAttributeError, match="can be read here, and not set"):
            envs.set_attr(name, 4)
    for name in ("ale.saveScreenPNG", "ale.loadROM", "ale", "_game", "ale.__class__"):
        with pytest.raises(UnknownAttributeError, match="may not be used"):
            envs.call(name)
    envs.close()
    env = made(PONG, frameskip=1, base_url=url)
    inner: Any = env.unwrapped
    with pytest.raises(UnknownAttributeError, match=r"no attribute 'ale\.loadROM'"):
        inner.ale.loadROM("/tmp/rom")
    env.close()


def test_trainers_look_at_the_bases_and_the_mode_of_a_vector_environment():
    assert VectorEnv in RemoteVectorEnv.__bases__
    envs: Any = gym.make_vec("openenv/CartPole-v1", 2, autoreset_mode="SameStep")
    assert envs.autoreset_mode is gym.vector.AutoresetMode.SAME_STEP
    envs.close()
