"""The lifeline: a socket whose end says that the process at the other end is gone.

A process that starts others cannot promise to end them: it may be killed. The kernel can. It closes
all sockets of a process however that process ended, and the other end of a socket pair notices. So
each started process holds one end of a pair on which nothing is ever sent, and ends when the other
end closes.

How the started process notices is in :mod:`openenv_gym.interpreter.lifeline`.

What keeps a lifeline uncut by mistake is a copy of the starter's end: a forked child of the starter
inherits one. Such copies are closed in the child.
"""

from __future__ import annotations

import socket

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


# The copies of a child would keep alive what its parent started.
_held = in_children(Lifeline.close)
