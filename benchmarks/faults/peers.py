"""The same faults for ``AsyncVectorEnv``, ``SubprocVecEnv`` and stock OpenEnv, one of each kind.

``python -m benchmarks.faults.peers CLASS KIND`` is the process of a vector environment: it says
which workers it has, and then what came of the fault. With ``orphan`` for KIND the first
environment hangs, and the process waits to be killed. It leads a process group, all of which ends
with its stdin.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import psutil

from benchmarks.children import BenchmarkError, Child, answers, end_with_stdin, stderr_to
from benchmarks.faults.cases import (
    CRASHES,
    DEADLINE_S,
    FAULT_STEP,
    NUM_ENVS,
    NUMBERS,
    PLAIN,
    Kind,
    Left,
    Trial,
)
from benchmarks.faults.target_env import TargetEnv
from benchmarks.ways import stock_server

PATIENCE_S = 10.0  # who has said nothing by then is blocked: a hang of ours ends within a second
CLOSING_S = 5.0
LOCAL = {"async_vector": (*CRASHES, "sleep"), "subproc_vec": ("raise", "kill", "sleep")}
"""Vector environments of others, and which kinds they get: some starts are slow."""

STOCK_KINDS = (*CRASHES, "sleep", "hold_gil")
SESSIONS = 2 * NUM_ENVS  # how many a stock server has room for


@contextlib.contextmanager
def local_peer(way: str, kind: str) -> Iterator[tuple[Child, list[int]]]:
    """A vector environment of others that is about to fail, and the ids of its workers."""
    with (
        stderr_to(),
        Child(way, [sys.executable, "-m", "benchmarks.faults.peers", way, kind]) as process,
    ):
        try:
            yield process, json.loads(process.line())
        finally:
            process.kill()  # and all that it started, hung or not


def local(way: str, kind: Kind, left: list[Left]) -> Trial:
    """A vector environment of others, one worker for each environment."""
    with local_peer(way, kind.name) as (process, _):
        try:
            told = json.loads(process.line(PATIENCE_S))
        except BenchmarkError:
            told = {"left": NUM_ENVS, "harmed": NUM_ENVS, "ended": f"blocked ({PATIENCE_S:g} s)"}
    processes = told.pop("left")
    left.append(Left(way=way, sessions=None, processes=processes, shared_memory=0))
    return Trial(way=way, kind=kind.name, injected=1, **told)


def fail_here(name: str, kind: str) -> None:
    """Be the process of a vector environment."""
    if name == "async_vector":
        envs: Any = gym.vector.AsyncVectorEnv([TargetEnv] * NUM_ENVS)
    else:
        from stable_baselines3.common.vec_env import SubprocVecEnv

        envs = SubprocVecEnv([partial(gym.make, "Target-v0")] * NUM_ENVS)
    workers = [process.pid for process in envs.processes]
    numbers = np.full(NUM_ENVS, PLAIN, np.int64)
    envs.reset()
    print(json.dumps(workers), flush=True)
    for _ in range(FAULT_STEP - 1):
        envs.step(numbers)
    told: dict[str, Any] = {"continued": 1, "harmed": 0, "ended": ""}
    numbers[0] = NUMBERS["sleep" if kind == "orphan" else kind]
    try:
        envs.step(numbers)
    except BaseException as exc:  # whatever it is, it is what the training loop would see
        told["harmed"] = 1
        numbers[0] = PLAIN
        try:  # whether a reset brings the environments back
            envs.reset()
            envs.step(numbers)
        except BaseException:
            told = {"continued": 0, "harmed": NUM_ENVS, "ended": type(exc).__name__}
    closing = threading.Thread(target=envs.close, daemon=True)  # it may raise, or wait for ever
    closing.start()
    closing.join(CLOSING_S)
    there = [psutil.Process(pid) for pid in workers if psutil.pid_exists(pid)]
    told["left"] = len(psutil.wait_procs(there, 1.0)[1])
    print(json.dumps(told), flush=True)
    os._exit(0)  # what is left would be waited for


def stock(python: Path, kind: Kind, left: list[Left]) -> Trial:
    """Stock OpenEnv, one client for each environment."""
    trial = Trial(way="stock", kind=kind.name, injected=1)
    with stderr_to(), target_server(python) as server:
        url = server.line()
        with StockPlayer(python) as player:
            for who in range(NUM_ENVS):
                player.connect(who, url, DEADLINE_S)
                player.act("reset", who)
            for _ in range(FAULT_STEP - 1):
                for who in range(NUM_ENVS):
                    player.act("step", who, number=PLAIN)
            try:
                _fail(player, trial, kind.name)
            except BenchmarkError:  # it said nothing
                trial.harmed, trial.ended = NUM_ENVS, "blocked"
        if trial.continued:  # else there is no server, or none that answers
            with StockPlayer(python) as player:  # to have all sessions of those that have gone
                free = 0
                for who in range(SESSIONS):
                    player.connect(who, url, PATIENCE_S / 2)
                    free += "error" not in player.act("reset", who)
            lost = SESSIONS - free
            left.append(Left(way="stock", sessions=lost, processes=0, shared_memory=0))
        server.kill()
    return trial


def _fail(player: StockPlayer, trial: Trial, kind: str) -> None:
    error = player.act("step", 0, number=NUMBERS[kind]).get("error", "")
    # Right after it: a server that is about to die answers nobody, nor does one whose GIL is held.
    awaited, trial.harmed = {"number": PLAIN, "steps": FAULT_STEP}, 1
    for who in range(1, NUM_ENVS):
        trial.harmed += player.act("step", who, number=PLAIN) != awaited
    after = player.act("reset", 0).get("error") or player.act("step", 0, number=PLAIN).get("error")
    trial.continued, trial.ended = int(not after), (error or after) if after else ""


@contextlib.contextmanager
def target_server(python: Path) -> Iterator[Child]:
    """A stock server of the environment that fails, with a home folder of its own."""
    with tempfile.TemporaryDirectory() as home:
        server = stock_server(python, "target", SESSIONS, home)
        with server:
            yield server


class StockPlayer(Child):
    """Stock clients in a process of their own, for :mod:`benchmarks.stock.target`."""

    def __init__(self, python: Path) -> None:
        super().__init__("the stock client", [str(python), "-m", "benchmarks.stock.target"])

    def connect(self, who: int, url: str, timeout_s: float) -> None:
        self.act("open", who, url=url, timeout_s=timeout_s)

    def act(self, do: str, who: int = 0, **more: Any) -> dict[str, Any]:
        """Have a client do something; return what it was told, or the name of an ``error``."""
        told: dict[str, Any] = answers(self, json.dumps({"do": do, "who": who, **more}))
        return told


if __name__ == "__main__":
    end_with_stdin(group=True)
    fail_here(*sys.argv[1:])
