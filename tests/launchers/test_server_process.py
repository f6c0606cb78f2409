"""A server started from Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import gymnasium as gym
import httpx
import psutil
import pytest

from openenv_gym.errors import EnvStartError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import Step
from tests.support.family import family_of, has_ended
from tests.support.hanging import Hanging
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("new_interpreters")

GRACE_S = 20.0
"""By when a process has ended that is ending; one that is left does not end at all."""


def test_it_serves_and_ends():
    with ServerProcess("openspiel:catch", "--workers", "2") as server:
        health = httpx.get(f"{server.base_url}/health", timeout=60)
        assert health.json() == {"status": "healthy"}
        family = family_of(server.pid, 4)  # with a forkserver, and two workers that wait
    assert psutil.wait_procs(family, timeout=GRACE_S)[1] == []


def test_an_environment_that_does_not_exist_ends_it(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(EnvStartError, match="ended with exit code 1 before it served"):
        ServerProcess("CartPoel-v1")
    assert "Did you mean: `CartPole`" in capfd.readouterr().err


def test_it_imports_what_its_starter_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "module_of_a_starter.py").write_text("thing = 7")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvStartError, match="ended with exit code 1 before it served"):
        ServerProcess("module_of_a_starter:thing")
    assert "module_of_a_starter:thing is of type int" in capfd.readouterr().err


def test_a_server_ends_with_the_process_that_started_it():
    script = (
        "import sys\nfrom openenv_gym.launchers import ServerProcess\n"
        "server = ServerProcess('CartPole-v1')\nprint(server.pid, flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    starter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    family = family_of(int(starter.stdout.readline()), 3)
    starter.kill()
    starter.communicate()
    assert psutil.wait_procs(family, timeout=GRACE_S)[1] == []


def test_ctrl_c_is_not_for_it():
    script = textwrap.dedent(
        """
        import signal, sys, time
        import gymnasium as gym, openenv_gym
        from openenv_gym.launchers import ServerProcess

        signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job ignores
        server = ServerProcess("CartPole-v1")
        env = gym.make("openenv/remote-v0", base_url=server.base_url, on_fault="raise")
        env.reset(seed=0)
        try:
            print("ready", flush=True)
            sys.stdin.read()
        except KeyboardInterrupt:
            time.sleep(0.5)  # a server that was interrupted too would end meanwhile
            env.step(0)
            env.close()
            print("went on, and then", server.stop(), flush=True)
        """
    )
    trainer = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert trainer.stdout.readline() == "ready\n"
    os.killpg(trainer.pid, signal.SIGINT)
    assert trainer.communicate(timeout=60)[0] == "went on, and then 0\n"


def test_workers_end_with_a_killed_server():
    server = ServerProcess("CartPole-v1", "--workers", "2")
    _, *workers = family_of(server.pid, 4)
    psutil.Process(server.pid).kill()
    assert psutil.wait_procs(workers, timeout=GRACE_S)[1] == []
    assert server.stop() == -9


@pytest.mark.parametrize("way", Hanging.WAYS)
@pytest.mark.sample(2)
def test_workers_that_hang_end_with_a_killed_server_too(way: str):
    server = ServerProcess("tests.support.hanging:Hanging-v0")
    env = gym.make("openenv/remote-v0", base_url=server.base_url).unwrapped
    env.reset()
    env._connection.begin(Step(Hanging.WAYS[way]))
    family = family_of(server.pid, 5 if way == "fork" else 4)  # one waits, one forks
    psutil.Process(server.pid).kill()
    server.stop()
    wait_until(lambda: all(map(has_ended, family)))
    env._connection.give_up()


def test_an_interpreter_that_does_not_exist():
    with pytest.raises(EnvStartError, match="cannot run a server with /nonexistent"):
        ServerProcess("CartPole-v1", server_python="/nonexistent")
