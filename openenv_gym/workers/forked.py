"""The forkserver and the workers that it forks, seen from the process that asks for them.

A worker that a forkserver forked is no child of this process, so this process cannot wait for it,
and the kernel does not say how it ended. Two things stand in for that. A *pidfd*, a descriptor of
the process, becomes readable when the process has ended, and cannot be mistaken for that of another
process which got the same number later. The *status socket* carries what the forkserver, whose
child the worker is, finds out: that it has begun, and its exit code.

The two may disagree for a moment. A process has ended, says the pidfd, and its exit code is yet to
be told; or the forkserver has died and will never tell. So an end waits up to 4 s for the code, and
not at all where it is known already: whoever kills a worker notes so before.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from openenv_gym.errors import ServerError
from openenv_gym.forks import in_children
from openenv_gym.workers.lifeline import Lifeline
from openenv_gym.workers.spawn import SpawnedProcess

UNTOLD = 255
"""The exit code of a worker whose forkserver was gone before it could tell; Python's own forkserver
says the same."""

_TOLD_WITHIN_S = 4.0
"""How long a forkserver may take to tell how a worker ended that has ended and was not killed."""

_PAUSE_S = 0.1
_MAX_BYTES = 1024


def can_fork() -> bool:
    """Return whether this platform has what a forkserver needs: Linux 5.3."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


class ForkserverProcess:
    """Starts a forkserver and asks it for workers.

    It ends when :meth:`stop` is called or this process is gone; the workers do not end with it, but
    with this process. Nothing here waits for it.

    Args:
        modules: What it imports before it forks; see
            :func:`openenv_gym.workers.forkserver.run_forkserver`.
        memory_limit_mb: How large the address space of a worker may become, in MiB; None for no
            limit.

    Raises:
        ServerError: the interpreter cannot be run.
    """

    def __init__(self, modules: Sequence[str], *, memory_limit_mb: float | None = None) -> None:
        # Messages, so that the descriptors of two requests are not taken for one another's.
        self._control, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._lifeline = Lifeline()
        arguments = [f"--fork-with={','.join(modules)}"]
        if memory_limit_mb:
            arguments.append(f"--memory-limit={memory_limit_mb:g}")
        fds = (there.fileno(), self._lifeline.there)
        try:
            self._process = SpawnedProcess(sys.executable, fds, None, arguments)
        except ServerError:
            self._control.close()
            self._lifeline.close()
            raise
        finally:
            there.close()
            self._lifeline.handed_over()
        self._owner_pid = os.getpid()
        _alive.add(self)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        # Nothing is ever sent here, so that what can be read is its end.
        return self._process.poll() is None and not _ready([self._control.fileno()], 0)

    def fork(self, control: int, lifeline: int, output: int) -> ForkedProcess:
        """Ask for a worker; it is there when :attr:`ForkedProcess.has_begun` says so.

        Args:
            control: The descriptor of its control socket.
            lifeline: The descriptor of its lifeline.
            output: The descriptor of the file that it prints to.

        Raises:
            ServerError: the forkserver is gone, or so many requests wait for it that it takes no
                more.
        """
        status, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = [control, lifeline, there.fileno(), output]
        try:
            socket.send_fds(self._control, [b"+"], fds)
        except OSError as exc:
            status.close()
            raise ServerError(f"the forkserver {self.pid} takes no request: {exc}") from exc
        finally:
            there.close()
        return ForkedProcess(status)

    def stop(self) -> None:
        """End it at once: it has nothing to close."""
        _alive.discard(self)
        self._control.close()
        self._lifeline.close()
        if self._owner_pid == os.getpid():
            self._process.kill()
            self._process.wait()

    def _forget(self) -> None:
        """In a forked child: drop our copy of the control socket."""
        self._control.close()
        self._process.forget()


class ForkedProcess:
    """A process that a forkserver forked for this one, to be used as a ``subprocess.Popen``.

    Args:
        status: What becomes of it is told here.

    Attributes:
        pid: The process id; 0 until the process has begun.
    """

    def __init__(self, status: socket.socket) -> None:
        status.setblocking(False)
        self._status = status
        self.pid = 0
        self._pidfd = -1
        self._code: int | None = None
        self._refusal = ""
        self._is_untold = False  # who would have told is gone
        self._code_unless_told = UNTOLD
        self._end_seen_s = math.inf

    @property
    def has_begun(self) -> bool:
        """Whether it is there.

        Raises:
            ServerError: it never will be.
        """
        self._take_in()
        if self._refusal:
            raise ServerError(f"the forkserver did not fork a worker: {self._refusal}")
        return self.pid > 0

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more, though it may not be known yet how it ended."""
        return self._code is not None or _ready([self._pidfd], 0)

    @property
    def is_reaped(self) -> bool:
        """Whether its process id may be another process's by now.

        Its forkserver keeps it until :meth:`release`; nobody does where that is gone.
        """
        try:
            signal.pidfd_send_signal(self._pidfd, 0)
        except OSError:
            return True
        return False

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal, or :data:`UNTOLD`; None while it runs."""
        self._take_in()
        if self._code is None and self._is_untold and self._pidfd < 0:
            self._code = self._code_unless_told  # no descriptor was left, and nobody can tell
        if self._code is None and self.has_ended:
            # It has ended; how is told in a moment, unless that is known, or nobody could tell.
            now_s = time.monotonic()
            self._end_seen_s = min(self._end_seen_s, now_s)
            is_known = self._is_untold or self._code_unless_told != UNTOLD
            if is_known or now_s > self._end_seen_s + _TOLD_WITHIN_S:
                self._code = self._code_unless_told
        return self._code

    def note_killed(self) -> None:
        """Note that it is about to be killed by this process: then nobody has to tell its end."""
        if not self.has_ended:
            self._code_unless_told = -signal.SIGKILL

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code when it has ended.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        limit_s = math.inf if timeout is None else timeout
        end_s = time.monotonic() + limit_s
        while (code := self.poll()) is None:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise subprocess.TimeoutExpired(f"forked worker {self.pid}", limit_s)
            files = [] if self._is_untold else [self._status.fileno()]
            if self._end_seen_s == math.inf:
                files.append(self._pidfd)
            _ready(files, min(left_s, _PAUSE_S))
        return code

    def release(self) -> None:
        """Have the forkserver reap it when it has ended; nothing more is asked of it."""
        self._status.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def forget(self) -> None:
        """In a forked child: it is not this process's; drop our copies."""
        self._code = 0
        self.release()

    def _take_in(self) -> None:
        while self._code is None and not self._is_untold:
            try:
                data, fds, _, _ = socket.recv_fds(
                    self._status, _MAX_BYTES, 1, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:  # it died with something unread
                data, fds = b"", []
            self._take(data[:1], data[1:].decode(errors="replace"), fds)

    def _take(self, kind: bytes, text: str, fds: list[int]) -> None:
        if kind == b"p":
            self.pid = int(text)
            self._pidfd = fds[0] if fds else -1
            self._refusal = "" if fds else "no descriptor is left for it; raise 'ulimit -n'"
        elif kind == b"e":
            self._code = int(text)
        elif kind == b"!":
            self._refusal = text
        else:
            self._is_untold = True
            if not self.pid:
                self._refusal = self._refusal or "it was gone before it answered"


def _ready(files: Sequence[int], timeout_s: float) -> bool:
    """Whether one of ``files`` has something to read, or ended, within ``timeout_s``."""
    poll = select.poll()
    for file in files:
        if file >= 0:
            poll.register(file, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


_alive = in_children(ForkserverProcess._forget)
