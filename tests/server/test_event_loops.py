"""An application without its lifespan: mounted, forked, or asked in one loop after the other."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from openenv_gym import create_app
from openenv_gym.server.http_sessions import NEW, SESSION_HEADER
from openenv_gym.workers.forked import can_fork
from tests.support.uvicorn_thread import serving
from tests.support.waiting import wait_until

STEPS = 4


def expected() -> list[list[float]]:
    local = gym.make("CartPole-v1")
    first = local.reset(seed=3)[0].tolist()
    return [first, *(local.step(1)[0].tolist() for _ in range(STEPS))]


def walk(client: Any, header: str | None = None) -> list[list[float]]:
    """Play over plain HTTP; with a header in a session of one's own, which is closed."""
    headers = {} if header is None else {SESSION_HEADER: header}
    answer = client.post("/reset", json={"seed": 3}, headers=headers)
    seen = [answer.json()["observation"]["obs"]]
    if header is not None:
        headers = {SESSION_HEADER: answer.headers[SESSION_HEADER]}
    for _ in range(STEPS):
        answer = client.post("/step", json={"action": {"action": 1}}, headers=headers)
        seen.append(answer.json()["observation"]["obs"])
    assert client.get("/state", headers=headers).json()["step_count"] == STEPS
    assert client.post("/close", headers=headers).json() == {"closed": True}
    return seen


def talk(client: TestClient, path: str = "/ws") -> list[list[float]]:
    """Play over a WebSocket."""
    with client.websocket_connect(path) as line:
        line.send_json({"type": "reset", "data": {"seed": 3}})
        seen = [line.receive_json()["data"]["observation"]["obs"]]
        for _ in range(STEPS):
            line.send_json({"type": "step", "data": {"action": 1}})
            seen.append(line.receive_json()["data"]["observation"]["obs"])
    return seen


@pytest.fixture(scope="module", params=["process", "thread", "inline"])
def shared(request: pytest.FixtureRequest) -> Iterator[FastAPI]:
    """An application whose lifespan nobody runs."""
    made = create_app("CartPole-v1", isolation=request.param)
    yield made
    made.state.service.backends.close()


@pytest.fixture
def app(shared: FastAPI) -> Iterator[FastAPI]:
    """The same, in which nothing is left afterwards."""
    yield shared
    assert len(shared.state.service.sessions) == 0
    assert len(shared.state.service.backends.watchdog) == 0


def test_each_request_comes_in_a_loop_of_its_own(app: FastAPI):
    client = TestClient(app)
    for _ in range(2):
        assert walk(client) == expected()
        assert talk(client) == expected()
    assert walk(client, NEW) == expected()


def test_a_tool_is_called_in_one_loop_after_the_other(app: FastAPI):
    client, seen = TestClient(app), []
    for tool, given in (("reset", {"seed": 3}), *[("step", {"action": 1})] * STEPS):
        call = {"method": "tools/call", "params": {"name": tool, "arguments": given}}
        answer = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, **call}).json()
        seen.append(json.loads(answer["result"]["content"][0]["text"])["observation"]["obs"])
    assert seen == expected()
    app_sessions = app.state.service.sessions
    asyncio.run(app_sessions.close())


def test_a_request_comes_while_a_websocket_of_another_loop_is_open(app: FastAPI):
    client = TestClient(app)
    opened = client.post("/reset", json={"seed": 3}, headers={SESSION_HEADER: NEW})
    headers = {SESSION_HEADER: opened.headers[SESSION_HEADER]}
    with client.websocket_connect("/ws") as line:
        assert walk(client) == expected()
        line.send_json({"type": "reset", "data": {"seed": 3}})
        assert talk(client) == expected()
        with client.websocket_connect(f"/ws?session_id={headers[SESSION_HEADER]}") as guest:
            guest.send_json({"type": "step", "data": {"action": 1}})
            stepped = guest.receive_json()["data"]["observation"]["obs"]
            assert stepped == expected()[1]
        assert line.receive_json()["data"]["observation"]["obs"] == expected()[0]
    assert client.post("/close", headers=headers).json() == {"closed": True}


