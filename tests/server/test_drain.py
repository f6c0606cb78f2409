"""A server that is told to end finishes what is under way, tells everybody, and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym
import httpx
import numpy as np
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from openenv_gym import Action, Observation, OpenEnvClient, State, from_client
from openenv_gym.errors import CapacityError, ConnectionLostError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Failed, Open, Reset, Step
from tests.support.family import has_ended, workers_of
from tests.support.hanging import Hanging
from tests.support.waiting import wait_until

Begin: TypeAlias = Callable[[ServerProcess], "Player"]

HANGING = "tests.support.hanging:Hanging-v0"


class Player:
    """One binary session by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages, self.seq = BinaryMessages(), 0
        for request in (Open(), Reset(0)):
            self.send(request)
            self.receive()

    def send(self, request: object) -> None:
        self.seq += 1
        self.socket.send(self.messages.encode_request(self.seq, request))

    def receive(self) -> object:
        return self.messages.decode_reply(self.socket.recv(timeout=40))[1]

    def close_code(self) -> tuple[int, str]:
        with pytest.raises(ConnectionClosed) as closed:
            self.socket.recv(timeout=40)
        return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.fixture
def play() -> Iterator[Callable[[ServerProcess], Player]]:
    """Begins a session."""
    with ExitStack() as stack:

        def begin(server: ServerProcess) -> Player:
            url = server.base_url.replace("http", "ws") + "/ws"
            return Player(stack.enter_context(connect(url, subprotocols=[SUBPROTOCOL])))

        yield begin


def family_of(server: ServerProcess) -> list[psutil.Process]:
    process = psutil.Process(server.pid)
    return [process, *process.children(recursive=True)]


def await_end(family: list[psutil.Process]) -> None:
    """Until nobody runs; who adopts them reaps them when it comes to it."""
    wait_until(lambda: all(map(has_ended, family)))


def exit_code(server: ServerProcess) -> int:
    return server._process.wait(40)


def await_sleep(capfd: pytest.CaptureFixture[str], number: int = 1) -> None:
    """Until so many environments say that they sleep: what is under way before is not known."""
    said = ""
    while said.count("sleeps now") < number:
        time.sleep(0.02)
        said += capfd.readouterr().err


def gated(gate: Path) -> str:
    """The argument of a server whose slow steps take until the file ``gate`` is there."""
    return f"--kwargs={json.dumps({'gate': str(gate)})}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_steps_under_way_are_answered_and_everybody_is_told(
    number: signal.Signals, play: Begin, tmp_path: Path, capfd
):
    gate = tmp_path / "gate"
    with ServerProcess(HANGING, gated(gate), "--drain-timeout=50") as server:
        players = [play(server) for _ in range(8)]
        in_json = gym.make("openenv/remote-v0", base_url=server.base_url, codec="json").unwrapped
        in_json.reset()
        family = family_of(server)
        busy, idle = players[:6], players[6:]
        for player in busy:
            player.send(Step(Hanging.SLOW))
        await_sleep(capfd, len(busy))
        os.kill(server.pid, number)
        for player in idle:
            assert player.close_code() == (1012, "server_draining")
        gate.touch()
        for player in busy:
            assert player.receive().obs[0] == 1.0
            assert player.close_code() == (1012, "server_draining")
        with pytest.raises(ConnectionLostError):
            in_json.step(0)
        assert exit_code(server) == 0
        await_end(family)


def test_while_it_drains_nothing_begins(play: Begin, tmp_path: Path, capfd):
    gate = tmp_path / "gate"
    arguments = ("--max-sessions=2", "--drain-timeout=50", gated(gate))
    with ServerProcess(HANGING, *arguments) as server:
        with httpx.Client(base_url=server.base_url, timeout=40) as client:
            assert client.get("/livez").json()["status"] == "alive"
            counts = {"sessions": 0, "disconnected": 0, "max_sessions": 2}
            assert client.get("/readyz").json() == {"status": "ready", **counts}
            client.post("/reset", json={})
            player = play(server)
            assert client.get("/readyz").status_code == 503  # full
            player.send(Step(Hanging.SLOW))
            await_sleep(capfd)
            server._process.terminate()
            while (answer := client.get("/readyz")).json()["status"] != "draining":
                assert answer.json()["status"] == "full"
            assert answer.status_code == 503
            assert client.get("/livez").status_code == 200
            step = client.post("/step", json={"action": {"action": 0}})
            assert step.status_code in (409, 503)  # its session has ended, or is refused
            reset = client.post("/reset", json={})
            assert (reset.status_code, reset.json()["detail"]["code"]) == (503, "CAPACITY_REACHED")
            with pytest.raises(CapacityError, match="the server is ending"):
                gym.make("openenv/remote-v0", base_url=server.base_url).reset()
        gate.touch()
        assert player.receive().obs[0] == 1.0
        assert exit_code(server) == 0


