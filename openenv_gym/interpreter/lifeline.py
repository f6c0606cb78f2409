"""The end of a lifeline in the process that was started, which ends when the other end closes.

To notice, the process must not depend on its own code, which may be in a step that never returns,
or hold the interpreter's lock in C. It asks the kernel for a signal (``F_SETOWN``, ``O_ASYNC``),
which ends it wherever it is. A thread that polls the socket does the same where the kernel sends no
such signal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import threading


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
