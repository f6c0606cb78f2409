"""What a worker prints never makes it wait, and takes no more memory than it should."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from openenv_gym.interpreter.stderr import RING_BYTES, TAIL_BYTES
from openenv_gym.server.output_log import BURST_LINES, OutputLog
from openenv_gym.workers.memory import oom_kills
from openenv_gym.workers.output import Output, StderrCopy
from openenv_gym.workers.process import WorkerProcess


def test_all_that_is_new_is_read_once():
    output = Output()
    os.write(output.fd, b"one\n")
    assert output.read() == b"one\n"
    assert output.read() == b""
    os.write(output.fd, b"two\n")
    output.close()
    assert output.tail == b"one\ntwo\n"
    assert output.read() == b""


def test_nobody_has_to_read_for_another_process_to_write():
    output = Output()
    script = "import os\nfor i in range(100): os.write(1, b'%03d' % i * 10_000)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script], stdout=output.fd, check=True, timeout=100)
        assert output.read()[-6:] == b"099099"
        assert len(output.tail) == RING_BYTES
        assert os.fstat(output.fd).st_size == 0
    assert output.skipped == 2 * (3_000_000 - RING_BYTES)
    output.close()


def test_a_worker_prints_there():
    output = Output()
    worker = WorkerProcess(output=output)
    with worker.connect() as sock:
        sock.sendall(b"\xff" * 64)  # no frame
        assert sock.recv(1) == b""
    with open(f"/proc/{worker.pid}/oom_score_adj") as file:
        assert file.read() == "1000\n"
    assert os.getpgid(worker.pid) == worker.pid
    worker.stop()
    output.close()


def test_a_log_takes_so_many_lines_and_no_more(caplog: pytest.LogCaptureFixture):
    output, now_s = Output(), 0.0
    log = OutputLog(7, output, lambda: now_s)
    os.write(output.fd, b"".join(b"%d\n" % i for i in range(BURST_LINES + 50)))
    with caplog.at_level(logging.WARNING):
        log.write()
        assert len(caplog.messages) == BURST_LINES
        assert caplog.messages[0] == "worker 7: 0"
        now_s = 2.0
        os.write(output.fd, b"\x1b[2Jlate\ttab\r\nhalf a line")
        log.write()
        assert caplog.messages[BURST_LINES:] == [
            "worker 7: (50 lines more were not logged)",
            r"worker 7: \x1b[2Jlate    tab",
        ]
        log.write(is_last=True)
        assert caplog.messages[-1] == "worker 7: half a line"
    output.close()


def test_the_kernel_counts_whom_it_killed_for_memory():
    assert oom_kills() is None or oom_kills() >= 0


# What a worker does that writes in every way.
WRITES = """
import os, sys, warnings
from openenv_gym.interpreter.stderr import copy_stderr
copy_stderr(int(sys.argv[1]), int(sys.argv[2]))
print("told", file=sys.stderr)
os.write(2, b"by C\\n")
sys.stderr.write("no end of a line yet")
sys.stderr.flush()
for _ in range(100):
    sys.stderr.write("x" * 9_999 + "\\n")
warnings.warn("the last words")
assert sys.stderr.fileno() == 2 and not sys.stderr.isatty()
os.abort()
"""


def test_stderr_is_printed_at_once_and_its_end_is_kept(capfd: pytest.CaptureFixture[str]):
    copy = StderrCopy()
    command = [sys.executable, "-c", WRITES, *map(str, copy.fds)]
    assert subprocess.run(command, pass_fds=copy.fds, check=False, timeout=100).returncode == -6
    printed = capfd.readouterr().err
    assert printed.startswith("told\nby C\nno end of a line yetxxx")
    assert printed.endswith("UserWarning: the last words\n")
    assert os.fstat(copy.fds[0]).st_size < 2 * 256 * 1024
    copy.print_crash()
    copy.print_crash()
    crash = capfd.readouterr().err
    assert crash.startswith("Fatal Python error: Aborted") and crash.count("Fatal") == 1
    assert f"x\n<string>:11: UserWarning: the last words\n{crash}".strip() in copy.tail()
    assert len(copy.tail()) <= TAIL_BYTES
    tail = copy.tail()
    copy.close()
    assert copy.tail() == tail and copy.fds == []
