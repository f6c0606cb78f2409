"""How soon a hang is over, and how long the steps of another environment take meanwhile."""

import contextlib
import statistics
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

from benchmarks.children import stderr_to
from benchmarks.faults.cases import DEADLINE_S, HANGS, NUMBERS, PLAIN
from benchmarks.faults.target_env import ENV_ID
from benchmarks.faults.ways import EMBEDDED_DEADLINE_S, OURS, POLICY
from openenv_gym.launchers import ServerProcess
from openenv_gym.launchers.embedded import EMBEDDED

QUIET_S = 2.0  # how long the bystander is watched without faults
SPARE_S = 1.0  # how long a worker that takes the place of the last one may use a core
_WAIT_S = 60.0


@dataclass(kw_only=True)
class Hang:
    """What came of one kind of hang in one way."""

    way: str
    kind: str
    deadline_s: float  # what ended it
    told_s: list[float] = field(default_factory=list)  # after the deadline, until the step was told
    over_s: list[float] = field(default_factory=list)  # likewise until the reset had returned
    quiet_s: float | None = None  # a bystander's steps without faults, 99th percentile
    beside_s: float | None = None  # the same while others hang
    steps: int = 0  # how many steps of the bystander fell into hangs


def hangs(count: int) -> list[Hang]:
    """Have ``count`` hangs of each kind, on a server and embedded."""
    with stderr_to():
        return [*served(HANGS, count), *embedded(HANGS, count)]


def served(kinds: tuple[str, ...], count: int) -> list[Hang]:
    arguments = ("--workers=2", f"--step-timeout={DEADLINE_S:g}")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ServerProcess(ENV_ID, *arguments))
        remote: dict[str, Any] = {"base_url": server.base_url, "on_fault": POLICY}
        envs = [gym.make("openenv/remote-v0", **remote) for _ in range(2)]
        victim, other = (stack.enter_context(contextlib.closing(env)) for env in envs)
        _begin(victim)
        bystander = stack.enter_context(contextlib.closing(_Bystander(other)))
        began_s = time.perf_counter()
        time.sleep(QUIET_S)
        quiet_s = _p99(bystander.within(began_s, time.perf_counter()))
        told: dict[str, Any] = {"way": "ws_process", "deadline_s": DEADLINE_S, "quiet_s": quiet_s}
        return [_repeat(victim, Hang(kind=kind, **told), count, bystander) for kind in kinds]


def embedded(kinds: tuple[str, ...], count: int) -> list[Hang]:
    """No bystander: the environments of a process share the worker, so all have the fault."""
    options: dict[str, Any] = {"env_id": ENV_ID, "on_fault": POLICY}
    env = gym.make(OURS, timeout_s=EMBEDDED_DEADLINE_S, **options)
    _begin(env)
    told: dict[str, Any] = {"way": "embedded", "deadline_s": EMBEDDED_DEADLINE_S}
    found = [_repeat(env, Hang(kind=kind, **told), count) for kind in kinds]
    env.close()
    EMBEDDED.stop()
    return found


def _begin(env: Any) -> None:
    env.reset(seed=0)
    env.step(PLAIN)


def _repeat(env: Any, hang: Hang, count: int, bystander: "_Bystander | None" = None) -> Hang:
    """Have steps hang, and begin anew after each; a bystander is watched until they return."""
    taken: list[float] = []
    for _ in range(count):
        time.sleep(SPARE_S)
        asked_s = time.perf_counter()
        env.step(NUMBERS[hang.kind])
        told_s = time.perf_counter()
        env.reset()
        over_s = time.perf_counter()
        env.step(PLAIN)
        hang.told_s.append(told_s - asked_s - hang.deadline_s)
        hang.over_s.append(over_s - asked_s - hang.deadline_s)
        taken += bystander.within(asked_s, told_s) if bystander else ()
    hang.steps, hang.beside_s = len(taken), _p99(taken)
    return hang


class _Bystander:
    """Another environment on the server, which a thread steps all the time."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self._steps: list[tuple[float, float]] = []
        self._failed: BaseException | None = None
        self._is_over = threading.Event()
        _begin(env)
        self._thread = threading.Thread(target=self._play, name="bystander")
        self._thread.start()

    def within(self, began_s: float, ended_s: float) -> list[float]:
        """Return the seconds of the steps that ran within a time."""
        steps = list(self._steps)
        return [end - start for start, end in steps if start < ended_s and end > began_s]

    def close(self) -> None:
        """Step no more; raise what it failed with."""
        self._is_over.set()
        self._thread.join(_WAIT_S)
        if self._failed is not None:
            raise self._failed

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
