"""What a server and its client keep of sessions that are over, and what the server's log says."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import psutil
from websockets.sync.client import connect

from benchmarks.faults.cases import NUMBERS, PLAIN
from benchmarks.faults.peers import SESSIONS, stock_server
from benchmarks.faults.quiet import stderr_to
from benchmarks.faults.target_env import ENV_ID
from benchmarks.faults.ways import POLICY, at_rest, settled
from openenv_gym.launchers import ServerProcess

CRASH_EVERY = 10
_STEPS = 2
_WARM_UP = 1000
_LOOKS = 100
_TRACEBACK = b"Traceback (most recent call last)"
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process has.

    Attributes:
        rss: Bytes of memory.
        fds: Open descriptors.
        threads: How many.
    """

    rss: int
    fds: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Before and after many sessions.

    Attributes:
        way: Whose server.
        sessions: How many lie between.
        crashed: How many of these ended with their worker.
        aborted: How many ended because the client's socket was closed, without a goodbye.
        server: Before, after about half of them, and after all.
        client: Likewise; None where the clients are not ours.
        workers: How many processes the server had before and after, those that wait included.
        shared_memory: Files there, before and after.
        tracebacks: How many the server logged.
        log_bytes: How much it logged.
        seconds: How long all this took.
    """

    way: str
    sessions: int
    crashed: int
    aborted: int
    server: tuple[Usage, Usage, Usage]
    client: tuple[Usage, Usage, Usage] | None
    workers: tuple[int, int]
    shared_memory: tuple[int, int]
    tracebacks: int
    log_bytes: int
    seconds: float


def grow_ours(sessions: int, seconds: float) -> Growth:
    """Sessions on a server of ours: one in ten crashes, the others end well or are aborted."""
    with _log() as path, stderr_to(path), ServerProcess(ENV_ID, "--workers=3") as server:
        visits, pid = _visits(server.base_url), server.pid
        return _grow("ws_process", visits, pid, path, sessions, seconds, lambda: at_rest(pid, 3))


def grow_stock(way: str, python: Path, sessions: int, seconds: float) -> Growth:
    """The same on a stock server, where none may crash."""
    with _log() as path, stderr_to(path), stock_server(python, SESSIONS) as server:
        url = server.line()
        growth = _grow(way, _plain_visits(url), server.pid, path, sessions, seconds, lambda: None)
        return replace(growth, client=None)  # it is not theirs


@contextlib.contextmanager
def _log() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "log"


def _grow(
    way: str,
    visits: Iterator[str],
    pid: int,
    log: Path,
    sessions: int,
    seconds: float,
    await_rest: Callable[[], object],
) -> Growth:
    # The first ones fill what caches and the allocator keep.
    began = time.perf_counter()
    for number in range(max(CRASH_EVERY, min(_WARM_UP, sessions // 10))):
        if number >= CRASH_EVERY and time.perf_counter() - began > seconds / 4:
            break
        next(visits)
    await_rest()
    before = _usage(pid)
    logged = log.stat().st_size
    every = max(1, sessions // _LOOKS)
    looks, ends = [before], Counter[str]()  # little: what is noted here is memory, too
    began = time.perf_counter()
    while ends.total() < sessions and time.perf_counter() - began < seconds:
        ends[next(visits)] += 1
        if ends.total() % every == 0:
            looks.append(_usage(pid))
    took_s = time.perf_counter() - began
    settled(lambda: abs(_usage(pid)[2] - before[2]))
    after = _usage(pid)
    half = looks[len(looks) // 2]
    text = log.read_bytes()[logged:]
    return Growth(
        way=way,
        sessions=ends.total(),
        crashed=ends["crashed"],
        aborted=ends["aborted"],
        server=(before[0], half[0], after[0]),
        client=(before[1], half[1], after[1]),
        workers=(before[2], after[2]),
        shared_memory=(before[3], after[3]),
        tracebacks=text.count(_TRACEBACK),
        log_bytes=len(text),
        seconds=took_s,
    )


def _visits(url: str) -> Iterator[str]:
    """Sessions; says how each ended."""
    number = 0
    while True:
        number += 1
        if number % CRASH_EVERY == 0:
            _visit(url, crashes=True)
            yield "crashed"
        elif number % 2:
            _visit(url, crashes=False)
            yield "closed"
        else:
            _plain_visit(url, {"action": PLAIN}, aborts=True)
            yield "aborted"


def _plain_visits(url: str) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        _plain_visit(url, {"number": PLAIN}, aborts=number % 2 == 0)
        yield "closed" if number % 2 else "aborted"


def _visit(url: str, *, crashes: bool) -> None:
    env = gym.make("openenv/remote-v0", base_url=url, on_fault=POLICY)
    env.reset(seed=0)
    for _ in range(_STEPS):
        env.step(PLAIN)
    if crashes:
        env.step(NUMBERS["kill"])
    env.close()


def _plain_visit(url: str, action: dict[str, Any], *, aborts: bool) -> None:
    """A session in JSON of whoever's client."""
    messages = [{"type": "reset", "data": {}}, *[{"type": "step", "data": action}] * _STEPS]
    with connect(url.replace("http", "ws", 1) + "/ws", compression=None) as connection:
        for message in messages:
            connection.send(json.dumps(message))
            assert json.loads(connection.recv(60))["type"] == "observation"
        if aborts:  # as a client that was killed: the end of its socket, and no goodbye
            connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            connection.send(json.dumps({"type": "close"}))


def _usage(server_pid: int) -> tuple[Usage, Usage, int, int]:
    server = psutil.Process(server_pid)
    files = len(list(_SHARED_MEMORY.iterdir())) if _SHARED_MEMORY.is_dir() else 0
    workers = len(server.children(recursive=True))
    return _of(server), _of(psutil.Process()), workers, files


def _of(process: psutil.Process) -> Usage:
    memory = process.memory_info().rss
    return Usage(rss=memory, fds=process.num_fds(), threads=process.num_threads())