def test_a_step_over_http_is_finished(capfd: pytest.CaptureFixture[str]):
    with ServerProcess(HANGING) as server:
        answers = []

        def play() -> None:
            with httpx.Client(base_url=server.base_url, timeout=40) as client:
                client.post("/reset", json={})
                answers.append(client.post("/step", json={"action": {"action": Hanging.SLOW}}))

        thread = threading.Thread(target=play)
        thread.start()
        await_sleep(capfd)
        server._process.terminate()
        assert exit_code(server) == 0
        thread.join()
        assert answers[0].status_code == 200


def hanging_of(server: ServerProcess) -> dict[str, float]:
    """What grows by 1 at least once an environment hangs, by the way in which it does."""
    workers = [worker for worker in workers_of(server.pid) if not has_ended(worker)]
    pids = [worker.pid for worker in workers]
    return {
        "spin": sum(worker.cpu_times().user for worker in workers) / 0.5,
        "stop": sum(worker.status() == psutil.STATUS_STOPPED for worker in workers),
        "fork": sum(worker.ppid() in pids for worker in workers),
    }


@pytest.mark.parametrize("way", ["spin", "stop", "fork"])
@pytest.mark.sample(1)
def test_what_hangs_is_killed_when_its_time_is_over(way: str, play: Begin):
    with ServerProcess(HANGING, "--drain-timeout=1", "--close-timeout=600") as server:
        hung, other = play(server), play(server)
        before = hanging_of(server)
        hung.send(Step(Hanging.WAYS[way]))
        wait_until(lambda: hanging_of(server)[way] >= before[way] + 1)
        family = family_of(server)
        server._process.terminate()
        assert other.close_code() == (1012, "server_draining")
        lost = hung.receive()
        assert isinstance(lost, Failed)
        assert (lost.code, lost.fault.kind) == ("CONNECTION_LOST", "server_draining")
        assert "--drain-timeout" in lost.message
        assert hung.close_code() == (1012, "server_draining")
        assert exit_code(server) == 0
        await_end(family)


@pytest.mark.long
def test_an_environment_that_does_not_close_is_killed_too():
    with ServerProcess(HANGING, "--drain-timeout=1", "--close-timeout=600") as server:
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        env.reset(options={"hang": "close"})
        family = family_of(server)
        server._process.terminate()
        assert exit_code(server) == 0
        await_end(family)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.sample(1)
def test_a_second_signal_is_the_end(number: signal.Signals, play: Begin):
    with ServerProcess(HANGING, "--drain-timeout=600") as server:
        player = play(server)
        before = hanging_of(server)
        player.send(Step(Hanging.SPIN))
        wait_until(lambda: hanging_of(server)["spin"] >= before["spin"] + 1)
        family = family_of(server)
        os.kill(server.pid, number)
        with httpx.Client(base_url=server.base_url, timeout=40) as client:
            while client.get("/readyz").json()["status"] != "draining":
                pass
        os.kill(server.pid, number)
        assert exit_code(server) == 128 + number
        await_end(family)


def test_ctrl_c_ends_a_server_whose_environment_hangs_while_it_is_built(tmp_path: Path):
    flag = tmp_path / "flag"
    flag.touch()
    # As from a terminal: a background job ignores the signal, and so does what it starts.
    run = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('openenv_gym.cli', run_name='__main__')"
    )
    command = [sys.executable, "-c", run, "serve", HANGING, "--port=0"]
    server = subprocess.Popen(
        [*command, "--kwargs", json.dumps({"flag": str(flag)})], stderr=subprocess.DEVNULL
    )
    while "hangs now" not in flag.read_text():
        assert server.poll() is None
        time.sleep(0.02)
    workers = workers_of(server.pid)
    assert workers
    server.send_signal(signal.SIGINT)
    assert server.wait(40) in (-signal.SIGINT, 130)
    await_end(workers)


