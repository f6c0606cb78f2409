"""A fault in stock OpenEnv: ``python -m benchmarks.faults_stock KIND``, or ``... server``.

Server and clients are in processes of their own. Each client has a session; the first one's
environment fails. What its loop could do about it without another client object, it does: a reset.
"""

import ctypes
import json
import os
import signal
import subprocess
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

from benchmarks.faults_cases import DEADLINE_S, FAULT_STEP, NUM_ENVS, READY
from benchmarks.lifeline import end_with_stdin

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


class FaultAction(Action):
    fault: str = ""


class FaultObservation(Observation):
    steps: int = 0


class FaultEnvironment(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0

    def reset(self, seed: Any = None, episode_id: Any = None, **kwargs: Any) -> FaultObservation:
        self._steps = 0
        return FaultObservation(steps=0, done=False, reward=None)

    def step(self, action: FaultAction, **kwargs: Any) -> FaultObservation:
        self._steps += 1
        if action.fault:
            FAULTS[action.fault]()
        return FaultObservation(steps=self._steps, done=False, reward=0.0)

    @property
    def state(self) -> State:
        return State(episode_id=None, step_count=self._steps)


class FaultClient(EnvClient[FaultAction, FaultObservation, State]):
    def _step_payload(self, action: FaultAction) -> dict[str, Any]:
        return {"fault": action.fault}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[FaultObservation]:
        observation = FaultObservation(steps=payload.get("observation", {}).get("steps", -1))
        return StepResult(observation=observation, reward=payload.get("reward"), done=False)

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(**payload)


def serve() -> None:
    app = create_app(
        FaultEnvironment,
        FaultAction,
        FaultObservation,
        env_name="fault",
        max_concurrent_envs=2 * NUM_ENVS,
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")
    sock = config.bind_socket()
    sock.listen()
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    end_with_stdin()
    uvicorn.Server(config).run(sockets=[sock])


def play(kind: str, url: str) -> dict[str, Any]:
    clients = [
        FaultClient(base_url=url, message_timeout_s=DEADLINE_S).sync() for _ in range(NUM_ENVS)
    ]
    for client in clients:
        client.connect()
        client.reset()
    print(READY, flush=True)
    for _ in range(FAULT_STEP - 1):
        for client in clients:
            client.step(FaultAction())
    error = failure(lambda: clients[0].step(FaultAction(fault=kind)))
    # Right after it: a server that is about to die answers nobody, nor does one whose GIL is held.
    others = [failure(lambda c=client: check(c.step(FaultAction()))) for client in clients[1:]]
    after = failure(
        lambda: (check(clients[0].reset(), 0), check(clients[0].step(FaultAction()), 1))
    )
    return {"continued": not after, "harmed": 1 + sum(map(bool, others)), "error": error or after}


def check(result: Any, steps: int = FAULT_STEP) -> None:
    if result.observation.steps != steps:
        raise ValueError("the answer to another request")


def failure(call: Callable[[], Any]) -> str:
    """What ``call`` raises, by name; empty where it does not."""
    try:
        call()
    except BaseException as exc:  # it is what the training loop would see
        return type(exc).__name__
    return ""


def main(kind: str) -> None:
    command = [sys.executable, "-m", "benchmarks.faults_stock", "server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        told = play(kind, server.stdout.readline().strip())
        print(json.dumps(told), flush=True)
        server.kill()
    os._exit(0)  # its clients have threads that wait for answers


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve()
    else:
        main(sys.argv[1])
