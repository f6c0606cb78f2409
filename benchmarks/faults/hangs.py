"""How soon a hang is over, and how long the steps of another environment take meanwhile."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import psutil

from benchmarks.faults.cases import DEADLINE_S, KINDS, NUMBERS, PLAIN
from benchmarks.faults.quiet import stderr_to
from benchmarks.faults.target_env import ENV_ID
from benchmarks.faults.ways import EMBEDDED_DEADLINE_S, POLICY, settled
from openenv_gym.launchers import ServerProcess
from openenv_gym.launchers.embedded import EMBEDDED

QUIET_S = 2.0
"""How long the bystander is watched without faults."""

_WAIT_S = 60.0


@dataclass(kw_only=True)
class Hang:
    """What came of one kind of hang in one way.

    Attributes:
        way: How the environment is reached.
        kind: Of the hang.
        deadline_s: What ended it.
        told_s: After the deadline, until the step was told; for each.
        over_s: After the deadline, until the reset had returned; for each.
        quiet_s: A bystander's steps without faults, 99th percentile; None without a bystander.
        beside_s: The same while others hang.
        steps: How many steps of the bystander fell into hangs.
    """

    way: str
    kind: str
    deadline_s: float
    told_s: list[float] = field(default_factory=list)
    over_s: list[float] = field(default_factory=list)
    quiet_s: float | None = None
    beside_s: float | None = None
    steps: int = 0


def hangs(count: int) -> list[Hang]:
    """Have ``count`` hangs of each kind, on a server and embedded."""
    kinds = [kind.name for kind in KINDS if kind.is_hang]
    with stderr_to():
        return [*_served(kinds, count), *_embedded(kinds, count)]


def _served(kinds: list[str], count: int) -> list[Hang]:
    arguments = ("--workers=2", f"--step-timeout={DEADLINE_S:g}")
    with ServerProcess(ENV_ID, *arguments) as server:
        remote: dict[str, Any] = {"base_url": server.base_url, "on_fault": POLICY}
        victim, other = (gym.make("openenv/remote-v0", **remote) for _ in range(2))
        bystander = _Bystander(other)
        _begin(victim)
        try:
            time.sleep(QUIET_S)
            quiet_s = bystander.p99(bystander.began_s, time.perf_counter())
            found = []
            for kind in kinds:
                hang = Hang(way="ws_process", kind=kind, deadline_s=DEADLINE_S, quiet_s=quiet_s)
                spans = []
                for _ in range(count):
                    _await_spares(server.pid)
                    spans.append(_hang(victim, hang))
                bystander.fill_in(hang, spans)
                found.append(hang)
        finally:
            bystander.stop()
            victim.close()
            other.close()
    return found


def _embedded(kinds: list[str], count: int) -> list[Hang]:
    """No bystander: the environments of a process share the worker, so all have the fault."""
    options: dict[str, Any] = {"env_id": ENV_ID, "on_fault": POLICY}
    env = gym.make("openenv/gymnasium-v0", timeout_s=EMBEDDED_DEADLINE_S, **options)
    _begin(env)
    found = []
    for kind in kinds:
        hang = Hang(way="embedded", kind=kind, deadline_s=EMBEDDED_DEADLINE_S)
        for _ in range(count):
            _hang(env, hang)
        found.append(hang)
    env.close()
    EMBEDDED.stop()
    return found


def _begin(env: Any) -> None:
    env.reset(seed=0)
    env.step(PLAIN)


def _hang(env: Any, hang: Hang) -> tuple[float, float]:
    """Have a step hang, begin anew; return when the step began and returned."""
    asked_s = time.perf_counter()
    env.step(NUMBERS[hang.kind])
    told_s = time.perf_counter()
    env.reset()
    over_s = time.perf_counter()
    env.step(PLAIN)
    hang.told_s.append(told_s - asked_s - hang.deadline_s)
    hang.over_s.append(over_s - asked_s - hang.deadline_s)
    return asked_s, told_s


def _await_spares(pid: int) -> None:
    """Wait until the worker that takes the place of the last one has started: it uses a core."""
    server = psutil.Process(pid)
    last: dict[int, float] = {}

    def busy() -> int:
        nonlocal last
        now = {}
        for child in server.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                now[child.pid] = sum(child.cpu_times()[:2])
        idle = last.keys() == now.keys() and sum(now[pid] - last[pid] > 0.02 for pid in now) <= 1
        last = now
        time.sleep(0.1)
        return 0 if idle else 1

    settled(busy)


class _Bystander:
    """Another environment on the server, which a thread steps all the time.

    Args:
        env: It, fresh.

    Attributes:
        began_s: When its steps began.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        self._steps: list[tuple[float, float]] = []
        self._failed: BaseException | None = None
        self._is_over = threading.Event()
        _begin(env)
        self.began_s = time.perf_counter()
        self._thread = threading.Thread(target=self._play, name="bystander")
        self._thread.start()

    def p99(self, began_s: float, ended_s: float) -> float | None:
        """The 99th percentile of the steps that ran within a time."""
        return _p99(self._within(began_s, ended_s))

    def fill_in(self, hang: Hang, spans: list[tuple[float, float]]) -> None:
        """Tell how long its steps took during hangs."""
        taken = [step for span in spans for step in self._within(*span)]
        hang.steps, hang.beside_s = len(taken), _p99(taken)

    def stop(self) -> None:
        """Step no more; raise what it failed with."""
        self._is_over.set()
        self._thread.join(_WAIT_S)
        if self._failed is not None:
            raise self._failed

    def _within(self, began_s: float, ended_s: float) -> list[float]:
        steps = list(self._steps)
        return [end - start for start, end in steps if start < ended_s and end > began_s]

    def _play(self) -> None:
        try:
            while not self._is_over.is_set():
                start = time.perf_counter()
                _, _, terminated, truncated, info = self._env.step(PLAIN)
                if "openenv" in info:
                    raise AssertionError(f"a bystander was harmed: {info}")
                if terminated or truncated:
                    self._env.reset()
                else:
                    self._steps.append((start, time.perf_counter()))
        except BaseException as exc:
            self._failed = exc


def _p99(times: list[float]) -> float | None:
    return statistics.quantiles(times, n=100)[-1] if len(times) > 1 else None
