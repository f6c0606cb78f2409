"""A copy of the end of what a process writes to stderr, which a peer reads when it is lost."""

from __future__ import annotations

import faulthandler
import io
import os
import sys
from typing import Any

RING_BYTES = 64 * 1024
CUT_BYTES = 256 * 1024
TAIL_BYTES = 8192
"""How much of what a lost worker printed last its client is told."""

_STDERR = 2


def copy_stderr(copy_fd: int, crash_fd: int) -> None:
    """Have this process write to ``copy_fd`` what Python writes to stderr, besides.

    Args:
        copy_fd: The descriptor of the first file of a :class:`StderrCopy`.
        crash_fd: The descriptor of its second file.
    """
    faulthandler.enable(crash_fd)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Tee(copy_fd)),
        encoding=sys.stderr.encoding,
        errors=sys.stderr.errors,
        line_buffering=True,
    )


class _Tee(io.RawIOBase):
    """Stderr, and a copy of its end."""

    def __init__(self, copy_fd: int) -> None:
        self._copy_fd = copy_fd

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return _STDERR

    def isatty(self) -> bool:
        return os.isatty(_STDERR)

    def write(self, data: Any) -> int:
        text = bytes(data)
        os.write(self._copy_fd, text[-RING_BYTES:])
        if os.fstat(self._copy_fd).st_size > CUT_BYTES:
            tail = last_bytes(self._copy_fd)
            os.ftruncate(self._copy_fd, 0)
            os.write(self._copy_fd, tail)
        write_all(_STDERR, text)
        return len(text)


def last_bytes(fd: int) -> bytes:
    """Return the last 8 KiB of a file."""
    return os.pread(fd, TAIL_BYTES, max(0, os.fstat(fd).st_size - TAIL_BYTES))


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data``."""
    while data:
        data = data[os.write(fd, data) :]
