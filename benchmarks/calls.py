"""How many Python functions one step calls on the trainer's side, by ``sys.setprofile``.

Counted are calls of functions that are written in Python, not those of C, in the thread that steps:
a single embedded environment (``gymnasium.make("openenv/CartPole-v1").unwrapped.step``) and a
vector environment (``gymnasium.make_vec(..., shards=1)``, in its ``step``). The call of ``step``
itself counts. "The package" is all of ``openenv_gym``; "all" has numpy and the standard library
too. Only steps are watched: not the first ones, no reset, and no step that ends an episode.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from types import FrameType
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks import report
from benchmarks.workload import ENV_ID

OURS = f"openenv/{ENV_ID}"
PACKAGE = "openenv_gym."
WARM_UP = 3  # steps of an episode before the first that counts

Calls = dict[tuple[str, str], float]
"""How often a step calls a function, by its module, which is a file, and its name."""

OPTIONS = {
    "steps": (500, "that are watched"),
    "num-envs": (8, "sub-environments of the vector environment"),
}


def calls_per_step(env: Any, actions: Sequence[Any], steps: int) -> Calls:
    """Return the Python calls of a step, as the mean over ``steps``; ``actions`` take turns."""
    total: Counter[tuple[str, str]] = Counter()
    watched, number, step = 0, 0, env.step
    env.reset(seed=0)
    while watched < steps:
        found: Counter[tuple[str, str]] = Counter()

        def note(frame: FrameType, event: str, argument: Any, found: Any = found) -> None:
            if event == "call":
                found[frame.f_globals["__name__"], frame.f_code.co_qualname] += 1

        action, number = actions[number % len(actions)], number + 1
        sys.setprofile(note)
        _, _, terminated, truncated, _ = step(action)
        sys.setprofile(None)
        if np.any(terminated | truncated):
            env.reset(seed=watched)
            number = 0
        elif number > WARM_UP:
            total += found
            watched += 1
    return {name: count / steps for name, count in total.items()}


def measured(steps: int, num_envs: int) -> list[tuple[str, Calls]]:
    """Return label and calls of a step of a single and of a vector environment."""
    env = gym.make(OURS).unwrapped
    single = calls_per_step(env, [np.int64(0), np.int64(1)], steps)
    env.close()
    envs: Any = gym.make_vec(OURS, num_envs=num_envs, shards=1)
    actions = [np.zeros(num_envs, np.int64), np.ones(num_envs, np.int64)]
    vector = calls_per_step(envs, actions, steps)
    envs.close()
    return [("a step", single), (f"a step of {num_envs}, one shard", vector)]


def run(options: argparse.Namespace) -> None:
    run, tables, notes, steps = report.Run("calls", options), [], [], []
    for label, calls in measured(options.steps, options.num_envs):
        rows = sorted(calls.items(), key=lambda item: (-item[1], item[0]))
        own = {name: count for name, count in calls.items() if name[0].startswith(PACKAGE)}
        files = sorted({file for file, _ in own})
        figures = {"package": round(sum(own.values()), 2), "all": round(sum(calls.values()), 2)}
        steps.append({"of": label, **figures, "files": files, "functions": rows})
        lines = [[function, file, f"{count:.2f}"] for (file, function), count in rows]
        tables.append(report.Table([label, "module", "calls"], lines, texts=2))
        notes.append(
            f"{label}: {figures['package']:g} calls of the package in {len(files)} files, "
            f"{figures['all']:g} in all."
        )
    about = f"{options.steps} steps of each; looking again at a socket (`_look`) varies."
    run.publish({"watched": options.steps, "steps": steps}, tables, about, notes)
