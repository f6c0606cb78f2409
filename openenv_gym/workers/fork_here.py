"""A worker that is forked from this process, and has what this process has.

It needs no pickling, so that its functions may use anything. It also has what no new interpreter
would have: the memory of this process as it is now, and none of its threads. What a thread held in
that moment, such as a lock, is held for ever in the worker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from typing import NoReturn

from openenv_gym.errors import ServerError
from openenv_gym.interpreter.leaving import leave
from openenv_gym.workers.built_env import Builder
from openenv_gym.workers.spawn import ChildProcess

_LONGEST_PAUSE_S = 0.05
_former_streams: list[object] = []
"""The streams of the parent: to drop them would print what they have not printed yet."""


class ForkedHere(ChildProcess):
    """A worker process that this process forks, to be used as a ``subprocess.Popen``.

    Args:
        builder: Makes the environments of its sessions.
        fds: The descriptors of its control socket and of its lifeline.
        ours: The descriptors of the other ends, which the worker must not have.
        stderr_copy: The descriptors of a :class:`StderrCopy`.
        memory_limit_mb: How large its address space may become, in MiB; None for no limit.

    Raises:
        ServerError: this platform does not fork, or there is no room for another process.
    """

    def __init__(
        self,
        builder: Builder,
        fds: tuple[int, int],
        ours: Sequence[int],
        stderr_copy: Sequence[int] = (),
        memory_limit_mb: float | None = None,
    ) -> None:
        # What ends with the fork hooks in the child must not be these: they are the child's.
        control, lifeline, *copies = map(os.dup, (*fds, *stderr_copy))
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()  # what were left would be printed by the worker too
        self.returncode: int | None = None
        try:
            self.pid = _fork()
            if self.pid == 0:
                _be_a_worker(builder, control, lifeline, ours, copies, memory_limit_mb)
            _lead_a_group(self.pid)
        finally:
            for fd in (control, lifeline, *copies):
                os.close(fd)

    def poll(self) -> int | None:
        """Return how it ended, negative for a signal; None while it runs."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout_s: float | None = None) -> int:
        """Return how it ended.

        Raises:
            subprocess.TimeoutExpired: It still runs after ``timeout_s`` seconds.
        """
        end_s, pause_s = None if timeout_s is None else time.monotonic() + timeout_s, 0.001
        while (code := self.poll()) is None:
            if end_s is not None and time.monotonic() >= end_s:
                raise subprocess.TimeoutExpired(f"the worker process {self.pid}", timeout_s or 0.0)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return code


def _fork() -> int:
    if not hasattr(os, "fork"):
        raise ServerError("context='fork': this platform does not fork; use context='spawn'")
    import openenv_gym.workers.worker  # noqa: F401  # here, since another thread may import now

    try:
        return os.fork()
    except OSError as exc:
        raise ServerError(f"cannot fork a worker from process {os.getpid()}: {exc}") from exc


def _lead_a_group(pid: int) -> None:
    try:
        os.setpgid(pid, pid)  # the worker does it too: whoever comes first
    except OSError:
        return  # it has ended already


def _be_a_worker(
    builder: Builder,
    control: int,
    lifeline: int,
    ours: Sequence[int],
    stderr_copy: Sequence[int],
    memory_limit_mb: float | None,
) -> NoReturn:
    """Serve, and end without what the parent would do at its own end."""
    code = 1
    try:
        for fd in ours:
            os.close(fd)
        _leave_the_parent()
        from openenv_gym.workers.worker import work

        work(control, lifeline, stderr_copy, memory_limit_mb, builder)
        code = 0
    except BaseException:  # nothing of the parent's code above must see it
        traceback.print_exc()
    finally:
        leave(code, runs_handlers=False)


def _leave_the_parent() -> None:
    """Have what a new process would have in place of the parent's signals, streams and numbers."""
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    _former_streams.extend((sys.stdout, sys.stderr))  # of a notebook or a test, they lead elsewhere
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115
    # Python's own generator was seeded anew by the fork, numpy's was not.
    legacy = sys.modules.get("numpy.random")
    if legacy is not None:
        legacy.seed()
