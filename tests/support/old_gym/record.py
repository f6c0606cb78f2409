"""Plays an environment of gym inside its own venv, without anything of ours, and pickles it all.

What is recorded goes to stdout: for each id the rows of resets and steps, in which a step has five
values whichever gym has made it.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

import gym
import numpy as np

from tests.support.old_gym import envs

STEPS = 120
SEEDS = [1, 2]


def play(env: Any, seeds: list[int], is_26: bool) -> list[Any]:
    """Play each seed, then an episode without one."""
    rows: list[Any] = [actions_of(env)]
    for seed in [*seeds, None]:
        given = {} if seed is None else {"seed": seed}
        if is_26:
            rows.append(env.reset(**given))
        else:
            if seed is not None:
                env.seed(seed)
            rows.append((env.reset(), {}))
        for number in range(STEPS):
            result = env.step(rows[0][number])
            rows.append(five(result))
            if rows[-1][2] or rows[-1][3]:
                rows.append(env.reset() if is_26 else (env.reset(), {}))
    return rows


def play_vector(envs: Any, is_26: bool) -> list[Any]:
    """Play two sub-environments with a time limit; infos differ between the versions."""
    if is_26:
        rows = [(envs.reset(seed=[3, 4])[0],)]
    else:
        envs.seed([3, 4])
        rows = [(envs.reset(),)]
    for number in range(STEPS):
        obs, rewards, *flags, _ = envs.step((number % 2, 1))
        rows.append((obs, rewards, np.logical_or.reduce(flags)))
    return rows


def five(result: Any) -> Any:
    """The five values of Gymnasium; the rules are those of gym's own time limit."""
    if len(result) == 5:
        obs, reward, terminated, truncated, info = result
    else:
        obs, reward, done, info = result
        truncated = bool(done) and bool(info.get("TimeLimit.truncated", False))
        terminated = bool(done) and not truncated
    return obs, float(reward), bool(terminated), bool(truncated), dict(info)


def plain(value: Any) -> Any:
    """The same with a dict for each ``OrderedDict``, in its order."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


def actions_of(env: Any) -> list[int]:
    """Actions that are the same under each version."""
    return [(number * 7 // 3) % int(env.action_space.n) for number in range(STEPS)]


def main(ids: list[str]) -> None:
    is_26 = gym.__version__ >= "0.26"
    found = {}
    for env_id in ids:
        told = {"disable_env_checker": True} if is_26 else {}
        if is_26 and env_id == "OldBare-v0":
            told["apply_api_compatibility"] = True
        found[env_id] = plain(tuple(play(gym.make(env_id, **told), SEEDS, is_26)))
    found["vector"] = tuple(play_vector(envs.make_vector(), is_26))
    assert not any(name.startswith("openenv_gym") for name in sys.modules)
    sys.stdout.buffer.write(pickle.dumps(found, protocol=4))


if __name__ == "__main__":
    main(sys.argv[1:])
