"""A session outlives its connection: every step is taken exactly once, wherever it is cut."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import psutil
import pytest

from openenv_gym.address import parse_address
from openenv_gym.client import Connection, websocket
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.endpoints import ConnectOptions, ServerEndpoint
from openenv_gym.errors import ConnectionLostError, InvalidRequestError, UnreachableError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import Open, Reset, SessionState, Step
from openenv_gym.testing import FaultProxy
from tests.support.envs import Scripted
from tests.support.family import has_ended, workers_of
from tests.support.hanging import Hanging
from tests.support.waiting import wait_until

SCRIPTED = "tests.support.envs:Scripted-v0"
SLOW = "tests.support.envs:Slow-v0"
HANGING = "tests.support.hanging:Hanging-v0"
PICTURE = "tests.faults.observations:FaultyPicture-v0"


@pytest.fixture(scope="module")
def server(serve) -> ServerProcess:
    return serve(SCRIPTED, "--max-sessions=4")


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(server.base_url) as proxy:
        yield proxy


def open_session(base_url: str, **options: Any) -> Connection:
    endpoint = ServerEndpoint(
        address=parse_address(base_url),
        request=Open(),
        options=ConnectOptions(
            codec="binary",
            timeout_s=60.0,
            options=WebSocketOptions(**options) if options else None,
        ),
    )
    _, connection = endpoint.connect()
    connection.request(Reset(3))
    return connection


def active(server: ServerProcess, what: str = "sessions") -> int:
    answer = httpx.get(f"{server.base_url}/readyz", trust_env=False, timeout=30)
    return int(answer.json()[what])


def step(connection: Connection, action: int = 0) -> float:
    """Step, and return how many steps the environment has seen."""
    return float(connection.request(Step(action)).obs[0])


@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_a_cut_at_each_byte_of_a_step_loses_and_repeats_nothing(proxy, how, direction):
    connection = open_session(proxy.base_url)
    before = proxy.passed(direction)
    steps = 1
    assert step(connection) == steps
    length = proxy.passed(direction) - before
    assert 0 < length < 200
    for count in range(length + 1):
        proxy.cut_after(count, direction, how)
        for _ in range(2):
            steps += 1
            assert step(connection) == steps
        proxy.heal()
    assert proxy.accepted >= length
    connection.close()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.sample(1)
def test_a_cut_while_it_is_taken_up_is_taken_up_too(proxy, how, direction):
    connection = open_session(proxy.base_url)
    for steps, count in enumerate(range(0, 420, 12), 1):  # through both handshakes and the step
        proxy.cut()
        proxy.cut_after(count, direction, how)
        assert step(connection) == steps
        proxy.heal()
    connection.close()


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_a_batch_goes_on_and_is_what_it_was(proxy, server, direction):
    def play(base_url: str, disturb: Callable[[int], None]) -> list[Any]:
        envs = gym.make_vec("openenv/remote-v0", 6, base_url=base_url, shards=2)
        seen = [envs.reset(seed=5)]
        for number in range(40):
            disturb(number)
            seen.append(envs.step(np.full(6, Scripted.END * (number % 7 == 6))))
        envs.close()
        return seen

    def cut(number: int) -> None:
        if number % 4 == 1:
            proxy.cut_after(13 * number, direction, "reset" if number % 8 == 1 else "close")

    free = play(server.base_url, lambda number: None)
    np.testing.assert_equal(play(proxy.base_url, cut), free)
    assert proxy.accepted > 8


def test_an_environment_does_not_notice(proxy):
    env = gym.make("openenv/remote-v0", base_url=proxy.base_url)
    env.reset(seed=3)
    for number in range(1, 20):
        proxy.cut()
        if number % 2:
            proxy.reset()
        obs, _, terminated, truncated, info = env.step(0)
        assert obs[0] == number and not (terminated or truncated) and "openenv" not in info
    proxy.cut()
    env.reset()  # an idle connection that is gone is no reason for another session
    assert env.step(0)[0][0] == 1
    env.close()


def test_a_reply_is_kept_while_nobody_can_hear_it(serve):
    server = serve(SLOW)
    with FaultProxy(server.base_url) as proxy:
        connection = open_session(proxy.base_url)
        proxy.cut_after(0, "to_client", "reset")  # when the slow step is done
        assert step(connection, 1) == 1
        passed = proxy.passed("to_server")
        connection.begin(Step(1))
        wait_until(lambda: proxy.passed("to_server") > passed)
        proxy.refuse()
        proxy.cut()
        time.sleep(0.9)  # in which the step ends
        proxy.heal()
        assert float(connection.finish().obs[0]) == 2
        connection.close()


def test_a_session_that_nobody_takes_up_ends_after_the_grace(serve):
    # Its worker is the only one: one that waits for the next session would begin at any time.
    server = serve(SCRIPTED, "--workers=0", "--resume-grace=6")
    with FaultProxy(server.base_url) as proxy:
        connection = open_session(proxy.base_url)
        (worker,) = workers_of(server.pid)
        proxy.refuse()
        proxy.cut()
        assert active(server) == 1
        wait_until(lambda: active(server) == 0)
        wait_until(lambda: has_ended(worker))
        proxy.heal()
        with pytest.raises(ConnectionLostError, match="does not have it any more"):
            step(connection)


def test_a_step_that_runs_is_finished_whoever_has_left(serve, tmp_path):
    gate = tmp_path / "gate"
    kwargs = json.dumps({"gate": str(gate)})
    server = serve("tests.support.envs:Gated-v0", "--resume-grace=0.2", f"--kwargs={kwargs}")
    with FaultProxy(server.base_url) as proxy:
        connection = open_session(proxy.base_url)
        passed = proxy.passed("to_server")
        proxy.refuse()
        connection.begin(Step(1))
        wait_until(lambda: proxy.passed("to_server") > passed)
        proxy.cut()
        wait_until(lambda: active(server, "disconnected") == 1)
        time.sleep(1)  # more than the grace
        assert active(server) == 1
        gate.touch()
        wait_until(lambda: active(server) == 0)


def test_kept_sessions_give_way(proxy, server):
    wait_until(lambda: active(server) == 0)  # a slot is free a moment after its session's goodbye
    kept = [open_session(proxy.base_url) for _ in range(4)]
    proxy.refuse()
    proxy.cut()
    wait_until(lambda: active(server, "disconnected") == 4)
    others = [open_session(server.base_url) for _ in range(2)]
    proxy.heal()
    outcomes = sorted(outcome(connection) for connection in kept)
    assert outcomes == ["gone", "gone", "went on", "went on"]
    for connection in [*kept, *others]:
        connection.close()


def outcome(connection: Connection) -> str:
    try:
        assert step(connection) == 1
    except ConnectionLostError:
        return "gone"
    return "went on"


def test_a_goodbye_and_a_forgotten_connection_end_the_session(server):
    wait_until(lambda: active(server) == 0)
    connection = open_session(server.base_url)
    connection.close()
    wait_until(lambda: active(server) == 0)
    connection = open_session(server.base_url)
    del connection
    wait_until(lambda: active(server) == 0)


def test_who_does_not_want_it_is_not_kept(proxy, server):
    wait_until(lambda: active(server) == 0)
    connection = open_session(proxy.base_url, resume_timeout_s=0)
    proxy.cut()
    with pytest.raises(ConnectionLostError):
        step(connection)
    wait_until(lambda: active(server) == 0)
    with pytest.raises(InvalidRequestError, match="resume_timeout_s"):
        WebSocketOptions(resume_timeout_s=-1)


def test_a_server_that_died_is_not_waited_for_long(monkeypatch):
    tries: list[Any] = []
    counts: list[int] = []
    connect = websocket.dial

    def connect_and_count(*args: Any) -> socket.socket:
        tries.append(args)
        return connect(*args)

    with ServerProcess(SCRIPTED) as server:
        connections = [open_session(server.base_url) for _ in range(3)]
        psutil.Process(server.pid).kill()
        monkeypatch.setattr(websocket, "dial", connect_and_count)
        for connection in connections:
            with pytest.raises(ConnectionLostError, match="could not be taken up again"):
                step(connection)
            counts.append(len(tries))
        assert counts[0] > 1
        assert np.diff(counts).tolist() == [1, 1]  # the others know already
        with pytest.raises(UnreachableError):
            open_session(server.base_url)


def test_a_server_that_died_and_came_back_is_waited_for_as_long_as_the_first_time(serve):
    # What is lost here is kept for a while: on a server whose sessions nobody counts.
    with FaultProxy(serve(SCRIPTED).base_url) as proxy:
        for _ in range(2):  # what was learnt of the address the first time is forgotten
            lost, connection = open_session(proxy.base_url), open_session(proxy.base_url)
            proxy.refuse()
            proxy.cut()
            with pytest.raises(ConnectionLostError, match="could not be taken up again"):
                step(lost)
            proxy.heal()
            connection.close()
            connection = open_session(proxy.base_url)
            proxy.refuse()
            proxy.cut()
            connection.begin(Step(0))
            with healed_when_it_has_refused(proxy):
                assert float(connection.finish().obs[0]) == 1
            connection.close()


def test_a_refusal_that_comes_before_the_handshake_is_sent_is_one_too(proxy, monkeypatch):
    connection = open_session(proxy.base_url)
    connect = websocket.dial

    def connect_and_be_reset(*args: Any) -> socket.socket:
        sock = connect(*args)
        time.sleep(0.05)  # the reset is here when the handshake is to be sent
        return sock

    monkeypatch.setattr(websocket, "dial", connect_and_be_reset)
    proxy.refuse()
    with pytest.raises(UnreachableError):
        open_session(proxy.base_url)
    proxy.cut()
    with healed_when_it_has_refused(proxy):
        assert step(connection) == 1
    connection.close()


@pytest.mark.parametrize("token", ["", "x", "x.y", "é.y", "half"])
def test_a_session_is_taken_up_with_its_whole_token_only(server, token):
    connection = open_session(server.base_url)
    resumption = connection._transport._resumption
    session_id, secret = resumption.token.split(".")
    assert len(session_id) >= 22 and len(secret) >= 22
    stolen = f"{session_id}.{secret[:-1]}" if token == "half" else token
    connection._transport._resumption = resumption._replace(token=stolen)
    connection._transport._socket.close()
    with pytest.raises(ConnectionLostError):
        step(connection)
    connection._transport._resumption, connection._transport._is_over = resumption, False
    connection._session.state = SessionState.EPISODE


def test_a_reply_that_is_too_long_is_not_asked_for_again(serve):
    with FaultProxy(serve(PICTURE).base_url) as proxy:
        options = {"max_message_bytes": 2000}  # enough for what the environment says of itself
        with pytest.raises(InvalidRequestError, match=r"observations of .* at most 2000 bytes"):
            open_session(proxy.base_url, **options)
        assert proxy.accepted == 1


def test_a_connection_that_breaks_at_every_reply_is_given_up(proxy, monkeypatch):
    connection = open_session(proxy.base_url, resume_timeout_s=6.0)
    opened = websocket.WebSocketTransport._open

    def open_and_cut(*args: Any) -> None:
        opened(*args)
        proxy.cut_after(0, "to_client", "close")

    monkeypatch.setattr(websocket.WebSocketTransport, "_open", open_and_cut)
    before = proxy.accepted
    proxy.cut()
    with pytest.raises(ConnectionLostError, match="could not be taken up again"):
        step(connection)
    assert 2 < proxy.accepted - before < 60  # it pauses between two of them: else it were hundreds


def test_a_worker_that_died_meanwhile_is_what_is_told(serve):
    server = serve(SCRIPTED, "--workers=0", "--resume-grace=30")
    with FaultProxy(server.base_url) as proxy:
        connection = open_session(proxy.base_url)
        (worker,) = workers_of(server.pid)
        proxy.refuse()
        proxy.cut()
        worker.kill()
        proxy.heal()
        with pytest.raises(ConnectionLostError, match="signal 9") as caught:
            step(connection)
        assert caught.value.fault.kind == "worker_died" and caught.value.fault.signal == 9
    wait_until(lambda: active(server) == 0)


@pytest.mark.long
def test_a_worker_that_was_killed_in_a_step_meanwhile_is_what_is_told(serve):
    server = serve(HANGING, "--workers=0", "--step-timeout=6")  # the cut is to come before
    with FaultProxy(server.base_url) as proxy:
        connection = open_session(proxy.base_url)
        (worker,) = workers_of(server.pid)
        passed = proxy.passed("to_server")
        connection.begin(Step(Hanging.SLEEP))
        wait_until(lambda: proxy.passed("to_server") > passed)
        proxy.refuse()
        proxy.cut()
        wait_until(lambda: has_ended(worker))
        wait_until(lambda: active(server, "disconnected") == 1)
        proxy.heal()
        with pytest.raises(ConnectionLostError, match="--step-timeout") as caught:
            connection.finish()
        assert caught.value.fault.kind == "step_timeout" and caught.value.fault.signal == 9
    wait_until(lambda: active(server) == 0)


@contextmanager
def healed_when_it_has_refused(proxy: FaultProxy) -> Iterator[None]:
    """Heal the proxy as the client tries again: however late another thread were to do it."""
    before, connect = proxy.accepted, websocket.dial

    def heal_and_connect(*args: Any) -> socket.socket:
        if proxy.accepted > before:
            proxy.heal()
        return connect(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websocket, "dial", heal_and_connect)
        yield
    assert proxy.accepted > before + 1
