"""The same faults for ``AsyncVectorEnv``, ``SubprocVecEnv`` and stock OpenEnv, one of each kind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT, Child
from benchmarks.errors import BenchmarkError
from benchmarks.faults.cases import (
    DEADLINE_S,
    FAULT_STEP,
    NUM_ENVS,
    NUMBERS,
    PLAIN,
    READY,
    Kind,
    Left,
    Trial,
)
from benchmarks.faults.quiet import stderr_to

START_TIMEOUT_S = 120.0
PATIENCE_S = 10.0
"""Whoever has said nothing by then is blocked: a hang of ours ends within a second or two."""

_CRASHES = ("raise", "abort", "segfault", "kill", "exit", "sys_exit")
LOCAL = {"async_vector": (*_CRASHES, "sleep"), "subproc_vec": ("raise", "kill", "sleep")}
"""Vector environments of others, and which kinds they get: some starts are slow."""

STOCK_KINDS = (*_CRASHES, "sleep", "hold_gil")

SESSIONS = 2 * NUM_ENVS
"""How many a stock server has room for."""

BLOCKED = f"blocked ({PATIENCE_S:g} s watched)"


def local(way: str, kind: Kind, left: list[Left]) -> Trial:
    """A vector environment of others, one worker for each environment."""
    trial = Trial(way=way, kind=kind.name, injected=1, harmed=NUM_ENVS)
    with program("local_peer", way, kind.name) as process:
        if line(process, START_TIMEOUT_S) != READY:
            raise BenchmarkError(f"{way} did not begin within {START_TIMEOUT_S:g} s")
        told = line(process, PATIENCE_S)
    if not told:
        trial.ended = BLOCKED
        left.append(Left(way=way, sessions=None, processes=NUM_ENVS, shared_memory=0))
        return trial
    said = json.loads(told)
    trial.continued, trial.harmed = int(said["continued"]), said["harmed"]
    trial.ended = "" if trial.continued else said["error"]
    left.append(Left(way=way, sessions=None, processes=said["left"], shared_memory=0))
    return trial


def stock(python: Path, kind: Kind, left: list[Left]) -> Trial:
    """Stock OpenEnv, one client for each environment."""
    trial = Trial(way="stock", kind=kind.name, injected=1)
    with stderr_to(), stock_server(python, SESSIONS) as server:
        url = server.line()
        with StockPlayer(python) as player:
            for who in range(NUM_ENVS):
                player.open(who, url, DEADLINE_S)
                player.act("reset", who)
            for _ in range(FAULT_STEP - 1):
                for who in range(NUM_ENVS):
                    player.act("step", who, number=PLAIN)
            try:
                _fail(player, trial, kind.name)
            except BenchmarkError:  # it said nothing
                trial.harmed, trial.ended = NUM_ENVS, "blocked"
        if trial.continued:  # else there is no server, or none that answers
            left.append(_left(python, url))
        server.kill()
    return trial


def _fail(player: StockPlayer, trial: Trial, kind: str) -> None:
    error = player.act("step", 0, number=NUMBERS[kind]).get("error", "")
    # Right after it: a server that is about to die answers nobody, nor does one whose GIL is held.
    harmed = 1
    for who in range(1, NUM_ENVS):
        harmed += player.act("step", who, number=PLAIN) != {"number": PLAIN, "steps": FAULT_STEP}
    after = player.act("reset", 0).get("error") or player.act("step", 0, number=PLAIN).get("error")
    trial.continued, trial.harmed = int(not after), harmed
    trial.ended = (error or after) if after else ""


def _left(python: Path, url: str) -> Left:
    """How many sessions of a server whose clients have gone cannot be had again."""
    free = 0
    with StockPlayer(python) as player:
        for who in range(SESSIONS):
            player.open(who, url, PATIENCE_S / 2)
            free += "error" not in player.act("reset", who)
    return Left(way="stock", sessions=SESSIONS - free, processes=0, shared_memory=0)


@contextlib.contextmanager
def stock_server(python: Path, sessions: int) -> Iterator[Child]:
    """A stock server, which prints its URL, and has a home folder of its own."""
    command = [str(python), "-m", "benchmarks.faults.stock_peer", "server", str(sessions)]
    with (
        tempfile.TemporaryDirectory() as home,
        Child("the stock server", command, environ={"HOME": home}) as server,
    ):
        yield server


class StockPlayer(Child):
    """Stock clients in a process of their own.

    Args:
        python: Has OpenEnv.
    """

    def __init__(self, python: Path) -> None:
        super().__init__(
            "the stock client", [str(python), "-m", "benchmarks.faults.stock_peer", "player"]
        )

    def open(self, who: int, url: str, timeout_s: float) -> dict[str, Any]:
        """Connect a client."""
        return self.ask_for({"do": "open", "who": who, "url": url, "timeout_s": timeout_s})

    def act(self, do: str, who: int = 0, **more: Any) -> dict[str, Any]:
        """Have a client do something; return what it was told, or the name of an ``error``."""
        return self.ask_for({"do": do, "who": who, **more})

    def tell(self, order: dict[str, Any]) -> None:
        """Have something done that is not answered, or not soon."""
        self.send(json.dumps(order))

    def ask_for(self, order: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.ask(json.dumps(order)))
        return answer


@contextlib.contextmanager
def program(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A module of this folder as a process; at its end all that it started ends, hung or not."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.faults.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # tracebacks of faults that were planned
        start_new_session=True,
        cwd=ROOT,
        bufsize=0,  # nobody reads ahead of `select`
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def line(process: subprocess.Popen[bytes], timeout_s: float) -> str:
    """The next line that it prints, empty where it ends or says nothing."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], timeout_s)[0]:
        return ""
    return process.stdout.readline().decode().strip()
