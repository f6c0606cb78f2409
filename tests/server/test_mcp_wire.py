"""``/mcp`` to the byte: what the SDK's client never sends, over HTTP and WebSocket."""

from __future__ import annotations

import importlib.util
import json
import threading
from pathlib import Path
from typing import Any

import gymnasium as gym
import httpx
import jsonschema
import pytest
from websockets.sync.client import connect

from openenv_gym import create_app
from openenv_gym.launchers import ServerProcess
from openenv_gym.server.mcp_route import MAX_AT_ONCE
from tests.support.uvicorn_thread import serving
from tests.support.waiting import wait_until

SCRIPTED = "tests.support.envs:Scripted-v0"
GATED = "tests.support.envs:Gated-v0"
SESSION = "Mcp-Session-Id"
VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


def call(method: str, number: int | str = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def tool(name: str, number: int = 1, **arguments: Any) -> dict[str, Any]:
    return call("tools/call", number, name=name, arguments=arguments)


def hello(version: str) -> dict[str, Any]:
    about = {"name": "test", "version": "1"}
    return call("initialize", protocolVersion=version, capabilities={}, clientInfo=about)


def begin(client: httpx.Client, version: str = "2025-11-25") -> dict[str, str]:
    """The headers of a new session."""
    return {SESSION: client.post("/mcp", json=hello(version)).headers[SESSION]}


def steps(client: httpx.Client, headers: dict[str, str]) -> int:
    answer = client.post("/mcp", json=tool("state"), headers=headers).json()
    return answer["result"]["structuredContent"]["step_count"]


@pytest.fixture(scope="module")
def client(serve):
    with httpx.Client(base_url=serve("CartPole-v1").base_url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("version", VERSIONS)
def test_every_revision_with_a_handshake_is_spoken(client, version):
    answer = client.post("/mcp", json=hello(version))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    result = answer.json()["result"]
    assert result["protocolVersion"] == version
    assert result["capabilities"] == {"tools": {"listChanged": False}}
    headers = {SESSION: answer.headers[SESSION], "MCP-Protocol-Version": version}
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    noted = client.post("/mcp", json=done, headers=headers)
    assert (noted.status_code, noted.content) == (202, b"")
    assert client.post("/mcp", json=call("ping"), headers=headers).json()["result"] == {}
    assert client.delete("/mcp", headers=headers).status_code == 204


@pytest.mark.parametrize("version", ["2099-01-01", "1.0", ""])
def test_another_revision_is_answered_with_the_newest(client, version):
    result = client.post("/mcp", json=hello(version)).json()["result"]
    assert result["protocolVersion"] == VERSIONS[-1]


@pytest.mark.parametrize(
    ("body", "number", "code", "says"),
    [
        (b"", None, -32700, "got no JSON"),
        (b"{", None, -32700, "got no JSON"),
        (b'{"jsonrpc": NaN}', None, -32700, "got no JSON"),
        (b"\xff\xfe", None, -32700, "got no JSON"),
        (b"[" * 60_000, None, -32700, "got no JSON"),
        (b"[" * 70 + b"]" * 70, None, -32600, "nested at most 32 deep"),
        (b"3", None, -32600, "expected a JSON object, got 3"),
        (b"{}", None, -32600, '$.jsonrpc: expected "2.0", got None'),
        (b'{"jsonrpc": "1.0", "id": 4, "method": "ping"}', 4, -32600, "$.jsonrpc"),
        (b'{"jsonrpc": "2.0", "id": 4}', 4, -32600, "$.method: expected a string"),
        (b'{"jsonrpc": "2.0", "id": 4, "method": 5}', 4, -32600, "$.method: expected a string"),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', None, -32600, "$.id: expected"),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', None, -32600, "$.id: expected"),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', None, -32600, "$.id: expected"),
        (b'{"jsonrpc": "2.0", "id": "a", "method": "jump"}', "a", -32601, "among initialize, ping"),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "ping", "params": []}', 4, -32602, "$.params"),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "initialize"}', 4, -32602, "protocolVersion"),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "tools/call"}', 4, -32602, "expected a tool"),
        (json.dumps(call("tools/call", name="jump")).encode(), 1, -32602, "got 'jump'"),
        (json.dumps(call("tools/call", name=["step"])).encode(), 1, -32602, "expected a tool"),
        (
            json.dumps(call("tools/call", name="step", arguments=[1])).encode(),
            *(1, -32602, "$.params.arguments: expected an object"),
        ),
        (json.dumps(call("tools/list", cursor="x")).encode(), 1, -32602, "$.params.cursor"),
    ],
)
def test_what_is_no_request_is_answered_with_the_codes_of_json_rpc(
    client, body, number, code, says
):
    answer = client.post("/mcp", content=body)
    assert answer.status_code == 200
    assert answer.json()["jsonrpc"] == "2.0"
    assert answer.json()["id"] == number
    assert answer.json()["error"]["code"] == code
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Accept": "application/json"}, 200),
        ({"Accept": "application/json, text/event-stream"}, 200),
        ({"Accept": "text/event-stream;q=0.9,*/*;q=0.1"}, 200),
        ({"Accept": "text/event-stream"}, 406),
        ({"Accept": "text/html"}, 406),
        ({SESSION: "unknown"}, 404),
        ({"MCP-Protocol-Version": "2025-11-25"}, 400),
        ({"MCP-Protocol-Version": "2026-07-28"}, 400),
    ],
)
def test_headers_that_the_transport_asks_about(client, headers, status):
    answer = client.post("/mcp", json=call("tools/list"), headers=headers)
    assert answer.status_code == status
    assert ("error" in answer.json()) == (status != 200)
    if status in (400, 404):
        assert answer.json()["id"] == 1


