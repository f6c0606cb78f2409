"""Workers end with the process that started them, however it ends, and answer nobody else."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import textwrap

import psutil
import pytest

from openenv_gym.client import Connection, StreamTransport
from openenv_gym.errors import ConnectionLostError, ServerError
from openenv_gym.protocol import BinaryMessages, ClientSession, Close, Open, Reset, Step
from openenv_gym.workers.lifeline import Lifeline
from openenv_gym.workers.process import WorkerProcess
from tests.support.envs import Scripted
from tests.support.family import has_ended
from tests.support.waiting import wait_until

SCRIPTED = "tests.support.envs:Scripted-v0"


@pytest.fixture
def worker():
    process = WorkerProcess()
    yield process
    process.stop()


def connect(worker: WorkerProcess, environment: str = SCRIPTED) -> Connection:
    transport = StreamTransport(worker.connect(), "the worker")
    connection = Connection(ClientSession(BinaryMessages()), transport, timeout_s=20)
    connection.request(Open(environment))
    return connection


# A trainer that says which process its worker is, and then does what the test asks for.
TRAINER = textwrap.dedent(
    """
    import os, signal, sys, threading, time
    import gymnasium, openenv_gym
    from openenv_gym.launchers.embedded import EMBEDDED

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    env = gymnasium.make("openenv/gymnasium-v0", env_id="tests.support.envs:Scripted-v0")
    env.reset(seed=0)
    end, action = sys.argv[1], int(sys.argv[2])
    if action:
        threading.Thread(target=env.unwrapped.step, args=(action,), daemon=True).start()
        while not env.unwrapped._connection._lock.locked():
            pass
    print(EMBEDDED.pid, flush=True)
    sys.stdin.readline()
    if end == "return":
        sys.exit(0)
    if end == "raise":
        raise RuntimeError("told to")
    if end == "_exit":
        os._exit(0)
    if end == "interrupt":
        signal.raise_signal(signal.SIGINT)
    os.kill(os.getpid(), {"terminate": signal.SIGTERM, "kill": signal.SIGKILL}[end])
    """
)


@pytest.mark.parametrize("end", ["return", "raise", "interrupt", "_exit", "terminate", "kill"])
@pytest.mark.parametrize("action", [0, Scripted.HANG, Scripted.SPIN], ids=["idle", "hang", "spin"])
@pytest.mark.sample(3)
def test_a_worker_ends_with_its_trainer(end: str, action: int):
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER, end, str(action)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    worker = psutil.Process(int(trainer.stdout.readline()))
    trainer.communicate("now\n", timeout=60)
    wait_until(lambda: has_ended(worker))


@pytest.mark.skipif(not hasattr(fcntl, "F_SETSIG"), reason="only Linux lets one choose the signal")
def test_a_library_that_takes_over_sigio_changes_nothing():
    script = (
        "import signal, sys\nfrom openenv_gym.interpreter.lifeline import end_by_signal\n"
        "end_by_signal(int(sys.argv[1]))\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\n"
        "print(flush=True)\nwhile True: pass"
    )
    lifeline = Lifeline()
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(lifeline.there)],
        pass_fds=(lifeline.there,),
        stdout=subprocess.PIPE,
    )
    lifeline.handed_over()
    process.stdout.readline()
    lifeline.close()
    assert process.wait(20) == -signal.SIGKILL
    process.stdout.close()


def test_what_a_process_has_started_ends_with_its_lifeline_too():
    script = (
        "import subprocess, sys, time\nfrom openenv_gym.interpreter.lifeline import end_by_signal\n"
        "end_by_signal(int(sys.argv[1]))\nstarted = subprocess.Popen(['sleep', '3600'])\n"
        "print(started.pid, flush=True)\ntime.sleep(3600)"
    )
    lifeline = Lifeline()
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(lifeline.there)],
        pass_fds=(lifeline.there,),
        stdout=subprocess.PIPE,
        process_group=0,  # as workers have one
    )
    lifeline.handed_over()
    started = psutil.Process(int(process.stdout.readline()))
    lifeline.close()
    process.wait(20)
    wait_until(lambda: has_ended(started))
    process.stdout.close()


def test_ctrl_c_is_the_trainers_to_answer(worker):
    connection = connect(worker)
    connection.request(Reset(0))
    os.kill(worker.pid, signal.SIGINT)
    assert connection.request(Step(0)).obs[0] == 1.0
    connection.close()


def test_sessions_of_a_worker_are_apart(worker):
    first, second = connect(worker), connect(worker, "CartPole-v1")
    first.request(Reset(0)), second.request(Reset(0))
    assert first.request(Step(0)).obs.shape == (2,)
    assert second.request(Step(0)).obs.shape == (4,)
    first.close()
    assert second.request(Step(1)).reward == 1.0
    second.close()


def test_a_client_that_leaves_without_a_word_is_noticed(worker):
    connection, bystander = connect(worker), connect(worker)
    process = psutil.Process(worker.pid)
    before = process.num_fds()
    connection.abandon()
    bystander.request(Reset(0))  # answered after the loop has seen the end of the other
    bystander.request(Step(0))
    wait_until(lambda: process.num_fds() == before - 1)
    bystander.close()


def test_a_worker_closes_the_socket_of_who_has_said_goodbye(worker):
    transport = StreamTransport(worker.connect(), "the worker")
    connection = Connection(ClientSession(BinaryMessages()), transport, timeout_s=20)
    connection.request(Open(SCRIPTED))
    connection.request(Close())
    wait_until(transport.has_hung_up)  # though this end is still open
    connection.abandon()


def test_bytes_that_are_no_frame_end_only_their_session(worker):
    bystander = connect(worker)
    with worker.connect() as sock:
        sock.sendall(b"\xff" * 64)
        assert sock.recv(1) == b""
    bystander.request(Reset(0))
    bystander.close()


def test_a_dead_worker_is_named():
    process = WorkerProcess()
    connection = connect(process)
    connection.request(Reset(0))
    with pytest.raises(ConnectionLostError, match=r"closed the connection|broke"):
        connection.request(Step(Scripted.EXIT))
    process._process.wait()
    with pytest.raises(ServerError, match="is gone"):
        process.connect()
    assert process.exit_code == 7
    process.stop()


def test_a_worker_that_hangs_is_killed_when_it_is_to_stop():
    process = WorkerProcess()
    sock = process.connect()
    transport = StreamTransport(sock, "the worker")
    session = ClientSession(BinaryMessages())
    for request in (Open(SCRIPTED), Reset(0)):
        transport.send(session.send(request))
        session.receive(transport.receive(20))
    cpu = psutil.Process(process.pid).cpu_times
    begun_s = cpu().user
    transport.send(session.send(Step(Scripted.SPIN)))
    wait_until(lambda: cpu().user >= begun_s + 0.2)  # asked before, it might end by itself
    process.stop(timeout_s=0.2)
    assert process.exit_code == -signal.SIGKILL
    transport.close()


def test_a_forked_child_leaves_the_worker_alone(worker):
    connection = connect(worker)
    connection.request(Reset(0))
    pid = os.fork()
    if pid == 0:
        os._exit(0 if worker._control.fileno() == -1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert connection.request(Step(0)).obs[0] == 1.0
    connection.request(Close())
    connection.abandon()


def test_an_interpreter_that_does_not_exist():
    with pytest.raises(ServerError, match="cannot run a worker with /nowhere/python"):
        WorkerProcess(python="/nowhere/python")


def test_a_platform_without_unix_sockets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(socket, "send_fds")
    with pytest.raises(ServerError, match="needs Unix sockets"):
        WorkerProcess()
