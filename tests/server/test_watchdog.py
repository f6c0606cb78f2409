"""A worker that does not answer in time is killed, its client told, its slot freed."""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from openenv_gym.errors import (
    CapacityError,
    ConnectionLostError,
    InvalidRequestError,
    RemoteEnvError,
)
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Failed, Open, Reset, Step
from openenv_gym.server.monitor import Monitor
from openenv_gym.server.process_backend import ProcessBackend
from openenv_gym.server.settings import ServerSettings
from openenv_gym.server.watchdog import PERIOD_S, Watchdog
from openenv_gym.workers.output import Output
from openenv_gym.workers.process import WorkerProcess
from tests.support.family import has_ended, only_worker_of, workers_of
from tests.support.hanging import Hanging
from tests.support.undying import undying
from tests.support.waiting import wait_until

HANGING = "tests.support.hanging:Hanging-v0"
ARGUMENTS = ("--step-timeout=1.5", "--reset-timeout=60", "--close-timeout=0.6")


@pytest.fixture(scope="module")
def server(no_process_is_left: None) -> Iterator[ServerProcess]:
    with ServerProcess(HANGING, "--max-sessions=3", *ARGUMENTS) as process:
        yield process


@pytest.fixture(scope="module")
def hasty(no_process_is_left: None) -> Iterator[ServerProcess]:
    """One that waits for no reset that hangs."""
    with ServerProcess(HANGING, "--max-sessions=3", *ARGUMENTS, "--reset-timeout=5") as process:
        yield process


def make(server: ServerProcess, codec: str = "binary") -> gym.Env:
    env = gym.make("openenv/remote-v0", base_url=server.base_url, codec=codec, timeout_s=50)
    return env.unwrapped


def trajectory(envs: gym.vector.VectorEnv, stop: threading.Event, out: list[np.ndarray]) -> None:
    out.append(envs.reset(seed=5)[0][0].copy())
    while not stop.is_set():
        out.append(envs.step(np.zeros(1, np.int64))[0][0].copy())


@pytest.fixture
def bystander(server: ServerProcess) -> Iterator[None]:
    """Somebody who steps on meanwhile, and ends with the right trajectory.

    A batch, whose steps may take as long as a reset: of so many steps one may take a second or two
    on a machine that computes something else, too.
    """
    envs = gym.make_vec("openenv/remote-v0", num_envs=1, base_url=server.base_url, timeout_s=50)
    stop, seen = threading.Event(), []
    thread = threading.Thread(target=trajectory, args=(envs, stop, seen))
    thread.start()
    yield
    assert thread.is_alive()
    stop.set()
    thread.join()
    envs.close()
    local = gym.make(HANGING).unwrapped
    expected = [local.reset(seed=5)[0], *(local.step(0)[0] for _ in seen[1:])]
    assert len(seen) > 10
    assert np.array_equal(seen, expected)


def reset_when_free(env: gym.Env, options: dict[str, str] | None = None) -> None:
    while True:
        try:
            env.reset(options=options)
            return
        except CapacityError:
            continue


def all_slots_are_free(server: ServerProcess) -> None:
    envs = [make(server) for _ in range(3)]
    for env in envs:
        reset_when_free(env)
    for env in envs:
        env.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.parametrize("way", Hanging.WAYS)
@pytest.mark.sample(3)
def test_a_step_that_hangs(server: ServerProcess, bystander: None, way: str, codec: str):
    env = make(server, codec)
    env.reset(seed=1)
    expected = r"did not answer a step within 1\.5 s .* --step-timeout"
    with pytest.raises(ConnectionLostError, match=expected) as told:
        env.step(Hanging.WAYS[way])
    if codec == "binary":
        fault = {"kind": "step_timeout", "signal": 9, "exitcode": None}
        assert {key: getattr(told.value.fault, key) for key in fault} == fault
    assert env.reset(seed=1)[0][0] == 0.0  # the slot is free
    assert env.step(0)[0][0] == 1.0
    env.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_a_reset_that_hangs(hasty: ServerProcess, codec: str):
    env = make(hasty, codec)
    env.reset()
    with pytest.raises(ConnectionLostError, match=r"a reset within 5 s .* --reset-timeout"):
        env._exchange(env._connection, Reset(None, {"hang": "reset"}))
    env.close()
    all_slots_are_free(hasty)
    only_worker_of(hasty.pid)  # which is a spare: none of a session, no zombie, nobody's child


