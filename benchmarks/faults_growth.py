"""What a server and its client keep of sessions that are over."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import psutil

from openenv_gym.launchers import ServerProcess
from openenv_gym.testing import FaultLedger

ENV_ID = "openenv_gym.testing:Fault-v0"
CRASH_EVERY = 10
_SHARED_MEMORY = Path("/dev/shm")
_KEPT = 2


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
        sessions: How many lie between.
        crashed: How many of these ended with their worker.
        server: Before and after.
        client: Likewise.
        workers: How many processes the server had before and after, those that wait included.
        shared_memory: Files there, before and after.
    """

    sessions: int
    crashed: int
    server: tuple[Usage, Usage]
    client: tuple[Usage, Usage]
    workers: tuple[int, int]
    shared_memory: tuple[int, int]


def grow(sessions: int) -> Growth:
    """Open and close ``sessions`` sessions after some for warming up."""
    warm_up = max(CRASH_EVERY, sessions // 10)
    crashes = range(CRASH_EVERY - 1, warm_up + sessions, CRASH_EVERY)
    plan = {f"0/{number}/{_KEPT}": "kill" for number in crashes}
    with tempfile.TemporaryDirectory() as folder:
        kwargs = json.dumps({"plan": plan, "ledger": folder})
        with ServerProcess(ENV_ID, "--kwargs", kwargs) as server:
            _visit(server.base_url, warm_up)
            before = _usage(server.pid)
            fired = len(FaultLedger(folder).fired())
            _visit(server.base_url, sessions)
            after = _usage(server.pid)
            crashed = len(FaultLedger(folder).fired()) - fired
    return Growth(
        sessions=sessions,
        crashed=crashed,
        server=(before[0], after[0]),
        client=(before[1], after[1]),
        workers=(before[2], after[2]),
        shared_memory=(before[3], after[3]),
    )


def _visit(base_url: str, sessions: int) -> None:
    for _ in range(sessions):
        env = gym.make("openenv/remote-v0", base_url=base_url)
        env.reset(seed=0)
        for _ in range(_KEPT):
            env.step(0)
        env.close()


def _usage(server_pid: int) -> tuple[Usage, Usage, int, int]:
    server, own = psutil.Process(server_pid), psutil.Process(os.getpid())
    files = len(list(_SHARED_MEMORY.iterdir())) if _SHARED_MEMORY.is_dir() else 0
    return _of(server), _of(own), len(server.children(recursive=True)), files


def _of(process: psutil.Process) -> Usage:
    memory = process.memory_info().rss
    return Usage(rss=memory, fds=process.num_fds(), threads=process.num_threads())
