"""How servers end: told to with a session that hangs, and killed."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import psutil

from benchmarks.children import stderr_to
from benchmarks.faults.cases import NUM_ENVS, NUMBERS, PLAIN
from benchmarks.faults.target_env import ENV_ID
from benchmarks.faults.ways import settled
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.launchers import ServerProcess

WATCHED_S = 30.0  # who has not ended by then never does, as far as this benchmark knows
ORPHANED_S = 2.0  # how long workers are given to notice that their server was killed
_HANG_S = 0.5


@dataclass(frozen=True)
class Termination:
    """A SIGTERM while a session hangs."""

    way: str  # whose server
    drain_s: float  # how long it was to wait for what is under way
    seconds: float | None  # until it had ended; None if it had not
    exitcode: int | None


@dataclass(frozen=True)
class Orphans:
    """What outlives a process that was killed."""

    way: str
    workers: int  # how many processes it had, one of them hung
    orphans: int  # how many of them run after two seconds
    zombies: int  # how many have ended, and init has not reaped them within ten more


def termination(drain_s: float) -> Termination:
    """Send SIGTERM to a server of ours, and wait until it has ended."""
    with stderr_to(), _hung_server(f"--drain-timeout={drain_s:g}") as server:
        process, began = psutil.Process(server.pid), time.perf_counter()
        process.send_signal(signal.SIGTERM)
        # A child of this process is a zombie until its exit code is asked for.
        while _is_alive(process) and time.perf_counter() - began < max(WATCHED_S, drain_s + 5):
            time.sleep(0.02)
        seconds = None if _is_alive(process) else round(time.perf_counter() - began, 3)
        code = None if seconds is None else server.stop()
    return Termination("ws_process", drain_s, seconds, code)


def orphans() -> Orphans:
    """Kill a server of ours that has sessions, of which one holds the GIL for ever."""
    with stderr_to(), _hung_server("--step-timeout=0", kind="hold_gil") as server:
        workers = psutil.Process(server.pid).children(recursive=True)
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(ORPHANED_S)
        alive = sum(map(_is_alive, workers))
        # They are the children of init now, which may take its time.
        zombies = settled(lambda: sum(_state(one) == psutil.STATUS_ZOMBIE for one in workers))
    return Orphans("ws_process", len(workers), alive, zombies)


def _state(process: psutil.Process) -> str:
    """What a process does, empty where it is gone."""
    try:
        return str(process.status()) if process.is_running() else ""
    except psutil.NoSuchProcess:
        return ""


def _is_alive(process: psutil.Process) -> bool:
    return _state(process) not in ("", psutil.STATUS_ZOMBIE)


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
