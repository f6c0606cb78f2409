"""What clients may send is bounded by what the spaces need, and is refused before it is read."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import gymnasium.spaces as gs
import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from openenv_gym import create_app
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Failed, Open, Opened, Reset
from openenv_gym.protocol.binary_messages import STEP
from openenv_gym.server.lengths import lengths_of
from openenv_gym.server.off_loop import LONG_BYTES
from openenv_gym.server.relay_protocol import RelayProtocol
from openenv_gym.spaces.size import json_size
from openenv_gym.wire.messages import MAX_VALUES
from tests.support.uvicorn_thread import serving

MOST = 2**20
NUM_ENVS = 3
ENV = "tests.support.envs:Scripted-v0"
LIMITS = lengths_of(json_size(gs.Discrete(7)), 1, MOST)
LIMITS_OF_MANY = lengths_of(json_size(gs.Discrete(7)), NUM_ENVS, MOST)


@pytest.fixture(scope="module")
def url(no_process_is_left: None) -> Iterator[str]:
    app = create_app(ENV, isolation="process", max_message_bytes=MOST)
    options = {"ws": RelayProtocol, "ws_max_size": MOST, "ws_per_message_deflate": False}
    with serving(app, **options) as base_url:
        yield base_url


Send = Callable[[str | bytes], tuple[str, str]]
"""Sends a message of JSON, and returns what the answer is and what it says."""


@contextmanager
def over_ws(url: str, query: str = "") -> Iterator[Send]:
    with connect(f"{url}/ws{query}".replace("http", "ws"), compression=None) as socket:

        def send(message: str | bytes) -> tuple[str, str]:
            socket.send(message)
            said = json.loads(socket.recv(timeout=20))
            return said["type"], said["data"].get("message", "")

        send('{"type": "reset"}')
        yield send


@contextmanager
def over_http(url: str, path: str) -> Iterator[Send]:
    with httpx.Client(base_url=url, timeout=20) as client:
        client.post("/reset", json={})

        def send(message: str | bytes) -> tuple[str, str]:
            answer = client.post(path, content=message)
            return str(answer.status_code), answer.text

        yield send


@contextmanager
def over_mcp(url: str) -> Iterator[Send]:
    with connect(f"{url}/mcp".replace("http", "ws"), compression=None) as socket:

        def send(message: str | bytes) -> tuple[str, str]:
            socket.send(message)
            said = json.loads(socket.recv(timeout=20))
            return "error" if "error" in said else "result", json.dumps(said)

        yield send


def called(tool: str, arguments: str) -> str:
    params = f'{{"name": "{tool}", "arguments": {arguments}}}'
    return f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}'


ACT, TOO_LONG = '{"action": 0}', f"expected a step of at most {LIMITS.step_bytes} bytes"
ROUTES: dict[str, tuple[Callable[[str], Any], str, str, str, str]] = {
    "ws": (over_ws, f'{{"type": "step", "data": {ACT}}}', '{"type": "reset"}', "error", TOO_LONG),
    "vector": (
        lambda url: over_ws(url, f"?num_envs={NUM_ENVS}"),
        '{"type": "step", "data": {"action": [0, 0, 0]}}',
        '{"type": "reset"}',
        "error",
        f"expected a step of at most {LIMITS_OF_MANY.step_bytes} bytes",
    ),
    "/step": (lambda url: over_http(url, "/step"), f'{{"action": {ACT}}}', "", "413", TOO_LONG),
    "/mcp": (
        lambda url: over_http(url, "/mcp"),
        called("step", ACT),
        called("reset", "{}"),
        "413",
        TOO_LONG,
    ),
    "mcp": (over_mcp, called("step", ACT), called("reset", "{}"), "error", TOO_LONG),
}
routes = pytest.mark.parametrize("route", ROUTES)


@routes
def test_a_step_may_be_as_long_as_its_space_needs(url: str, route: str):
    over, step, reset, refused, says = ROUTES[route]
    most = (LIMITS_OF_MANY if route == "vector" else LIMITS).step_bytes
    with over(url) as send:
        if reset:
            send(reset)
        taken = send(step)[0]
        assert send(step.ljust(most))[0] == taken != refused
        kind, said = send(step.ljust(most + 1))
        assert kind == refused
        assert says in said
        assert "(--max-message-bytes)" in said
        assert f"{most + 1}" in said
        assert send(step)[0] == taken, "the session goes on"


@routes
def test_a_reset_may_be_as_long_as_any_message(url: str, route: str):
    over, _, reset, refused, _ = ROUTES[route]
    if not reset:
        pytest.skip("the path says that it is a step")
    with over(url) as send:
        assert send(reset.ljust(MOST))[0] == send(reset)[0] != refused


def test_a_long_message_has_to_say_early_that_it_is_a_reset(url: str):
    late = f'{{"data": {{"options": {{"a": "{"x" * 2000}"}}}}, "type": "reset"}}'
    with over_ws(url) as send:
        assert send(late)[0] == "observation"
        assert "has to say within its first 1024" in send(late.ljust(LIMITS.step_bytes + 1))[1]


def test_a_body_is_refused_by_its_header_alone(url: str):
    for path, length in ("/step", LIMITS.step_bytes + 1), ("/reset", MOST + 1), ("/mcp", MOST + 1):
        line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        line.putrequest("POST", path)
        line.putheader("Content-Length", str(length))
        line.endheaders()
        assert line.getresponse().status == 413, path
        line.close()


@pytest.mark.parametrize("path", ["/step", "/reset", "/mcp"])
def test_a_body_without_an_end_is_refused_while_it_comes(url: str, path: str):
    line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    line.putrequest("POST", path)
    line.putheader("Transfer-Encoding", "chunked")
    line.endheaders()
    for _ in range(MOST // 2**16 + 1):
        line.send(b"10000\r\n" + b" " * 2**16 + b"\r\n")
    answer = line.getresponse()
    assert answer.status == 413
    assert b"--max-message-bytes" in answer.read()
    line.close()


@pytest.mark.parametrize("is_fragmented", [False, True])
def test_what_is_longer_than_any_message_closes_the_connection(url: str, is_fragmented: bool):
    with connect(f"{url}/ws".replace("http", "ws"), compression=None) as socket:
        half = " " * (MOST // 2 + 1)
        with pytest.raises(ConnectionClosed) as closed:
            socket.send([half, half] if is_fragmented else half * 2)
            socket.recv(timeout=20)
        assert closed.value.rcvd.code == 1009
        assert "(--max-message-bytes)" in closed.value.rcvd.reason


@pytest.fixture
def binary(url: str) -> Iterator[ClientConnection]:
    address = f"{url}/ws".replace("http", "ws")
    with connect(address, subprotocols=[SUBPROTOCOL], compression=None) as socket:
        yield socket


MESSAGES = BinaryMessages()


def ask(socket: ClientConnection, body: bytes | list[bytes]) -> Any:
    socket.send(body)
    return MESSAGES.decode_reply(socket.recv(timeout=20))[1]


def opened(socket: ClientConnection) -> None:
    assert type(ask(socket, MESSAGES.encode_request(1, Open(num_envs=NUM_ENVS)))) is Opened
    ask(socket, MESSAGES.encode_request(2, Reset(0)))


@pytest.mark.parametrize("is_fragmented", [False, True])
def test_a_long_step_closes_a_binary_session_before_it_is_collected(
    binary: ClientConnection, is_fragmented: bool
):
    opened(binary)
    longest = bytes((STEP, 0, 0, 0)).ljust(LIMITS_OF_MANY.step_bytes, b"\0")
    assert "malformed" in ask(binary, longest).message
    with pytest.raises(ConnectionClosed) as closed:
        binary.send([longest, b"\0"] if is_fragmented else longest + b"\0")
        binary.recv(timeout=20)
    assert closed.value.rcvd.code == 1009
    assert closed.value.rcvd.reason.startswith(
        f"expected {LIMITS_OF_MANY.step_bytes} bytes for the kind {STEP}, messages of at most "
        f"{MOST} bytes (--max-message-bytes)"
    )


@pytest.mark.parametrize("cut", [1, 40, 70_000])
def test_a_long_reset_arrives_whole(binary: ClientConnection, cut: int):
    opened(binary)
    options = {"a": np.arange(100_000, dtype=np.uint8).tobytes()}
    body = MESSAGES.encode_request(3, Reset(0, options))
    for parts in (body, [body[:cut], body[cut:]]):
        result = ask(binary, parts)
        assert result.info[0][1]["options"] == options


def test_a_long_text_arrives_whole(url: str):
    text = "é" * 100_000
    message = json.dumps({"type": "reset", "data": {"options": {"a": text}}}, ensure_ascii=False)
    with connect(f"{url}/ws".replace("http", "ws"), compression=None) as socket:
        for parts in (message, [message[:30], message[30:]]):
            socket.send(parts)
            said = json.loads(socket.recv(timeout=20))
            assert said["data"]["observation"]["info"]["options"] == {"a": text}


ITEMS = {"numbers": "0", "objects": "{}", "arrays": "[]", "texts": '""'}


@pytest.mark.parametrize("item", ITEMS.values(), ids=ITEMS)
def test_a_message_with_too_many_values_is_not_read(url: str, item: str):
    values = ",".join([item] * MAX_VALUES)
    with over_ws(url) as send:
        kind, said = send(f'{{"type": "reset", "data": {{"options": {{"a": [{values}]}}}}}}')
        assert kind == "error"
        assert f"expected at most {LIMITS.values} values" in said
        assert send('{"type": "reset"}')[0] == "observation"


def test_an_open_with_too_many_values_is_not_read(binary: ClientConnection):
    head = bytes((1, 0, 0, 0, 7, 0, 0, 0)) + b"\x9e\xa1a\xdd"
    failed = ask(binary, head + MAX_VALUES.to_bytes(4, "big") + b"\x80" * MAX_VALUES)
    assert type(failed) is Failed
    assert f"expected at most {MAX_VALUES} values" in failed.message
    opened(binary)


def test_the_number_of_sub_environments_names_its_flag(url: str):
    with connect(f"{url}/ws?num_envs=1025".replace("http", "ws")) as socket:
        socket.send('{"type": "reset"}')
        said = json.loads(socket.recv(timeout=20))["data"]["message"]
    assert said.startswith("num_envs: expected 1 to 1024")
    assert "(--max-num-envs), got 1025" in said


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads in which requests in JSON are read, each by its name."""
    names: list[str] = []
    for module in ("protocol.json_messages.parse_message", "server.http_routes._object_in"):
        _note_thread(monkeypatch, f"openenv_gym.{module}", names)
    _note_thread(monkeypatch, "openenv_gym.server.mcp_route.decode", names)
    return names


