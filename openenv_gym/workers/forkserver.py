"""The forkserver, from inside: it has imported what workers need, and forks one when asked.

Requests come over its *control* socket, one message each, with four descriptors: the worker's
control socket, its lifeline, the socket on which is told what becomes of it, and the file that it
prints to. What is told is ``p`` and the worker's process id, with a descriptor of the process
(pidfd), or ``!`` and why there is none; later ``e`` and its exit code, negative for a signal. When
the other end of that socket closes, nobody asks any more, and the worker is reaped: its process id
belongs to nobody else until then.

It has one thread and never builds an environment. What it imports is a fixed list, of which is
known that it starts no thread that a fork would lose: OpenBLAS, which numpy brings, ends its own
before every fork. A worker is as a new process would be: it has random numbers of its own and none
of the forkserver's descriptors.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NamedTuple

from openenv_gym.interpreter.lifeline import end_by_signal

FDS = 4


class Begun(NamedTuple):
    """What a forked worker serves.

    Attributes:
        control: Descriptor of its control socket.
        lifeline: Descriptor of its lifeline.
    """

    control: int
    lifeline: int


def run_forkserver(control: int, lifeline: int, modules: Sequence[str]) -> Begun | None:
    """Fork workers until the control socket closes.

    Args:
        control: The descriptor that requests come over.
        lifeline: The descriptor of the forkserver's own lifeline.
        modules: What to import first.

    Returns:
        In each forked worker what it is to serve; None in the forkserver, at its end.
    """
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would leave no exit codes
    end_by_signal(lifeline)  # no thread: it could hold a lock when the process forks
    for name in modules:
        # The worker that needs what cannot be imported tells its client why.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    sys.stdout.flush()  # what were left would be printed by each worker
    gc.collect()
    gc.freeze()  # collections would write to the pages that all share
    begun = Forkserver(socket.socket(fileno=control)).run()
    if begun is not None:
        os.close(lifeline)
    return begun


class _Child:
    """A worker.

    Args:
        pid: The process id of the worker.
        status: What becomes of it is told here, until the other end closes.
        selector: Waits for both.
    """

    def __init__(self, pid: int, status: socket.socket, selector: selectors.BaseSelector) -> None:
        self._pid = pid
        self._pidfd = os.pidfd_open(pid)  # becomes readable when it ends
        self._status = status
        self._selector = selector
        self._has_ended = self._is_released = False
        for file in (self._pidfd, status):
            selector.register(file, selectors.EVENT_READ, self)
        self._tell(f"p{pid}", self._pidfd)

    def look(self) -> bool:
        """Take in what has become of it; return whether it is over, and reaped."""
        if not self._has_ended:
            # WNOWAIT leaves a zombie, which keeps the process id from being given to another.
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT
            end = os.waitid(os.P_PID, self._pid, how)
            if end is not None:
                self._has_ended = True
                self._selector.unregister(self._pidfd)
                exited = end.si_code == os.CLD_EXITED
                self._tell(f"e{end.si_status if exited else -end.si_status}")
        if not self._is_released and self._nobody_asks():
            self._is_released = True
            self._selector.unregister(self._status)
        if not (self._has_ended and self._is_released):
            return False
        self.close()
        os.waitpid(self._pid, 0)
        return True

    def close(self) -> None:
        """Close our descriptors of it."""
        os.close(self._pidfd)
        self._status.close()

    def _nobody_asks(self) -> bool:
        try:
            return not self._status.recv(1)
        except BlockingIOError:
            return False
        except OSError:  # it was cut with something unread
            return True

    def _tell(self, text: str, *fds: int) -> None:
        with contextlib.suppress(OSError):  # nobody asks any more, which is seen soon
            socket.send_fds(self._status, [text.encode()], fds)


class Forkserver:
    """The loop.

    Args:
        control: Brings the requests.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._children: set[_Child] = set()

    def run(self) -> Begun | None:
        """Serve until the control socket closes; see :func:`run_forkserver`."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    self._look(key.data)
                    continue
                data, fds, _, _ = socket.recv_fds(self._control, 1, FDS, socket.MSG_CMSG_CLOEXEC)
                if not data:
                    return None
                begun = self._fork(*fds)
                if begun is not None:
                    return begun

    def _look(self, child: _Child) -> None:
        # It may have been over when its other descriptor was looked at.
        if child in self._children and child.look():
            self._children.remove(child)

    def _fork(self, control: int, lifeline: int, status: int, output: int) -> Begun | None:
        told = socket.socket(fileno=status)
        told.setblocking(False)
        try:
            pid = os.fork()
        except OSError as exc:
            with contextlib.suppress(OSError):  # nobody asks any more
                told.send(f"!{exc}".encode())
            told.close()
        else:
            if pid == 0:
                told.close()
                self._become_a_worker(output)
                return Begun(control, lifeline)
            with contextlib.suppress(OSError):  # it has ended already
                os.setpgid(pid, pid)  # the worker does it too: whoever comes first
            self._children.add(_Child(pid, told, self._selector))
        for fd in (control, lifeline, output):
            os.close(fd)
        return None

    def _become_a_worker(self, output: int) -> None:
        """Leave nothing of the forkserver in this process but its modules."""
        os.setpgid(0, 0)
        self._selector.close()
        self._control.close()
        for child in self._children:
            child.close()
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output, stream.fileno())
        os.close(output)
        # Python's own generator was seeded anew by the fork, numpy's was not.
        legacy = sys.modules.get("numpy.random")
        if legacy is not None:
            legacy.seed()
