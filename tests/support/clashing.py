"""Environments of packages whose versions of MuJoCo exclude each other."""

from __future__ import annotations


def robotics():
    import gymnasium
    import gymnasium_robotics
    import mujoco

    gymnasium.register_envs(gymnasium_robotics)
    env = gymnasium.make("FetchReach-v4")
    env.unwrapped.mujoco_version = mujoco.__version__
    return env


def dm_control():
    import mujoco
    from dm_control import suite

    env = suite.load("cartpole", "balance")
    env.mujoco_version = mujoco.__version__
    return env
