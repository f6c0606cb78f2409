"""Tokens: who shows none of them opens nothing, and no output shows one."""

from __future__ import annotations

import base64
import copy
import logging
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from openenv_gym import (
    OpenEnvClient,
    RemoteEnv,
    RemoteVectorEnv,
    WebSocketOptions,
    create_app,
    inspect,
    typed_models,
)
from openenv_gym.cli import main
from openenv_gym.client.redirects import Stop
from openenv_gym.client.server_address import server_address
from openenv_gym.credentials import TOKEN_VARIABLE
from openenv_gym.errors import (
    AuthenticationError,
    ConnectionLostError,
    InvalidRequestError,
    UnsupportedRenderModeError,
)
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL
from openenv_gym.protocol.resume import ASK, RESUME_HEADER
from openenv_gym.server.gate import PROBES, Gate
from openenv_gym.server.run import why_it_is_open
from openenv_gym.server.settings import Listener, ServerSettings
from openenv_gym.server.tokens import JSON_SUBPROTOCOL, TOKEN_PROTOCOL, Tokens, tokens_of
from tests.server.test_gate import routes, told
from tests.support.logged_server import LoggedServer, logged_server
from tests.support.plain_server import Plain, action_schema, observation_schema, observed, serving

ALICE, BOB = "alice-7Qm2.x~9", "bob+4Zk/81=="
FRIEND = "https://app.example"
JSON = {"content-type": "application/json"}

