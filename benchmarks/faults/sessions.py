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
from itertools import count
from pathlib import Path
from typing import Any

import gymnasium as gym
import psutil
from websockets.sync.client import connect

from benchmarks.children import stderr_to
from benchmarks.faults.cases import NUMBERS, PLAIN
from benchmarks.faults.peers import target_server
from benchmarks.faults.target_env import ENV_ID
from benchmarks.faults.ways import POLICY, at_rest, children, settled, shared_memory
from openenv_gym.launchers import ServerProcess

CRASH_EVERY = 10
_STEPS, _WARM_UP, _LOOKS = 2, 1000, 100
_TRACEBACK = b"Traceback (most recent call last)"


@dataclass(frozen=True)
class Usage:
    """What a process has."""

    rss: int  # bytes of memory
    fds: int  # open descriptors
    threads: int


@dataclass(frozen=True)
class Growth:
    """Before and after many sessions."""

    way: str  # whose server
    sessions: int  # how many lie between
    crashed: int  # how many of these ended with their worker
    aborted: int  # how many ended because the client's socket was closed, without a goodbye
    server: tuple[Usage, Usage, Usage]  # before, after about half of them, and after all
    client: tuple[Usage, Usage, Usage] | None  # likewise; None where the clients are not ours
    workers: tuple[int, int]  # processes of the server before and after, those that wait included
    shared_memory: tuple[int, int]  # files, before and after
    tracebacks: int  # how many the server logged
    log_bytes: int
    seconds: float  # how long all this took


def _look(pid: int) -> tuple[Usage, Usage, int, int]:
    """Return the usages of a server and of this process, the server's workers, and files."""
    usages = [
        Usage(process.memory_info().rss, process.num_fds(), process.num_threads())
        for process in (psutil.Process(pid), psutil.Process())
    ]
    return *usages, len(children(pid)), len(shared_memory())


def grow_ours(sessions: int, seconds: float) -> Growth:
    """Sessions on a server of ours: one in ten crashes, the others end well or are aborted."""
    with _log() as path, ServerProcess(ENV_ID, "--workers=3") as server:
        visits, pid = _visits(server.base_url), server.pid
        return _grow("ws_process", visits, pid, path, (sessions, seconds), lambda: at_rest(pid, 3))


def grow_stock(way: str, python: Path, sessions: int, seconds: float) -> Growth:
    """The same on a stock server, where none may crash."""
    with _log() as path, target_server(python) as server:
        visits = _plain_visits(server.line())
        growth = _grow(way, visits, server.pid, path, (sessions, seconds), lambda: None)
        return replace(growth, client=None)  # it is not theirs


@contextlib.contextmanager
def _log() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, stderr_to(path := Path(folder) / "log"):
        yield path


def _grow(
    way: str,
    visits: Iterator[str],
    pid: int,
    log: Path,
    limits: tuple[int, float],
    await_rest: Callable[[], object],
) -> Growth:
    sessions, seconds = limits
    # The first ones fill what caches and the allocator keep.
    began = time.perf_counter()
    for number in range(max(CRASH_EVERY, min(_WARM_UP, sessions // 10))):
        if number >= CRASH_EVERY and time.perf_counter() - began > seconds / 4:
            break
        next(visits)
    await_rest()
    looks, logged = [_look(pid)], log.stat().st_size
    every = max(1, sessions // _LOOKS)
    ends = Counter[str]()  # little: what is noted here is memory, too
    began = time.perf_counter()
    while ends.total() < sessions and time.perf_counter() - began < seconds:
        ends[next(visits)] += 1
        if ends.total() % every == 0:
            looks.append(_look(pid))
    took_s = time.perf_counter() - began
    settled(lambda: abs(len(children(pid)) - looks[0][2]))
    found = (looks[0], looks[len(looks) // 2], _look(pid))
    server, client, workers, files = zip(*found, strict=True)
    text = log.read_bytes()[logged:]
    return Growth(
        way=way,
        sessions=ends.total(),
        crashed=ends["crashed"],
        aborted=ends["aborted"],
        server=server,
        client=client,
        workers=(workers[0], workers[-1]),
        shared_memory=(files[0], files[-1]),
        tracebacks=text.count(_TRACEBACK),
        log_bytes=len(text),
        seconds=round(took_s, 1),
    )


def _visits(url: str) -> Iterator[str]:
    """Sessions; says how each ended."""
    for number in count(1):
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
    for number in count(1):
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
