"""``/ws``, driven by the ``websockets`` library, which knows nothing of us."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from socket import SHUT_RDWR

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Failed, Open, Opened, Reset, Step
from tests.support.envs import Scripted
from tests.support.family import workers_of
from tests.support.waiting import wait_until

SCRIPTED = "tests.support.envs:Scripted-v0"


@pytest.fixture(scope="module", params=["process", "thread", "inline"])
def server(request: pytest.FixtureRequest):
    with ServerProcess(SCRIPTED, "--max-sessions=2", f"--isolation={request.param}") as running:
        running.isolation = request.param
        yield running


@pytest.fixture
def url(server: ServerProcess) -> str:
    return server.base_url.replace("http", "ws") + "/ws"


def ask(socket: ClientConnection, message: object) -> tuple[str, dict]:
    socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    reply = json.loads(socket.recv(timeout=20))
    return reply["type"], reply["data"]


def test_an_episode_in_json(url):
    with connect(url) as socket:
        kind, data = ask(socket, {"type": "reset", "data": {"seed": 0, "options": {"a": 1}}})
        assert kind == "observation"
        assert (data["reward"], data["done"]) == (None, False)
        assert data["observation"]["info"] == {"options": {"a": 1}}
        kind, data = ask(socket, {"type": "step", "data": {"action": Scripted.NAN}})
        assert data["observation"]["obs"] == ["NaN", "-Infinity"]
        assert data["reward"] == "Infinity"
        assert data["observation"]["info_types"] == {"/steps": "scalar:int16:"}
        kind, data = ask(socket, {"type": "state"})
        assert kind == "state"
        assert data["step_count"] == 1
        assert len(data["episode_id"]) == 32
        kind, data = ask(socket, {"type": "step", "data": {"action": Scripted.END}})
        assert (data["done"], data["observation"]["terminated"]) == (True, True)
        socket.send(json.dumps({"type": "close"}))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd.code == 1000


@pytest.mark.parametrize(
    ("message", "code", "says"),
    [
        ("", "INVALID_JSON", "no JSON"),
        ("{", "INVALID_JSON", "no JSON"),
        ("NaN", "INVALID_JSON", "no JSON"),
        (b"\x00\xff", "INVALID_JSON", "no JSON"),
        ("[" * 60_000, "INVALID_JSON", "no JSON"),
        ("5", "VALIDATION_ERROR", 'expected {"type": ..., "data": {...}}'),
        ("null", "VALIDATION_ERROR", 'expected {"type": ..., "data": {...}}'),
        ("[1]", "VALIDATION_ERROR", 'expected {"type": ..., "data": {...}}'),
        ('"reset"', "VALIDATION_ERROR", 'expected {"type": ..., "data": {...}}'),
        ({}, "UNKNOWN_TYPE", "$.type: expected one of reset, step, state, render, close, got None"),
        ({"type": "sept"}, "UNKNOWN_TYPE", "got 'sept'"),
        ({"type": 5}, "UNKNOWN_TYPE", "got 5"),
        ({"type": "step"}, "VALIDATION_ERROR", "data"),
        ({"type": "step", "data": [1]}, "VALIDATION_ERROR", "$.data"),
        ({"type": "step", "data": {"action": 0}, "seq": 1}, "VALIDATION_ERROR", "seq"),
        ({"type": "step", "data": {}}, "INVALID_ACTION", "$.action.action: Field required"),
        ({"type": "step", "data": {"action": 7}}, "INVALID_ACTION", "Discrete(7), got 7"),
        ({"type": "step", "data": {"action": "1"}}, "INVALID_ACTION", "got '1'"),
        ({"type": "step", "data": {"action": True}}, "INVALID_ACTION", "got True"),
        ({"type": "step", "data": {"action": 1.0}}, "INVALID_ACTION", "got 1.0"),
        ({"type": "step", "data": {"action": 10**400}}, "INVALID_ACTION", "$.action.action"),
        ({"type": "step", "data": {"x": 1, "action": 0}}, "INVALID_ACTION", "$.action.x"),
        ({"type": "reset", "data": {"seed": -5}}, "VALIDATION_ERROR", "$.data.seed"),
        ({"type": "reset", "data": {"sed": 5}}, "VALIDATION_ERROR", "got 'sed' too"),
        ({"type": "step", "data": {"action": 1}}, "EXECUTION_ERROR", "raised ValueError in step"),
    ],
)
def test_bad_messages_are_answered_and_the_session_lives_on(url, message, code, says):
    with connect(url, max_size=None) as socket:
        ask(socket, {"type": "reset", "data": {"seed": 0}})
        kind, data = ask(socket, message)
        assert (kind, data["code"]) == ("error", code)
        assert says in data["message"]
        assert len(data["message"]) <= 500
        kind, data = ask(socket, {"type": "reset"})
        assert kind == "observation"
        assert ask(socket, {"type": "step", "data": {"action": 0}})[0] == "observation"


def test_order_is_kept(url):
    with connect(url) as socket:
        kind, data = ask(socket, {"type": "step", "data": {"action": 0}})
        assert (kind, data["code"]) == ("error", "RESET_NEEDED")
        ask(socket, {"type": "reset"})
        ask(socket, {"type": "step", "data": {"action": Scripted.END}})
        kind, data = ask(socket, {"type": "step", "data": {"action": 0}})
        assert (kind, data["code"]) == ("error", "RESET_NEEDED")
        assert ask(socket, {"type": "reset"})[0] == "observation"


def test_messages_sent_ahead_are_answered_in_order(url):
    with connect(url) as socket:
        socket.send(json.dumps({"type": "reset"}))
        for _ in range(20):
            socket.send(json.dumps({"type": "step", "data": {"action": 0}}))
        firsts = [json.loads(socket.recv(20))["data"]["observation"]["obs"][0] for _ in range(21)]
        assert firsts == [float(step) for step in range(21)]


def test_capacity_is_refused_at_the_handshake_or_with_the_first_answer(url):
    with connect(url) as first, connect(url) as second:
        for holder in (first, second):  # a session begins with its first message
            assert ask(holder, {"type": "state"})[0] == "state"
        with connect(url) as stock:
            kind, data = ask(stock, {"type": "reset"})
            assert (kind, data["code"]) == ("error", "CAPACITY_REACHED")
            assert "2 of 2 are in use (--max-sessions)" in data["message"]
            with pytest.raises(ConnectionClosed, match="1013"):
                stock.recv(timeout=20)
        with pytest.raises(InvalidStatus) as refused, connect(f"{url}?view=gymnasium"):
            pass
        response = refused.value.response
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "5"
        assert json.loads(response.body)["code"] == "CAPACITY_REACHED"
        assert ask(first, {"type": "reset"})[0] == "observation"
        first.close()
        with connect_when_free(url) as again:
            assert ask(again, {"type": "reset"})[0] == "observation"


@contextmanager
def connect_when_free(url: str) -> Iterator[ClientConnection]:
    deadline = time.monotonic() + 60
    with ExitStack() as stack:
        while True:
            try:
                socket = stack.enter_context(connect(f"{url}?view=typed"))
                break
            except InvalidStatus:
                assert time.monotonic() < deadline, "the slot of a client that left was not freed"
        yield socket


def test_clients_that_leave_without_a_word_free_their_slots(server, url):
    for _ in range(6):
        with connect_when_free(url) as socket:
            socket.send(json.dumps({"type": "reset"}))
            socket.socket.shutdown(SHUT_RDWR)
    with connect_when_free(url) as socket:
        assert ask(socket, {"type": "reset"})[0] == "observation"


def test_a_process_that_dies_takes_only_its_session(server, url):
    if server.isolation != "process":
        pytest.skip("without a process of its own, a session that exits ends the server")
    with connect_when_free(url) as victim, connect_when_free(url) as bystander:
        ask(bystander, {"type": "reset"})
        ask(victim, {"type": "reset"})
        kind, data = ask(victim, {"type": "step", "data": {"action": Scripted.EXIT}})
        assert (kind, data["code"]) == ("error", "CONNECTION_LOST")
        assert "worker process of this session ended" in data["message"]
        assert ask(bystander, {"type": "step", "data": {"action": 0}})[0] == "observation"


def test_http_opens_another_session_after_a_death(server):
    if server.isolation != "process":
        pytest.skip("without a process of its own, a session that exits ends the server")
    with httpx.Client(base_url=server.base_url, timeout=60) as client:
        first = client.post("/reset", json={"seed": 1}).json()
        lost = client.post("/step", json={"action": {"action": Scripted.EXIT}})
        assert (lost.status_code, lost.json()["detail"]["code"]) == (500, "CONNECTION_LOST")
        assert client.post("/step", json={"action": {"action": 0}}).status_code == 409
        assert client.post("/reset", json={"seed": 1}).json() == first
        assert client.post("/close").status_code == 200


def test_an_observation_that_json_cannot_say_is_an_error_and_no_end(serve):
    url = serve("tests.support.envs:Careless-v0").base_url.replace("http", "ws") + "/ws"
    with connect(url) as socket:
        assert ask(socket, {"type": "reset"})[0] == "observation"
        kind, data = ask(socket, {"type": "step", "data": {"action": [1.0]}})
        assert (kind, data["code"]) == ("error", "EXECUTION_ERROR")
        assert "got 'no array at all'" in data["message"]
        kind, data = ask(socket, {"type": "step", "data": {"action": [0.0]}})
        assert (kind, data["observation"]["obs"]) == ("observation", [1, 2, 3])


class Binary:
    """The binary protocol by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.messages, self.seq = socket, BinaryMessages(), 0

    def ask(self, request: object) -> object:
        self.seq += 1
        self.socket.send(self.messages.encode_request(self.seq, request))
        seq, reply = self.messages.decode_reply(self.socket.recv(timeout=20))
        assert seq == self.seq
        return reply