def _note_thread(monkeypatch: pytest.MonkeyPatch, target: str, names: list[str]) -> None:
    function = pytest.importorskip(target.rpartition(".")[0]).__dict__[target.rpartition(".")[2]]

    def noting(*arguments: Any) -> Any:
        names.append(threading.current_thread().name)
        return function(*arguments)

    monkeypatch.setattr(target, noting)


LONG = {
    "ws": (over_ws, '{"type": "reset"}'),
    "/reset": (lambda url: over_http(url, "/reset"), "{}"),
    "/mcp": (lambda url: over_http(url, "/mcp"), called("reset", "{}")),
    "mcp": (over_mcp, called("reset", "{}")),
}


@pytest.mark.parametrize("route", LONG)
def test_a_long_message_is_read_beside_the_loop(url: str, readers: list[str], route: str):
    over, message = LONG[route]
    with over(url) as send:
        readers.clear()
        send(message)
        send(message.ljust(LONG_BYTES + 1))
    on_loop, beside = readers
    assert not on_loop.startswith("openenv-gym")
    assert beside.startswith("openenv-gym long messages")


def test_the_environments_of_a_session_count(url: str):
    assert LIMITS.step_bytes == 65_536 + 4 * len("-9223372036854775808") + 4 * 3
    assert LIMITS_OF_MANY.step_bytes - 65_536 == 3 * (LIMITS.step_bytes - 65_536)


def test_without_a_longest_action_a_step_may_be_as_long_as_any_message():
    assert lengths_of(json_size(gs.Sequence(gs.Discrete(3))), 1, MOST).step_bytes == MOST


def test_a_limit_that_was_given_holds_for_steps_too():
    assert lengths_of(json_size(gs.Discrete(3)), 1, 1000).step_bytes == 1000


def test_a_step_of_another_environment_is_not_read(url: str):
    with over_ws(url) as send:
        fields = ", ".join(f'"{number}": 0' for number in range(5000))
        assert "5000 fields" in send(f'{{"type": "step", "data": {{{fields}}}}}')[1]
