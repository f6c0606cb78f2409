"""The lifeline: a socket whose end says that the process at the other end is gone.

A process that starts others cannot promise to end them: it may be killed. The kernel can. It closes
all sockets of a process however that process ended, and the other end of a socket pair notices. So
each started process holds one end of a pair on which nothing is ever sent, and ends when the other
end closes.

To notice, the started process must not depend on its own code, which may be in a step that never
returns, or hold the interpreter's lock in C. It asks the kernel for a signal (``F_SETOWN``,
``O_ASYNC``), which ends it wherever it is. A thread that polls the socket does the same where the
kernel sends no such signal.

What keeps a lifeline uncut by mistake is a copy of the starter's end: a forked child of the starter
inherits one. Such copies are closed in the child.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import threading

from openenv_gym.forks import in_children


class Lifeline:
    """The end of the process that starts another one.

    Attributes:
        there: The descriptor for the other process to inherit; close it with :meth:`handed_over`.
    """

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self.there = self._there.fileno()
        _held.add(self)

    def handed_over(self) -> None:
        """Close our copy of the other end: the started process has its own."""
        self._there.close()

    def read_line(self, timeout_s: float) -> str | None:
        """Return a line that the other process writes, None where it ends before it does.

        Raises:
            TimeoutError: neither happens in time.
        """
        self._here.settimeout(timeout_s)
        with self._here.makefile(encoding="utf-8") as lines:
            return lines.readline().strip() or None

    def close(self) -> None:
        """Cut it: what was started ends, if it has not done so by itself."""
        _held.discard(self)
        self._here.close()
        self._there.close()


def watch_lifeline(fd: int) -> None:
    """End this process when the other end of ``fd`` closes, and its group where it leads one.

    The kernel does it; a thread that waits does the same where the kernel does not signal.
    """
    end_by_signal(fd)
    poll = select.poll()
    poll.register(fd, select.POLLIN)

    def wait() -> None:
        # Not in a read: while one waits on a socket, the kernel sends no signal for it.
        poll.poll()
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def end_by_signal(fd: int) -> None:
    """Have the kernel end this process, and its group, when the other end of ``fd`` closes.

    It is asked for a signal, so that this works in the middle of a step that never returns; for
    ``SIGKILL`` where it lets one choose, which also ends a process that was stopped. Otherwise
    ``SIGIO`` has to do, whose default action is the end, too.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        if hasattr(fcntl, "F_SETSIG"):
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
        leads = os.getpgrp() == os.getpid()
        fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpid() if leads else os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    if _is_cut(fd):  # before that
        os._exit(1)


def _is_cut(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


# The copies of a child would keep alive what its parent started.
_held = in_children(Lifeline.close)
