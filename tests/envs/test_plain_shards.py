"""Plain sessions, one for each sub-environment, are what ``SyncVectorEnv`` is."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.errors import (
    CapacityError,
    InvalidActionError,
    InvalidRequestError,
    ResetNeededError,
    TransportError,
)
from tests.support.envs import Scripted
from tests.support.rollouts import assert_same


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "tests.support.envs:Lake-v0"])
def test_every_mode_is_as_in_process(env_id: str, mode: AutoresetMode, serve):
    url = serve(env_id).base_url
    arguments = {"num_envs": 3, "codec": "json", "vectorization": "sync", "autoreset_mode": mode}
    remote = gym.make_vec("openenv/remote-v0", base_url=url, **arguments)
    assert isinstance(remote, RemoteVectorEnv)
    local = SyncVectorEnv([lambda: gym.make(env_id)] * 3, autoreset_mode=mode)
    assert_same(local.reset(seed=2), remote.reset(seed=2))
    local.action_space.seed(0)
    for _ in range(80):
        actions = local.action_space.sample()
        expected = local.step(actions)
        assert_same(expected, remote.step(actions))
        done = expected[2] | expected[3]
        if mode is AutoresetMode.DISABLED and done.any():
            with pytest.raises(ResetNeededError):
                remote.step(actions)
            masks = [{"reset_mask": done.copy()} for _ in range(2)]
            assert_same(local.reset(options=masks[0]), remote.reset(options=masks[1]))
    remote.close()
    remote.close()


def test_a_typed_environment_with_plain_schemas(serve):
    url = serve("environment:examples.own_environment.environment:EchoEnvironment").base_url
    text = gym.spaces.Text(20, charset="abc ")
    envs = gym.make_vec(
        "openenv/remote-v0",
        num_envs=2,
        base_url=[url, url],
        action_space=text,
        observation_space=text,
        observation_key="echo",
    )
    envs.reset(seed=0)
    observations, *_ = envs.step(("a b", "cc"))
    assert observations == ("a b", "cc")
    copied = pickle.loads(pickle.dumps(envs))
    assert copied.num_envs == 2 and str(copied).endswith("x2>")
    envs.close()


def test_what_is_wrong_is_refused(serve):
    url = serve("CartPole-v1").base_url
    plain = {"num_envs": 2, "codec": "json", "vectorization": "sync"}
    envs = gym.make_vec("openenv/remote-v0", base_url=url, **plain)
    with pytest.raises(ResetNeededError):
        envs.step(np.zeros(2, np.int64))
    envs.reset(seed=[1, None])
    with pytest.raises(InvalidActionError):
        envs.step(np.array([0, 2]))
    for arguments in ({"seed": [1]}, {"options": {"reset_mask": np.zeros(2, bool)}}):
        with pytest.raises(InvalidRequestError):
            envs.reset(**arguments)
    assert envs.step(np.ones(2, np.int64))[1].tolist() == [1.0, 1.0]
    envs.close()
    with pytest.raises(InvalidRequestError, match="of one environment"):
        other = serve("FrozenLake-v1").base_url
        gym.make_vec("openenv/remote-v0", base_url=[url, other], **plain)
    full = serve("CartPole-v1", "--max-sessions", "1").base_url
    crowded = gym.make_vec("openenv/remote-v0", base_url=full, **plain)
    with pytest.raises(CapacityError):
        crowded.reset(seed=0)
    crowded.close()


def test_a_lost_session_is_made_anew_by_reset(serve):
    url = serve("tests.support.envs:Scripted-v0").base_url
    envs = gym.make_vec(
        "openenv/remote-v0", num_envs=3, base_url=url, codec="json", on_fault="raise"
    )
    expected = envs.reset(seed=0)
    with pytest.raises(TransportError):
        envs.step(np.array([0, Scripted.EXIT, 0]))
    with pytest.raises(TransportError):
        envs.step(np.zeros(3, np.int64))
    assert_same(envs.reset(seed=0), expected)
    envs.step(np.zeros(3, np.int64))
    with pytest.raises(TransportError):
        envs.step(np.array([0, 0, Scripted.EXIT]))
    options = {"reset_mask": np.array([False, False, True]), "more": 1}
    told = envs.reset(options=options)[1]["options"]
    assert told["more"][2] == 1 and "reset_mask" not in told
    envs.step(np.zeros(3, np.int64))
    with pytest.raises(InvalidRequestError, match="bool array"):
        envs.reset(options={"reset_mask": [True, False, True]})
    envs.close()
