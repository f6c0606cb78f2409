"""What a worker prints: kept where writing never waits for a reader.

A pipe that nobody empties in time blocks who writes to it, and then an environment hangs because
it warned too often. So a worker writes to a file without a name, in memory, which is cut as it is
read: nobody has to be quick.

An embedded worker prints where the trainer prints, so that who debugs sees it at once. What Python
writes to ``sys.stderr`` there is written to such a file as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile

from openenv_gym.interpreter.stderr import (
    CUT_BYTES,
    RING_BYTES,
    TAIL_BYTES,
    last_bytes,
    write_all,
)

_STDERR = 2


class Output:
    """The file that a worker writes its stdout and stderr to.

    Attributes:
        fd: The descriptor for the worker.
        tail: The last 64 KiB of what was read.
        skipped: How many bytes were never read, because there were too many.
    """

    def __init__(self) -> None:
        self.fd = file_without_a_name()
        self.tail = b""
        self.skipped = 0
        self._read_bytes = 0

    def read(self) -> bytes:
        """Return what is new, its last 64 KiB at most; what is read is dropped from the file."""
        if self.fd < 0:
            return b""
        size = os.fstat(self.fd).st_size
        begin = max(self._read_bytes, size - RING_BYTES)
        if size <= self._read_bytes:
            return b""
        new = os.pread(self.fd, size - begin, begin)
        self.skipped += begin - self._read_bytes
        self._read_bytes = size
        if size > CUT_BYTES:  # what comes between is lost, a few microseconds' worth
            os.ftruncate(self.fd, 0)
            self._read_bytes = 0
        self.tail = (self.tail + new)[-RING_BYTES:]
        return new

    def forget(self) -> None:
        """Close our descriptor and leave the file alone: it is another process's to read."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """Drop the file; the tail stays."""
        if self.fd >= 0:
            self.read()
        self.forget()


class StderrCopy:
    """The end of what a worker writes to stderr, which goes where this process prints, too.

    It has two files. What Python writes is in the one when it is printed. The stack of a crash in
    C, which goes to one descriptor only, is in the other until this process prints it.

    Attributes:
        fds: The descriptors for the worker, for :func:`copy_stderr`.
    """

    def __init__(self) -> None:
        self.fds = [file_without_a_name(), file_without_a_name()]
        self._tail = ""

    def tail(self) -> str:
        """Return the last 8 KiB, with the stack of a crash at the end."""
        if not self.fds:
            return self._tail
        text = b"".join(map(last_bytes, self.fds))
        return text[-TAIL_BYTES:].decode(errors="replace").strip()

    def print_crash(self) -> None:
        """Print the stack of a crash, once."""
        if self.fds and (crash := last_bytes(self.fds[1])):
            copied, crashes = self.fds
            os.write(copied, crash)  # whose end it is in the tail, also when it has been printed
            os.ftruncate(crashes, 0)
            with contextlib.suppress(OSError):  # nobody reads what this process prints
                write_all(_STDERR, crash)

    def close(self) -> None:
        """Close our descriptors; the tail stays."""
        self._tail = self.tail()
        fds, self.fds = self.fds, []
        for fd in fds:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def file_without_a_name() -> int:
    """The descriptor of a file in memory, where each write goes to the end, also after a cut."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("openenv-gym worker output")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd


def file_of(data: bytes) -> int:
    """Return the descriptor of a file without a name that has ``data``."""
    fd = file_without_a_name()
    write_all(fd, data)
    return fd
