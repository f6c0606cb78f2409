"""``make`` raises an error that is ours and of the class that it has in process."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
from gymnasium import error

import openenv_gym  # noqa: F401 - registers the ids
from openenv_gym.errors import (
    EnvStartError,
    InvalidRequestError,
    OpenEnvGymError,
    RemoteEnvError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)

FRAMESKIP = "unexpected keyword argument 'frameskip'"  # for which TorchRL waits
PICKY = "tests.support.envs:Picky-v0"


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
@pytest.mark.parametrize(
    ("arguments", "local", "ours", "says"),
    [
        ({"env_id": "CartPole-v1", "frameskip": 1}, TypeError, EnvStartError, FRAMESKIP),
        ({"env_id": "CartPol-v1"}, error.NameNotFound, UnknownEnvironmentError, "Did you mean"),
        ({"env_id": "CartPole-v9"}, error.VersionNotFound, UnknownEnvironmentError, "v9"),
        ({"env_id": "no.module:Any-v0"}, ModuleNotFoundError, OpenEnvGymError, "no module"),
        ({"env_id": PICKY, "size": -1}, ValueError, EnvStartError, "size -1 is too small"),
        ({"env_id": PICKY, "size": 99}, error.InvalidBound, EnvStartError, "size 99 is too large"),
    ],
)
def test_embedded(make: Any, arguments: Any, local: Any, ours: Any, says: str):
    with pytest.raises(local, match=says) as told:
        make("openenv/gymnasium-v0", **arguments)
    assert isinstance(told.value, ours)


def test_another_keyword_beside_a_render_mode_is_the_one_that_is_told():
    with pytest.raises(TypeError, match=FRAMESKIP) as told:
        gym.make("openenv/CartPole-v1", render_mode="rgb_array", frameskip=1)
    assert not isinstance(told.value, UnsupportedRenderModeError)
    no_mode = r"takes none, got 'rgb_array': .*__init__\(\) got an unexpected keyword argument"
    with pytest.raises(UnsupportedRenderModeError, match=no_mode):
        gym.make("openenv/gymnasium-v0", env_id=PICKY, render_mode="rgb_array")


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_a_server_says_which_keywords_there_are(codec: str, serve: Any):
    how = {"base_url": serve(PICKY, "--kwargs", '{"size": 2}').base_url, "codec": codec}
    named = {"id": "openenv/gymnasium-v0", "env_id": PICKY, **how}
    with pytest.raises(TypeError, match=FRAMESKIP) as told:
        gym.make(**named, frameskip=1)
    assert isinstance(told.value, OpenEnvGymError)
    # It takes this one: it is served with another value, and a trainer must not leave it out.
    with pytest.raises(OpenEnvGymError, match="size") as other:
        gym.make(**named, size=3)
    assert not isinstance(other.value, TypeError)
    for known in ({"size": 2}, {"size": 2, "shape": "square"}):  # the one given, and the registered
        gym.make(**named, **known).close()
    with pytest.raises(TypeError, match=FRAMESKIP) as remote:
        gym.make("openenv/remote-v0", **how, frameskip=1)
    assert isinstance(remote.value, InvalidRequestError)


def test_a_server_that_serves_something_else_does_not_know_the_name(serve: Any):
    url = serve(PICKY, "--kwargs", '{"size": 2}').base_url
    for make in (gym.make, gym.make_vec):
        with pytest.raises(error.NameNotFound, match="CartPole-v1") as name:
            make("openenv/CartPole-v1", base_url=url)
        assert isinstance(name.value, UnknownEnvironmentError)
    with pytest.raises(TypeError, match=FRAMESKIP) as told:
        gym.make_vec("openenv/gymnasium-v0", 2, env_id=PICKY, base_url=url, frameskip=1)
    assert isinstance(told.value, UnknownEnvironmentError)


@pytest.mark.parametrize("way", ["embedded", "binary", "json"])
def test_a_reset_too_raises_what_the_environment_raised(way: str, serve: Any):
    how = {}
    if way != "embedded":
        url = serve(PICKY, "--kwargs", '{"size": 2}').base_url
        how = {"base_url": url, "codec": way}
    env = gym.make("openenv/gymnasium-v0", env_id=PICKY, size=2, **how)
    with pytest.raises(KeyError, match="no level 7") as told:
        env.reset(options={"level": 7})
    assert isinstance(told.value, RemoteEnvError)
    env.close()


def test_the_spec_has_the_arguments_of_the_environment(serve: Any):
    local: Any = gym.make("FrozenLake-v1")
    url = serve("FrozenLake-v1", "--kwargs", '{"is_slippery": false}').base_url
    own = {"is_slippery": False}
    for how, known in (({}, local.spec.kwargs), ({"base_url": url, **own}, own)):
        env = gym.make("openenv/FrozenLake-v1", **how)
        assert env.spec is not None
        assert {**local.spec.kwargs, **known}.items() <= env.spec.kwargs.items()
        gym.make(env.spec).close()  # and they are those that are there
        env.close()
    local.close()
