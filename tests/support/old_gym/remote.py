"""Plays what :mod:`tests.support.old_gym.record` plays, in the same venv, through ours."""

from __future__ import annotations

import pickle
import sys

import gymnasium as gym

import openenv_gym  # noqa: F401  # registers its ids
from tests.support.old_gym.record import SEEDS, play, play_vector

MODULE = "tests.support.old_gym.envs"


def main(ids: list[str]) -> None:
    found = {}
    for env_id in ids:
        env = gym.make("openenv/gym-v0", env_id=f"{MODULE}:{env_id}", disable_env_checker=True)
        found[env_id] = tuple(play(env, SEEDS, is_26=True))
        env.close()
    arguments = {"num_envs": 2, "autoreset_mode": "SameStep"}
    envs = gym.make_vec("openenv/gymnasium-v0", env_id=f"vector:{MODULE}:make_vector", **arguments)
    found["vector"] = tuple(play_vector(envs, is_26=True))
    envs.close()
    sys.stdout.buffer.write(pickle.dumps(found, protocol=4))


if __name__ == "__main__":
    main(sys.argv[1:])
