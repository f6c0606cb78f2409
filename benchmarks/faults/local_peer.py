"""A fault in a vector environment of others: ``python -m benchmarks.faults.local_peer CLASS KIND``.

CLASS is ``async_vector`` (Gymnasium's ``AsyncVectorEnv``) or ``subproc_vec`` (the
``SubprocVecEnv`` of Stable-Baselines3). The program says which workers it has, and then what came
of the fault. With ``orphan`` for KIND the first environment hangs, and the program waits to be
killed. It leads a process group, all of which ends with its stdin.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import psutil

from benchmarks.children import end_with_stdin
from benchmarks.faults.cases import FAULT_STEP, NUM_ENVS, NUMBERS, PLAIN
from benchmarks.faults.target_env import TargetEnv

CLOSING_S = 5.0


def async_vector() -> Any:
    return gym.vector.AsyncVectorEnv([TargetEnv] * NUM_ENVS)


def subproc_vec() -> Any:
    from stable_baselines3.common.vec_env import SubprocVecEnv

    return SubprocVecEnv([partial(gym.make, "Target-v0")] * NUM_ENVS)


def main(name: str, kind: str) -> None:
    envs = {"async_vector": async_vector, "subproc_vec": subproc_vec}[name]()
    workers = [process.pid for process in envs.processes]
    numbers = np.full(NUM_ENVS, PLAIN, np.int64)
    envs.reset()
    print(json.dumps({"workers": workers}), flush=True)
    if kind == "orphan":
        numbers[0] = NUMBERS["sleep"]
        envs.step(numbers)
    for _ in range(FAULT_STEP - 1):
        envs.step(numbers)
    told: dict[str, Any] = {"continued": True, "harmed": 0, "error": ""}
    numbers[0] = NUMBERS[kind]
    try:
        envs.step(numbers)
    except BaseException as exc:  # whatever it is, it is what the training loop would see
        numbers[0] = PLAIN
        told["error"], told["continued"] = type(exc).__name__, goes_on(envs, numbers)
        told["harmed"] = 1 if told["continued"] else NUM_ENVS
    told["left"] = left_after_close(envs, workers)
    print(json.dumps(told), flush=True)
    os._exit(0)  # what is left would be waited for


def goes_on(envs: Any, numbers: Any) -> bool:
    """Whether a reset brings the environments back."""
    try:
        envs.reset()
        envs.step(numbers)
    except BaseException:
        return False
    return True


def left_after_close(envs: Any, workers: list[int]) -> int:
    """How many workers there are after ``close``, which may raise or wait for ever."""
    closing = threading.Thread(target=close, args=(envs,), daemon=True)
    closing.start()
    closing.join(CLOSING_S)
    there = [psutil.Process(pid) for pid in workers if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(there, 1.0)
    return len(alive)


def close(envs: Any) -> None:
    try:
        envs.close()
    except BaseException as exc:
        print(f"close: {exc!r}", file=sys.stderr)


if __name__ == "__main__":
    end_with_stdin(group=True)
    main(*sys.argv[1:])