def test_a_revision_that_is_not_spoken_is_answered_with_those_that_are(client):
    headers = {"MCP-Protocol-Version": "2026-07-28"}
    error = client.post("/mcp", json=call("server/discover"), headers=headers).json()["error"]
    assert error["code"] == -32022
    assert error["data"] == {"supported": list(VERSIONS), "requested": "2026-07-28"}


def test_there_is_no_stream_and_no_session_without_its_header(client):
    assert client.get("/mcp").status_code == 405
    assert client.delete("/mcp").status_code == 400
    headers = begin(client)
    assert client.delete("/mcp", headers=headers).status_code == 204
    assert client.delete("/mcp", headers=headers).status_code == 404
    ended = client.post("/mcp", json=call("ping"), headers=headers)
    assert (ended.status_code, ended.json()["error"]["code"]) == (404, -32600)


def test_a_body_over_the_limit_is_refused(client):
    answer = client.post("/mcp", content=b" " * (16 * 2**20 + 1))
    assert answer.status_code == 413
    assert "at most 16777216 bytes" in answer.json()["error"]["message"]


def test_a_session_keeps_its_episode_to_itself(client):
    mine, yours = begin(client), begin(client)
    for headers in (mine, yours, {}):
        client.post("/mcp", json=tool("reset", seed=1), headers=headers)
    client.post("/mcp", json=tool("step", action=1), headers=mine)
    assert [steps(client, headers) for headers in (mine, yours, {})] == [1, 0, 0]


def test_a_request_belongs_to_one_session(client):
    headers, other = begin(client), begin(client)[SESSION]
    both = call("tools/call", name="state", session_id=other)
    refused = client.post("/mcp", json=both, headers=headers).json()["error"]
    assert refused["code"] == -32602 and "leave out either" in refused["message"]
    same = call("tools/call", name="state", session_id=headers[SESSION])
    assert not client.post("/mcp", json=same, headers=headers).json()["result"]["isError"]


def test_json_rpc_without_a_handshake_shares_one_episode(client):
    client.post("/mcp", json=tool("reset", seed=1))
    client.post("/mcp", json=tool("step", action=1))
    assert steps(client, {}) == 1
    assert client.post("/mcp", json=call("tools/list")).json()["result"]["tools"]


def test_notifications_and_responses_are_taken_note_of(client):
    headers = begin(client)
    for body in (
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "method": "notifications/of/the/future"},
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "reset"}},
        {"jsonrpc": "2.0", "method": "ping", "params": []},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "no"}},
    ):
        answer = client.post("/mcp", json=body, headers=headers)
        assert (answer.status_code, answer.content) == (202, b"")
    assert steps(client, headers) == 0


@pytest.mark.parametrize("version", [None, "2024-11-05", "2025-03-26"])
def test_a_batch_where_the_revision_has_them(client, version):
    headers = {} if version is None else begin(client, version)
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    batch = [tool("reset", 1), note, tool("step", 2, action=1), 3, tool("state", 4)]
    answers = client.post("/mcp", json=batch, headers=headers).json()
    assert [answer["id"] for answer in answers] == [1, 2, None, 4]
    assert answers[2]["error"]["code"] == -32600
    assert answers[3]["result"]["structuredContent"]["step_count"] == 1
    assert client.post("/mcp", json=[note], headers=headers).status_code == 202
    for body in ([], [call("ping")] * 101):
        refused = client.post("/mcp", json=body, headers=headers).json()
        assert "expected a batch of 1 to 100 messages" in refused["error"]["message"]
    hellos = client.post("/mcp", json=[hello("2025-03-26")], headers=headers).json()
    assert hellos[0]["error"]["code"] == -32600
    assert "initialize: expected a message of its own" in hellos[0]["error"]["message"]


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_no_batch_where_the_revision_has_none(client, version):
    refused = client.post("/mcp", json=[call("ping")], headers=begin(client, version)).json()
    assert refused["error"]["code"] == -32600
    assert f"a batch, which MCP {version} does not have" in refused["error"]["message"]


