"""A forked worker is what a new interpreter would be, and nobody's end is another one's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

from openenv_gym.client import Connection, StreamTransport
from openenv_gym.errors import ConnectionLostError, ServerError
from openenv_gym.protocol import BinaryMessages, ClientSession, Open, Reset, Step
from openenv_gym.workers import forked as forked_module
from openenv_gym.workers.built_env import modules_to_preload
from openenv_gym.workers.forked import UNTOLD, ForkedProcess, ForkserverProcess, can_fork
from openenv_gym.workers.output import Output
from openenv_gym.workers.process import WorkerProcess
from tests.support.drawing import Drawing, product
from tests.support.envs import Scripted
from tests.support.family import has_ended
from tests.support.hanging import Hanging
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not can_fork(), reason="forking needs Linux 5.3")

DRAWING = "tests.support.drawing:Drawing-v0"
SCRIPTED = "tests.support.envs:Scripted-v0"
HANGING = "tests.support.hanging:Hanging-v0"
WITHIN_S = 20.0


@pytest.fixture(scope="module")
def forkserver(no_process_is_left: None) -> Iterator[ForkserverProcess]:
    process = ForkserverProcess(modules_to_preload(SCRIPTED))
    yield process
    process.stop()


@pytest.fixture
def mortal() -> Iterator[ForkserverProcess]:
    """One that a test may kill."""
    process = ForkserverProcess(modules_to_preload(SCRIPTED))
    yield process
    process.stop()


@pytest.fixture
def fork() -> Iterator[Callable[..., WorkerProcess]]:
    """Has a worker forked, and waits until it is there."""
    workers: list[WorkerProcess] = []

    def begun(forkserver: ForkserverProcess) -> WorkerProcess:
        worker = WorkerProcess(output=Output(), forkserver=forkserver)
        workers.append(worker)
        await_begin(worker)
        return worker

    yield begun
    for worker in workers:
        worker.stop(timeout_s=0.1)


def await_begin(worker: WorkerProcess) -> None:
    wait_until(lambda: worker.has_begun)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forkserver may take longer than a second to tell how a worker ended."""
    monkeypatch.setattr(forked_module, "_TOLD_WITHIN_S", WITHIN_S)


@pytest.fixture
def play() -> Iterator[Callable[[WorkerProcess, str], Connection]]:
    """Opens a session."""
    connections: list[Connection] = []

    def begin(worker: WorkerProcess, environment: str) -> Connection:
        transport = StreamTransport(worker.connect(), "the worker")
        connection = Connection(ClientSession(BinaryMessages()), transport, timeout_s=WITHIN_S)
        connections.append(connection)
        connection.request(Open(environment))
        return connection

    yield begin
    for connection in connections:
        connection.abandon()


def face_of(pid: int) -> dict[str, object]:
    """What can be seen of a process from outside, and must not depend on how it began."""
    process = psutil.Process(pid)
    folder = f"/proc/{pid}/fd"
    files = {int(fd): os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)}
    kinds = {fd: name.partition(":")[0] for fd, name in files.items()}
    with open(f"/proc/{pid}/oom_score_adj") as file:
        badness = file.read()
    with open(f"/proc/{pid}/status") as file:
        masks = [line for line in file if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
    return {
        "stdio": [kinds[fd] for fd in range(3)],
        "files": sorted(kinds.values()),
        "leads": os.getpgid(pid) == pid,
        "badness": badness,
        "signals": masks,
        "memory limit": process.rlimit(psutil.RLIMIT_AS),
        "folder": process.cwd(),
        "variables": {key: process.environ()[key] for key in ("PATH", "PYTHONPATH")},
    }


def test_it_looks_like_a_new_interpreter(play):
    forkserver = ForkserverProcess(modules_to_preload(SCRIPTED), memory_limit_mb=3000)
    first = WorkerProcess(output=Output(), forkserver=forkserver)
    forked = WorkerProcess(output=Output(), forkserver=forkserver)
    spawned = WorkerProcess(output=Output(), memory_limit_mb=3000)
    workers = [first, forked, spawned]
    for worker in workers:
        await_begin(worker)
        play(worker, DRAWING).request(Reset(0))
    assert face_of(forked.pid) == face_of(spawned.pid)
    for worker in workers:
        worker.stop()
    forkserver.stop()


@pytest.mark.parametrize(
    "environment", ["CartPole-v1", "openspiel:catch", "environment:any:Class", "vector:any:make"]
)
def test_what_is_imported_before_a_fork_starts_no_thread(environment: str, fork):
    modules = modules_to_preload(environment)
    forkserver = ForkserverProcess(modules)
    fork(forkserver)  # before which OpenBLAS ends its own
    assert psutil.Process(forkserver.pid).num_threads() == 1
    mapped = {os.path.basename(one.path) for one in psutil.Process(forkserver.pid).memory_maps()}
    assert not [name for name in mapped if name.startswith("libtorch")]
    assert any("pyspiel" in name for name in mapped) == environment.startswith("openspiel:")
    forkserver.stop()


def test_it_has_random_numbers_of_its_own(forkserver: ForkserverProcess, fork, play):
    draws = [play(fork(forkserver), DRAWING).request(Reset(None)).obs for _ in range(3)]
    assert len({number for draw in draws for number in draw[1:]}) == 9


def test_openblas_computes_after_a_fork_what_it_computes_before(
    forkserver: ForkserverProcess, fork, play
):
    for _ in range(2):  # the first fork ended the forkserver's threads
        connection = play(fork(forkserver), DRAWING)
        assert connection.request(Reset(0)).obs[0] == product()


def test_the_environment_is_imported_in_the_worker_alone(forkserver: ForkserverProcess, fork, play):
    workers = [fork(forkserver) for _ in range(2)]
    for worker in workers:
        info = play(worker, DRAWING).request(Reset(0)).info
        assert info == {"pid": worker.pid, "imported_by": worker.pid}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("action", "code"),
    [
        (Drawing.SYSTEM_EXIT, 5),
        (Drawing.ABORT, -signal.SIGABRT),
        (Drawing.SEGFAULT, -signal.SIGSEGV),
    ],
)
def test_how_it_ended(forkserver: ForkserverProcess, fork, action: int, code: int, play):
    worker = fork(forkserver)
    connection = play(worker, DRAWING)
    connection.request(Reset(0))
    with pytest.raises(ConnectionLostError):
        connection.request(Step(action))
    assert worker.wait(WITHIN_S) == code
    with pytest.raises(ServerError, match=rf"is gone \(exit code {code}\)"):
        worker.connect()
    worker.stop()
    assert (b"Fatal Python error" in worker.output.tail) == (code < 0)


