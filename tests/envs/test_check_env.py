"""Gymnasium's own checks pass on remote environments, and Stable-Baselines3's where it is."""

from __future__ import annotations

import warnings

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

pytestmark = pytest.mark.single_env

CASES = [
    ("openenv/catch-v0", {}, "openspiel:catch"),
    ("openenv/gymnasium-v0", {"env_id": "CartPole-v1"}, "CartPole-v1"),
]


@pytest.mark.parametrize(("env_id", "kwargs", "environment"), CASES)
def test_gymnasium_check_env(env_id, kwargs, environment, reach):
    env = gym.make(env_id, **kwargs, **reach(environment))
    with warnings.catch_warnings():
        # It finds CartPole's own infinite bounds remarkable, remote or not.
        warnings.filterwarnings("ignore", ".*(infinity|precision).*")
        check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize(("env_id", "kwargs", "environment"), CASES)
def test_stable_baselines3_check_env(env_id, kwargs, environment, reach):
    checker = pytest.importorskip(
        "stable_baselines3.common.env_checker",
        reason="the venvs of old Gymnasium versions hold no Stable-Baselines3",
    )
    env = gym.make(env_id, **kwargs, **reach(environment))
    checker.check_env(env.unwrapped)
    env.close()
