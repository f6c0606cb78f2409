"""The gate: what a page of another site, or a name that was rebound, may send, which is nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from openenv_gym import create_app
from openenv_gym.errors import InvalidRequestError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL
from openenv_gym.protocol.resume import RESUME_HEADER
from openenv_gym.server import run
from openenv_gym.server.gate import CHECKS, Gate, Refusal
from openenv_gym.server.settings import Listener, ServerSettings
from tests.support.uvicorn_thread import serving

EVIL = "http://evil.example"
LAN = "192.168.7.7"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app("CartPole-v1", isolation="inline")


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """All that the application answers: a method, or ``websocket``, and a path."""
    found, left = [], list(app.routes)
    while left:
        route = left.pop()
        included = getattr(route, "original_router", None)  # of FastAPI's newer versions
        if included is not None:
            left += included.routes
        else:
            found += [(one, route.path) for one in getattr(route, "methods", None) or ["websocket"]]
    return sorted(found)


def told(app: Any, method: str, path: str, headers: dict[str, str], server: str) -> tuple[int, str]:
    """The status and the text that a request gets which came to the address ``server``."""
    is_websocket = method == "websocket"
    sent: list[dict[str, Any]] = []
    inbox = [{"type": "websocket.connect" if is_websocket else "http.request", "body": b""}]
    inbox.append({"type": "websocket.disconnect" if is_websocket else "http.disconnect"})

    async def receive() -> dict[str, Any]:
        return inbox.pop(0) if len(inbox) > 1 else inbox[0]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket" if is_websocket else "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "ws" if is_websocket else "http",
        "server": (server, 8000),
        "client": (server, 50000),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    asyncio.run(app(scope, receive, send))
    status = sent[0].get("status", 101 if sent[0]["type"] == "websocket.accept" else 403)
    return status, b"".join(one.get("body", b"") for one in sent).decode()


def test_no_route_is_left_out(app: FastAPI):
    known = routes(app)
    for path in ("/ws", "/mcp"):
        assert ("websocket", path) in known
    for route in (("POST", "/reset"), ("GET", "/state"), ("DELETE", "/mcp"), ("GET", "/docs")):
        assert route in known
    foreign = [
        ({"host": "127.0.0.1:8000", "origin": EVIL, "content-type": "text/plain"}, "Origin", EVIL),
        ({"host": "127.0.0.1:8000", "origin": "null", **JSON}, "Origin", "null"),
        ({"host": "evil.example:8000"}, "Host", "evil.example:8000"),
        ({"host": "evil.example", "origin": EVIL, **JSON}, "Host", "evil.example"),
    ]
    for method, path in [*known, ("GET", "/nowhere"), ("PUT", "/reset")]:
        for headers, name, value in foreign:
            status, text = told(app, method, path, headers, "127.0.0.1")
            assert status == 403, (method, path, headers)
            assert f"{name} {value} " in text and f"(--allow-{name.lower()})" in text


@pytest.mark.parametrize(
    ("server", "headers", "status"),
    [
        # no browser
        ("127.0.0.1", {}, 200),
        ("127.0.0.1", {"host": "localhost:8000"}, 200),
        ("127.0.0.1", {"host": "LOCALHOST."}, 200),
        ("127.0.0.1", {"host": "catch.localhost:8000"}, 200),
        ("127.0.0.1", {"host": "127.0.0.2"}, 200),
        ("::1", {"host": "[::1]:8000"}, 200),
        ("::ffff:127.0.0.1", {"host": "[::ffff:127.0.0.1]:8000"}, 200),
        ("127.0.0.1", {"host": "localhost.evil.example"}, 403),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example"}, 403),
        ("::ffff:127.0.0.1", {"host": "evil.example"}, 403),
        ("127.0.0.1", {"host": "[::1"}, 403),
        ("127.0.0.1", {"host": ""}, 403),
        ("127.0.0.1", {"host": LAN}, 403),
        # its own pages
        ("127.0.0.1", {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}, 200),
        ("127.0.0.1", {"host": "localhost", "origin": "http://localhost"}, 200),
        ("127.0.0.1", {"host": "localhost", "origin": "https://localhost"}, 403),
        ("127.0.0.1", {"host": "localhost:8000", "origin": "http://localhost:3000"}, 403),
        ("127.0.0.1", {"host": "localhost:8000", "origin": ""}, 403),
        ("127.0.0.1", {"origin": "http://"}, 403),
        # over a network: a name is a browser's only where it is known
        (LAN, {"host": f"{LAN}:8000"}, 200),
        (LAN, {"host": "10.0.0.9:80"}, 200),
        (LAN, {"host": "catch.default.svc:8000"}, 200),
        (LAN, {"host": f"{LAN}:8000", "origin": f"http://{LAN}:8000"}, 200),
        (LAN, {"host": "evil.example", "origin": EVIL}, 403),
        ("/run/catch.sock", {"host": "catch.example"}, 200),
        ("/run/catch.sock", {"host": "evil.example", "origin": EVIL}, 403),
    ],
)
def test_who_passes(app: FastAPI, server: str, headers: dict[str, str], status: int):
    assert told(app, "GET", "/livez", headers, server)[0] == status
    assert told(app, "POST", "/close", {**headers, **JSON}, server)[0] == status


@pytest.mark.parametrize(
    ("server", "headers", "status"),
    [
        ("127.0.0.1", {"host": "Games.example:8000"}, 200),
        ("127.0.0.1", {"host": "localhost", "origin": "https://app.example"}, 200),
        ("127.0.0.1", {"host": "localhost", "origin": "https://app.example:8443"}, 403),
        ("127.0.0.1", {"host": "other.example"}, 403),
        (LAN, {"host": "games.example", "origin": "https://app.example"}, 200),
        (LAN, {"host": "games.example", "origin": "http://games.example"}, 200),
        (LAN, {"host": "other.example"}, 403),
    ],
)
def test_who_passes_where_names_and_origins_are_given(server, headers, status):
    settings = ServerSettings(
        environment="any", allow_hosts=["games.example"], allow_origins=["https://app.example"]
    )
    assert told(Gate(answering, settings), "GET", "/", headers, server)[0] == status


def test_an_origin_that_is_allowed_may_use_any_name_over_a_network():
    settings = ServerSettings(environment="any", allow_origins=["https://app.example"])
    gate = Gate(answering, settings)
    headers = {"host": "games", "origin": "https://app.example"}
    assert told(gate, "GET", "/", headers, LAN)[0] == 200
    assert told(gate, "GET", "/", headers, "127.0.0.1")[0] == 403


async def answering(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain; application/json", 415),
        ("", 415),
        ("Application/JSON; charset=utf-8", 200),
    ],
)
def test_a_page_sends_json_and_who_is_no_page_sends_what_it_likes(app, kind: str, status: int):
    headers = {"host": "localhost", "content-type": kind}
    page = {**headers, "origin": "http://localhost"}
    assert told(app, "POST", "/close", page, "127.0.0.1")[0] == status
    assert told(app, "POST", "/close", headers, "127.0.0.1")[0] == 200


def test_a_further_check_is_one_function_in_the_list():
    def check_token(request: Any, settings: ServerSettings) -> Refusal | None:
        has_it = request.headers.get("authorization") == "Bearer secret"
        return None if has_it else Refusal(401, "expected a token")

    gate = Gate(answering, ServerSettings(environment="any"), [*CHECKS, check_token])
    assert told(gate, "GET", "/", {}, "127.0.0.1") == (401, "expected a token\n")
    assert told(gate, "GET", "/", {"origin": EVIL}, "127.0.0.1")[0] == 403
    assert told(gate, "GET", "/", {"authorization": "Bearer secret"}, "127.0.0.1")[0] == 200


def test_under_a_prefix_the_gate_is_there_too():
    outer = FastAPI()
    outer.mount("/games", create_app("CartPole-v1", isolation="inline"))
    for method, path in (("POST", "/games/reset"), ("websocket", "/games/ws")):
        headers = {"host": "localhost", "origin": EVIL, **JSON}
        assert told(outer, method, path, headers, "127.0.0.1")[0] == 403
    assert told(outer, "GET", "/games/livez", {"host": "localhost"}, "127.0.0.1")[0] == 200
    with serving(outer) as url:
        assert httpx.post(f"{url}/games/reset", content='{"seed": 1}').status_code == 200


@pytest.fixture(scope="module")
def url(serve) -> str:
    return serve("CartPole-v1").base_url


def handshake(url: str, path: str, **options: Any) -> Any:
    return connect(url.replace("http", "ws", 1) + path, **options)


@pytest.mark.parametrize("protocols", [None, [SUBPROTOCOL]])
@pytest.mark.parametrize("path", ["/ws", "/mcp"])
@pytest.mark.parametrize("foreign", ["evil.example", EVIL, "null"])
def test_a_server_of_ours_refuses_the_handshake(url: str, path: str, foreign: str, protocols):
    options: dict[str, Any] = {"origin": foreign}
    named = url
    if foreign == "evil.example":  # as after a rebinding: the name leads to this machine
        port = urlsplit(url).port
        sock = socket.create_connection(("127.0.0.1", port))
        named, options = f"http://{foreign}:{port}", {"sock": sock}
    with pytest.raises(InvalidStatus) as caught:
        handshake(named, path, subprotocols=protocols, **options).__enter__()
    assert caught.value.response.status_code == 403
    assert foreign.encode() in caught.value.response.body


def test_no_session_is_taken_up_from_a_page(url: str):
    headers = {RESUME_HEADER: "any.token", "Origin": EVIL}
    with pytest.raises(InvalidStatus) as caught:
        handshake(url, "/ws", additional_headers=headers, subprotocols=[SUBPROTOCOL]).__enter__()
    assert caught.value.response.status_code == 403


def test_a_server_of_ours_refuses_a_simple_request(url: str):
    page = {"Origin": EVIL, "Content-Type": "text/plain"}
    refused = httpx.post(f"{url}/reset", content='{"seed":1}', headers=page)
    assert (refused.status_code, refused.text) == (
        403,
        f"Origin {EVIL} may not use this server (--allow-origin)\n",
    )
    assert httpx.post(f"{url}/reset", content='{"seed":1}').status_code == 200
    own = {"Origin": url, "Content-Type": "application/json"}
    assert httpx.post(f"{url}/reset", content='{"seed":1}', headers=own).status_code == 200
    with handshake(url, "/ws", origin=url) as ws:
        assert ws.ping().wait(20)


def test_a_page_that_is_allowed_may_read_the_answers():
    flags = ("--allow-origin=https://a.example", "--allow-origin=https://b.example")
    with ServerProcess("CartPole-v1", *flags, "--allow-host=games.example") as server:
        for origin in ("https://a.example", "https://b.example"):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            leave = httpx.options(f"{server.base_url}/reset", headers=asked)
            assert leave.headers["access-control-allow-origin"] == origin
            begun = httpx.post(f"{server.base_url}/reset", json={}, headers={"Origin": origin})
            assert begun.status_code == 200
            assert begun.headers["access-control-allow-origin"] == origin
            assert "X-OpenEnv-Session" in begun.headers["access-control-expose-headers"]
            with handshake(server.base_url, "/ws", origin=origin) as ws:
                assert ws.ping().wait(20)
        other = httpx.options(f"{server.base_url}/reset", headers={"Origin": EVIL})
        assert other.status_code == 403
        named = httpx.get(f"{server.base_url}/livez", headers={"Host": "games.example"})
        assert named.status_code == 200


NO_ORIGINS = ("*", "null", "https://a.example/", "a.example", "https://", "https://*", "")
NO_HOSTS = ("*", "", "a.example:80", "http://a.example", "a.example/b")


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_what_is_no_origin_cannot_be_allowed(origin: str):
    with pytest.raises(InvalidRequestError, match="allow_origins: expected origins"):
        ServerSettings(environment="any", allow_origins=[origin])


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_name_cannot_be_allowed(host: str):
    with pytest.raises(InvalidRequestError, match="allow_hosts: expected names"):
        ServerSettings(environment="any", allow_hosts=[host])


@pytest.mark.parametrize(
    ("host", "names"),
    [("games.example", ["a", "games.example"]), ("127.0.0.1", ["a"]), ("::", ["a"]), ("", ["a"])],
)
def test_a_server_is_reached_by_the_name_that_it_is_bound_to(
    host: str, names: list[str], monkeypatch
):
    told = []

    def begin(settings: ServerSettings) -> None:
        told.append(settings.allow_hosts)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "Service", begin)
    with pytest.raises(KeyboardInterrupt):
        run.serve(ServerSettings(environment="any", allow_hosts=["a"]), Listener(host=host))
    assert told == [names]