# Each environment that is built leaves a line in a file, and tells what it sees of the variable.
SOURCE = """
import os
import gymnasium as gym, numpy as np

class Counted(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        with open(__file__ + ".built", "a") as file:
            file.write("one\\n")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {"variable": os.environ.get("OPENENV_GYM_TOKEN", "")}

    def step(self, action):
        return np.zeros(1, np.float32), float(action), False, False, {}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "counted.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def locked(preloaded, environment: Path) -> Iterator[LoggedServer]:
    """A server with two tokens, which logs all that it can."""
    tokens = environment.with_name("tokens")
    tokens.touch(mode=0o600)
    tokens.write_text(f"# two\nalice: {ALICE}\n\nbob: {BOB}\n", encoding="utf-8")
    flags = [f"--token-file={tokens}", f"--allow-origin={FRIEND}", "--log-level=debug"]
    serve = [f"{environment}:Counted", *flags, "--max-sessions=8", "--workers=0"]
    with logged_server(preloaded, environment.with_name("log"), *serve) as server:
        yield server


@pytest.fixture
def url(locked: LoggedServer) -> str:
    return locked.base_url


def built(environment: Path) -> int:
    return Path(f"{environment}.built").read_text(encoding="utf-8").count("one")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def protocol_of(token: str) -> str:
    return TOKEN_PROTOCOL + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def shake_hands(url: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    """The status of a handshake that is refused; 101 of one that is not."""
    try:
        with connect(url.replace("http", "ws", 1) + path, additional_headers=headers, **more):
            return 101
    except InvalidStatus as exc:
        return exc.response.status_code


WRONG = {
    "none": {},
    "another": bearer("mallory-0000000"),
    "cut": bearer(ALICE[:-1]),
    "longer": bearer(f"{ALICE}x"),
    "empty": {"Authorization": "Bearer"},
    "as a name": basic(ALICE, ""),
    "cut password": basic("alice", ALICE[:-1]),
    "no base64": {"Authorization": "Basic !"},
    "no scheme": {"Authorization": ALICE},
    "another scheme": {"Authorization": f"Token {ALICE}"},
    "a cookie": {"Cookie": f"token={ALICE}"},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.sample(4)
def test_no_route_is_open_and_no_environment_is_built(
    locked: LoggedServer, environment: Path, wrong: str
):
    before, headers = built(environment), WRONG[wrong]
    with httpx.Client(base_url=locked.base_url, headers=headers, timeout=60) as client:
        for method, path in routes(create_app("CartPole-v1", isolation="inline")):
            if method == "websocket" or (path in PROBES and method in ("GET", "HEAD")):
                continue
            answer = client.request(method, path, headers=JSON, content='{"seed": 1}')
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert client.get(f"/schema?token={ALICE}").status_code == 401
        assert client.get("/nowhere").status_code == 401
        assert client.get("//livez").status_code == 401
    for path in ("/ws", "/mcp", "/ws?num_envs=2", "/ws?session_id=x", f"/ws?token={ALICE}"):
        for protocols in (None, [SUBPROTOCOL], [JSON_SUBPROTOCOL, protocol_of(ALICE[:-1])]):
            assert shake_hands(locked.base_url, path, headers, subprotocols=protocols) == 401
    resume = {**headers, RESUME_HEADER: "x.y"}
    assert shake_hands(locked.base_url, "/ws", resume, subprotocols=[SUBPROTOCOL]) == 401
    assert built(environment) == before
    assert httpx.get(f"{locked.base_url}/readyz", headers=bearer(BOB)).json()["sessions"] == 0


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_a_step_does_not_pass_the_gate(codec: str, monkeypatch: pytest.MonkeyPatch):
    passed: list[str] = []
    pass_gate = Gate.__call__

    async def counted(gate: Gate, scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope["type"])
        await pass_gate(gate, scope, receive, send)

    monkeypatch.setattr(Gate, "__call__", counted)
    app = create_app("CartPole-v1", isolation="inline", token=ALICE)
    with serving(app) as url:
        env = gym.make("openenv/CartPole-v1", base_url=url, codec=codec, token=ALICE)
        env.reset(seed=1)
        opened = passed.copy()
        for _ in range(20):
            if env.step(0)[2]:
                env.reset()
        assert passed == opened
        assert opened.count("websocket") == 1
        env.close()


def test_under_a_prefix_probes_are_open_and_nothing_else_is():
    outer = FastAPI()
    outer.mount("/games", create_app("CartPole-v1", isolation="inline", token=ALICE))
    shown = {"authorization": f"Bearer {ALICE}"}
    for path, status in (("/livez", 200), ("/schema", 401), ("/games/livez", 401)):
        assert told(outer, "GET", f"/games{path}", {}, "127.0.0.1")[0] == status
    assert told(outer, "GET", "/games/schema", shown, "127.0.0.1")[0] == 200
    assert told(outer, "websocket", "/games/ws", {}, "127.0.0.1")[0] == 401


def test_the_command_line_needs_no_server():
    code = "import sys; sys.modules['starlette'] = None; import openenv_gym.cli"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_at_once_are_none(url: str):
    both = [("Authorization", f"Bearer {ALICE}"), ("Authorization", f"Bearer {BOB}")]
    assert httpx.get(f"{url}/schema", headers=both).status_code == 401
    protocols = [JSON_SUBPROTOCOL, protocol_of(ALICE)]
    assert shake_hands(url, "/ws", bearer(BOB), subprotocols=protocols) == 401


def test_probes_are_open_and_say_their_state_alone(url: str):
    for path, state in zip(PROBES, ("alive", "ready", "healthy"), strict=True):
        answer = httpx.get(url + path)
        assert (answer.status_code, answer.json()) == (200, {"status": state})
    known = httpx.get(f"{url}/readyz", headers=bearer(ALICE)).json()
    assert (known["status"], known["max_sessions"]) == ("ready", 8)


@pytest.mark.parametrize("headers", [bearer(ALICE), bearer(BOB), basic("any", BOB), basic("", BOB)])
def test_a_token_opens_every_kind_of_route(url: str, headers: dict[str, str]):
    assert httpx.get(f"{url}/schema", headers=headers).status_code == 200
    assert shake_hands(url, "/ws", headers) == 101
    assert shake_hands(url, "/ws", headers, subprotocols=[SUBPROTOCOL]) == 101
    assert shake_hands(url, "/mcp", headers) == 101


def test_clients_of_openenv_show_it_as_a_password(url: str):
    with connect(url.replace("http://", f"ws://user:{ALICE}@") + "/ws") as ws:
        ws.send('{"type": "reset", "data": {}}')
        assert '"observation"' in ws.recv(60)


@pytest.mark.parametrize("path", ["/ws", "/mcp"])
def test_a_page_shows_it_as_a_subprotocol(url: str, path: str):
    protocols: Any = [JSON_SUBPROTOCOL, protocol_of(BOB)]
    with connect(url.replace("http", "ws", 1) + path, origin=FRIEND, subprotocols=protocols) as ws:
        assert ws.subprotocol == JSON_SUBPROTOCOL
    binary: Any = [SUBPROTOCOL, protocol_of(BOB)]
    with connect(url.replace("http", "ws", 1) + "/ws", subprotocols=binary) as ws:
        assert ws.subprotocol == SUBPROTOCOL


def test_a_page_may_ask_for_leave_and_read_why_it_is_refused(url: str):
    ask = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    ask["Access-Control-Request-Headers"] = "authorization,content-type"
    leave = httpx.options(f"{url}/reset", headers=ask)
    assert leave.status_code == 200
    assert leave.headers["access-control-allow-origin"] == FRIEND
    assert "authorization" in leave.headers["access-control-allow-headers"]
    refused = httpx.post(f"{url}/reset", headers={"Origin": FRIEND, **JSON}, content="{}")
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, FRIEND)
    other = httpx.options(f"{url}/reset", headers={**ask, "Origin": "https://evil.example"})
    assert other.status_code == 403
    assert "access-control-allow-origin" not in other.headers


@pytest.fixture
def alice(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=bearer(ALICE), timeout=60) as client:
        yield client


@pytest.fixture
def bob(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=bearer(BOB), timeout=60) as client:
        yield client


def test_the_sessions_of_another_owner_are_as_unknown_ones(url: str, alice, bob):
    new = alice.post("/reset", json={}, headers={"X-OpenEnv-Session": "new"})
    mine = {"X-OpenEnv-Session": new.headers["X-OpenEnv-Session"]}
    none = {"X-OpenEnv-Session": "nobodys"}
    step = {"action": {"action": 1}}
    assert alice.post("/step", json=step, headers=mine).status_code == 200
    for send in (
        lambda headers: bob.post("/step", json=step, headers=headers),
        lambda headers: bob.get("/state", headers=headers),
        lambda headers: bob.post("/close", headers=headers),
        lambda headers: bob.post("/reset", json={}, headers=headers),
    ):
        foreign, unknown = send(mine), send(none)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
    for owner, kind in ((ALICE, "state"), (BOB, "error")):
        path = f"/ws?session_id={mine['X-OpenEnv-Session']}"
        headers = bearer(owner)
        with connect(url.replace("http", "ws", 1) + path, additional_headers=headers) as ws:
            ws.send('{"type": "state"}')
            assert f'"type":"{kind}"' in ws.recv(60).replace(" ", "")
    assert alice.post("/close", headers=mine).status_code == 200


def test_each_owner_has_a_default_session(alice, bob):
    assert alice.post("/reset", json={"episode_id": "hers"}).status_code == 200
    assert bob.get("/state").json()["episode_id"] is None
    assert alice.get("/state").json()["episode_id"] == "hers"
    alice.post("/close")


def test_sessions_of_mcp_belong_to_their_owner(alice, bob):
    def call(client: httpx.Client, method: str, **params: Any) -> httpx.Response:
        headers = params.pop("headers", {})
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return client.post("/mcp", json=message, headers=headers)

    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t"}}
    session = {"Mcp-Session-Id": call(alice, "initialize", **about).headers["Mcp-Session-Id"]}
    assert call(alice, "ping", headers=session).status_code == 200
    assert call(bob, "ping", headers=session).status_code == 404
    assert bob.delete("/mcp", headers=session).status_code == 404
    made = call(alice, "openenv/session/create").json()["result"]["session_id"]
    theirs = call(bob, "tools/call", name="state", session_id=made).json()
    assert "expected the id of a session" in theirs["error"]["message"]
    assert "result" in call(alice, "openenv/session/close", session_id=made).json()
    alice.delete("/mcp", headers=session)


def test_a_lost_session_is_taken_up_by_its_owner_alone(url: str):
    asked: dict[str, Any] = {"subprotocols": [SUBPROTOCOL]}
    with connect(
        url.replace("http", "ws", 1) + "/ws",
        additional_headers={**bearer(ALICE), RESUME_HEADER: ASK},
        **asked,
    ) as ws:
        assert ws.response is not None
        token = ws.response.headers[RESUME_HEADER].partition(";")[0]
        headers = {**bearer(BOB), RESUME_HEADER: token}
        assert shake_hands(url, "/ws", headers, **asked) == 404


def play(env: Any) -> None:
    env.reset(seed=1)
    env.step(env.action_space.sample() * 0 + 1)
    env.close()


def test_every_client_takes_a_token(url: str, environment: Path):
    name = f"{environment}:Counted"
    play(gym.make("openenv/remote-v0", base_url=url, token=ALICE))
    play(gym.make("openenv/gymnasium-v0", env_id=name, base_url=url, token=ALICE, codec="json"))
    play(gym.make_vec("openenv/remote-v0", num_envs=2, base_url=[url, url], token=ALICE))
    play(gym.make_vec("openenv/remote-v0", num_envs=2, base_url=url, codec="json", token=ALICE))
    play(RemoteEnv(url, token=BOB))
    play(RemoteVectorEnv(url, 2, token=BOB))
    assert inspect(url, token=ALICE).name == name
    assert typed_models(url, token=ALICE).action(action=1).action == 1
    with pytest.raises(InvalidRequestError, match="token: expected the URL of a server"):
        inspect("CartPole-v1", token=ALICE)
    models = typed_models(url, token=ALICE)
    with OpenEnvClient(url, token=ALICE, models=models) as client:
        assert client.reset().done is False
    with pytest.raises(AuthenticationError, match=r"HTTP 401.*give token=, or set OPENENV_GYM"):
        OpenEnvClient(url).reset()


def test_every_client_takes_the_variable_or_the_password_of_the_url(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    in_url = url.replace("//", f"//me:{BOB.replace('/', '%2F')}@")
    play(gym.make("openenv/remote-v0", base_url=in_url))
    monkeypatch.setenv(TOKEN_VARIABLE, f"{ALICE}\n")
    env = gym.make("openenv/remote-v0", base_url=url)
    play(env)
    assert main(["inspect", url]) == 0
    monkeypatch.setenv(TOKEN_VARIABLE, "mallory")
    assert main(["inspect", url]) == 1
    assert main(["inspect", url, "--token", ALICE]) == 0
    play(gym.make("openenv/remote-v0", base_url=in_url))  # which counts for more
    assert ALICE not in "".join(capsys.readouterr())


def test_no_spec_repr_or_error_shows_it(url: str):
    quoted = BOB.replace("/", "%2F")
    in_url = url.replace("//", f"//me:{quoted}@")
    env = gym.make("openenv/remote-v0", base_url=url, token=ALICE)
    envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=[in_url, in_url])
    for made in (env, envs, env.unwrapped, copy.deepcopy(env.unwrapped)):
        shown = f"{made!r} {made} {made.spec!r} {made.spec.to_json()} {vars(made)!r}"
        assert ALICE not in shown and BOB not in shown and quoted not in shown
    assert envs.spec.kwargs["base_url"] == [url.replace("//", "//me@")] * 2
    endpoint = env.unwrapped.endpoint
    assert ALICE not in repr(endpoint) and ALICE not in repr(endpoint.address)
    env.close()
    envs.close()


def test_no_error_of_make_shows_it(url: str):
    # Gymnasium writes the arguments into the message of every TypeError.
    said = []
    arguments = {"base_url": url.replace("//", f"//me:{ALICE}@"), "render_mode": "rgb_array"}
    with pytest.raises(TypeError) as caught:
        gym.make("openenv/remote-v0", base_url=url, token=ALICE, size=3)
    said.append(caught)
    with pytest.raises(UnsupportedRenderModeError) as caught:
        gym.make("openenv/remote-v0", **arguments)
    said.append(caught)
    with pytest.raises(AuthenticationError) as caught:
        gym.make("openenv/remote-v0", base_url=url, token=ALICE[:-1])
    said.append(caught)
    with pytest.raises(InvalidRequestError, match="expected none beside the password") as caught:
        gym.make("openenv/remote-v0", base_url=arguments["base_url"], token=ALICE)
    said.append(caught)
    for one in said:
        assert ALICE[:-1] not in f"{one.value!r} {one.value}"


def test_a_pickle_has_the_name_of_the_variable(url: str, monkeypatch: pytest.MonkeyPatch):
    env, envs = RemoteEnv(url, token=ALICE), RemoteVectorEnv(url, 2, token=ALICE)
    for made in (env, envs):
        with pytest.raises(InvalidRequestError, match="set the variable OPENENV_GYM_TOKEN"):
            pickle.dumps(made)
    monkeypatch.setenv(TOKEN_VARIABLE, BOB)
    with pytest.raises(InvalidRequestError, match="set the variable OPENENV_GYM_TOKEN"):
        pickle.dumps(env)
    monkeypatch.setenv(TOKEN_VARIABLE, ALICE)
    pickled = [pickle.dumps(env), pickle.dumps(envs)]
    for one in pickled:
        assert ALICE.encode() not in one
        play(pickle.loads(one))
    monkeypatch.delenv(TOKEN_VARIABLE)
    with pytest.raises(InvalidRequestError, match="expected the variable OPENENV_GYM_TOKEN to be"):
        pickle.loads(pickled[0])
    env.close()
    envs.close()


@pytest.mark.long
def test_gymnasiums_vector_environment_spawns_with_the_variable(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(TOKEN_VARIABLE, ALICE)
    env = RemoteEnv(url)
    envs = gym.vector.AsyncVectorEnv([lambda: pickle.loads(pickle.dumps(env))], context="spawn")
    assert envs.reset(seed=1)[0].shape == (1, 1)
    envs.close()
    env.close()


def test_a_spec_is_made_again_with_the_variable(url: str, monkeypatch: pytest.MonkeyPatch):
    env = gym.make("openenv/remote-v0", base_url=url, token=ALICE)
    written = env.spec.to_json()
    env.close()
    with pytest.raises(AuthenticationError):
        gym.make(gym.envs.registration.EnvSpec.from_json(written))
    monkeypatch.setenv(TOKEN_VARIABLE, ALICE)
    play(gym.make(gym.envs.registration.EnvSpec.from_json(written)))


def test_an_embedded_environment_may_have_an_argument_of_this_name(environment: Path):
    with pytest.raises(TypeError, match="unexpected keyword argument 'token'"):
        gym.make("openenv/gymnasium-v0", env_id=f"{environment}:Counted", token="its-own")


def test_no_log_shows_it(url: str, locked: LoggedServer, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        play(gym.make("openenv/remote-v0", base_url=url, token=ALICE))
    assert "Authorization: ***" in caplog.text
    assert ALICE not in caplog.text
    httpx.get(f"{url}/schema?token={ALICE}&Access_Token={BOB}")
    protocols: Any = [JSON_SUBPROTOCOL, protocol_of(BOB)]
    assert shake_hands(url, "/ws", subprotocols=protocols) == 101
    log = locked.log()
    assert "authorization: ***" in log.lower() and "sec-websocket-protocol: ***" in log.lower()
    for secret in (ALICE, BOB, ALICE[:-1], protocol_of(ALICE), protocol_of(BOB)):
        assert secret not in log
    for token in (ALICE, BOB):
        assert base64.b64encode(f"any:{token}".encode()).decode() not in log


def test_the_names_of_owners_are_for_the_log(caplog: pytest.LogCaptureFixture, tmp_path: Path):
    path = file_of(tmp_path, f"alice: {ALICE}")
    app = create_app("CartPole-v1", isolation="inline", token_file=path)
    with caplog.at_level(logging.INFO, "openenv_gym"), serving(app) as url:
        assert httpx.post(f"{url}/reset", headers=bearer(ALICE), json={}).status_code == 200
        assert httpx.post(f"{url}/reset", headers=bearer(BOB), json={}).status_code == 401
    assert "a session of alice takes a slot" in caplog.text
    assert "shows no token of this server, but another one" in caplog.text


def test_a_session_that_the_server_no_longer_lets_in_is_lost_and_says_why(url: str):
    env = RemoteEnv(url, "raise", token=ALICE)
    env.reset()
    env.step(1)
    transport = env._connection._transport
    address = server_address(url, ALICE[:-1])  # as if the server had been given other tokens
    transport._place = Stop.of(address, "ws")
    transport._socket.close()
    with pytest.raises(ConnectionLostError, match=r"could not be taken up again: .*HTTP 401"):
        env.step(1)
    env.close()


def test_a_server_process_hands_it_over_and_its_environments_do_not_see_it(environment: Path):
    with ServerProcess(f"{environment}:Counted", token=ALICE) as server:
        assert ALICE not in server.base_url
        assert httpx.get(f"{server.base_url}/schema").status_code == 401
        env = gym.make("openenv/remote-v0", base_url=server.base_url, token=ALICE)
        assert env.reset()[1] == {"variable": ""}
        env.close()
    with pytest.raises(InvalidRequestError, match="token: expected a token of letters"):
        ServerProcess("CartPole-v1", token="two words")


# --- settings


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.7"])
def test_a_server_that_everybody_reaches_wants_a_token(host: str, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "CartPole-v1", f"--host={host}"])
    said = f"{host or '0.0.0.0'} is open to the network: give --token, or --insecure-no-auth"
    assert said in capsys.readouterr().err


def test_what_keeps_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def is_open(listener: Listener, **settings: Any) -> bool:
        return why_it_is_open(ServerSettings(environment="any", **settings), listener) is not None

    everywhere = Listener(host="0.0.0.0")
    assert is_open(everywhere)
    for host in ("127.0.0.1", "127.5.5.5", "::1", "localhost"):
        assert not is_open(Listener(host=host))
    assert not is_open(Listener(host="0.0.0.0", uds=str(tmp_path / "socket")))
    assert not is_open(everywhere, token=ALICE)
    assert not is_open(everywhere, insecure_no_auth=True)
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    assert is_open(everywhere)
    monkeypatch.setenv(TOKEN_VARIABLE, ALICE)
    assert not is_open(everywhere)


def file_of(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    path = tmp_path / "tokens"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_a_file_of_tokens(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = file_of(tmp_path, "# a\n\nalice: one\n alice : two\nthree\nbob:four")
    tokens = tokens_of("five", path)
    owners = [tokens.owner_of(one) for one in ("one", "two", "three", "four", "five", "six", "")]
    assert owners == ["alice", "alice", "line 5", "bob", "token", None, None]
    assert caplog.text == ""
    tokens_of(None, file_of(tmp_path, "one", 0o644))
    assert "can be read by others (mode 0644): chmod 600" in caplog.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a token in .*tokens, got none"),
        ("# nothing", "expected a token in .*tokens, got none"),
        ("one\nalice: se cret", "tokens, line 2: expected a token of letters, digits and -._~"),
        ("al/ice: secret", "tokens, line 1: expected a token, or 'name: token'"),
        ("alice:", "tokens, line 1: expected a token, got an empty text"),
    ],
)
def test_what_is_no_file_of_tokens(tmp_path: Path, text: str, says: str):
    with pytest.raises(InvalidRequestError, match=says) as caught:
        tokens_of(None, file_of(tmp_path, text))
    assert "cret" not in str(caught.value).replace("secret.", "")


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(InvalidRequestError, match=r"token_file: .*nowhere cannot be read"):
        tokens_of(None, str(tmp_path / "nowhere"))


def test_what_is_given_counts_for_more_than_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "variable")
    assert tokens_of(None, None).owner_of("variable") == "token"
    assert tokens_of("given", None).owner_of("variable") is None
    assert tokens_of(None, file_of(tmp_path, "given")).owner_of("variable") is None


def test_settings_do_not_show_their_token():
    settings = ServerSettings(environment="any", token=ALICE)
    assert ALICE not in f"{settings!r} {settings.tokens!r} {vars(settings.tokens)!r}"


@pytest.mark.parametrize("value", ["", "two words", "a\nb", "né", 7])
def test_what_can_be_no_token(value: Any):
    with pytest.raises(InvalidRequestError, match=r"^token: expected a"):
        ServerSettings(environment="any", token=value).tokens  # noqa: B018
    with pytest.raises(InvalidRequestError, match=r"^token: expected a"):
        gym.make("openenv/remote-v0", base_url="http://localhost:1", token=value)


def test_all_tokens_are_compared_whole(monkeypatch: pytest.MonkeyPatch):
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("openenv_gym.server.tokens.hmac.compare_digest", compare)
    tokens = Tokens([("a", "first"), ("b", "second"), ("c", "third")])
    for shown in ("first", "third", "x", "y" * 5000):
        compared.clear()
        tokens.owner_of(shown)
        assert compared == [(32, 32)] * 3


# --- on the way


@pytest.mark.filterwarnings("error")
def test_a_token_that_others_could_read_is_warned_of():
    for url in ("http://10.0.0.1:1", "ws://games.example", "http://me:pw@games.example"):
        with pytest.warns(UserWarning, match=r"is sent without TLS.*https://"):
            server_address(url, None if "pw" in url else ALICE)
    for url in ("https://games.example", "http://127.0.0.1:1", "ws://localhost", "unix:///run/a"):
        assert server_address(url, ALICE).token is not None
    assert server_address("http://games.example").token is None


def test_a_redirect_takes_no_token_to_another_host():
    stop = Stop.of(server_address("https://a", ALICE), "schema")
    away = stop.redirected("https://b/schema", ["b"])
    assert (away.is_own, away.address.token) == (False, None)
    assert stop.redirected("https://a:8443/schema", ()).address.token is not None


def test_a_redirect_of_a_real_server_takes_no_token_to_another_host(url: str):
    seen: list[dict[str, str]] = []

    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        seen.append({key.decode(): value.decode() for key, value in scope["headers"]})
        there = f"{url.replace('127.0.0.1', 'localhost')}{scope['path']}".encode()
        headers = [(b"location", there)]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    with serving(elsewhere) as front:
        options = WebSocketOptions(redirect_hosts=["localhost"])
        with pytest.raises(AuthenticationError, match=r"HTTP 401.*got none"):
            gym.make("openenv/remote-v0", base_url=front, token=ALICE, options=options)
    assert seen[0]["authorization"] == f"Bearer {ALICE}"


def test_a_server_of_others_gets_the_token_too(monkeypatch: pytest.MonkeyPatch):
    plain = Plain(
        action=action_schema("action", action={"type": "integer", "minimum": 0, "maximum": 1}),
        observation=observation_schema("x", x={"type": "number", "minimum": 0, "maximum": 1}),
        reset=lambda data, number: observed(x=0.5),
        step=lambda data, number: observed(x=0.5),
    )
    seen: list[str] = []
    app = plain.app()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(v.decode() for k, v in scope.get("headers", ()) if k == b"authorization")
        await app(scope, receive, send)

    with serving(noting) as url:
        play(gym.make("openenv/remote-v0", base_url=url, token=ALICE))
    assert set(seen) == {f"Bearer {ALICE}"} and len(seen) >= 2


def test_the_variable_is_documented_by_one_name():
    assert TOKEN_VARIABLE == "OPENENV_GYM_TOKEN"
    assert os.environ.get(TOKEN_VARIABLE) is None  # or these tests would show another one
    assert re.fullmatch(r"[a-z0-9.-]+\.", TOKEN_PROTOCOL)
    assert np.all([protocol_of(one).isascii() for one in (ALICE, BOB)])
