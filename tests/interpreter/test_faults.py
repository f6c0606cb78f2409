"""What goes wrong in another interpreter: exceptions, ends, and ends of those who started it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient

from openenv_gym.address import parse_address
from openenv_gym.endpoints import ServerEndpoint
from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    InvalidRequestError,
    RemoteEnvError,
    UnknownEnvironmentError,
)
from openenv_gym.interpreter.host import Host
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import Open
from openenv_gym.server.app import create_app
from openenv_gym.testing import FaultProxy
from openenv_gym.workers.interpreter_process import InterpreterProcess

ID = "openenv/gymnasium-v0"
FAULTY = "tests.support.gym_envs:Faulty"
RAISE, EXIT, KILL, HANG, PRINT = range(1, 6)

pytestmark = pytest.mark.timeout(900)  # the first test of a venv installs it


def make(python: str, **arguments: Any) -> gym.Env[Any, Any]:
    env = gym.make(ID, env_id=FAULTY, python=python, disable_env_checker=True, **arguments)
    env.reset(seed=1)
    env.step(0)
    return env


def fault_of(env: gym.Env[Any, Any], action: int) -> dict[str, Any]:
    return env.step(action)[-1]["openenv"]


@pytest.mark.parametrize(
    ("action", "key", "value"),
    [
        (RAISE, "fault", "env_raised"),
        (EXIT, "fault", "worker_died"),
        (EXIT, "exitcode", 7),
        (KILL, "signal", signal.SIGKILL),
    ],
)
def test_what_ends_a_step_is_a_fault(gym026: str, action: int, key: str, value: Any):
    env = make(gym026)
    assert fault_of(env, action)[key] == value
    env.close()


@pytest.mark.sample(1)
def test_the_traceback_of_there_is_in_the_fault(python: str):
    env = make(python)
    assert 'raise ValueError("told to raise")' in fault_of(env, RAISE)["remote_traceback"]
    env.close()


@pytest.mark.sample(1)
def test_the_end_of_stderr_is_in_the_fault(python: str):
    env = make(python)
    assert "about to exit" in fault_of(env, EXIT)["stderr_tail"]
    env.close()


@pytest.mark.sample(1)
@pytest.mark.parametrize("action", [RAISE, EXIT])
def test_the_next_reset_begins_another_environment(gym026: str, action: int):
    env = make(gym026)
    env.step(action)
    env.reset()
    assert not env.step(0)[3]
    env.close()


def test_an_exception_has_the_class_that_it_has_there(gym026: str):
    env = make(gym026, on_fault="raise")
    with pytest.raises(RemoteEnvError, match="raised ValueError in step: told to raise") as caught:
        env.step(RAISE)
    assert isinstance(caught.value, ValueError)
    env.close()


def test_an_end_is_raised_where_faults_are(gym026: str):
    env = make(gym026, on_fault="raise")
    with pytest.raises(ConnectionLostError, match=r"ended \(exit code 7\)"):
        env.step(EXIT)
    env.close()


def test_a_step_that_hangs_is_cut(gym026: str):
    env = make(gym026, timeout_s=2.0)
    process = psutil.Process(env.get_wrapper_attr("process")())
    assert fault_of(env, HANG)["fault"] == "step_timeout"
    process.wait(5)
    env.close()


@pytest.mark.parametrize("action", [RAISE, EXIT])
def test_a_fault_of_a_sub_environment_is_recovered_within_its_worker(gym026: str, action: int):
    envs = gym.make_vec(ID, 3, env_id=FAULTY, python=gym026, shards=1)
    envs.reset(seed=1)
    envs.step(np.zeros(3, int))
    envs.step(np.array([0, action, 0]))
    envs.step(np.zeros(3, int))
    assert not envs.step(np.zeros(3, int))[3].any()
    envs.close()


def test_a_sub_environment_that_raises_is_alone_with_it(gym026: str):
    envs = gym.make_vec(ID, 3, env_id=FAULTY, python=gym026, shards=1)
    envs.reset(seed=1)
    envs.step(np.zeros(3, int))
    assert envs.step(np.array([0, RAISE, 0]))[3].tolist() == [False, True, False]
    envs.close()


def test_all_sub_environments_of_a_session_share_one_process(gym026: str):
    envs = gym.make_vec(ID, 3, env_id=FAULTY, python=gym026, shards=1)
    envs.reset(seed=1)
    assert len(set(envs.call("process"))) == 1
    envs.close()


@pytest.mark.parametrize("end", ["close", "kill the worker"])
def test_the_process_ends_with_its_session(gym026: str, end: str):
    env = make(gym026)
    process = psutil.Process(env.get_wrapper_attr("process")())
    if end == "close":
        env.close()
    else:
        os.kill(process.ppid(), signal.SIGKILL)
    process.wait(5)
    env.close()


def test_the_process_ends_with_its_worker_in_a_step_that_hangs(gym026: str):
    child = InterpreterProcess(gym026)
    child.ask("open", FAULTY, {}, None, None)
    child.ask("call", 1, "reset", (), {})
    process = psutil.Process(child.pid)
    child._lifeline.close()
    process.wait(5)
    child.end(0)


def test_what_it_prints_goes_where_the_worker_prints(gym026: str, capfd: pytest.CaptureFixture):
    env = make(gym026)
    env.step(PRINT)
    env.close()
    assert "printed by the environment" in capfd.readouterr().out


def test_a_module_that_dies_at_start_is_one_message(gym026: str):
    with pytest.raises(EnvStartError, match="no licence"):
        gym.make(ID, env_id="tests.support.gym_envs:dies", python=gym026)


@pytest.mark.sample(1)
def test_an_unknown_id_is_said(python: str):
    with pytest.raises(UnknownEnvironmentError, match="NoSuch"):
        gym.make(ID, env_id="NoSuch-v0", python=python)


@pytest.mark.sample(1)
def test_an_unknown_module_is_said(python: str):
    with pytest.raises(UnknownEnvironmentError, match="no module named 'no_such_module'"):
        gym.make(ID, env_id="no_such_module:Class", python=python)


@pytest.mark.parametrize("name", ["tests/support/vec_envs.py:any", "tests.support.vec_envs:any"])
def test_what_cannot_be_imported_there_is_said_with_the_way_to_install_it(
    numpy_alone: str, name: str
):
    with pytest.raises(EnvStartError, match=r"No module named 'gymnasium'. Install it there: /"):
        gym.make(ID, env_id=name, python=numpy_alone)


def test_a_file_that_there_is_not_is_said(numpy_alone: str):
    with pytest.raises(UnknownEnvironmentError, match=r"there is no file /.*/no_such\.py"):
        gym.make(ID, env_id="no_such.py:Class", python=numpy_alone)


def test_an_id_without_gym_says_what_is_missing(numpy_alone: str):
    with pytest.raises(UnknownEnvironmentError, match="not installed here"):
        gym.make(ID, env_id="CartPole-v1", python=numpy_alone)


def test_a_game_of_openspiel_needs_this_package(gym026: str):
    with pytest.raises(InvalidRequestError, match="leave python out"):
        gym.make("openenv/catch-v0", python=gym026)


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", ["/nowhere/python", "no-such-command", "tests"])
def test_a_wrong_path_is_said_at_once(name: str):
    with pytest.raises(InvalidRequestError, match="python: expected"):
        gym.make(ID, env_id="CartPole-v1", python=name)


def test_one_environment_has_one_interpreter(gym026: str):
    with pytest.raises(InvalidRequestError, match="one environment has one interpreter, got 2"):
        gym.make(ID, env_id="CartPole-v1", python=[gym026, gym026])


def test_what_is_no_path_is_refused():
    with pytest.raises(InvalidRequestError, match="python: expected a path, got 3"):
        gym.make(ID, env_id="CartPole-v1", python=3)


def test_an_environment_that_fails_in_close_keeps_no_other_open(capsys: pytest.CaptureFixture):
    class Other:
        closed = False

        def close(self) -> None:
            self.closed = True

    class Failing:
        def close(self) -> None:
            raise ValueError("told to fail")

    host, other = Host(-1), Other()
    host._envs.update({1: Failing(), 2: other})
    host.close_all()
    assert (other.closed, "told to fail" in capsys.readouterr().err) == (True, True)


def script(folder: Path, text: str) -> str:
    path = folder / "python"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_what_is_no_python_is_said_with_its_stderr(tmp_path: Path):
    python = script(tmp_path, "#!/bin/sh\necho no python am I >&2\nexit 4\n")
    with pytest.raises(EnvStartError, match=r"(?s)ended with exit code 4.*no python am I"):
        InterpreterProcess(python)


def test_what_cannot_be_executed_is_said(tmp_path: Path):
    with pytest.raises(EnvStartError, match="cannot run an environment with"):
        InterpreterProcess(script(tmp_path, "no program at all"))


def test_an_interpreter_without_numpy_is_said(tmp_path: Path):
    hidden = tmp_path / "numpy"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('hidden')")
    text = f'#!/bin/sh\nPYTHONPATH={tmp_path} exec /usr/bin/env python3 "$@"\n'
    with pytest.raises(EnvStartError, match=r"there is none .*pip install numpy"):
        InterpreterProcess(script(tmp_path, text))


def test_a_server_beside_python_is_refused(gym026: str):
    with pytest.raises(InvalidRequestError, match="which chooses the interpreter itself"):
        gym.make(ID, env_id="CartPole-v1", python=gym026, base_url="http://127.0.0.1:1")


@pytest.fixture(scope="module")
def server(gym026: str, no_process_is_left: None) -> Any:
    with ServerProcess(FAULTY, "--attributes=process", python=gym026) as server:
        yield server


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_a_server_runs_it_there(server: ServerProcess, codec: str):
    env = gym.make("openenv/remote-v0", base_url=server.base_url, codec=codec)
    env.reset(seed=1)
    assert env.step(0)[-1]["gym"] == "0.26.2"
    env.close()


def test_a_fault_on_a_server_is_that_of_a_worker(server: ServerProcess):
    env = gym.make("openenv/remote-v0", base_url=server.base_url)
    env.reset(seed=1)
    env.step(0)
    fault = fault_of(env, EXIT)
    assert (fault["fault"], fault["exitcode"]) == ("worker_died", 7)
    env.close()


def test_sessions_of_a_server_are_processes_of_their_own(server: ServerProcess):
    envs = [gym.make("openenv/remote-v0", base_url=server.base_url) for _ in range(2)]
    pids = set()
    for env in envs:
        env.reset(seed=1)
        pids.add(env.get_wrapper_attr("process")())
    assert len(pids) == 2
    for env in envs:
        env.close()


def test_a_server_shards_a_vector_environment(server: ServerProcess):
    envs = gym.make_vec("openenv/remote-v0", 4, base_url=server.base_url, shards=2)
    envs.reset(seed=1)
    assert envs.step(np.zeros(4, int))[-1]["gym"].tolist() == ["0.26.2"] * 4
    envs.close()


def test_an_episode_goes_on_after_its_connection_was_cut(server: ServerProcess):
    with FaultProxy(server.base_url) as proxy:
        env = gym.make("openenv/remote-v0", base_url=proxy.base_url)
        env.reset(seed=1)
        env.step(0)
        proxy.cut()
        assert env.step(0)[-1]["steps"] == 2
        env.close()


def test_a_thread_of_a_server_runs_it_there(gym026: str):
    with ServerProcess(FAULTY, "--isolation=thread", python=gym026) as server:
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        env.reset(seed=1)
        assert env.step(0)[-1]["gym"] == "0.26.2"
        env.close()


def test_create_app_takes_an_interpreter(gym026: str):
    with TestClient(create_app(FAULTY, python=gym026)) as client:
        client.post("/reset", json={"seed": 1})
        assert client.post("/step", json={"action": {"action": 0}}).json()["done"] is False


def test_no_message_of_a_client_chooses_an_interpreter(server: ServerProcess):
    asked = Open(python=sys.executable)
    endpoint = ServerEndpoint(address=parse_address(server.base_url), request=asked)
    with pytest.raises(InvalidRequestError, match="expected no interpreter in a request"):
        endpoint.connect()
