"""How servers end: told to with a session that hangs, and killed."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import psutil

from benchmarks.children import stderr_to
from benchmarks.faults.cases import NUM_ENVS, NUMBERS, PLAIN
from benchmarks.faults.peers import StockPlayer, local_peer, target_server
from benchmarks.faults.target_env import ENV_ID
from benchmarks.faults.ways import settled
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.launchers import ServerProcess

WATCHED_S = 30.0  # who has not ended by then never does, as far as this benchmark knows
ORPHANED_S = 2.0  # how long workers are given to notice that their server was killed
_FOREVER_S = 3600.0
_HANG_S = 0.5


@dataclass(frozen=True)
class Termination:
    """A SIGTERM while a session hangs."""

    way: str  # whose server
    drain_s: float | None  # how long it was to wait for what is under way; None: its default
    seconds: float | None  # until it had ended; None if it had not
    exitcode: int | None


@dataclass(frozen=True)
class Orphans:
    """What outlives a process that was killed."""

    way: str
    workers: int  # how many processes it had, one of them hung
    orphans: int  # how many of them run after two seconds
    zombies: int  # how many have ended, and init has not reaped them within ten more


def terminations(drain_s: float, python: Path | None) -> list[Termination]:
    """SIGTERM to a server of ours and to a stock one, at the same time: they only wait."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(stderr_to())
        own = stack.enter_context(_hung_server(f"--drain-timeout={drain_s:g}"))
        pids = {"ws_process": own.pid}
        if python is not None:
            pids["stock"] = stack.enter_context(_hung_stock_server(python))
        seconds = _until_gone(pids, max(WATCHED_S, drain_s + 5))
        code = None if seconds["ws_process"] is None else own.stop()
    found = [Termination("ws_process", drain_s, seconds.pop("ws_process"), code)]
    return [*found, *(Termination(way, None, took_s, None) for way, took_s in seconds.items())]


@contextlib.contextmanager
def _hung_stock_server(python: Path) -> Iterator[int]:
    with target_server(python) as server, StockPlayer(python) as player:
        player.connect(0, server.line(), _FOREVER_S)
        player.act("reset")
        player.send(json.dumps({"do": "step", "who": 0, "number": NUMBERS["sleep"]}))
        time.sleep(_HANG_S)
        yield server.pid
        player.kill()
        server.kill()


def _until_gone(pids: dict[str, int], watched_s: float) -> dict[str, float | None]:
    """Send SIGTERM; return how many seconds each went on, None for who still does."""
    alive = {way: psutil.Process(pid) for way, pid in pids.items()}
    took_s: dict[str, float | None] = dict.fromkeys(pids)
    began = time.perf_counter()
    for process in alive.values():
        process.send_signal(signal.SIGTERM)
    while alive and time.perf_counter() - began < watched_s:
        for way, process in list(alive.items()):
            # A child of this process, whose exit code others will ask for: so it is a zombie first.
            if _state(process) in ("", psutil.STATUS_ZOMBIE):
                took_s[way] = round(time.perf_counter() - began, 3)
                del alive[way]
        time.sleep(0.02)
    return took_s


def orphans_of_ours() -> Orphans:
    """Kill a server of ours that has sessions, of which one holds the GIL for ever."""
    with stderr_to(), _hung_server("--step-timeout=0", kind="hold_gil") as server:
        workers = psutil.Process(server.pid).children(recursive=True)
        return _orphans("ws_process", server.pid, workers)


def orphans_of(way: str) -> Orphans:
    """Kill the process of a vector environment of others, of which one environment hangs."""
    with local_peer(way, "orphan") as (process, workers):
        time.sleep(_HANG_S)
        return _orphans(way, process.pid, [psutil.Process(pid) for pid in workers])


def _orphans(way: str, pid: int, workers: list[psutil.Process]) -> Orphans:
    os.kill(pid, signal.SIGKILL)
    time.sleep(ORPHANED_S)
    alive = sum(_state(worker) not in ("", psutil.STATUS_ZOMBIE) for worker in workers)
    # They are the children of init now, which may take its time.
    zombies = settled(lambda: sum(_state(one) == psutil.STATUS_ZOMBIE for one in workers))
    return Orphans(way, len(workers), alive, zombies)


def _state(process: psutil.Process) -> str:
    """What a process does, empty where it is gone."""
    try:
        return str(process.status()) if process.is_running() else ""
    except psutil.NoSuchProcess:
        return ""


@contextlib.contextmanager
def _hung_server(*arguments: str, kind: str = "sleep") -> Iterator[ServerProcess]:
    """A server with sessions, one of which is in a step that does not end."""
    with ServerProcess(ENV_ID, f"--workers={NUM_ENVS}", *arguments) as server:
        options: dict[str, Any] = {"base_url": server.base_url, "timeout_s": None}
        envs = [gym.make("openenv/remote-v0", on_fault="raise", **options) for _ in range(NUM_ENVS)]
        for env in envs:
            env.reset()
            env.step(PLAIN)
        hung = threading.Thread(target=_step, args=(envs[0], NUMBERS[kind]), daemon=True)
        hung.start()
        time.sleep(_HANG_S)
        yield server
    hung.join(WATCHED_S)  # its server is gone, so it is told
    for env in envs:
        env.close()


def _step(env: Any, number: int) -> None:
    with contextlib.suppress(OpenEnvGymError):  # how it ends is not the question
        env.step(number)
