"""The embedded worker: shared, started once, and not the children's."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from openenv_gym.errors import ConnectionLostError, EnvStartError, RequestTimeoutError
from openenv_gym.launchers import embedded
from openenv_gym.launchers.embedded import EMBEDDED, EmbeddedWorkers
from openenv_gym.protocol import Step
from openenv_gym.workers.process import WorkerProcess
from tests.support.hanging import Hanging
from tests.support.rollouts import same
from tests.support.waiting import wait_until

DEADLY = "tests.support.hanging:Deadly-v0"
HANGING = "tests.support.hanging:Hanging-v0"
HURRY_S = 2.0  # for a step that hangs; to start an interpreter takes longer


def test_environments_of_a_process_share_one_worker():
    first = gym.make("openenv/catch-v0")
    pid = EMBEDDED.pid
    assert psutil.Process(pid).parent() == psutil.Process()
    before = {child.pid for child in psutil.Process().children()}
    second = gym.make("openenv/CartPole-v1")
    assert EMBEDDED.pid == pid
    assert {child.pid for child in psutil.Process().children()} <= before
    first.close()
    second.close()
    third = gym.make("openenv/catch-v0")
    assert EMBEDDED.pid == pid
    third.close()


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # a fork with threads
@pytest.mark.sample(1)
def test_async_vector_env_over_remote_environments(context: str):
    make = pickle.loads(pickle.dumps(_make_cartpole))
    local = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 2)
    remote = AsyncVectorEnv([make] * 2, context=context)
    assert same(local.reset(seed=3), remote.reset(seed=3))
    for _ in range(30):
        actions = np.ones(2, np.int64)
        for expected, actual in zip(local.step(actions)[:4], remote.step(actions)[:4], strict=True):
            assert same(expected, actual)
    remote.close()


def _make_cartpole() -> gym.Env:
    import openenv_gym  # noqa: F401  # registers the ids, in the child too

    return gym.make("openenv/CartPole-v1")


def test_a_forked_child_has_a_worker_of_its_own_and_the_parent_goes_on():
    script = textwrap.dedent(
        """
        import os, gymnasium as gym, openenv_gym
        from openenv_gym.launchers.embedded import EMBEDDED
        env = gym.make("openenv/CartPole-v1")
        first = env.reset(seed=1)[0].tolist()
        parents = EMBEDDED.pid
        pid = os.fork()
        if pid == 0:
            assert EMBEDDED.pid is None
            child = gym.make("openenv/CartPole-v1")
            assert EMBEDDED.pid not in (None, parents)
            assert child.reset(seed=1)[0].tolist() == first
            child.close()
            EMBEDDED.stop()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert EMBEDDED.pid == parents
        env.step(0)
        print("went on")
        """
    )
    command = [sys.executable, "-c", script]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (out.returncode, out.stdout) == (0, "went on\n"), out.stderr


@pytest.mark.parametrize("way", ["sleep", "gil", "stop", "fork"])
@pytest.mark.sample(1)
def test_a_worker_that_hangs_is_killed_when_its_client_gives_up(way: str):
    env = gym.make("openenv/gymnasium-v0", env_id=HANGING)
    env.reset(seed=1)
    env.unwrapped._connection.timeout_s = HURRY_S
    hung = psutil.Process(EMBEDDED.pid)
    with pytest.raises(RequestTimeoutError):
        env.step(Hanging.WAYS[way])
    assert psutil.wait_procs([hung], timeout=20)[1] == []
    env.reset(seed=1)
    assert EMBEDDED.pid != hung.pid
    assert env.step(0)[0][0] == 1.0
    env.close()


def test_an_environment_that_a_dying_worker_never_read_of_is_made_in_a_fresh_one():
    gym.make("openenv/CartPole-v1").close()
    dying = psutil.Process(EMBEDDED.pid)
    dying.suspend()  # it takes the session, as one does that is about to end, and reads nothing
    wait_until(lambda: dying.status() == psutil.STATUS_STOPPED)
    threading.Timer(0.3, dying.kill).start()
    env = gym.make("openenv/CartPole-v1")
    assert EMBEDDED.pid != dying.pid
    assert same(env.reset(seed=1), gym.make("CartPole-v1").reset(seed=1))
    env.close()


def test_workers_that_all_die_are_not_tried_without_end(monkeypatch: pytest.MonkeyPatch):
    connect, tried = EMBEDDED.connect, []

    def dying(*place: Any):
        sock, worker = connect(*place)
        process = psutil.Process(worker.pid)
        process.suspend()
        threading.Timer(0.2, process.kill).start()
        tried.append(worker.pid)
        return sock, worker

    monkeypatch.setattr(EMBEDDED, "connect", dying)
    with pytest.raises(ConnectionLostError, match="its process ended with signal 9"):
        gym.make("openenv/CartPole-v1")
    assert len(set(tried)) == 3


def test_a_crash_is_printed_here_and_told_in_the_fault(capfd: pytest.CaptureFixture[str]):
    EMBEDDED.stop()  # one that is there already prints where this process printed then
    env = gym.make("openenv/gymnasium-v0", env_id=HANGING)
    env.reset(seed=1)
    env.step(0)
    said = env.step(Hanging.PRINT)[4]["openenv"]
    assert (said["fault"], said["signal"]) == ("worker_died", 6)
    stack = said["stderr_tail"].partition("Fatal Python error: Aborted")[2]
    assert "in step" in stack
    printed = capfd.readouterr().err
    assert "yyy the last words\nFatal Python error: Aborted" in printed  # the first of it by C
    assert printed.strip().endswith(stack)
    env.close()


def test_an_environment_that_ends_its_worker_is_not_built_twice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    EMBEDDED.stop()  # likewise
    log = tmp_path / "built"
    log.touch()
    says = r"Deadly-v0 ended its process while it was built: .* exit code 7; end of stderr:\n"
    with pytest.raises(EnvStartError, match=says) as told:
        gym.make("openenv/gymnasium-v0", env_id=DEADLY, log=str(log))
    assert log.read_text() == "built\n"
    assert told.value.fault.kind == "worker_died" and told.value.fault.exitcode == 7
    assert told.value.fault.stderr_tail.endswith("cannot go on")
    assert capfd.readouterr().err.endswith("cannot go on\n")


def test_the_worker_of_a_shard_that_hangs_is_killed():
    envs = gym.make_vec(
        "openenv/gymnasium-v0",
        num_envs=2,
        shards=2,
        env_id=HANGING,
    )
    first = envs.reset(seed=1)[0]
    envs.unwrapped._shards[1].connection.timeout_s = HURRY_S
    hung = psutil.Process(EMBEDDED._workers[1].pid)
    envs.unwrapped.send(np.array([Hanging.SPIN]), [1])
    with pytest.raises(RequestTimeoutError):
        envs.unwrapped.recv()
    assert psutil.wait_procs([hung], timeout=20)[1] == []
    assert same(first, envs.reset(seed=1)[0])
    envs.close()


def test_at_the_end_workers_that_hang_share_their_time(monkeypatch: pytest.MonkeyPatch):
    workers = EmbeddedWorkers()
    now_s = 0.0  # by a clock that only their waiting moves
    monkeypatch.setattr(embedded, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(embedded, "_EXIT_TIMEOUT_S", 0.5)
    sockets = [workers.connect(number)[0] for number in range(3)]
    processes = [psutil.Process(worker.pid) for worker in workers._workers.values()]
    waited, stop = [], WorkerProcess.stop

    def noting(worker: WorkerProcess, timeout_s: float) -> None:
        nonlocal now_s
        waited.append(timeout_s)
        now_s += timeout_s
        stop(worker, timeout_s)

    monkeypatch.setattr(WorkerProcess, "stop", noting)
    for process in processes:
        process.suspend()
    workers.stop()
    assert psutil.wait_procs(processes, timeout=20)[1] == []
    assert waited == [0.5, 0, 0]
    for sock in sockets:
        sock.close()


def test_a_goodbye_that_waits_for_others_of_the_worker_kills_nobody():
    busy = gym.make("openenv/gymnasium-v0", env_id=HANGING).unwrapped
    busy.reset(seed=1)
    leaves = gym.make("openenv/gymnasium-v0", env_id=HANGING).unwrapped
    leaves.reset()
    busy._connection.begin(Step(Hanging.SLOW))  # 1.5 s
    leaves._connection.close(timeout_s=0.1)
    assert busy._connection.finish().obs[0] == 1.0
    busy.close()
