"""Stock OpenEnv, both ends: ``python -m benchmarks.faults.stock_peer server SESSIONS|player``.

``server`` serves an environment that fails when its action says so, prints its URL and ends with
its stdin. ``player`` has clients, and does what the lines of its stdin say, in JSON: ``do`` is
``open`` (with ``url`` and ``timeout_s``), ``reset`` or ``step`` (with ``number``), ``who`` which
client. It answers with the two numbers of the observation, or with the name of the error.
"""

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from openenv.core import EnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.http_server import create_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

from benchmarks.faults.cases import KINDS, PLAIN
from benchmarks.lifeline import end_with_stdin

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


class TargetEnvironment(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0

    def reset(self, seed: Any = None, episode_id: Any = None, **kwargs: Any) -> TargetObservation:
        self._steps = 0
        return TargetObservation(done=False, reward=None)

    def step(self, action: TargetAction, **kwargs: Any) -> TargetObservation:
        if action.number < PLAIN:
            FAULTS[KINDS[action.number].name]()
        self._steps += 1
        return TargetObservation(
            number=action.number, steps=self._steps, done=False, reward=float(action.number % 2)
        )

    @property
    def state(self) -> State:
        return State(episode_id=None, step_count=self._steps)


class TargetClient(EnvClient[TargetAction, TargetObservation, State]):
    def _step_payload(self, action: TargetAction) -> dict[str, Any]:
        return {"number": action.number}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[TargetObservation]:
        observation = TargetObservation(**payload["observation"])
        return StepResult(observation=observation, reward=payload.get("reward"), done=False)

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(**payload)


def serve(sessions: int) -> None:
    app = create_app(
        TargetEnvironment,
        TargetAction,
        TargetObservation,
        env_name="target",
        max_concurrent_envs=sessions,
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")
    sock = config.bind_socket()
    sock.listen()
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    end_with_stdin()
    uvicorn.Server(config).run(sockets=[sock])


def play() -> None:
    clients: dict[int, Any] = {}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = obey(clients, **order)
        except BaseException as exc:  # it is what the training loop would see
            answer = {"error": type(exc).__name__}
        print(json.dumps(answer), flush=True)
    os._exit(0)  # clients may have threads that wait for answers


def obey(clients: dict[int, Any], do: str, who: int, **more: Any) -> dict[str, Any]:
    if do == "open":
        url, timeout_s = more["url"], more["timeout_s"]
        limits = {"connect_timeout_s": CONNECT_TIMEOUT_S, "message_timeout_s": timeout_s}
        clients[who] = TargetClient(base_url=url, **limits).sync()
        clients[who].connect()
        return {}
    client = clients[who]
    if do == "reset":
        seen = client.reset().observation
    else:
        seen = client.step(TargetAction(number=more["number"])).observation
    return {"number": seen.number, "steps": seen.steps}


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(int(sys.argv[2]))
    else:
        play()
