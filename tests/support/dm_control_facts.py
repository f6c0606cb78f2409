"""What is so of dm_control's tasks where it is installed; prints one line of JSON.

Needs neither pytest nor anything else that only tests have: it runs in a venv of its own.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

from openenv_gym.adapters import dm_control_env
from openenv_gym.errors import EnvStartError, OpenEnvGymError
from tests.support.dm_control_walk import actions, written

suite = dm_control_env._suite()  # which chooses how to draw without a screen


def own_episode(domain: str, task: str, seed: int, **task_kwargs: Any) -> list[list[Any]]:
    """What dm_control itself says, and how an episode ends by its documentation."""
    env = suite.load(domain, task, task_kwargs={"random": seed, **task_kwargs})
    found = [written(env.reset().observation, 0.0, False, False)]
    spec = env.action_spec()
    for action in actions(spec.minimum, spec.maximum, seed):
        step = env.step(action)
        ends = (step.last() and step.discount == 0, step.last() and step.discount != 0)
        found.append(written(step.observation, step.reward, *ends))
        if step.last():
            break
    return found


def episode(env: gym.Env[Any, Any], seed: int) -> list[list[Any]]:
    observation, _ = env.reset(seed=seed)
    found = [written(observation, 0.0, False, False)]
    space: Any = env.action_space
    for action in actions(space.low, space.high, seed):
        observation, reward, terminated, truncated, _ = env.step(action)
        found.append(written(observation, float(reward), terminated, truncated))
        if terminated or truncated:
            break
    return found


def error_of(name: str, **kwargs: Any) -> list[str]:
    try:
        dm_control_env.make(name, **kwargs)
    except OpenEnvGymError as exc:
        return [type(exc).__name__, str(exc)]
    return ["nothing", ""]


def is_checked(name: str, **kwargs: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(dm_control_env.make(name, **kwargs), skip_render_check=True)
    return True


def spaces_of(name: str, **kwargs: Any) -> list[str]:
    env = dm_control_env.make(name, **kwargs)
    return [repr(env.observation_space), repr(env.action_space)]


def second_episodes() -> bool:
    """Whether a reset without a seed goes on with the generator, as dm_control's own does."""
    own = suite.load("cartpole", "swingup", task_kwargs={"random": 5})
    env = dm_control_env.make("cartpole-swingup")
    env.reset(seed=5)
    own.reset()
    theirs, ours = own.reset().observation, env.reset()[0]
    return all(np.array_equal(ours[key], theirs[key]) for key in theirs)


def pictures() -> dict[str, Any] | None:
    small: dict[str, Any] = {"render_kwargs": {"height": 32, "width": 48}}
    try:
        env = dm_control_env.make(
            "cartpole-swingup", render_mode="rgb_array", observation="all", **small
        )
    except EnvStartError:
        return None  # there is no OpenGL
    observation, _ = env.reset(seed=0)
    frame = env.render()
    only = dm_control_env.make("cartpole-swingup", observation="pixels", **small)
    return {
        "frame": [list(frame.shape), str(frame.dtype), len(np.unique(frame)) > 10],
        "observed": bool(np.array_equal(observation["pixels"], frame)),
        "keys": list(observation),
        "only": repr(only.observation_space),
        "is_same": bool(np.array_equal(only.reset(seed=0)[0], frame)),
    }


def differing_tasks(steps: int = 10) -> list[str]:
    """The tasks that are not as dm_control has them, to the bit."""
    differing = []
    for name in dm_control_env.names():
        env, own = dm_control_env.make(name), suite.load(*name.split("-"), {"random": 7})
        found, expected = [env.reset(seed=7)[0]], [own.reset().observation]
        space: Any = env.action_space
        for action in actions(space.low, space.high, 0)[:steps]:
            observation, reward, *_ = env.step(action)
            step = own.step(action)
            found += [observation, {"reward": reward}]
            expected += [step.observation, {"reward": step.reward}]
        pairs = zip(found, expected, strict=True)
        if any(written(a, 0, False, False) != written(b, 0, False, False) for a, b in pairs):
            differing.append(name)
        if not all(env.observation_space.contains(one) for one in found if "reward" not in one):
            differing.append(f"{name}: outside of its space")
        env.close()
        own.physics.free()
    return differing


def main() -> None:
    name = "cartpole-swingup"
    cartpole = dm_control_env.make(name)
    first = episode(cartpole, 3)
    again = episode(cartpole, 3)
    flat = dm_control_env.make("walker-walk", observation="flat").reset(seed=1)[0]
    parts = dm_control_env.make("walker-walk").reset(seed=1)[0]
    lqr = dm_control_env.make("lqr-lqr_2_1")  # its model is drawn at random, and it terminates
    facts = {
        "own": own_episode("cartpole", "swingup", 3),
        "first": first,
        "again": again,
        "great": episode(cartpole, 2**40) == episode(cartpole, 2**40),
        "limited_own": own_episode("cartpole", "swingup", 3, time_limit=0.5),
        "limited": episode(dm_control_env.make(name, task_kwargs={"time_limit": 0.5}), 3),
        "lqr_own": own_episode("lqr", "lqr_2_1", 4),
        "lqr": episode(lqr, 4),
        "second": second_episodes(),
        "flat": bool(
            np.array_equal(flat, np.concatenate([np.ravel(part) for part in parts.values()]))
        ),
        "flat_shape": list(flat.shape),
        "spaces": spaces_of(name),
        "checked": is_checked("walker-walk", observation="flat"),
        "names": dm_control_env.names(),
        "errors": [
            error_of("cartpole-swingip"),
            error_of("cartpol-swingup"),
            error_of(name, observation="picture"),
            error_of(name, render_mode="human"),
        ],
        "pictures": pictures(),
    }
    cartpole.close()
    cartpole.close()
    print(json.dumps(facts))


if __name__ == "__main__":
    if "all-tasks" in sys.argv:
        print(json.dumps(differing_tasks()))
    else:
        main()
