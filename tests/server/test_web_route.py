"""The route of the page, and what it needs of the JSON protocol."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys

import httpx
import pytest
from starlette.testclient import TestClient

from openenv_gym import create_app
from openenv_gym.wire.messages import parse_reply
from tests.support.web_apps import HOSTILE, HostileEnv


@pytest.fixture(scope="module")
def cart():
    with TestClient(create_app("CartPole-v1", isolation="inline", web=True)) as client:
        yield client


def ask(socket, kind, **data):
    socket.send_text(json.dumps({"type": kind, "data": data}))
    return json.loads(socket.receive_text())


def test_the_page_is_there_if_it_was_asked_for(cart: TestClient):
    page = cart.get("/web")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert cart.get("/").json()["web"] == "/web"


def test_without_the_flag_there_is_no_page():
    with TestClient(create_app("CartPole-v1", isolation="inline")) as client:
        assert client.get("/web").json() == client.get("/unknown").json()
        assert "web" not in client.get("/").json()


def test_the_policy_names_the_script_and_the_style_of_the_page_and_no_others(cart: TestClient):
    page = cart.get("/web")
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )
    for kind in ("script", "style"):
        (content,) = re.findall(rf"<{kind}[^>]*>(.*?)</{kind}>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"


def test_the_page_asks_nothing_of_other_places(cart: TestClient):
    page = cart.get("/web").text
    assert re.findall(r"\b(?:src|href)=\"[^\"]*\"", page) == ['href="data:,"']
    assert set(re.findall(r"https?://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert page.count(sink) == 0


def test_headers_keep_browsers_from_guessing_and_telling(cart: TestClient):
    headers = cart.get("/web").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_json_session_is_drawn_in_the_mode_of_its_url(cart: TestClient):
    with cart.websocket_connect("/ws?render_mode=rgb_array") as socket:
        ask(socket, "reset", seed=1)
        reply = ask(socket, "render")
        assert reply["type"] == "rendered"
        (frame,) = reply["data"]["frames"]
        assert base64.b64decode(frame["png"]).startswith(b"\x89PNG")
        assert ask(socket, "step", action=0)["type"] == "observation"


def test_an_unknown_mode_is_refused_with_the_first_message(cart: TestClient):
    with cart.websocket_connect("/ws?render_mode=ansi") as socket:
        assert ask(socket, "reset")["data"]["code"] in ("UNSUPPORTED_RENDER_MODE", "FACTORY_ERROR")


def test_without_a_mode_there_is_nothing_to_draw(cart: TestClient):
    with cart.websocket_connect("/ws") as socket:
        ask(socket, "reset")
        assert ask(socket, "render")["data"]["code"] == "UNSUPPORTED_RENDER_MODE"


def test_halves_of_surrogate_pairs_travel_as_escapes():
    app = create_app(lambda: HostileEnv(render_mode="ansi"))
    with TestClient(app) as client, client.websocket_connect("/ws") as socket:
        assert ask(socket, "reset")["data"]["observation"]["obs"] == HOSTILE
        socket.send_text('{"type": "step", "data": {"action": 0}}')
        text = socket.receive_text()
        assert parse_reply(text)[1] == json.loads(text)["data"]
        assert json.loads(text)["data"]["observation"]["obs"] == HOSTILE


def test_serve_prints_where_the_page_is():
    arguments = ["serve", "CartPole-v1", "--port=0", "--isolation=inline", "--web"]
    command = [sys.executable, "-m", "openenv_gym", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            server_url, page_url = (server.stdout.readline().split()[-1] for _ in range(2))
            assert page_url == f"{server_url}/web"
            assert httpx.get(page_url).text.startswith("<!DOCTYPE html>")
        finally:
            server.terminate()


def test_the_page_needs_no_token_and_shows_none():
    app = create_app("CartPole-v1", isolation="inline", web=True, token="a-secret")
    with TestClient(app) as client:
        page = client.get("/web")
        assert page.status_code == 200
        assert "a-secret" not in page.text
        assert client.get("/schema").status_code == 401
