"""What the code of an environment raises: what the server's log says of it, and what a client."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from openenv_gym.errors import EnvStartError, OpenEnvGymError
from openenv_gym.faults import FaultKind
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, GetState, Open
from openenv_gym.server.monitor import BURST_TRACEBACKS, Monitor
from openenv_gym.server.run import settled
from openenv_gym.server.settings import Listener, ServerSettings
from openenv_gym.workers.reports import RaisedReport
from tests.support.failing import MISSING, Failing
from tests.support.waiting import wait_until

FAILING = "tests.support.failing:Failing-v0"
FOLDER = MISSING.partition("/tests/")[0]
NUMBER = re.compile(r"error ([0-9a-f]{8}) in the server's log")


class Log:
    """What servers of a test have printed."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.text = ""

    def has(self, pattern: str) -> bool:
        self.text += self._capfd.readouterr().err
        return re.search(pattern, self.text, re.MULTILINE) is not None


@pytest.fixture
def log(capfd: pytest.CaptureFixture[str]) -> Log:
    return Log(capfd)


def over_binary(url: str, action: int, codec: str = "binary") -> str:
    env: Any = gym.make("openenv/remote-v0", base_url=url, codec=codec, on_fault="raise")
    env.reset()
    with pytest.raises(OpenEnvGymError) as told:
        env.step(action)
    fault = told.value.fault
    said = "" if fault is None else f"{fault.stderr_tail} {fault.remote_traceback}"
    env.close()
    return f"{told.value} {said}"


def over_json(url: str, action: int) -> str:
    return over_binary(url, action, "json")


def over_http(url: str, action: int) -> str:
    with httpx.Client(base_url=url, timeout=60) as client:
        session = client.post("/reset", headers={"X-OpenEnv-Session": "new"}).headers
        own = {"X-OpenEnv-Session": session["X-OpenEnv-Session"]}
        answer = client.post("/step", json={"action": {"action": action}}, headers=own)
        assert answer.status_code == 500
        client.post("/close", headers=own)
        return answer.text


def over_mcp(url: str, action: int) -> str:
    def ask(method: str, **params: Any) -> httpx.Response:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return httpx.post(f"{url}/mcp", json=body, timeout=60)

    ask("tools/call", name="reset")
    answer = ask("tools/call", name="step", arguments={"action": action})
    assert answer.json()["result"]["isError"]
    return answer.text


def of_two(url: str, action: int) -> str:
    """Has one of two sub-environments fail, which is made anew in its worker."""
    envs = gym.make_vec("openenv/remote-v0", 2, base_url=url, vector_kwargs={})
    envs.reset()
    envs.step(np.zeros(2, np.int64))
    _, _, _, truncations, infos = envs.step(np.array([0, action]))
    assert truncations.tolist() == [False, True]
    envs.close()
    return str(infos)


WAYS = [over_binary, over_json, over_http, over_mcp]


def test_a_client_is_told_a_number_by_which_the_log_has_the_traceback(log: Log):
    with ServerProcess(FAILING, "--no-expose-tracebacks") as server:
        numbers = set()
        for way in [*WAYS, of_two]:
            said = way(server.base_url, Failing.OPEN_FILE)
            assert "Traceback" not in said
            assert FOLDER not in said
            numbers |= set(NUMBER.findall(said))
        (number,) = numbers  # it was raised in the same place each time
        wait_until(lambda: log.has(rf"error {number}: FileNotFoundError: .*{FOLDER}"))
        assert log.has(rf"worker \d+, error {number}: Traceback")
        for way in WAYS[:3]:
            said = way(server.base_url, Failing.EXIT)
            assert "cannot go on" not in said
            assert FOLDER not in said
            (number, *_) = NUMBER.findall(said)
            assert log.has(rf"error {number}: the worker process of this session ended")
        assert log.has(f"cannot go on with {FOLDER}")


def test_on_the_loopback_interface_both_have_the_traceback(log: Log):
    with ServerProcess(FAILING) as server:
        for way in (over_binary, of_two):
            assert re.search(r"Traceback[^$]*FileNotFoundError", way(server.base_url, 1))
        for way in WAYS:
            assert NUMBER.search(way(server.base_url, 1)) is None
        assert "cannot go on" in over_binary(server.base_url, Failing.EXIT)
        wait_until(lambda: log.has(r"worker \d+, error [0-9a-f]{8}: Traceback"))