def test_a_close_that_hangs(server: ServerProcess):
    for says_goodbye in (True, False):
        env = make(server)
        env.reset(options={"hang": "close"})
        env.close() if says_goodbye else env._connection.abandon()
    all_slots_are_free(server)
    only_worker_of(server.pid)  # a spare


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="how processes are traced is Linux's")
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.sample(1)
def test_a_worker_that_does_not_even_end_when_it_is_killed(method: str):
    arguments = (*ARGUMENTS, "--workers=0", f"--start-method={method}")
    with ServerProcess(HANGING, "--max-sessions=2", *arguments) as server:
        env = make(server)
        env.reset(seed=1)
        worker = only_worker_of(server.pid)  # the one that the server is described by has ended
        with undying(worker.pid):
            with pytest.raises(ConnectionLostError, match="--step-timeout"):
                env.step(Hanging.SLEEP)
            for _ in range(2):  # nobody waits for it, and its slot is free
                other = make(server)
                other.reset()
                assert other.step(0)[0][0] == 1.0
                other.close()
            assert worker.is_running()
        env.close()


@pytest.mark.long
def test_workers_that_hang_when_they_are_closed_do_not_pile_up():
    with ServerProcess(HANGING, "--max-sessions=1", "--close-timeout=2") as server:
        most = 0
        for _ in range(25):
            env = make(server, "json")
            reset_when_free(env, {"hang": "close"})
            env._connection.abandon()
            most = max(most, sum(not has_ended(one) for one in workers_of(server.pid)))
        assert most <= 8 + 3  # at their end, the one that plays, a spare, and one that begins


def test_a_step_before_the_relay_and_after_it_is_limited_alike(server: ServerProcess):
    url = server.base_url.replace("http", "ws") + "/ws"
    with connect(url, subprotocols=[SUBPROTOCOL]) as socket:
        messages = BinaryMessages()
        for seq, request in enumerate((Open(), Reset(0), Step(Hanging.SLEEP)), 1):
            socket.send(messages.encode_request(seq, request))
            seen, reply = messages.decode_reply(socket.recv(timeout=20))
            assert seen == seq
        assert isinstance(reply, Failed)
        assert (reply.code, reply.fault.kind) == ("CONNECTION_LOST", "step_timeout")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd.code == 1011


def test_a_step_over_http_that_hangs(server: ServerProcess, bystander: None):
    with httpx.Client(base_url=server.base_url, timeout=50) as client:
        client.post("/reset", json={"seed": 1})
        answer = client.post("/step", json={"action": {"action": Hanging.SPIN}})
        detail = answer.json()["detail"]
        assert (answer.status_code, detail["code"]) == (500, "CONNECTION_LOST")
        assert "--step-timeout" in detail["message"]
        assert client.post("/step", json={"action": {"action": 0}}).status_code == 409
        assert client.post("/reset", json={}).status_code == 200
        client.post("/close")


def test_who_has_answered_has_no_deadline():
    async def play() -> None:
        settings = ServerSettings(environment="CartPole-v1")
        worker = WorkerProcess(output=Output())
        backend = await ProcessBackend.start(worker, settings, Watchdog(), Monitor())
        body = BinaryMessages().encode_request(1, Open("CartPole-v1"))
        request = asyncio.ensure_future(backend.request(body))
        await asyncio.sleep(0)
        assert backend.due_s < math.inf
        await request
        assert backend.due_s == math.inf
        await backend.close()

    asyncio.run(play())


def test_a_start_that_hangs(tmp_path: Path):
    flag = tmp_path / "flag"
    kwargs = f'--kwargs={{"flag": "{flag}"}}'
    with ServerProcess(HANGING, kwargs, "--start-timeout=5", "--max-sessions=1") as server:
        flag.touch()
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        with pytest.raises(ConnectionLostError, match=r"a start within 5 s .* --start-timeout"):
            env.reset()
        flag.unlink()
        env.reset()
        env.close()


class Overdue:
    """Somebody who owes an answer."""

    due_s = 0.0
    is_expired = False

    def look(self) -> None:
        pass

    def expire(self) -> None:
        self.is_expired = True


