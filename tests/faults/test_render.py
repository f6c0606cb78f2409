"""After a fault nobody renders: what records a video goes on with the last picture."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym.errors import ConnectionLostError
from openenv_gym.launchers.embedded import EMBEDDED
from tests.faults.envs import Faulty

RENDERED = {
    "env_id": "tests.faults.observations:FaultyRendered-v0",
    "render_mode": "rgb_array",
}


@pytest.mark.parametrize("action", [Faulty.RAISE, Faulty.KILL])
def test_a_single_environment(action: int):
    env = gym.make("openenv/gymnasium-v0", **RENDERED).unwrapped
    env.reset(seed=0)
    env.step(0)
    frame = env.render()
    assert (frame == 1).all()
    assert env.step(action)[3] is True
    again = env.render()
    assert (again == 1).all() and again is not frame
    env.reset()
    assert (env.render() == 0).all()
    env.close()


def test_a_vector_environment():
    envs: Any = gym.make_vec("openenv/gymnasium-v0", num_envs=4, shards=2, **RENDERED)
    envs.reset(seed=0)
    envs.step(np.zeros(4, np.int64))
    assert [int(frame.max()) for frame in envs.render()] == [1, 1, 1, 1]
    envs.step(np.array([0, 0, 0, Faulty.KILL]))
    assert [int(frame.max()) for frame in envs.render()] == [2, 2, 1, 1]
    envs.step(np.zeros(4, np.int64))
    assert [int(frame.max()) for frame in envs.render()] == [3, 3, 0, 0]
    envs.close()


@pytest.mark.parametrize("is_vector", [False, True])
def test_a_worker_that_dies_while_it_renders(is_vector: bool):
    env: Any = gym.make("openenv/gymnasium-v0", **RENDERED).unwrapped
    action: Any = 0
    if is_vector:
        env.close()
        env = gym.make_vec("openenv/gymnasium-v0", num_envs=1, shards=1, **RENDERED)
        action = np.zeros(1, np.int64)
    env.reset(seed=0)
    env.step(action)
    frame = env.render()
    EMBEDDED._workers[0].kill()
    assert np.array_equal(env.render(), frame)
    assert np.all(env.step(action)[3])
    env.close()


def test_without_a_picture_there_is_none_to_repeat():
    env = gym.make("openenv/gymnasium-v0", **RENDERED).unwrapped
    env.reset(seed=0)
    env.step(0)
    env.step(Faulty.KILL)
    with pytest.raises(ConnectionLostError):
        env.render()
    env.close()
