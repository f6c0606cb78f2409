"""A fault in a vector environment of others: ``python -m benchmarks.faults.local_peer CLASS KIND``.

CLASS is ``async_vector`` (Gymnasium's ``AsyncVectorEnv``) or ``subproc_vec`` (the
``SubprocVecEnv`` of Stable-Baselines3). With ``orphan`` for KIND the first environment hangs, and
the program waits to be killed when it has said which workers it has. It leads a process group, all
of which ends with its stdin.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import psutil

from benchmarks.faults.cases import FAULT_STEP, NUM_ENVS, NUMBERS, PLAIN, READY
from benchmarks.faults.target_env import TargetEnv

PATIENCE_S = 5.0


def async_vector() -> Any:
    return gym.vector.AsyncVectorEnv([TargetEnv] * NUM_ENVS)


def subproc_vec() -> Any:
    from stable_baselines3.common.vec_env import SubprocVecEnv

    return SubprocVecEnv([partial(gym.make, "Target-v0")] * NUM_ENVS)


MAKERS = {"async_vector": async_vector, "subproc_vec": subproc_vec}


def end_with_stdin() -> None:
    """From now on, the end of stdin is the end of this process group, of what hangs in it too."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.killpg(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def main(name: str, kind: str) -> None:
    envs = MAKERS[name]()
    workers = [process.pid for process in envs.processes]
    numbers = np.full(NUM_ENVS, PLAIN, np.int64)
    envs.reset()
    print(READY, flush=True)
    if kind == "orphan":
        numbers[0] = NUMBERS["sleep"]
        threading.Thread(target=envs.step, args=(numbers,), daemon=True).start()
        print(json.dumps({"workers": workers}), flush=True)
        threading.Event().wait()
    for _ in range(FAULT_STEP - 1):
        envs.step(numbers)
    told: dict[str, Any] = {"continued": True, "harmed": 0, "error": ""}
    numbers[0] = NUMBERS[kind]
    try:
        envs.step(numbers)
    except BaseException as exc:  # whatever it is, it is what the training loop would see
        numbers[0] = PLAIN
        told["error"] = type(exc).__name__
        told["continued"] = goes_on(envs, numbers)
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
    closing.join(PATIENCE_S)
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in workers if is_there(pid)], 1.0)
    return len(alive)


def close(envs: Any) -> None:
    try:
        envs.close()
    except BaseException as exc:
        print(f"close: {exc!r}", file=sys.stderr)


def is_there(pid: int) -> bool:
    return psutil.pid_exists(pid)


if __name__ == "__main__":
    end_with_stdin()
    main(*sys.argv[1:])