def test_requests_come_in_many_loops_at_once(app: FastAPI):
    seen: list[Any] = []

    def play(number: int) -> None:
        client = TestClient(app)
        seen.append(talk(client) if number % 2 else walk(client, NEW))

    threads = [threading.Thread(target=play, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected()] * 4


def test_requests_wait_for_each_other_in_each_of_two_loops(app: FastAPI):
    async def steps() -> list[int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.post("/reset", json={})
            act = [client.post("/step", json={"action": {"action": 1}}) for _ in range(5)]
            codes = [one.status_code for one in await asyncio.gather(*act)]
            await client.post("/close")
            return codes

    for _ in range(2):
        assert asyncio.run(steps()) == [200] * 5


def test_the_lifespan_says_where_requests_are_answered(app: FastAPI):
    for _ in range(2):
        with TestClient(app) as client:
            assert walk(client) == expected()
            assert walk(TestClient(app)) == expected()  # from another loop
            client.post("/reset", json={})
        assert len(app.state.service.sessions) == 0  # they ended with the lifespan
        assert walk(TestClient(app)) == expected()


def test_a_mounted_application_names_what_is_under_its_prefix():
    outer, inner = FastAPI(), create_app("CartPole-v1")
    outer.mount("/games/cart", inner)
    with serving(outer) as url:
        said = httpx.get(f"{url}/games/cart/").json()
        assert said["schema"] == "/games/cart/schema"
        assert said["docs"] == "/games/cart/docs"
        assert httpx.get(url + said["schema"]).json()["x-openenv-gym"]["environment"]
        for codec in ("binary", "json"):
            env = gym.make("openenv/CartPole-v1", base_url=f"{url}/games/cart", codec=codec)
            assert env.reset(seed=3)[0].tolist() == expected()[0]
            env.close()
        with httpx.Client(base_url=f"{url}/games/cart", timeout=60) as client:
            assert walk(client) == expected()
    assert TestClient(inner).get("/").json()["schema"] == "/schema"
    inner.state.service.backends.close()


@contextmanager
def forked(app: FastAPI, number: int) -> Iterator[str]:
    """Serves an application in forked children, as gunicorn does with --preload; gives the URL."""

    def serve() -> None:
        config = uvicorn.Config(app, log_level="error", log_config=None, ws="websockets-sansio")
        uvicorn.Server(config).run([sock])

    with socket.create_server(("127.0.0.1", 0)) as sock:
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=serve) for _ in range(number)]
        for child in children:
            child.start()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        try:
            yield url
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.join()


@pytest.mark.skipif(not can_fork(), reason="forking needs Linux 5.3")
def test_an_application_that_was_made_and_used_before_a_fork():
    app = create_app("CartPole-v1")
    client = TestClient(app)
    client.post("/reset", json={"seed": 3})
    with forked(app, 1) as url:
        wait_until(lambda: httpx.get(f"{url}/health", timeout=60).status_code == 200)
        begun_s = time.monotonic()
        with httpx.Client(base_url=url, timeout=60) as elsewhere:
            # What the parent had begun is not the child's.
            assert elsewhere.get("/readyz").json()["sessions"] == 0
            answer = elsewhere.post("/step", json={"action": {"action": 1}})
            assert answer.json()["detail"]["code"] == "RESET_NEEDED"
            assert walk(elsewhere) == expected()
        for codec in ("binary", "json"):
            env = gym.make("openenv/CartPole-v1", base_url=url, codec=codec)
            assert env.reset(seed=3)[0].tolist() == expected()[0]
            env.close()
        assert time.monotonic() - begun_s < 25  # a session waited for 30 s for the parent's worker
    stepped = client.post("/step", json={"action": {"action": 1}}).json()
    assert stepped["observation"]["obs"] == expected()[1]
    client.post("/close")
    app.state.service.backends.close()
