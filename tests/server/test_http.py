"""The HTTP routes, over a real server."""

from __future__ import annotations

import httpx
import pytest

from openenv_gym import create_app
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol.events import A_SEED
from tests.support.uvicorn_thread import serving

HEADER = "X-OpenEnv-Session"


@pytest.fixture(scope="module", params=["CartPole-v1", "openspiel:catch"])
def served(request: pytest.FixtureRequest):
    with ServerProcess(request.param, "--max-sessions", "3") as server:
        action = {"action": 1} if request.param == "CartPole-v1" else {"action_id": 1}
        with httpx.Client(base_url=server.base_url, timeout=60) as client:
            yield client, action


def detail(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()["detail"]
    return response.status_code, body["code"], body["message"]


def test_a_step_before_a_reset_is_409_and_says_what_to_send(served):
    client, action = served
    assert client.get("/state").json()["episode_id"] is None
    answer = client.post("/step", json={"action": action})
    assert detail(answer) == (
        409,
        "RESET_NEEDED",
        "step before a reset; send POST /reset first",
    )


def test_one_episode_of_the_tutorial(served):
    client, action = served
    first = client.post("/reset", json={"seed": 7, "episode_id": "mine"}).json()
    assert (first["reward"], first["done"]) == (None, False)
    assert client.get("/state").json().items() >= {"episode_id": "mine", "step_count": 0}.items()
    steps, done = 0, False
    while not done:
        body = client.post("/step", json={"action": action}).json()
        steps, done = steps + 1, body["done"]
        assert set(body) == {"observation", "reward", "done"}
    assert client.get("/state").json()["step_count"] == steps
    assert body["observation"]["terminated"] is True
    status, code, message = detail(client.post("/step", json={"action": action}))
    assert (status, code) == (409, "RESET_NEEDED")
    assert "after the end of the episode; call reset()" in message
    assert client.post("/reset", json={"seed": 7}).json() == first


def test_sessions_of_ones_own(served):
    client, action = served
    client.post("/reset", json={"seed": 1})
    mine = client.post("/reset", json={"seed": 1}, headers={HEADER: "new"})
    headers = {HEADER: mine.headers[HEADER]}
    assert len(headers[HEADER]) >= 22
    client.post("/step", json={"action": action}, headers=headers)
    assert client.get("/state", headers=headers).json()["step_count"] == 1
    assert client.get("/state").json()["step_count"] == 0
    assert client.post("/reset", json={}, headers=headers).headers[HEADER] == headers[HEADER]
    assert client.post("/close", headers=headers).json() == {"closed": True}
    for answer in (
        client.post("/step", json={"action": action}, headers=headers),
        client.get("/state", headers=headers),
        client.post("/reset", headers=headers),
    ):
        status, code, message = detail(answer)
        assert (status, code) == (404, "UNKNOWN_ENVIRONMENT")
        assert f"{HEADER}: new" in message


def test_no_session_is_left(served):
    client, _ = served
    client.post("/reset")
    opened = [client.post("/reset", headers={HEADER: "new"}) for _ in range(2)]
    status, code, message = detail(client.post("/reset", headers={HEADER: "new"}))
    assert (status, code) == (503, "CAPACITY_REACHED")
    assert "3 of 3 are in use" in message
    for answer in opened:
        client.post("/close", headers={HEADER: answer.headers[HEADER]})
    again = client.post("/reset", headers={HEADER: "new"})
    assert again.status_code == 200
    client.post("/close", headers={HEADER: again.headers[HEADER]})


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/reset", "{", "expected a JSON object, got no JSON"),
        ("/reset", "[1]", "expected a JSON object, got [1]"),
        ("/reset", '"reset"', "expected a JSON object, got 'reset'"),
        ("/reset", '{"seed": -1}', f"$.seed: {A_SEED}, got -1"),
        ("/reset", '{"seed": "7"}', f"$.seed: {A_SEED}, got '7'"),
        ("/reset", '{"seed": true}', f"$.seed: {A_SEED}, got True"),
        ("/reset", '{"options": 3}', "$.options: expected an object or null, got 3"),
        ("/reset", '{"episode_id": 3}', "$.episode_id: expected a string or null, got 3"),
        ("/reset", '{"sed": 3}', "expected seed, options and episode_id, got 'sed' too"),
        ("/step", "{}", 'expected {"action": {...}}'),
        ("/step", '{"action": 1}', 'expected {"action": {...}}'),
        ("/step", '{"action": {}, "render": true}', 'expected {"action": {...}}'),
        ("/step", '{"action": {}, "timeout_s": 1}', "timeout_s: not supported"),
        ("/step", '{"action": {}}', "Field required, got nothing"),
        ("/step", "[" * 60_000, "expected a JSON object, got no JSON"),
    ],
)
def test_bad_bodies_are_422_and_lose_nothing(served, path, body, says):
    client, action = served
    client.post("/reset", json={"seed": 0})
    client.post("/step", json={"action": action})
    status, code, message = detail(client.post(path, content=body))
    assert (status, code) in {(422, "VALIDATION_ERROR"), (422, "INVALID_ACTION")}
    assert says in message
    assert len(message) <= 500
    assert client.get("/state").json()["step_count"] == 1


