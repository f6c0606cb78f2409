"""Plays an environment in an interpreter that has only gym, and writes down what it says."""

from __future__ import annotations

import json
import sys

import numpy as np


def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return ["objects", list(value.shape), *map(plain, value.ravel())]
    if isinstance(value, (np.ndarray, np.generic)):
        return [type(value).__name__, value.dtype.str, list(value.shape), value.tobytes().hex()]
    return [type(value).__name__, repr(value)]


def play(env, seed, actions, is_new):
    if is_new:
        said = [env.reset(seed=seed)[0]]
    else:
        env.seed(seed)
        said = [env.reset()]
    for action in actions:
        step = env.step(action)
        obs, reward, info = step[0], step[1], step[-1]
        is_over = step[2] or (is_new and step[3])
        said.append((obs, float(reward), bool(is_over), info))
        if is_over:
            said.append(env.reset()[0] if is_new else env.reset())
    return [plain(one) for one in said]


def main(name, seed, actions):
    import gym

    from tests.support import gym_envs

    env = getattr(gym_envs, name)() if hasattr(gym_envs, name) else gym.make(name)
    print(json.dumps(play(env, seed, actions, gym_envs.IS_NEW)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