def test_the_binary_protocol_is_negotiated(url):
    with connect(url, subprotocols=[SUBPROTOCOL]) as socket:
        assert socket.subprotocol == SUBPROTOCOL
        binary = Binary(socket)
        opened = binary.ask(Open())
        assert isinstance(opened, Opened)
        assert opened.description.environment == SCRIPTED
        assert binary.ask(Reset(0)).obs[0] == 0.0
        assert binary.ask(Step(0)).obs[0] == 1.0
    with connect(url, subprotocols=["other.v1"]) as socket:
        assert socket.subprotocol is None


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Open("CartPole-v1"), "UNKNOWN_ENVIRONMENT"),
        (Open("os:system"), "UNKNOWN_ENVIRONMENT"),
        (Open("environment:os:system"), "UNKNOWN_ENVIRONMENT"),
        (Open(SCRIPTED, {"fail_to_start": True}), "UNKNOWN_ENVIRONMENT"),
        (Open(None, {}, "rgb_array"), "UNSUPPORTED_RENDER_MODE"),
        (Reset(0), "PROTOCOL_ERROR"),
    ],
)
def test_only_what_is_served_can_be_opened(url, request_, code):
    with connect(url, subprotocols=[SUBPROTOCOL]) as socket:
        reply = Binary(socket).ask(request_)
        assert isinstance(reply, Failed)
        assert reply.code == code