@pytest.mark.usefixtures("patient")
def test_its_number_is_nobody_elses_until_it_was_asked_for(forkserver: ForkserverProcess, fork):
    worker = fork(forkserver)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait(WITHIN_S) == -signal.SIGKILL
    process = psutil.Process(worker.pid)
    assert process.status() == psutil.STATUS_ZOMBIE
    worker.stop()
    process.wait(WITHIN_S)
    wait_until(lambda: not psutil.Process(forkserver.pid).children())


def test_what_it_forked_ends_with_it(forkserver: ForkserverProcess, fork, play):
    worker = fork(forkserver)
    connection = play(worker, HANGING)
    connection.request(Reset(0))
    connection.begin(Step(Hanging.FORK))
    while not (children := psutil.Process(worker.pid).children()):
        pass
    worker.stop(timeout_s=0.1)
    wait_until(lambda: has_ended(children[0].pid))
    assert worker.exit_code == -signal.SIGKILL


def test_sessions_outlive_the_forkserver(mortal: ForkserverProcess, fork, play):
    exits, hangs, closes = (fork(mortal) for _ in range(3))
    connections = [play(worker, SCRIPTED) for worker in (exits, hangs, closes)]
    for connection in connections:
        connection.request(Reset(0))
    os.kill(mortal.pid, signal.SIGKILL)
    wait_until(lambda: has_ended(mortal.pid))
    assert not mortal.is_alive
    with pytest.raises(ServerError, match="takes no request"):
        WorkerProcess(output=Output(), forkserver=mortal)
    for connection in connections:
        assert connection.request(Step(0)).obs[0] == 1.0
    with pytest.raises(ConnectionLostError):
        connections[0].request(Step(Scripted.EXIT))
    assert exits.wait(WITHIN_S) == UNTOLD
    connections[1].begin(Step(Scripted.SPIN))
    hangs.kill()
    assert hangs.wait(WITHIN_S) == -signal.SIGKILL
    connections[2].close()
    closes.stop()
    wait_until(lambda: all(has_ended(worker.pid) for worker in (exits, hangs, closes)))


def test_a_forkserver_that_was_stopped_holds_up_nobody(mortal: ForkserverProcess, fork, play):
    worker = fork(mortal)
    connection = play(worker, SCRIPTED)
    os.kill(mortal.pid, signal.SIGSTOP)
    late = WorkerProcess(output=Output(), forkserver=mortal)
    connection.request(Reset(0))
    worker.stop(timeout_s=0)
    assert worker.exit_code == -signal.SIGKILL
    assert not late.has_begun
    late.kill()
    late.stop()
    os.kill(mortal.pid, signal.SIGCONT)
    # It forks the late one, which ends at once, and reaps both.
    assert play(fork(mortal), SCRIPTED).request(Reset(0)).obs[0] == 0.0
    wait_until(lambda: len(psutil.Process(mortal.pid).children()) == 1)


def test_ctrl_c_is_the_servers_to_answer(forkserver: ForkserverProcess, fork, play):
    fork(forkserver)  # which is up then
    os.kill(forkserver.pid, signal.SIGINT)
    assert play(fork(forkserver), SCRIPTED).request(Reset(0)).obs[0] == 0.0


def test_a_refusal_is_told():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = ForkedProcess(ours)
    assert not process.has_begun
    theirs.send(b"![Errno 11] Resource temporarily unavailable")
    with pytest.raises(ServerError, match=r"did not fork a worker: \[Errno 11\]"):
        _ = process.has_begun
    theirs.close()
    process.release()


