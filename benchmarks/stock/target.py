"""An environment over stock OpenEnv that fails when its action says so."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from openenv.core.env_server.types import Action, Observation

from benchmarks.faults.cases import KINDS, PLAIN
from benchmarks.stock.peer import StockClient, StockEnvironment

FOREVER_S = 3600


def fail() -> None:
    raise RuntimeError("a planned fault")


FAULTS: dict[str, Callable[[], Any]] = {
    "raise": fail,
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(7),
    "sys_exit": lambda: sys.exit(7),
    "sleep": lambda: time.sleep(FOREVER_S),
    "hold_gil": lambda: ctypes.PyDLL(None).poll(None, 0, FOREVER_S * 1000),
}


class TargetAction(Action):
    number: int


class TargetObservation(Observation):
    number: int = 0
    steps: int = 0


class TargetEnvironment(StockEnvironment):
    def reset(self, seed: Any = None, episode_id: Any = None, **kwargs: Any) -> TargetObservation:
        self.begin(episode_id)
        return TargetObservation(done=False, reward=None)

    def step(self, action: TargetAction, **kwargs: Any) -> TargetObservation:
        if action.number < PLAIN:
            FAULTS[KINDS[action.number]]()
        self._state.step_count += 1
        reward, steps = float(action.number % 2), self._state.step_count
        return TargetObservation(number=action.number, steps=steps, done=False, reward=reward)


class TargetClient(StockClient):
    ACTION, OBSERVATION = TargetAction, TargetObservation


ENVIRONMENT, CLIENT = TargetEnvironment, TargetClient
