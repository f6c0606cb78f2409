"""What a session leaves behind when its worker, its client or its request is gone: nothing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from socket import SHUT_RDWR

import gymnasium as gym
import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from openenv_gym import create_app
from openenv_gym.errors import (
    CapacityError,
    ConnectionLostError,
    EnvStartError,
    RequestTimeoutError,
    UnknownEnvironmentError,
)
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import BinaryMessages, Failed, GetState, Open
from openenv_gym.server.backends import ThreadBackend
from openenv_gym.server.engine import Engine
from openenv_gym.server.monitor import Monitor
from openenv_gym.server.settings import ServerSettings
from tests.support.envs import Scribbling, Scripted
from tests.support.family import has_ended, only_worker_of
from tests.support.uvicorn_thread import serving
from tests.support.waiting import wait_until

SCRIPTED = "tests.support.envs:Scripted-v0"


def test_a_spare_that_died_while_it_waited_is_not_given_to_anybody():
    with ServerProcess(SCRIPTED) as server:
        spare = only_worker_of(server.pid)
        spare.kill()
        wait_until(lambda: has_ended(spare))
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        assert env.reset(seed=1)[0][0] == 0.0
        env.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_the_slot_of_a_lost_worker_is_free_when_its_client_hears_of_it(
    codec: str, of_one_session: ServerProcess
):
    env = gym.make("openenv/remote-v0", base_url=of_one_session.base_url, codec=codec).unwrapped
    env.reset()
    with pytest.raises(ConnectionLostError, match="ended"):
        env.step(Scripted.EXIT)
    assert env._connection.is_broken
    assert env.reset()[0][0] == 0.0
    env.close()


def test_the_slot_of_a_client_that_gave_up_a_hung_step_is_freed(of_one_session: ServerProcess):
    env = gym.make("openenv/remote-v0", base_url=of_one_session.base_url).unwrapped
    env.reset()
    env._connection.timeout_s = 1  # for this step alone, and not for what starts a worker
    with pytest.raises(RequestTimeoutError):
        env.step(Scripted.HANG)
    end_s = time.monotonic() + 60
    while True:
        try:
            env.reset()
            break
        except CapacityError:
            assert time.monotonic() < end_s
    assert env.step(0)[0][0] == 1.0
    env.close()


def test_a_request_that_was_broken_off_loses_its_engine():
    class Silent:
        async def request(self, body: bytes) -> bytes:
            return await asyncio.get_running_loop().create_future()

    async def play() -> None:
        engine = Engine(Silent())
        task = asyncio.create_task(engine.execute(Open("any")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.is_lost
        reply = await engine.execute(GetState())
        assert isinstance(reply, Failed)
        assert reply.code == "CONNECTION_LOST"

    asyncio.run(play())


def client_of(app) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://any")


def test_first_resets_at_the_same_time_share_the_default_session():
    app = create_app("CartPole-v1", isolation="thread")

    async def play() -> set[str]:
        async with client_of(app) as client:
            answers = await asyncio.gather(*(client.post("/reset") for _ in range(5)))
            await client.post("/close")
        return {answer.headers["X-OpenEnv-Session"] for answer in answers}

    assert len(asyncio.run(play())) == 1


def test_requests_that_wait_while_their_session_is_closed_are_told():
    began, may_end = threading.Event(), threading.Event()

    class Slow(Scripted):
        def step(self, action):
            began.set()
            assert may_end.wait(60)
            return super().step(action)

    app = create_app(Slow)

    async def play() -> list[httpx.Response]:
        async with client_of(app) as client:
            await client.post("/reset")
            body = {"action": {"action": 0}}
            steps = [asyncio.create_task(client.post("/step", json=body)) for _ in range(2)]
            await asyncio.to_thread(began.wait)
            closing = asyncio.create_task(client.post("/close"))
            await client.get("/health")
            may_end.set()
            return await asyncio.gather(*steps, closing)

    answers = asyncio.run(play())
    assert [answer.status_code for answer in answers] == [200, 409, 200]
    assert "closed before it was this request's turn" in answers[1].json()["detail"]["message"]


def test_a_session_in_a_thread_that_was_closed_is_lost():
    async def play() -> None:
        settings = ServerSettings(environment=SCRIPTED, isolation="thread")
        backend = ThreadBackend(settings, Monitor())
        await backend.request(BinaryMessages().encode_request(1, Open(SCRIPTED)))
        await backend.close()
        with pytest.raises(ConnectionLostError, match="this session was closed"):
            await backend.request(BinaryMessages().encode_request(2, GetState()))

    asyncio.run(play())


def test_an_environment_in_a_thread_that_is_late_is_closed_all_the_same(caplog):
    began, may_end, closed = threading.Event(), threading.Event(), threading.Event()

    class Late(Scripted):
        def step(self, action):
            began.set()
            assert may_end.wait(60)
            return super().step(action)

        def close(self):
            if began.is_set():  # it is not the one that the server is described by
                closed.set()

    with serving(create_app(Late, close_timeout_s=0.01, max_sessions=1)) as url:
        with connect(url.replace("http", "ws") + "/ws") as socket:
            for kind, data in (("reset", {}), ("step", {"action": 0})):
                socket.send(json.dumps({"type": kind, "data": data}))
            assert began.wait(60)
            socket.socket.shutdown(SHUT_RDWR)
        wait_until(lambda: "an environment in a thread hangs" in caplog.text)
        assert not closed.is_set()
        may_end.set()
        assert closed.wait(60)


def test_an_object_is_left_open_by_sessions():
    class Kept(Scripted):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    env = Kept()
    with serving(create_app(env)) as url:
        for _ in range(2):
            remote = gym.make("openenv/remote-v0", base_url=url)
            assert remote.reset(seed=1)[0][0] == 0.0
            assert remote.step(0)[0][0] == 1.0
            remote.close()
            assert env.steps == 1
    assert env.closed == 0


def test_arrays_among_the_arguments_are_compared():
    served = ServerSettings(environment="any", kwargs={"map": np.arange(2)})
    assert served.admit(Open("any", {"map": np.arange(2)})).environment == "any"
    with pytest.raises(UnknownEnvironmentError):
        served.admit(Open("any", {"map": np.arange(3)}))
    with pytest.raises(UnknownEnvironmentError):
        served.admit(Open("any", {"map": [0, 1]}))


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_an_environment_that_ends_its_worker_while_it_is_built(codec: str, tmp_path: Path):
    log = tmp_path / "built"
    kwargs = json.dumps({"log": str(log)})
    with ServerProcess("tests.support.hanging:Deadly-v0", "--kwargs", kwargs) as server:
        log.touch()
        env = gym.make("openenv/remote-v0", base_url=server.base_url, codec=codec)
        kind = EnvStartError if codec == "binary" else ConnectionLostError  # which has no `open`
        with pytest.raises(kind, match="worker process of this session ended") as told:
            env.reset()
        fault = told.value.fault
        assert (fault.kind, fault.exitcode) == ("worker_died", 7)
        assert fault.stderr_tail == "cannot go on"
        env.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.parametrize("action", [Scribbling.TWO_REPLIES, Scribbling.A_LENGTH])
@pytest.mark.sample(1)
def test_what_nobody_asked_a_worker_for_ends_its_session(codec: str, action: int, capfd):
    with ServerProcess("tests.support.envs:Scribbling-v0") as server:
        env = gym.make("openenv/remote-v0", base_url=server.base_url, codec=codec)
        env.reset(seed=1)
        env.step(0)
        assert env.step(action)[4]["openenv"]["fault"] == "bad_reply"
        env.reset(seed=1)
        assert env.step(0)[0][0] == 1.0
        env.close()
    assert "Traceback" not in capfd.readouterr().err