def test_a_refused_open_may_be_followed_by_a_right_one_and_by_no_other_environment(url):
    with connect(url, subprotocols=[SUBPROTOCOL]) as socket:
        binary = Binary(socket)
        assert binary.ask(Open("CartPole-v1")).code == "UNKNOWN_ENVIRONMENT"
        assert binary.ask(Open("environment:os:system")).code == "UNKNOWN_ENVIRONMENT"
        assert isinstance(binary.ask(Open()), Opened)


def test_text_where_binary_was_agreed_ends_the_session(url):
    with connect(url, subprotocols=[SUBPROTOCOL]) as socket:
        socket.send("{}")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd.code == 1003


@pytest.mark.parametrize("body", [b"", b"\x01", b"\x03" + b"\x00" * 7, b"\xff" * 64])
def test_malformed_bodies_are_answered(url, body):
    with connect(url, subprotocols=[SUBPROTOCOL]) as socket:
        binary = Binary(socket)
        binary.ask(Open())
        binary.ask(Reset(0))
        socket.send(body)
        _, reply = binary.messages.decode_reply(socket.recv(timeout=20))
        assert isinstance(reply, Failed)
        assert reply.code in ("PROTOCOL_ERROR", "VALIDATION_ERROR")
        assert binary.ask(Step(0)).obs[0] == 1.0


def test_the_server_is_as_it_was(server):
    """Runs last: after all of the above nothing is left but the server and its spare worker."""
    expected = 1 if server.isolation == "process" else 0
    wait_until(lambda: len(workers_of(server.pid)) == expected)
    assert httpx.get(f"{server.base_url}/health", timeout=60).json() == {"status": "healthy"}


def test_a_guest_who_leaves_in_a_long_step_leaves_the_session_to_the_others(serve):
    server = serve("tests.support.envs:Slow-v0")
    with httpx.Client(base_url=server.base_url, timeout=40) as client:
        answer = client.post("/reset", json={}, headers={"X-OpenEnv-Session": "new"})
        mine = {"X-OpenEnv-Session": answer.headers["X-OpenEnv-Session"]}
        url = server.base_url.replace("http", "ws") + f"/ws?session_id={mine['X-OpenEnv-Session']}"
        with connect(url) as socket:
            socket.send(json.dumps({"type": "step", "data": {"action": 4}}))  # of two seconds
            socket.socket.shutdown(SHUT_RDWR)
        while True:
            state = client.get("/state", headers=mine)
            assert state.status_code == 200
            if state.json()["step_count"] == 1:
                break
        client.post("/close", headers=mine)
