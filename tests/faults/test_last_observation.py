"""The last observation of a fault is what the environment sent, whatever its user made of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from openenv_gym.conformance import same
from tests.conftest import WAYS
from tests.faults.envs import Faulty
from tests.support.pairs import in_pairs

KINDS = [
    "tests.faults.envs:Faulty-v0",
    "tests.faults.observations:FaultyPicture-v0",
    "tests.faults.observations:FaultySequence-v0",
]


def write_into(obs: Any) -> None:
    if isinstance(obs, np.ndarray):
        obs[...] = 99
        return
    for part in obs:
        write_into(part)


@in_pairs(indirect=["reach"], reach=WAYS, env_id=KINDS, after=["reset", "step"])
def test_of_one_environment(env_id: str, after: str, reach: Any):
    env = gym.make("openenv/gymnasium-v0", env_id=env_id, **reach(env_id)).unwrapped
    env.reset(seed=7)
    env.step(1)
    obs = env.reset(seed=8)[0]
    if after == "step":
        obs = env.step(1)[0]
    sent = deepcopy(obs)
    write_into(obs)
    last, _, _, truncated, _ = env.step(Faulty.KILL)
    assert truncated and same(last, sent)
    env.close()


@in_pairs(
    env_id=KINDS,
    shards=[1, 2],
    after=["reset", "step"],
    mode=[AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP],
)
@pytest.mark.sample(3)
def test_of_sub_environments(env_id: str, shards: int, after: str, mode: AutoresetMode):
    envs = gym.make_vec(
        "openenv/gymnasium-v0",
        num_envs=2,
        env_id=env_id,
        shards=shards,
        autoreset_mode=mode,
    )
    envs.reset(seed=7)
    envs.step(np.ones(2, np.int64))
    obs = envs.reset(seed=8)[0]
    if after == "step":
        obs = envs.step(np.ones(2, np.int64))[0]
    sent = deepcopy(obs)
    write_into(obs)
    obs, _, _, truncated, info = envs.step(np.array([Faulty.KILL, 1]))
    last = info["final_obs"] if mode is AutoresetMode.SAME_STEP else obs
    assert truncated[0] and same(last[0], sent[0])
    envs.close()


@pytest.mark.parametrize("after", ["reset", "step"])
@pytest.mark.parametrize("env_id", KINDS)
def test_of_plain_sessions(env_id: str, after: str, serve: Any):
    url = serve(env_id).base_url
    envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=url, codec="json")
    envs.reset(seed=7)
    envs.step(np.ones(2, np.int64))
    obs = envs.reset(seed=8)[0]
    if after == "step":
        obs = envs.step(np.ones(2, np.int64))[0]
    sent = deepcopy(obs)
    write_into(obs)
    obs, _, _, truncated, _ = envs.step(np.array([Faulty.KILL, 1]))
    assert truncated.tolist() == [True, False] and same(obs[0], sent[0])
    envs.close()
