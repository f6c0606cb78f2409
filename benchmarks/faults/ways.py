"""Our ways to environments that fail."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import psutil

from benchmarks.faults.cases import DEADLINE_S, NUM_ENVS, Left
from benchmarks.faults.groups import Group, Singles, VecEnv, Vector
from benchmarks.faults.target_env import ENV_ID
from openenv_gym.launchers import ServerProcess
from openenv_gym.launchers.embedded import EMBEDDED
from openenv_gym.recovery import FaultPolicy
from openenv_gym.workers.forked import can_fork

# What is measured is how soon it can be over, so nothing waits before it begins anew.
POLICY = FaultPolicy(restarts=1_000_000, backoff_s=0.0)

EMBEDDED_DEADLINE_S = 3.0
"""What an embedded worker is given where kinds hang: it may have to start within that, too."""

_SHARED_MEMORY = Path("/dev/shm")
_PATIENCE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to several environments.

    Attributes:
        name: Short.
        is_served: Whether there is a server.
        make: Makes them, given arguments for ``gymnasium.make``.
    """

    name: str
    is_served: bool
    make: Callable[[dict[str, Any]], Group]


def _singles(arguments: dict[str, Any]) -> Group:
    return Singles([gym.make("openenv/gymnasium-v0", **arguments) for _ in range(NUM_ENVS)])


def _json(arguments: dict[str, Any]) -> Group:
    del arguments["env_id"]  # it is another's server as far as this client knows
    remote = {**arguments, "codec": "json"}
    return Singles([gym.make("openenv/remote-v0", **remote) for _ in range(NUM_ENVS)])


def _vector(arguments: dict[str, Any], **more: Any) -> Group:
    return Vector(gym.make_vec("openenv/gymnasium-v0", num_envs=NUM_ENVS, **arguments, **more))


def _vector_alone(arguments: dict[str, Any]) -> Group:
    return _vector(arguments, shards=NUM_ENVS)


def _vec_env(arguments: dict[str, Any]) -> Group:
    from openenv_gym.sb3 import OpenEnvVecEnv  # imports torch

    return VecEnv(OpenEnvVecEnv("openenv/gymnasium-v0", NUM_ENVS, shards=NUM_ENVS, **arguments))


WAYS = (
    Way(name="embedded", is_served=False, make=_singles),
    Way(name="embedded_vector", is_served=False, make=_vector),
    Way(name="ws_process", is_served=True, make=_singles),
    Way(name="ws_json", is_served=True, make=_json),
    Way(name="ws_vector", is_served=True, make=_vector_alone),
    Way(name="ws_vec_env", is_served=True, make=_vec_env),
)


@contextlib.contextmanager
def opened(way: Way, *, hangs: bool, left: list[Left]) -> Iterator[Group]:
    """The environments of a way; at their end ``left`` is told what they have left behind.

    Args:
        way: Which.
        hangs: Whether steps will hang, so that a deadline has to end them.
        left: Gets one more.
    """
    before = (_children(os.getpid()), _shared_memory())
    options: dict[str, Any] = {"env_id": ENV_ID, "on_fault": POLICY}
    sessions = None
    if way.is_served:
        # Spare workers, so that a session begins at once.
        arguments = [f"--workers={NUM_ENVS}"]
        if hangs:
            arguments.append(f"--step-timeout={DEADLINE_S:g}")
            # Steps of batched sessions may hold resets, so they have the deadline of those.
            arguments.append(f"--reset-timeout={DEADLINE_S:g}")
        with ServerProcess(ENV_ID, *arguments) as server:
            spares = at_rest(server.pid, NUM_ENVS)
            group = way.make({**options, "base_url": server.base_url})
            with contextlib.closing(group):
                yield group
            sessions = settled(lambda: max(0, len(_children(server.pid)) - spares))
    else:
        if hangs:
            options["timeout_s"] = EMBEDDED_DEADLINE_S
        try:
            with contextlib.closing(way.make(options)) as group:
                yield group
        finally:
            EMBEDDED.stop()
    processes = settled(lambda: len(_children(os.getpid()) - before[0]))
    files = settled(lambda: len(_shared_memory() - before[1]))
    left.append(Left(way=way.name, sessions=sessions, processes=processes, shared_memory=files))


def at_rest(pid: int, workers: int) -> int:
    """Wait until a server has as many processes as it has without a session; return how many.

    Right after its start, or after a session, it may be about to fork one, or to see one off.

    Args:
        pid: Of the server.
        workers: How many wait for sessions; another process forks them.
    """
    count = workers + can_fork()
    settled(lambda: abs(len(_children(pid)) - count))
    return count


def settled(count: Callable[[], int]) -> int:
    """Return what is counted when it has come down to nothing, or what is left after a while."""
    end_s = time.monotonic() + _PATIENCE_S
    while (number := count()) > 0 and time.monotonic() < end_s:
        time.sleep(0.05)
    return number


def _children(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def _shared_memory() -> set[str]:
    return {path.name for path in _SHARED_MEMORY.iterdir()} if _SHARED_MEMORY.is_dir() else set()
