"""Functions in workers that are forked from the trainer, which need no pickling."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.vector import SyncVectorEnv

from openenv_gym import AsyncVectorEnv, FaultPolicy, RemoteEnv, RemoteVectorEnv
from openenv_gym.errors import EnvStartError, InvalidRequestError
from openenv_gym.launchers.embedded import EMBEDDED
from tests.support.rollouts import assert_same
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # a fork with threads
]

LOCK = threading.Lock()


class Locked(gym.Env):
    """Needs what cannot be pickled, and tells of its process."""

    observation_space = gym.spaces.Box(-1, 9, (1,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, lock: Any) -> None:
        self.lock = lock

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        told = {"pid": os.getpid(), "group": os.getpgrp(), "stdin": os.readlink("/proc/self/fd/0")}
        draws = {"legacy": np.random.random(), "own": random.random()}
        sigint = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return np.zeros(1, np.float32), {**told, **draws, "sigint": sigint}

    def step(self, action):
        with self.lock:
            if action == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            if action == 1:
                raise ValueError("told to raise")
            return np.ones(1, np.float32), 0.0, False, False, {}


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def one(functions: Any, **keywords: Any) -> Any:
        made.append(RemoteVectorEnv.from_functions(functions, context="fork", **keywords))
        return made[-1]

    yield one
    for envs in made:
        envs.close()


def locked() -> gym.Env:
    return Locked(LOCK)


def test_what_cannot_be_pickled_is_inherited(make: Callable):
    lock = threading.Lock()
    with pytest.raises(InvalidRequestError, match="lock"):
        RemoteVectorEnv.from_functions([lambda: Locked(lock)])
    envs = make([lambda: Locked(lock)] * 3, shards=2)
    envs.reset()
    assert envs.step(np.zeros(3, np.int64))[0].ravel().tolist() == [1, 1, 1]


def test_one_environment():
    env = RemoteEnv.from_function(locked, context="fork")
    info = env.reset()[1]
    assert psutil.Process(info["pid"]).ppid() == os.getpid()
    env.close()


def test_it_plays_as_in_process():
    def cartpole() -> gym.Env:
        return gym.make("CartPole-v1")

    local = SyncVectorEnv([cartpole] * 3)
    remote = AsyncVectorEnv([cartpole] * 3, context="fork")
    assert_same(local.reset(seed=4), remote.reset(seed=4))
    for _ in range(30):
        actions = np.ones(3, np.int64)
        assert_same(local.step(actions), remote.step(actions))
    remote.close()


def test_a_worker_is_as_a_new_process_would_be(make: Callable):
    infos = make([locked] * 2, shards=2).reset()[1]
    assert len({os.getpid(), *infos["pid"]}) == 3
    assert infos["group"].tolist() == infos["pid"].tolist()
    assert infos["stdin"].tolist() == [os.devnull] * 2
    assert infos["sigint"].all()
    assert len({*infos["legacy"], np.random.random()}) == 3
    assert len({*infos["own"], random.random()}) == 3


def test_a_worker_ends_with_its_session_and_not_with_that_of_another(make: Callable):
    first, second = make([locked]), make([locked])
    pid, other = (envs.reset()[1]["pid"][0] for envs in (first, second))
    first.close()
    wait_until(lambda: bool(EMBEDDED.current()) and not psutil.pid_exists(pid))
    assert second.step([0])[0].tolist() == [[1]]
    assert psutil.pid_exists(other)


def test_a_worker_is_no_zombie_when_its_session_is_over(make: Callable):
    envs = make([locked])
    pid = envs.reset()[1]["pid"][0]
    envs.close()
    assert not psutil.pid_exists(pid)


def test_a_worker_has_no_socket_of_this_process_or_of_others(make: Callable):
    def sockets(pid: int) -> set[str]:
        links = set()
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was that of the folder itself
                links.add(os.readlink(fd))
        return {link for link in links if link.startswith("socket")}

    of_others = sockets(os.getpid())  # which a function may use
    first = make([locked])
    last = make([locked])
    pids = [envs.reset()[1]["pid"][0] for envs in (first, last)]
    here = {
        os.readlink(f"/proc/self/fd/{one._shards[0].session.fileno()}") for one in (first, last)
    }
    assert not here & (sockets(pids[0]) | sockets(pids[1]))
    assert not sockets(pids[0]) & sockets(pids[1]) - of_others


def test_a_killed_worker_is_forked_again(make: Callable):
    envs = make([locked] * 2, shards=2, on_fault=FaultPolicy(backoff_s=0))
    before = envs.reset()[1]["pid"]
    envs.step(np.zeros(2, np.int64))
    _, _, _, truncated, infos = envs.step(np.array([0, 2]))
    assert truncated.tolist() == [False, True]
    assert infos["openenv"]["fault"][1] == "worker_died"
    after = envs.step(np.zeros(2, np.int64))[4]["pid"]
    assert after[1] not in before


def test_an_exception_is_the_environments(make: Callable):
    envs = make([locked], on_fault="raise")
    envs.reset()
    with pytest.raises(ValueError, match="told to raise"):
        envs.step([1])


def test_a_function_that_raises_ends_no_more_than_its_worker():
    def broken() -> gym.Env:
        raise SystemExit("told to exit")

    with pytest.raises(EnvStartError, match="ended its process"):
        RemoteEnv.from_function(broken, context="fork")


def test_it_cannot_be_pickled(make: Callable):
    with pytest.raises(InvalidRequestError, match="make it with context='spawn'"):
        pickle.dumps(make([locked]))


def test_workers_end_with_the_process_however_it_ends():
    script = (
        "import os, signal, gymnasium as gym\n"
        "from openenv_gym import AsyncVectorEnv\n"
        "envs = AsyncVectorEnv([lambda: gym.make('CartPole-v1')] * 2, shards=2, context='fork')\n"
        "from openenv_gym.launchers.embedded import EMBEDDED\n"
        "print(*[worker.pid for worker in EMBEDDED._forked], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_a_worker_whose_prints_nobody_reads_does_nothing_of_its_parent(tmp_path: Path):
    ends = tmp_path / "ends"
    script = (
        "import atexit, os, gymnasium as gym\n"
        "from openenv_gym import RemoteEnv\n"
        f"atexit.register(lambda: open({str(ends)!r}, 'a').write('end '))\n"
        "def printing():\n"
        "    print('never read', end='')\n"
        "    return gym.make('CartPole-v1')\n"
        "RemoteEnv.from_function(printing, context='fork').close()\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    subprocess.run([sys.executable, "-c", script], stdout=writer, check=True)
    os.close(writer)
    assert ends.read_text() == "end "


def test_this_process_forgets_nothing():
    before = psutil.Process().num_fds()
    for _ in range(2):
        RemoteEnv.from_function(locked, context="fork").close()
    EMBEDDED.stop()
    assert psutil.Process().num_fds() <= before
