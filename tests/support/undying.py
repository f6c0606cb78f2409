"""A process that was killed and does not end, as one that waits for a driver in the kernel."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_SEIZE, _CONT, _TRACE_EXIT = 0x4206, 7, 0x40
_ALL_THREADS = 0x40000000


@contextmanager
def undying(pid: int) -> Iterator[None]:
    """Have the process ``pid`` stop on its way to its end, until this is left."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if ptrace(_SEIZE, pid, None, _TRACE_EXIT):
        pytest.skip(f"other processes may not be traced here: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)  # where the test did not come so far
        os.waitpid(pid, _ALL_THREADS)  # until it stops
        ptrace(_CONT, pid, None, None)
