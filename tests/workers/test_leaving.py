"""A worker that has closed its environments is gone at once, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from openenv_gym.client import Connection, StreamTransport
from openenv_gym.protocol import BinaryMessages, ClientSession, Open
from openenv_gym.workers.built_env import build, modules_to_preload
from openenv_gym.workers.forked import ForkserverProcess, can_fork
from openenv_gym.workers.interpreter_process import InterpreterProcess
from openenv_gym.workers.output import Output, StderrCopy
from openenv_gym.workers.process import WorkerProcess
from tests.support.waiting import wait_until

PARTING = "tests.support.parting:Parting-v0"


@pytest.fixture(scope="module")
def forkserver(no_process_is_left: None) -> Iterator[ForkserverProcess]:
    if not can_fork():
        pytest.skip("forking needs Linux 5.3")
    process = ForkserverProcess(modules_to_preload(PARTING))
    yield process
    process.stop()


def end_session(worker: WorkerProcess, folder: Path) -> None:
    wait_until(lambda: worker.has_begun)
    transport = StreamTransport(worker.connect(), "the worker")
    connection = Connection(ClientSession(BinaryMessages()), transport, timeout_s=30)
    connection.request(Open(PARTING, kwargs={"folder": str(folder), "is_loud": True}))
    connection.give_up()  # it leaves without a word, and the worker has to close
    worker.dismiss()
    assert worker.wait(30) == 0


def names_in(folder: Path) -> dict[str, bool]:
    """The names of the traces, and whether something is in the file."""
    return {file.name: file.stat().st_size > 0 for file in folder.iterdir()}


END_OF_WORKER = {"closed": True, "atexit": False, "freed": False}


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_a_worker_closes_runs_handlers_prints_all_and_frees_nothing(
    start: str, request: pytest.FixtureRequest, tmp_path: Path
):
    forkserver = request.getfixturevalue("forkserver") if start == "forkserver" else None
    output = Output()
    worker = WorkerProcess(output=output, forkserver=forkserver)
    try:
        end_session(worker, tmp_path)
        assert names_in(tmp_path) == END_OF_WORKER
        assert b"from Pythonfrom C" in output.read()
    finally:
        worker.stop()


def test_a_worker_that_this_process_forked_leaves_the_handlers_to_it(tmp_path: Path):
    worker = WorkerProcess(stderr_copy=StderrCopy(), builder=build)
    try:
        end_session(worker, tmp_path)
        assert names_in(tmp_path) == {"closed": True, "freed": False}
    finally:
        worker.stop()


def test_an_interpreter_ends_as_a_worker_does(tmp_path: Path):
    interpreter = InterpreterProcess(sys.executable)
    interpreter.ask("open", PARTING, {"folder": str(tmp_path)}, None, None)
    assert interpreter.end(30) == 0
    assert names_in(tmp_path) == END_OF_WORKER


def test_a_handler_that_fails_and_an_output_that_nobody_reads_do_not_matter():
    script = """
    import atexit, os, sys
    from openenv_gym.interpreter.leaving import leave

    def fail():
        raise RuntimeError("a handler failed")

    atexit.register(fail)
    reading, writing = os.pipe()
    sys.stdout = os.fdopen(writing, "w")
    print("nobody reads this")
    os.close(reading)
    leave(3)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 3
    assert "a handler failed" in ended.stderr