def test_what_cannot_be_imported_is_told_by_the_worker_that_needs_it(fork, play):
    forkserver = ForkserverProcess(["there.is.no.such.module"])
    assert play(fork(forkserver), SCRIPTED).request(Reset(0)).obs[0] == 0.0
    forkserver.stop()


def test_a_forked_child_leaves_it_alone(forkserver: ForkserverProcess, fork, play):
    worker = fork(forkserver)
    pid = os.fork()
    if pid == 0:
        os._exit(forkserver._control.fileno() != -1 or worker._process._status.fileno() != -1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert play(worker, SCRIPTED).request(Reset(0)).obs[0] == 0.0


# A server that says what it started, and then ends or waits to be killed.
SERVER = textwrap.dedent(
    """
    import os, signal, sys, time
    from openenv_gym.client import Connection, StreamTransport
    from openenv_gym.protocol import BinaryMessages, ClientSession, Open, Reset, Step
    from openenv_gym.workers.forked import ForkserverProcess
    from openenv_gym.workers.output import Output
    from openenv_gym.workers.process import WorkerProcess

    forkserver = ForkserverProcess(["openenv_gym.adapters.gymnasium_host"])
    worker = WorkerProcess(output=Output(), forkserver=forkserver)
    while not worker.has_begun:
        time.sleep(0.01)
    connection = Connection(
        ClientSession(BinaryMessages()), StreamTransport(worker.connect(), "it"), timeout_s=20
    )
    connection.request(Open("tests.support.hanging:Hanging-v0"))
    connection.request(Reset(0))
    if sys.argv[1] == "forkserver first":
        os.kill(forkserver.pid, signal.SIGKILL)
        while forkserver.is_alive:
            time.sleep(0.01)
    connection.begin(Step(int(sys.argv[2])))
    print(forkserver.pid, worker.pid, flush=True)
    sys.stdin.readline()
    """
)


@pytest.mark.parametrize("way", ["sleep", "spin", "gil", "stop"])
@pytest.mark.parametrize("first", ["server", "forkserver first"])
@pytest.mark.sample(2)
def test_all_end_with_a_server_that_is_killed(first: str, way: str):
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, first, str(Hanging.WAYS[way])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    forkserver, worker = map(int, server.stdout.readline().split())
    if way == "stop":
        while psutil.Process(worker).status() != psutil.STATUS_STOPPED:
            pass
    server.kill()
    server.communicate()
    wait_until(lambda: all(map(has_ended, (forkserver, worker))))


def test_a_forkserver_that_imports_ends_with_its_server_too():
    script = (
        "import sys\nfrom openenv_gym.workers.forked import ForkserverProcess\n"
        "forkserver = ForkserverProcess(['tests.support.endless'])\n"
        "print(forkserver.pid, flush=True)\nsys.stdin.readline()"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    said = {server.stdout.readline(), server.stdout.readline()}  # of both, in any order
    said.remove("imports now\n")
    forkserver = psutil.Process(int(said.pop()))
    server.kill()
    server.communicate()
    wait_until(lambda: has_ended(forkserver.pid))


def test_numbers_agree_with_a_new_interpreter(forkserver: ForkserverProcess, fork, play):
    spawned = WorkerProcess(output=Output())
    sessions = [play(worker, "CartPole-v1") for worker in (fork(forkserver), spawned)]
    first, second = ([s.request(Reset(3)).obs, s.request(Step(1)).obs] for s in sessions)
    assert np.array_equal(first, second)
    spawned.stop()


def await_reaped(worker: WorkerProcess) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not worker._process.is_reaped:
        time.sleep(0.01)
        if time.monotonic() > end_s:
            pytest.skip("process 1 of this container reaps nobody")


@pytest.mark.parametrize("how", ["forked", "spawned"])
def test_a_process_that_has_got_the_number_of_a_worker_that_ended_is_left_alone(mortal, fork, how):
    worker = fork(mortal) if how == "forked" else WorkerProcess(output=Output())
    if how == "forked":
        os.kill(mortal.pid, signal.SIGKILL)  # so that nobody keeps the number
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait(WITHIN_S) in (-signal.SIGKILL, UNTOLD)
    await_reaped(worker)
    other = subprocess.Popen(["sleep", "60"], process_group=0)
    worker._process.pid = other.pid
    worker.stop()
    worker.stop()  # which may come twice
    other.terminate()
    assert other.wait() == -signal.SIGTERM  # and not killed, which would have come first


@pytest.mark.parametrize("how", ["forked", "spawned"])
def test_what_a_worker_that_was_reaped_left_behind_is_ended(mortal, fork, play, how):
    worker = fork(mortal) if how == "forked" else WorkerProcess(output=Output())
    connection = play(worker, HANGING)
    connection.request(Reset(0))
    connection.begin(Step(Hanging.FORK))
    process = psutil.Process(worker.pid)
    while not process.children():
        pass
    (left,) = process.children()
    if how == "forked":
        os.kill(mortal.pid, signal.SIGKILL)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait(WITHIN_S) in (-signal.SIGKILL, UNTOLD)
    await_reaped(worker)
    assert left.is_running()
    worker.stop()
    wait_until(lambda: has_ended(left))
