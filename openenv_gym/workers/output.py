"""What a worker prints: kept where writing never waits for a reader.

A pipe that nobody empties in time blocks who writes to it, and then an environment hangs because
it warned too often. So a worker writes to a file without a name, in memory, which is cut as it is
read: nobody has to be quick.
"""

from __future__ import annotations

import fcntl
import os
import tempfile

RING_BYTES = 64 * 1024
_CUT_BYTES = 256 * 1024


class Output:
    """The file that a worker writes its stdout and stderr to.

    Attributes:
        fd: The descriptor for the worker.
        tail: The last 64 KiB of what was read.
        skipped: How many bytes were never read, because there were too many.
    """

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self.fd = os.memfd_create("openenv-gym worker output")
        else:
            with tempfile.TemporaryFile() as file:
                self.fd = os.dup(file.fileno())
        # Each write goes to the end, wherever that is after a cut.
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) | os.O_APPEND)
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
        if size > _CUT_BYTES:  # what comes between is lost, a few microseconds' worth
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
