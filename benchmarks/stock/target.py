"""An environment that fails when its action says so: ``python -m benchmarks.stock.target``.

As a program it has clients, and does what the lines of its stdin say, in JSON. ``do`` is ``open``
(with ``url`` and ``timeout_s``), ``reset`` or ``step`` (with ``number``); ``who`` is the number of
the client. It answers with the two numbers of the observation, or with the name of the error.
"""

import ctypes
import json
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
CONNECT_TIMEOUT_S = 2.0


def fail() -> None:
    raise RuntimeError("a planned fault")


def spin() -> None:
    while True:
        pass


FAULTS: dict[str, Callable[[], Any]] = {
    "raise": fail,
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(7),
    "sys_exit": lambda: sys.exit(7),
    "sleep": lambda: time.sleep(FOREVER_S),
    "spin": spin,
    "hold_gil": lambda: ctypes.PyDLL(None).poll(None, 0, FOREVER_S * 1000),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
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
            FAULTS[KINDS[action.number].name]()
        self._state.step_count += 1
        reward, steps = float(action.number % 2), self._state.step_count
        return TargetObservation(number=action.number, steps=steps, done=False, reward=reward)


class TargetClient(StockClient):
    ACTION, OBSERVATION = TargetAction, TargetObservation


ENVIRONMENT, CLIENT = TargetEnvironment, TargetClient


def obey(clients: dict[int, Any], do: str, who: int, **more: Any) -> dict[str, Any]:
    if do == "open":
        limits = {"connect_timeout_s": CONNECT_TIMEOUT_S, "message_timeout_s": more["timeout_s"]}
        clients[who] = TargetClient(base_url=more["url"], **limits).sync()
        clients[who].connect()
        return {}
    client = clients[who]
    result = client.reset() if do == "reset" else client.step(TargetAction(number=more["number"]))
    return {"number": result.observation.number, "steps": result.observation.steps}


if __name__ == "__main__":
    opened: dict[int, Any] = {}
    for line in sys.stdin:
        try:
            answer = obey(opened, **json.loads(line))
        except BaseException as exc:  # it is what the training loop would see
            answer = {"error": type(exc).__name__}
        print(json.dumps(answer), flush=True)
    os._exit(0)  # clients may have threads that wait for answers