@pytest.mark.parametrize(
    ("listens", "is_local"),
    [
        *(({"host": host}, True) for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9")),
        *(({"host": host}, False) for host in ("0.0.0.0", "::", "10.1.2.3", "games.example")),
        ({"host": "0.0.0.0", "uds": "/run/games"}, True),
    ],
    ids=str,
)
def test_clients_of_other_machines_are_shown_none_unless_that_is_asked_for(listens, is_local: bool):
    listener = Listener(**listens)
    for asked, expected in ((None, is_local), (True, True), (False, False)):
        settings = ServerSettings(environment="any", expose_tracebacks=asked)
        assert settled(settings, listener).expose_tracebacks is expected
    assert ServerSettings(environment="any").tracebacks == "logged"  # of create_app, too


def test_no_line_of_the_log_is_forged(log: Log):
    with ServerProcess(FAILING) as server:
        over_http(server.base_url, Failing.FORGE)
        wait_until(lambda: log.has(r"ValueError: bad"))
    assert not log.has(r"^\[INFO\] fake")
    assert log.has(r"\[INFO\] fake\\x1b\[2J\\u202e$")
    assert "\x1b" not in log.text


def test_no_path_of_an_environment_that_is_named_by_its_file_is_told():
    place = f"{FOLDER}/tests/support/failing.py:Failing"
    with ServerProcess(place, "--no-expose-tracebacks", "--workers=0") as server:
        url = server.base_url
        for path in ("", "schema", "metadata", "openapi.json", "readyz", "docs"):
            assert FOLDER not in httpx.get(f"{url}/{path}", timeout=60).text
        messages = BinaryMessages()
        with connect(f"{url.replace('http', 'ws')}/ws", subprotocols=[SUBPROTOCOL]) as socket:
            requests = Open("CartPole-v1"), Open(render_mode="human"), Open(), GetState()
            told = []
            for request in requests:
                socket.send(messages.encode_request(1, request))
                told.append(socket.recv())
                assert FOLDER.encode() not in told[-1]
        described = messages.decode_reply(told[2])[1].description
        assert described.environment == ".../failing.py:Failing"
        for name in (described.environment, place):
            env = gym.make("openenv/gymnasium-v0", env_id=name, base_url=url, codec="binary")
            env.reset()
            env.close()


@pytest.mark.parametrize("isolation", ["thread", "inline"])
def test_without_a_worker_it_is_the_same(isolation: str, log: Log):
    with ServerProcess(FAILING, f"--isolation={isolation}", "--no-expose-tracebacks") as server:
        for way in (over_binary, over_http):
            (number,) = NUMBER.findall(way(server.base_url, 1))
        wait_until(lambda: log.has(rf"error {number}: FileNotFoundError"))


def report(left_out: int = 0, **said: Any) -> RaisedReport:
    known = {"kind": FaultKind.ENV_RAISED, "number": "12345678", "text": "it raised"}
    return RaisedReport(**{**known, "left_out": left_out, **said})


def test_a_flood_of_tracebacks_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture):
    now_s = 0.0
    monitor = Monitor(lambda: now_s)
    for _ in range(BURST_TRACEBACKS + 30):
        monitor.take(report(left_out=1), "worker 1")
    assert len(caplog.records) == BURST_TRACEBACKS * 2  # each says what is left out before it
    assert monitor.faults["env_raised"] == 2 * (BURST_TRACEBACKS + 30)
    monitor.look()
    now_s = 1.0
    monitor.look()
    monitor.look()
    assert caplog.messages[-1] == "(60 tracebacks more were not logged)"


def test_the_error_of_a_start_shows_the_one_who_starts_it_all(log: Log, tmp_path: Any):
    flag = tmp_path / "flag"
    flag.touch()
    with pytest.raises(EnvStartError):
        ServerProcess(FAILING, f'--kwargs={{"flag": "{flag}"}}', "--no-expose-tracebacks")
    assert log.has(f"RuntimeError: there is a file {flag}")
