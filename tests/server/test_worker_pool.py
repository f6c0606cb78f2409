"""A session gets its worker whatever becomes of the forkserver."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import psutil
import pytest

from openenv_gym.errors import ConnectionLostError, InvalidRequestError, ServerError
from openenv_gym.launchers import ServerProcess
from openenv_gym.server import settings as settings_module
from openenv_gym.server import worker_pool
from openenv_gym.server.settings import ServerSettings
from openenv_gym.server.worker_pool import WorkerPool
from openenv_gym.workers.forked import can_fork
from openenv_gym.workers.process import WorkerProcess
from tests.support.drawing import Drawing
from tests.support.envs import Scripted
from tests.support.family import forkserver_of, only_worker_of, workers_of
from tests.support.waiting import wait_until

needs_fork = pytest.mark.skipif(not can_fork(), reason="forking needs Linux 5.3")

SCRIPTED = "tests.support.envs:Scripted-v0"
DRAWING = "tests.support.drawing:Drawing-v0"


@pytest.fixture
def pool_of() -> Iterator[Callable[..., WorkerPool]]:
    pools: list[WorkerPool] = []

    def make(**options: Any) -> WorkerPool:
        pools.append(WorkerPool(ServerSettings(environment=SCRIPTED, **options)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def take(pool: WorkerPool, number: int = 1) -> list[WorkerProcess]:
    """Take workers, all at once, and end them; they say what they were afterwards."""

    async def gather() -> list[WorkerProcess]:
        return await asyncio.gather(*(pool.take() for _ in range(number)))

    workers = asyncio.run(gather())
    for worker in workers:
        assert worker.exit_code is None
        worker.stop(timeout_s=0)
        assert worker.exit_code in (-signal.SIGKILL, 0)  # it may leave before it is killed
    return workers


def is_forked(worker: WorkerProcess) -> bool:
    return type(worker._process).__name__ == "ForkedProcess"


@needs_fork
def test_a_forkserver_that_died_is_started_anew(pool_of, caplog: pytest.LogCaptureFixture):
    pool = pool_of(workers=2)
    assert all(map(is_forked, take(pool)))
    pids = []
    for _ in range(2):
        pids.append(pool._forkserver.pid)
        os.kill(pids[-1], signal.SIGKILL)
        assert all(map(is_forked, take(pool, 5)))
        pool.refill()
    assert pool._forkserver.pid not in pids
    assert f"the forkserver {pids[1]} is gone; another one is started" in caplog.messages


@needs_fork
def test_a_forkserver_that_hangs_is_killed(pool_of, monkeypatch, caplog):
    pool = pool_of(workers=0)
    take(pool)
    monkeypatch.setattr(worker_pool, "FORK_TIMEOUT_S", 0.3)
    hung = psutil.Process(pool._forkserver.pid)
    hung.suspend()
    assert len({worker.pid for worker in take(pool, 3)}) == 3
    assert "the forkserver did not answer within 0.3 s; it is killed" in caplog.messages
    assert not hung.is_running()


@needs_fork
def test_a_forkserver_that_always_dies_is_done_without(pool_of, monkeypatch, caplog):
    monkeypatch.setattr(worker_pool, "modules_to_preload", lambda name: ["tests.support.exiting"])
    pool = pool_of(workers=1)
    (worker,) = take(pool)
    assert not is_forked(worker)
    expected = "the forkserver did not fork a worker: it was gone before it answered"
    assert expected in caplog.messages


@needs_fork
def test_who_waits_for_a_worker_and_leaves_takes_it_along(pool_of):
    pool = pool_of(workers=0)
    take(pool)
    forkserver = psutil.Process(pool._forkserver.pid)
    forkserver.suspend()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.take(), 0.05)

    asyncio.run(leave())
    forkserver.resume()
    take(pool)
    wait_until(lambda: not forkserver.children())


@needs_fork
def test_nothing_is_left_of_workers_that_ended(pool_of):
    pool = pool_of(workers=0)
    take(pool)
    forkserver, own = psutil.Process(pool._forkserver.pid), psutil.Process()
    wait_until(lambda: not forkserver.children())
    gc.collect()  # files of others, too, that nobody has any more
    before = forkserver.num_fds(), own.num_fds()
    for _ in range(5):
        take(pool, 4)
    wait_until(lambda: not forkserver.children())
    gc.collect()
    assert (forkserver.num_fds(), own.num_fds()) == before


@needs_fork
def test_a_fork_of_the_server_has_a_forkserver_of_its_own(pool_of):
    pool = pool_of(workers=1)
    take(pool)
    pool.refill()
    forkserver = pool._forkserver
    pid = os.fork()
    if pid == 0:
        is_well = False
        try:
            is_well = all(map(is_forked, take(pool, 2))) and pool._forkserver is not forkserver
            pool.close()
        finally:  # the tests that are left are the parent's
            os._exit(not is_well)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert all(map(is_forked, take(pool, 2)))
    assert pool._forkserver is forkserver


@needs_fork
def test_spares_are_asked_for_and_not_waited_for(pool_of):
    pool = pool_of(workers=3)
    os.kill(pool._forkserver.pid, signal.SIGSTOP)
    pool.refill()
    pool.close()
    assert not pool._spares


def test_new_interpreters_on_request(pool_of):
    pool = pool_of(workers=1, start_method="spawn")
    assert pool._forkserver is None
    assert not any(map(is_forked, take(pool, 2)))


def test_a_platform_that_cannot_fork(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings_module, "can_fork", lambda: False)
    assert ServerSettings(environment="any").start_method == "spawn"
    with pytest.raises(InvalidRequestError, match="expected spawn on this platform"):
        ServerSettings(environment="any", start_method="forkserver")


def test_a_start_method_that_is_none():
    with pytest.raises(InvalidRequestError, match="expected one of forkserver, spawn, got 'fork'"):
        ServerSettings(environment="any", start_method="fork")  # type: ignore[arg-type]  # it is none


def make(server: ServerProcess, codec: str = "binary") -> gym.Env:
    url = server.base_url
    options = {"timeout_s": 100, "on_fault": "raise", "codec": codec}
    return gym.make("openenv/remote-v0", base_url=url, **options).unwrapped


@needs_fork
def test_sessions_go_on_without_the_forkserver_and_others_begin():
    with ServerProcess(SCRIPTED, "--workers=0") as server:
        before = make(server)
        before.reset(seed=1)
        forkserver = forkserver_of(server.pid)
        forkserver.kill()
        # The next one takes a while to begin, for which no handshake waits.
        with httpx.Client(base_url=server.base_url, timeout=60) as client:
            assert client.post("/reset", json={}).status_code == 200
            assert client.post("/close").status_code == 200
        after = make(server)
        assert after.reset(seed=1)[0][0] == 0.0
        assert forkserver_of(server.pid) != forkserver
        assert before.step(0)[0][0] == 1.0
        with pytest.raises(ConnectionLostError) as told:
            before.step(Scripted.EXIT)
        fault = told.value.fault
        assert (fault.kind, fault.signal, fault.exitcode) == ("worker_died", None, 255)
        with pytest.raises(ConnectionLostError, match="exit code 7") as told:
            after.step(Scripted.EXIT)
        assert told.value.fault.exitcode == 7
        for env in (before, after):
            env.close()
        wait_until(lambda: not workers_of(server.pid))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of others are Linux's")
@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_who_gets_no_worker_because_files_are_too_many_is_told_so(codec: str, capfd):
    with ServerProcess(SCRIPTED, "--workers=0") as server:
        before = make(server, codec)
        before.reset(seed=1)
        process = psutil.Process(server.pid)
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        # Enough for its connection, and not for a worker.
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (process.num_fds() + 3, hard))
        with pytest.raises(ServerError, match=r"Too many open files; .* raise 'ulimit -n'"):
            make(server, codec).reset()
        assert before.step(0)[0][0] == 1.0
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
        after = make(server, codec)
        after.reset(seed=1)
        for env in (before, after):
            env.close()
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_has_the_files_of_all_its_sessions_open_where_it_may(tmp_path: Path):
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\nulimit -S -n 64\nexec "{sys.executable}" "$@"\n')
    limited.chmod(0o755)
    with ServerProcess(SCRIPTED, "--max-sessions=8", server_python=str(limited)) as server:
        envs = [make(server) for _ in range(8)]
        for env in envs:
            env.reset()
        for env in envs:
            assert env.step(0)[0][0] == 1.0
            env.close()


@pytest.mark.timeout(300)  # ten interpreters begin at once
@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.sample(1)
def test_of_ten_sessions_that_begin_at_once_five_crash(start_method: str):
    if start_method == "forkserver" and not can_fork():
        pytest.skip("forking needs Linux 5.3")
    local = gym.make(DRAWING).unwrapped
    expected = [local.reset(seed=5)[0], *(local.step(0)[0] for _ in range(20))]
    with ServerProcess(DRAWING, f"--start-method={start_method}", "--workers=1") as server:
        seen: dict[int, Any] = {}
        barrier = threading.Barrier(10)

        def play(number: int) -> None:
            env = make(server)
            barrier.wait(100)
            obs = [env.reset(seed=5)[0]]
            barrier.wait(100)
            try:
                if number % 2:
                    env.step(Drawing.ABORT if number % 4 == 1 else Drawing.SEGFAULT)
                obs += [env.step(0)[0] for _ in range(20)]
                seen[number] = np.array(obs)
            except ConnectionLostError as exc:
                seen[number] = exc.fault.signal
            env.close()

        threads = [threading.Thread(target=play, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        only_worker_of(server.pid)  # the spare
        statuses = {one.status() for one in psutil.Process(server.pid).children(recursive=True)}
    assert psutil.STATUS_ZOMBIE not in statuses
    for number in range(10):
        if number % 2:
            assert seen[number] == (signal.SIGABRT if number % 4 == 1 else signal.SIGSEGV)
        else:  # what is drawn from global generators is each session's own
            assert np.array_equal(seen[number][:, [0, 3]], np.array(expected)[:, [0, 3]])
            assert not np.array_equal(seen[number][:, [1, 2]], np.array(expected)[:, [1, 2]])


@needs_fork
def test_no_code_of_the_environment_runs_outside_of_workers(tmp_path: Path):
    ledger = tmp_path / "ledger"
    with ServerProcess(DRAWING, f'--kwargs={{"ledger": "{ledger}"}}') as server:
        for seed in range(2):
            env = make(server)
            info = env.reset(seed=seed)[1]
            assert info["imported_by"] == info["pid"]
            env.close()
        others = {server.pid, forkserver_of(server.pid).pid}
    lines = [tuple(map(int, line.split())) for line in ledger.read_text().splitlines()]
    assert all(imported_by == built_by for imported_by, built_by in lines)
    # One that the server is described by, and one for each session.
    assert len({built_by for _, built_by in lines} - others) == 3
