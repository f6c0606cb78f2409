"""What a server and its client keep of sessions that are over, and what the server's log says."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import gymnasium as gym
import psutil
from websockets.sync.client import connect

from benchmarks.children import stderr_to
from benchmarks.faults.cases import NUMBERS, PLAIN
from benchmarks.faults.target_env import ENV_ID
from benchmarks.faults.ways import POLICY, at_rest, children, settled, shared_memory
from openenv_gym.launchers import ServerProcess

CRASH_EVERY = 10
_STEPS, _WARM_UP, _WORKERS = 2, 1000, 3
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
    server: tuple[Usage, Usage, Usage]  # before, after half of them, or of the time, and after all
    client: tuple[Usage, Usage, Usage]  # likewise
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


def grow(sessions: int, seconds: float) -> Growth:
    """Have sessions on a server: one in ten crashes, the others end well or are aborted."""
    with (
        tempfile.TemporaryDirectory() as folder,
        stderr_to(log := Path(folder) / "log"),
        ServerProcess(ENV_ID, f"--workers={_WORKERS}") as server,
    ):
        visits, pid = _visits(server.base_url), server.pid
        # The first ones fill what caches and the allocator keep.
        _visit_all(visits, max(CRASH_EVERY, min(_WARM_UP, sessions // 10)), seconds / 4)
        at_rest(pid, _WORKERS)
        looks, logged, began = [_look(pid)], log.stat().st_size, time.perf_counter()
        ends = _visit_all(visits, max(1, sessions // 2), seconds / 2)
        looks.append(_look(pid))
        ends += _visit_all(visits, sessions - ends.total(), seconds / 2)
        took_s = time.perf_counter() - began
        settled(lambda: abs(len(children(pid)) - looks[0][2]))
        looks.append(_look(pid))
        text = log.read_bytes()[logged:]
    own, client, workers, files = zip(*looks, strict=True)
    return Growth(
        way="ws_process",
        sessions=ends.total(),
        crashed=ends["crashed"],
        aborted=ends["aborted"],
        server=own,
        client=client,
        workers=(workers[0], workers[-1]),
        shared_memory=(files[0], files[-1]),
        tracebacks=text.count(_TRACEBACK),
        log_bytes=len(text),
        seconds=round(took_s, 1),
    )


def _visit_all(visits: Iterator[str], sessions: int, seconds: float) -> Counter[str]:
    """Have as many sessions as fit into the time; return how many ended how."""
    ends, began = Counter[str](), time.perf_counter()
    while ends.total() < sessions and time.perf_counter() - began < seconds:
        ends[next(visits)] += 1
    return ends


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
            _aborted_visit(url)
            yield "aborted"


def _visit(url: str, *, crashes: bool) -> None:
    env = gym.make("openenv/remote-v0", base_url=url, on_fault=POLICY)
    env.reset(seed=0)
    for _ in range(_STEPS):
        env.step(PLAIN)
    if crashes:
        env.step(NUMBERS["kill"])
    env.close()


def _aborted_visit(url: str) -> None:
    """Have a session in JSON that ends as that of a client which was killed: without a goodbye."""
    step = {"type": "step", "data": {"action": PLAIN}}
    with connect(url.replace("http", "ws", 1) + "/ws", compression=None) as connection:
        for message in [{"type": "reset", "data": {}}, *[step] * _STEPS]:
            connection.send(json.dumps(message))
            assert json.loads(connection.recv(60))["type"] == "observation"
        connection.socket.shutdown(socket.SHUT_RDWR)