def test_what_hangs_is_ended_by_a_server_that_is_always_busy_too():
    async def play() -> list[bool]:
        watchdog, overdue, seen = Watchdog(), Overdue(), []
        watchdog.watch(overdue)
        for _ in range(4):
            time.sleep(2.5 * PERIOD_S)  # nothing else is done meanwhile
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append(overdue.is_expired)
        watchdog.leave(overdue)
        return seen

    assert asyncio.run(play()) == [False, True, True, True]


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_a_step_that_hangs_is_ended_though_its_client_left_and_closing_has_no_limit(codec: str):
    arguments = ("--workers=0", "--step-timeout=1.5", "--close-timeout=0", "--resume-grace=0")
    with ServerProcess(HANGING, *arguments) as server:
        env = make(server, codec)
        env.reset(seed=1)
        env._connection.begin(Step(Hanging.SLEEP))
        env._connection.give_up()
        wait_until(lambda: not workers_of(server.pid))


def test_a_batched_step_may_take_as_long_as_the_resets_in_it():
    with ServerProcess(HANGING, "--step-timeout=0.5", "--reset-timeout=20") as server:
        envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=server.base_url)
        envs.reset()
        assert envs.step(np.array([Hanging.SLOW, 0]))[0][:, 0].tolist() == [1.0, 1.0]
        envs.close()


def test_no_limit():
    with ServerProcess(HANGING, "--step-timeout=0") as server:
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        env.reset()
        assert env.step(Hanging.SLOW)[0][0] == 1.0
        env.close()


def test_clients_learn_the_deadlines(server: ServerProcess):
    told = httpx.get(f"{server.base_url}/schema", timeout=60).json()["x-openenv-gym"]["deadlines"]
    assert told == {"start": 120.0, "reset": 60.0, "step": 1.5, "close": 0.6}


def test_clients_are_more_patient_than_the_server_unless_told_how_patient(server: ServerProcess):
    for asked, waits in (({}, 125.0), ({"timeout_s": 70}, 70), ({"timeout_s": None}, None)):
        env = gym.make("openenv/remote-v0", base_url=server.base_url, **asked).unwrapped
        env.reset()
        assert env._connection.timeout_s == waits
        env.close()
        envs = gym.make_vec("openenv/remote-v0", num_envs=1, base_url=server.base_url, **asked)
        assert envs.unwrapped._shards[0].connection.timeout_s == waits
        envs.close()


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf")])
def test_a_deadline_that_is_none(limit: Any):
    with pytest.raises(InvalidRequestError, match="step_timeout_s: expected seconds"):
        ServerSettings(environment="any", step_timeout_s=limit)


def test_what_a_worker_said_last_reaches_its_client(capfd: pytest.CaptureFixture[str]):
    with ServerProcess(HANGING) as server:
        env = make(server)
        env.reset()
        with pytest.raises(ConnectionLostError, match="signal 6") as told:
            env.step(Hanging.PRINT)
        fault = told.value.fault
        assert (fault.kind, fault.signal, fault.exitcode) == ("worker_died", 6, None)
        assert "yyy the last words\nFatal Python error: Aborted" in fault.stderr_tail
        assert "in step" in fault.stderr_tail
        assert len(fault.stderr_tail) < 10_000
        env.close()
    log = capfd.readouterr().err
    assert "yyy the last words" not in log  # a line is cut
    assert "Fatal Python error: Aborted" in log


def test_a_worker_that_is_killed_from_outside_had_no_deadline(server: ServerProcess):
    env = make(server)
    mine = only_worker_of(server.pid)  # the spare that the next session gets
    env.reset()
    assert mine in workers_of(server.pid)
    mine.kill()
    with pytest.raises(ConnectionLostError):
        for _ in range(1000):
            env.step(0)
    env.close()


def test_a_memory_limit_makes_a_fault_of_its_own():
    with ServerProcess(HANGING, "--memory-limit=2000") as server:
        env = make(server)
        env.reset()
        with pytest.raises(RemoteEnvError, match="MemoryError") as told:
            env.step(Hanging.ALLOCATE)
        assert (told.value.fault.kind, told.value.fault.signal) == ("oom", None)
        assert env.step(0)[0][0] == 2.0  # the session lives
        env.close()
