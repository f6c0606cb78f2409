"""Our ways to environments that fail, which are stepped together, and what each is told."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import psutil

from benchmarks.faults.cases import DEADLINE_S, NUM_ENVS, Left
from benchmarks.faults.target_env import ENV_ID
from openenv_gym.launchers import ServerProcess
from openenv_gym.launchers.embedded import EMBEDDED
from openenv_gym.recovery import FaultPolicy
from openenv_gym.workers.forked import can_fork

OURS = "openenv/gymnasium-v0"

# What is measured is how soon it can be over, so nothing waits before it begins anew.
POLICY = FaultPolicy(restarts=1_000_000, backoff_s=0.0)

EMBEDDED_DEADLINE_S = 3.0  # where kinds hang; a worker may have to start within that, too

_SHARED_MEMORY = Path("/dev/shm")
_SETTLED_S = 10.0


class Seen(NamedTuple):
    """What one environment was told of a step or a reset; a row is in the order of time."""

    obs: Any
    ending: tuple[float, bool, bool] | None  # reward, terminated, truncated; None of a reset
    said: dict[str, Any]  # what the info says of a fault, or of the reset after one

    @property
    def is_fault(self) -> bool:
        return self.ending is not None and bool(self.said)

    @property
    def is_over(self) -> bool:
        return self.ending is not None and (self.ending[1] or self.ending[2])


Rows = list[list[Seen]]


class Singles:
    """Single environments, one after the other; a reset follows the end of an episode at once."""

    def __init__(self, envs: Sequence[Any]) -> None:
        self._envs = envs

    def reset(self, seed: int) -> Rows:
        return [[self._reset(env, seed + i)] for i, env in enumerate(self._envs)]

    def step(self, numbers: Sequence[int]) -> Rows:
        return [self._step(env, number) for env, number in zip(self._envs, numbers, strict=True)]

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _reset(self, env: Any, seed: int | None = None) -> Seen:
        obs, info = env.reset(seed=seed)
        return Seen(obs, None, info.get("openenv", {}))

    def _step(self, env: Any, number: int) -> list[Seen]:
        obs, *ending, info = env.step(number)
        seen = Seen(obs, tuple(ending), info.get("openenv", {}))
        return [seen, self._reset(env)] if seen.is_over else [seen]


class Vector:
    """A vector environment of Gymnasium in ``NEXT_STEP``: the step after an end is a reset."""

    def __init__(self, envs: Any) -> None:
        self._envs = envs
        self._was_over = np.ones(envs.num_envs, np.bool_)
        self.close = envs.close

    def reset(self, seed: int) -> Rows:
        obs, info = self._envs.reset(seed=seed)
        self._was_over[:] = False
        return [[Seen(own, None, _said(info, i))] for i, own in enumerate(obs)]

    def step(self, numbers: Sequence[int]) -> Rows:
        obs, *endings, info = self._envs.step(np.asarray(numbers))
        columns = zip(*(part.tolist() for part in endings), strict=True)
        rows = [
            [Seen(own, None if over else ending, _said(info, i))]
            for i, (own, ending, over) in enumerate(zip(obs, columns, self._was_over, strict=True))
        ]
        self._was_over = endings[1] | endings[2]
        return rows


def _said(info: dict[str, Any], number: int) -> dict[str, Any]:
    """What a batched info says of one environment."""
    said = info.get("openenv", {})
    names = [key for key in said if not key.startswith("_") and said[f"_{key}"][number]]
    return {key: np.asarray(said[key]).tolist()[number] for key in names}


Group = Singles | Vector


class Way(NamedTuple):
    """A way to several environments; ``make`` takes arguments for ``gymnasium.make``."""

    name: str
    is_served: bool
    make: Callable[[dict[str, Any]], Group]


def _singles(arguments: dict[str, Any], name: str = OURS) -> Group:
    return Singles([gym.make(name, **arguments) for _ in range(NUM_ENVS)])


def _json(arguments: dict[str, Any]) -> Group:
    del arguments["env_id"]  # it is another's server as far as this client knows
    return _singles({**arguments, "codec": "json"}, "openenv/remote-v0")


def _vector(arguments: dict[str, Any], **more: Any) -> Group:
    return Vector(gym.make_vec(OURS, num_envs=NUM_ENVS, **arguments, **more))


WAYS = (
    Way("embedded", False, _singles),
    Way("embedded_vector", False, _vector),
    Way("ws_process", True, _singles),
    Way("ws_json", True, _json),
    Way("ws_vector", True, lambda arguments: _vector(arguments, shards=NUM_ENVS)),
)


@contextlib.contextmanager
def opened(way: Way, *, hangs: bool, left: list[Left]) -> Iterator[Group]:
    """The environments of a way; at their end ``left`` is told what they have left behind.

    ``hangs`` says that steps will hang, so that a deadline has to end them.
    """
    processes, files = children(os.getpid()), shared_memory()
    options: dict[str, Any] = {"env_id": ENV_ID, "on_fault": POLICY}
    sessions = None
    if way.is_served:
        arguments = [f"--workers={NUM_ENVS}"]  # spare ones, so that a session begins at once
        if hangs:  # steps of batched sessions may hold resets, so they have their deadline
            arguments += [f"--{what}-timeout={DEADLINE_S:g}" for what in ("step", "reset")]
        with ServerProcess(ENV_ID, *arguments) as server:
            spares = at_rest(server.pid, NUM_ENVS)
            with contextlib.closing(way.make({**options, "base_url": server.base_url})) as group:
                yield group
            sessions = settled(lambda: max(0, len(children(server.pid)) - spares))
    else:
        if hangs:
            options["timeout_s"] = EMBEDDED_DEADLINE_S
        try:
            with contextlib.closing(way.make(options)) as group:
                yield group
        finally:
            EMBEDDED.stop()
    own = settled(lambda: len(children(os.getpid()) - processes))
    new = settled(lambda: len(shared_memory() - files))
    left.append(Left(way=way.name, sessions=sessions, processes=own, shared_memory=new))


def at_rest(pid: int, workers: int) -> int:
    """Wait until a server has as many processes as it has without a session; return how many.

    Right after its start, or after a session, it may be about to fork one, or to see one off.
    ``workers`` wait for sessions; another process forks them.
    """
    count = workers + can_fork()
    settled(lambda: abs(len(children(pid)) - count))
    return count


def settled(count: Callable[[], int]) -> int:
    """Return what is counted when it has come down to nothing, or what is left after a while."""
    end_s = time.monotonic() + _SETTLED_S
    while (number := count()) > 0 and time.monotonic() < end_s:
        time.sleep(0.05)
    return number


def children(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def shared_memory() -> set[str]:
    return {path.name for path in _SHARED_MEMORY.iterdir()} if _SHARED_MEMORY.is_dir() else set()
