"""A fault in Gymnasium's AsyncVectorEnv: ``python -m benchmarks.faults_local KIND``."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.faults_cases import FAULT_STEP, NUM_ENVS, READY
from openenv_gym.testing import FaultEnv


def make(number: int, kind: str) -> Any:
    return FaultEnv({f"0/0/{FAULT_STEP}": kind}, env=number)


def main(kind: str) -> None:
    envs = gym.vector.AsyncVectorEnv([partial(make, i, kind) for i in range(NUM_ENVS)])
    actions = np.zeros(NUM_ENVS, np.int64)
    envs.reset(seed=0)
    print(READY, flush=True)
    told: dict[str, Any] = {"continued": True, "harmed": 0, "error": ""}
    try:
        for _ in range(FAULT_STEP):
            envs.step(actions)
    except BaseException as exc:  # whatever it is, it is what the training loop would see
        told["error"] = type(exc).__name__
        told["continued"] = goes_on(envs, actions)
        told["harmed"] = 1 if told["continued"] else NUM_ENVS
    print(json.dumps(told), flush=True)


def goes_on(envs: Any, actions: Any) -> bool:
    """Whether a reset brings the environments back."""
    try:
        envs.reset()
        envs.step(actions)
    except BaseException:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1])