def test_sessions_as_openenv_makes_them_and_its_websocket_takes_part():
    with (
        ServerProcess("CartPole-v1", "--max-sessions=1") as server,
        httpx.Client(base_url=server.base_url, timeout=60) as client,
    ):
        made = client.post("/mcp", json=call("openenv/session/create")).json()["result"]
        full = client.post("/mcp", json=call("openenv/session/create")).json()["error"]
        assert (full["code"], full["data"]) == (-32000, {"code": "CAPACITY_REACHED"})
        url = server.base_url.replace("http", "ws", 1)
        with connect(f"{url}/ws?session_id={made['session_id']}") as socket:
            socket.send(json.dumps({"type": "step", "data": {"action": 1}}))
            assert json.loads(socket.recv())["data"]["code"] == "RESET_NEEDED"
            socket.send(json.dumps({"type": "reset", "data": {"seed": 1}}))
            socket.recv()
            act = call("tools/call", name="step", arguments={"action": 1}, **made)
            result = client.post("/mcp", json=act).json()["result"]
            assert result["data"] == result["structuredContent"]
            socket.send(json.dumps({"type": "state"}))
            assert json.loads(socket.recv())["data"]["step_count"] == 1
            socket.send(json.dumps({"type": "close"}))
        bad = call("tools/call", name="step", arguments={"action": 9}, **made)
        error = client.post("/mcp", json=bad).json()["error"]
        assert (error["code"], error["data"]) == (-32000, {"code": "INVALID_ACTION"})
        state = call("tools/call", name="state", **made)
        assert client.post("/mcp", json=state).json()["result"]["data"]["step_count"] == 1
        closed = client.post("/mcp", json=call("openenv/session/close", **made)).json()["result"]
        assert closed == {**made, "closed": True}
        again = client.post("/mcp", json=call("openenv/session/close", **made)).json()["error"]
        assert again["code"] == -32602
        with connect(f"{url}/ws?session_id={made['session_id']}") as socket:
            socket.send(json.dumps({"type": "state"}))
            said = json.loads(socket.recv())["data"]
            assert said["code"] == "UNKNOWN_ENVIRONMENT"
        assert "result" in client.post("/mcp", json=tool("reset")).json()


def test_a_websocket_is_a_session_and_a_ping_is_answered_during_a_step(tmp_path: Path):
    gate = tmp_path / "gate"  # which steps wait for
    with (
        ServerProcess(GATED, "--kwargs", json.dumps({"gate": str(gate)})) as server,
        connect(server.base_url.replace("http", "ws", 1) + "/mcp") as socket,
    ):

        def send(*messages: Any) -> None:
            for message in messages:
                socket.send(message if isinstance(message, bytes) else json.dumps(message))

        def receive() -> Any:
            return json.loads(socket.recv())

        def ask(message: Any) -> Any:
            send(message)
            return receive()

        assert ask(hello("2025-06-18"))["result"]["protocolVersion"] == "2025-06-18"
        assert ask([call("ping")])["error"]["code"] == -32600
        send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert ask(b"no JSON")["error"]["code"] == -32700
        send(tool("reset", 1), tool("step", 2, action=1), tool("state", 3))
        assert receive()["id"] == 1
        gate.touch()
        answers = [receive(), receive()]
        assert [answer["id"] for answer in answers] == [2, 3]
        assert answers[1]["result"]["structuredContent"]["step_count"] == 1
        gate.unlink()
        send(tool("step", 4, action=1), call("ping", 5))
        assert receive()["id"] == 5
        gate.touch()
        assert receive()["id"] == 4


