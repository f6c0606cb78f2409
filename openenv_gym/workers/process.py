"""A worker process, seen from the process that starts it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from openenv_gym.errors import ServerError
from openenv_gym.faults import Fault
from openenv_gym.forks import in_children
from openenv_gym.sockets import enlarge_buffers
from openenv_gym.workers.built_env import Builder
from openenv_gym.workers.fork_here import ForkedHere
from openenv_gym.workers.forked import ForkedProcess, ForkserverProcess
from openenv_gym.workers.lifeline import Lifeline
from openenv_gym.workers.loaded import Loaded
from openenv_gym.workers.output import Output, StderrCopy, file_of
from openenv_gym.workers.reports import ReportReader
from openenv_gym.workers.spawn import SpawnedProcess
from openenv_gym.workers.surroundings import Surroundings

STOP_TIMEOUT_S = 5.0

_SEE_OFF_TIMEOUT_S = 1.0
"""Longer than a worker takes that has closed its environments and said so."""


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerProcess:
    """Starts a worker, opens sessions on it, ends it.

    The worker ends when :meth:`stop` is called or this process is gone, however it went. A
    forked child neither owns nor keeps alive the workers of its parent.

    Args:
        python: The interpreter to run; it needs this package, and may have other versions of
            everything else.
        output: Takes what the worker prints; where there is none, that goes where this process
            prints.
        stderr_copy: Where it does, keeps the end of it.
        memory_limit_mb: How large its address space may become, in MiB; None for no limit.
        forkserver: Forks it, in place of ``python`` and with the memory limit of its own; there
            must be an ``output`` then, and :attr:`has_begun` is not yet true at once.
        surroundings: What it begins in; None for what is around this process now.
        loaded: Takes which source files it has loaded.
        builder: Makes the environments of its sessions; it is then forked from this process.

    Attributes:
        output: What takes the output of the worker, None where there is nothing.
        forkserver: What forked the worker, None where an interpreter was started.
        loaded: What takes the source files, None where nobody asks.
        reports: Reads what the worker reports of what its environments raise.

    Raises:
        ServerError: the platform has no Unix sockets, the interpreter cannot be run, or the
            forkserver is gone.
    """

    def __init__(
        self,
        python: str = sys.executable,
        *,
        output: Output | None = None,
        stderr_copy: StderrCopy | None = None,
        memory_limit_mb: float | None = None,
        forkserver: ForkserverProcess | None = None,
        surroundings: Surroundings | None = None,
        loaded: Loaded | None = None,
        builder: Builder | None = None,
    ) -> None:
        if not hasattr(socket, "send_fds"):
            raise ServerError(
                "a worker process needs Unix sockets, which this platform does not have; "
                "use a server started elsewhere (base_url=)"
            )
        control, control_there = socket.socketpair()
        self._lifeline = Lifeline()
        fds = (control_there.fileno(), self._lifeline.there)
        self._process: SpawnedProcess | ForkedProcess | ForkedHere
        try:
            if builder is not None:
                copied = [] if stderr_copy is None else stderr_copy.fds
                ours = (control.fileno(),)
                self._process = ForkedHere(builder, fds, ours, copied, memory_limit_mb)
            elif forkserver is None:
                printed = None if output is None else output.fd
                copied = [] if stderr_copy is None else stderr_copy.fds
                told = [] if loaded is None else [loaded.fd]
                arguments = _arguments(memory_limit_mb, copied, told)
                self._process = SpawnedProcess(
                    python, fds, printed, arguments, [*copied, *told], surroundings
                )
            else:
                assert output is not None  # a forkserver has none that workers could share
                self._process = forkserver.fork(*fds, output.fd)
        except BaseException:
            control.close()
            self._lifeline.close()
            raise
        finally:
            control_there.close()
            self._lifeline.handed_over()
        self.output = output
        self.forkserver = forkserver
        self.loaded = loaded
        self._stderr_copy = stderr_copy
        self._is_of_a_session = builder is not None
        self._control = control
        self.reports = ReportReader(control)
        self._owner_pid = os.getpid()
        self._is_killed = False
        _alive.add(self)

    @property
    def pid(self) -> int:
        """The process id of the worker; 0 until it has begun."""
        return self._process.pid

    @property
    def has_begun(self) -> bool:
        """Whether the process is there: a forkserver takes a moment.

        Raises:
            ServerError: it will never be there.
        """
        return self._process.has_begun

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more; :attr:`exit_code` may be known a moment later."""
        return self._process.has_ended

    @property
    def exit_code(self) -> int | None:
        """How the worker ended, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float | None) -> int | None:
        """Return how the worker ended, None if it still runs after ``timeout_s``."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.exit_code

    def fault(self, timeout_s: float) -> Fault | None:
        """Return how the worker ended, None if it still runs after ``timeout_s``."""
        code = self.wait(timeout_s) if self._owner_pid == os.getpid() else None
        return None if code is None else Fault.of_exit(code, stderr_tail=self.stderr_tail())

    def stderr_tail(self) -> str:
        """Return the end of what it wrote to stderr, where that is copied; a crash is printed."""
        if self._stderr_copy is None:
            return ""
        self._stderr_copy.print_crash()
        return self._stderr_copy.tail()

    def connect(self, handed: bytes | None = None) -> socket.socket:
        """Open a session and return our end of its socket.

        Args:
            handed: What the session builds, see :mod:`openenv_gym.workers.handed`; None where its
                requests name it. It runs as code in the worker, so that none of it may come from
                another process.

        Raises:
            ServerError: the worker is gone.
        """
        if self._is_killed:  # though it may take the last bytes yet
            raise ServerError(f"the worker process {self.pid} was killed")
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            enlarge_buffers(end)
        files = [] if handed is None else [file_of(handed)]
        try:
            socket.send_fds(self._control, [b"+"], [theirs.fileno(), *files])
        except OSError as exc:
            ours.close()
            raise ServerError(
                f"the worker process {self.pid} is gone (exit code {self.exit_code})"
            ) from exc
        finally:
            theirs.close()
            for fd in files:
                os.close(fd)
        return ours

    def retire(self) -> None:
        """Have the worker end with its last session; it may end before it takes another one."""
        with contextlib.suppress(OSError):  # it is gone
            self._control.send(b"-")

    def dismiss(self) -> None:
        """Have the worker close its environments and end, without waiting for it."""
        self._control.close()

    def kill(self) -> None:
        """End the worker at once: a signal that could be handled does not stop C code."""
        if self._owner_pid == os.getpid() and self._process.poll() is None:
            self._is_killed = True
            self._process.note_killed()
            self._end_group()

    def see_off(self) -> None:
        """Wait a moment for the end of a worker that was forked for the session that is over.

        Else it would stay a zombie until somebody looks for it.
        """
        if self._is_of_a_session and self._owner_pid == os.getpid():
            self.wait(_SEE_OFF_TIMEOUT_S)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S, killed_s: float | None = None) -> None:
        """Let the worker close its environments, and kill it if that takes too long.

        Args:
            timeout_s: How long that may take.
            killed_s: How long to wait for the end of one that was killed, None for as long as it
                takes: one that waits in the kernel, for a driver or a file system, ends when that
                answers, and may never.
        """
        _alive.discard(self)
        self.dismiss()
        if self._owner_pid == os.getpid():
            if self.pid:
                self._end(timeout_s, killed_s)
            self._process.release()
            if self._stderr_copy is not None:
                self._stderr_copy.print_crash()
                self._stderr_copy.close()
        if self.loaded is not None:
            self.loaded.close()
        self._lifeline.close()  # which ends one that is yet to be forked
        if self.output is not None:
            self.output.close()

    def _end(self, timeout_s: float, killed_s: float | None) -> None:
        if self.wait(timeout_s) is None:
            self.kill()
            self.wait(killed_s)
        self._end_group()

    def _end_group(self) -> None:
        """Kill the worker, and what its environments started and left behind."""
        if not self.pid:  # and 0 would be our own group
            return
        if self._process.is_reaped and _is_taken(self.pid):  # by another process, as its number
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # there is nobody left
            os.killpg(self.pid, signal.SIGKILL)

    def _forget(self) -> None:
        """In a forked child: drop our copy of the control socket, say nothing to the worker."""
        self._control.close()
        if self.output is not None:
            self.output.forget()
        if self._stderr_copy is not None:
            self._stderr_copy.close()
        if self.loaded is not None:
            self.loaded.close()
        self._process.forget()


def _is_taken(pid: int) -> bool:
    """Whether a process has this number: it is not given away while a group has it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _arguments(
    memory_limit_mb: float | None, copied: Sequence[int], told: Sequence[int]
) -> list[str]:
    limit = [f"--memory-limit={memory_limit_mb:g}"] if memory_limit_mb else []
    limit += [f"--loaded={fd}" for fd in told]
    return [*limit, "--stderr-copy", *map(str, copied)] if copied else limit


_alive = in_children(WorkerProcess._forget)