@pytest.mark.parametrize("close_s", [0.5, 0])
@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.sample(1)
def test_workers_and_threads_that_hang_do_not_keep_a_server(
    isolation: str, close_s: float, play: Begin, capfd
):
    arguments = ("--drain-timeout=0.5", f"--close-timeout={close_s}", f"--isolation={isolation}")
    with ServerProcess(HANGING, *arguments) as server:
        player = play(server)
        player.send(Step(Hanging.SLEEP))
        await_sleep(capfd)
        server._process.terminate()
        assert exit_code(server) == 0


@pytest.mark.long
def test_a_thread_that_hangs_in_a_request_over_http_does_not_keep_a_server(capfd):
    arguments = ("--drain-timeout=0.5", "--close-timeout=0", "--isolation=thread")
    with ServerProcess(HANGING, *arguments) as server:
        url, body = server.base_url, {"action": {"action": Hanging.SLEEP}}
        with httpx.Client(base_url=url, trust_env=False, timeout=40) as client:
            assert client.post("/reset", json={}).status_code == 200
            with ThreadPoolExecutor(1) as asking:
                asked = asking.submit(client.post, "/step", json=body)
                await_sleep(capfd)
                server._process.terminate()
                assert exit_code(server) == 0
            assert asked.result().status_code == 500


def drained(env: gym.Env[Any, Any], server: ServerProcess) -> str:
    """What the step says that comes while the server ends, of those that an environment makes."""
    env.reset(seed=0)
    env.step(0)
    server._process.terminate()
    while not (told := env.step(0))[3]:
        pass
    assert (told[1], told[2], list(told[4])) == (0.0, False, ["openenv"])
    env.close()
    return told[4]["openenv"]["fault"]


class Seen(Observation):
    model_config = {"extra": "ignore"}
    obs: list[float]


class Pressed(Action):
    action: int


class Client(OpenEnvClient[Pressed, Seen, State]):
    """Needs its type parameters only."""


def drained_env(server: ServerProcess, codec: str) -> str:
    return drained(gym.make("openenv/remote-v0", base_url=server.base_url, codec=codec), server)


def drained_from_client(server: ServerProcess) -> str:
    return drained(from_client(Client(server.base_url)), server)


def drained_envs(server: ServerProcess, codec: str) -> str:
    envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=server.base_url, codec=codec)
    envs.reset(seed=0)
    actions = np.zeros(2, np.int64)
    envs.step(actions)
    server._process.terminate()
    while not (told := envs.step(actions))[3].any():
        pass
    (kind,) = set(told[4]["openenv"]["fault"][told[3]])
    envs.close()
    return kind


def drained_typed(server: ServerProcess) -> str:
    with Client(server.base_url) as client:
        client.reset(seed=0)
        server._process.terminate()
        with pytest.raises(ConnectionLostError, match="1012 server_draining") as told:
            while True:
                client.state()
    return told.value.fault.kind


@pytest.mark.parametrize(
    "play_on",
    [
        partial(drained_env, codec="binary"),
        partial(drained_env, codec="json"),
        partial(drained_envs, codec="binary"),
        partial(drained_envs, codec="json"),
        drained_typed,
        drained_from_client,
    ],
    ids=["binary", "json", "vector", "sessions", "typed", "from_client"],
)
@pytest.mark.sample(2)
def test_the_fault_of_every_client_is_that_the_server_drains(play_on: Callable[..., str]):
    with ServerProcess(HANGING) as server:
        assert play_on(server) == "server_draining"
        assert exit_code(server) == 0


def test_over_json_the_fault_of_what_did_not_end_in_time_is_told_too(capfd):
    with ServerProcess(HANGING, "--drain-timeout=1") as server:
        env = gym.make("openenv/remote-v0", base_url=server.base_url, codec="json")
        env.reset(seed=0)
        env.step(0)

        def terminate() -> None:
            await_sleep(capfd)
            server._process.terminate()

        thread = threading.Thread(target=terminate)
        thread.start()
        said = env.step(Hanging.SLEEP)[4]["openenv"]
        thread.join()
        assert (said["fault"], said["signal"]) == ("server_draining", signal.SIGKILL)
        env.close()
