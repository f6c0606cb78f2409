"""How a process that held environments ends: at once, without taking its interpreter apart.

To finalise an interpreter is to free every object, one by one. That takes a tenth of a second of
CPU time where much was imported, and in a forked process each object that is freed copies a page
of memory that was shared. It is for nothing, because the kernel frees all memory of a process that
ends. So what is worth doing at the end is done here by hand, and the rest is left out.
"""

from __future__ import annotations

import atexit
import os
import sys
import traceback
from typing import NoReturn


def leave(code: int = 0, *, runs_handlers: bool = True) -> NoReturn:
    """End this process, whose environments are closed.

    The handlers of ``atexit`` run first, as they do at the end of a process of ``multiprocessing``.
    Libraries remove temporary folders there, end processes of their own, and save what coverage
    counted. Then what Python and C have buffered is written. Threads that still run are not waited
    for. Destructors of Python do not run, nor does what C has registered for the end of a process.

    Args:
        code: The exit code.
        runs_handlers: Whether the handlers of ``atexit`` run. Those of a process that was forked
            by the user's own are copies of that one's, which runs them itself.
    """
    try:
        if runs_handlers:
            atexit._run_exitfuncs()  # prints what a handler raises; before Python 3.9, raises it
    except BaseException:
        traceback.print_exc()
    try:
        _flush()
    finally:
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # nobody reads it any more, or the environment closed it
            continue
    try:
        import ctypes
    except ImportError:  # an interpreter that was built without it
        return
    ctypes.CDLL(None).fflush(None)  # all streams of C, where a library may print