@pytest.mark.parametrize("value", [1000000000, -1, "1", 1.0, 1.5, True, None, [1], {"a": 1}])
def test_bad_actions_name_their_place(served, value):
    client, action = served
    client.post("/reset", json={"seed": 0})
    field = next(iter(action))
    status, code, message = detail(client.post("/step", json={"action": {field: value}}))
    assert (status, code) == (422, "INVALID_ACTION")
    assert message.startswith(f"$.action.{field}: expected ")
    assert f"got {value!r}" in message
    assert client.post("/step", json={"action": action}).status_code == 200


def test_what_the_server_says_of_itself(served):
    client, action = served
    assert client.get("/health").json() == {"status": "healthy"}
    metadata = client.get("/metadata").json()
    assert set(metadata) == {"name", "description"}
    schema = client.get("/schema").json()
    field = next(iter(action))
    assert schema["action"]["required"] == [field]
    assert schema["action"]["properties"][field]["x-gymnasium-space"]["type"] == "Discrete"
    assert schema["x-openenv-gym"]["protocol"] == 1
    openapi = client.get("/openapi.json").json()
    assert openapi["info"]["version"] == "0.1.0"
    assert {"/health", "/metadata", "/schema", "/reset", "/step", "/state"} <= set(openapi["paths"])
    body = openapi["paths"]["/step"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["action"]["required"] == [field]


def test_a_body_over_the_limit_is_refused(served):
    client, _ = served
    status, code, message = detail(client.post("/reset", content=b" " * (16 * 2**20 + 1)))
    assert (status, code) == (413, "VALIDATION_ERROR")
    assert "at most 16777216 bytes (--max-message-bytes), got 16777217" in message


def test_a_body_of_as_much_as_is_allowed_is_read():
    app = create_app("CartPole-v1", isolation="inline", max_message_bytes=64)
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert client.post("/reset", content=b"{}".ljust(64)).status_code == 200
        status, _, message = detail(client.post("/reset", content=b"{}".ljust(65)))
        assert status == 413
        assert "at most 64 bytes" in message


def test_a_server_may_want_each_request_to_name_its_session():
    app = create_app("CartPole-v1", isolation="inline", http_sessions="required")
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        step = {"action": {"action": 1}}
        says = "expected the header X-OpenEnv-Session with the id of a session, got none"
        for answer in (
            client.post("/reset", json={}),
            client.post("/step", json=step),
            client.get("/state"),
            client.post("/close"),
        ):
            status, code, message = detail(answer)
            assert (status, code) == (422, "VALIDATION_ERROR")
            assert says in message and "send POST /reset with X-OpenEnv-Session: new" in message
        begun = client.post("/reset", json={"seed": 1}, headers={HEADER: "new"})
        mine = {HEADER: begun.headers[HEADER]}
        assert client.post("/step", json=step, headers=mine).status_code == 200
        tool = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "reset"}}
        refused = client.post("/mcp", json=tool).json()["error"]["message"]
        assert "expected the id of a session" in refused
        tool["params"]["session_id"] = mine[HEADER]
        assert "result" in client.post("/mcp", json=tool).json()