@pytest.mark.parametrize("more", [0, 20])
@pytest.mark.sample(1)
def test_the_end_of_a_websocket_ends_its_session_though_a_step_hangs(more, of_one_session):
    url = of_one_session.base_url.replace("http", "ws", 1) + "/mcp"
    with connect(url) as socket:
        socket.send(json.dumps(tool("reset")))
        socket.recv()
        socket.send(json.dumps(tool("step", action=3)))
        for number in range(2, 2 + more):
            socket.send(json.dumps(tool("step", number, action=0)))
        refused = [json.loads(socket.recv()) for _ in range(more - MAX_AT_ONCE + 1)]
        assert [one["id"] for one in refused] == list(range(MAX_AT_ONCE + 1, 2 + more))
        assert all("wait for an answer" in one["error"]["message"] for one in refused)
    for _ in range(1000):
        with connect(url) as socket:
            socket.send(json.dumps(tool("reset")))
            if not json.loads(socket.recv())["result"]["isError"]:
                return
        threading.Event().wait(0.02)
    pytest.fail("the slot of the session was never free again")


def test_a_client_that_vanished_gives_way_and_is_told_when_it_comes_back():
    app = create_app("CartPole-v1", max_sessions=1, http_idle_s=0.0, isolation="inline")
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        vanished, next_one = begin(client), begin(client)
        for headers in (vanished, next_one):
            answer = client.post("/mcp", json=tool("reset"), headers=headers).json()
            assert not answer["result"]["isError"]
        told = client.post("/mcp", json=tool("step", action=1), headers=vanished).json()["result"]
        assert told["isError"]
        assert "gave way to another client" in told["content"][0]["text"]
        again = client.post("/mcp", json=tool("reset"), headers=vanished).json()["result"]
        assert not again["isError"]


def test_a_session_gives_way_when_its_guest_has_left():
    app = create_app("CartPole-v1", max_sessions=1, http_idle_s=0.0, isolation="inline")
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        create = call("openenv/session/create")
        visited = client.post("/mcp", json=create).json()["result"]["session_id"]
        address = url.replace("http", "ws", 1) + f"/ws?session_id={visited}"
        with connect(address) as guest:
            guest.send(json.dumps({"type": "state"}))
            guest.recv()
            error = client.post("/mcp", json=create).json()["error"]
            assert error["data"] == {"code": "CAPACITY_REACHED"}
        wait_until(lambda: "result" in client.post("/mcp", json=create).json())


def test_of_too_many_clients_the_one_unused_longest_is_forgotten():
    app = create_app("CartPole-v1", max_sessions=2, isolation="inline")
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        playing, forgotten = begin(client), begin(client)
        client.post("/mcp", json=tool("reset"), headers=playing)
        for _ in range(1024 + 2 - 2 + 1):
            begin(client)
        assert client.post("/mcp", json=call("ping"), headers=forgotten).status_code == 404
        assert steps(client, playing) == 0


def render_of(client: httpx.Client) -> Any:
    """What the tool `render` answers, None where there is no such tool."""
    listed = client.post("/mcp", json=call("tools/list")).json()["result"]["tools"]
    assert not client.post("/mcp", json=tool("reset", seed=1)).json()["result"]["isError"]
    if "render" not in [one["name"] for one in listed]:
        return None
    return client.post("/mcp", json=tool("render")).json()["result"]["content"]


@pytest.mark.parametrize(
    ("environment", "is_drawn"),
    [
        (lambda: gym.make("CartPole-v1"), False),
        (lambda: gym.make("CartPole-v1", render_mode="rgb_array"), True),
        (lambda: gym.make("CartPole-v1", render_mode="rgb_array_list"), False),
    ],
)
def test_an_environment_of_ones_own_is_shown_in_the_mode_that_it_was_made_with(
    environment, is_drawn
):
    with serving(create_app(environment)) as url, httpx.Client(base_url=url, timeout=60) as client:
        shown = render_of(client)
    assert shown is None if not is_drawn else shown[0]["mimeType"] == "image/png"


@pytest.mark.parametrize(("name", "kind"), [("CartPole-v1", "image"), ("openspiel:catch", "text")])
def test_without_pillow_games_of_openspiel_are_text(monkeypatch, name, kind):
    found = importlib.util.find_spec

    def hidden(name, *rest):
        return None if name == "PIL" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    app = create_app(name, isolation="inline")
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        shown = render_of(client)
    assert shown[0]["type"] == kind


def test_a_vector_environment_is_played_in_lists(serve):
    url = serve("vector:tests.support.envs:cartpoles").base_url
    with httpx.Client(base_url=url, timeout=60) as client:
        listed = client.post("/mcp", json=call("tools/list")).json()["result"]["tools"]
        for body in (tool("reset", seed=1), tool("step", action=[1]), tool("state")):
            result = client.post("/mcp", json=body).json()["result"]
            schemas = {one["name"]: one["outputSchema"] for one in listed}
            jsonschema.validate(result["structuredContent"], schemas[body["params"]["name"]])
        assert result["structuredContent"]["step_count"] == 1


def test_openapi_names_the_route(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/mcp"]) == {"post", "delete"}
