"""The same faults for ``AsyncVectorEnv``, ``SubprocVecEnv`` and stock OpenEnv, one of each kind."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.children import BenchmarkError, Child, answers, stderr_to
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
from benchmarks.ways import stock_server

PATIENCE_S = 10.0  # who has said nothing by then is blocked: a hang of ours ends within a second
LOCAL = {"async_vector": (*CRASHES, "sleep"), "subproc_vec": ("raise", "kill", "sleep")}
"""Vector environments of others, and which kinds they get: some starts are slow."""

STOCK_KINDS = (*CRASHES, "sleep", "hold_gil")
SESSIONS = 2 * NUM_ENVS  # how many a stock server has room for


@contextlib.contextmanager
def local_peer(way: str, kind: str) -> Iterator[tuple[Child, list[int]]]:
    """A vector environment of others that is about to fail, and the ids of its workers."""
    command = [sys.executable, "-m", "benchmarks.faults.local_peer", way, kind]
    with stderr_to(), Child(way, command) as process:
        try:
            yield process, json.loads(process.line())["workers"]
        finally:
            process.kill()  # and all that it started, hung or not


def local(way: str, kind: Kind, left: list[Left]) -> Trial:
    """A vector environment of others, one worker for each environment."""
    trial = Trial(way=way, kind=kind.name, injected=1, harmed=NUM_ENVS)
    processes = NUM_ENVS
    with local_peer(way, kind.name) as (process, _):
        try:
            told = json.loads(process.line(PATIENCE_S))
        except BenchmarkError:
            trial.ended = f"blocked ({PATIENCE_S:g} s watched)"
        else:
            trial.continued, trial.harmed = int(told["continued"]), told["harmed"]
            trial.ended, processes = "" if trial.continued else told["error"], told["left"]
    left.append(Left(way=way, sessions=None, processes=processes, shared_memory=0))
    return trial


def stock(python: Path, kind: Kind, left: list[Left]) -> Trial:
    """Stock OpenEnv, one client for each environment."""
    trial = Trial(way="stock", kind=kind.name, injected=1)
    with stderr_to(), target_server(python) as server:
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
    awaited, trial.harmed = {"number": PLAIN, "steps": FAULT_STEP}, 1
    for who in range(1, NUM_ENVS):
        trial.harmed += player.act("step", who, number=PLAIN) != awaited
    after = player.act("reset", 0).get("error") or player.act("step", 0, number=PLAIN).get("error")
    trial.continued, trial.ended = int(not after), (error or after) if after else ""


def _left(python: Path, url: str) -> Left:
    """How many sessions of a server whose clients have gone cannot be had again."""
    free = 0
    with StockPlayer(python) as player:
        for who in range(SESSIONS):
            player.open(who, url, PATIENCE_S / 2)
            free += "error" not in player.act("reset", who)
    return Left(way="stock", sessions=SESSIONS - free, processes=0, shared_memory=0)


@contextlib.contextmanager
def target_server(python: Path) -> Iterator[Child]:
    """A stock server of the environment that fails, with a home folder of its own."""
    with (
        tempfile.TemporaryDirectory() as home,
        stock_server(python, "target", SESSIONS, home) as server,
    ):
        yield server


class StockPlayer(Child):
    """Stock clients in a process of their own, for :mod:`benchmarks.stock.target`."""

    def __init__(self, python: Path) -> None:
        super().__init__("the stock client", [str(python), "-m", "benchmarks.stock.target"])

    def open(self, who: int, url: str, timeout_s: float) -> None:
        """Connect a client."""
        self.act("open", who, url=url, timeout_s=timeout_s)

    def act(self, do: str, who: int = 0, **more: Any) -> dict[str, Any]:
        """Have a client do something; return what it was told, or the name of an ``error``."""
        told: dict[str, Any] = answers(self, json.dumps({"do": do, "who": who, **more}))
        return told
