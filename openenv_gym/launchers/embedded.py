"""The embedded worker: one process that the environments of this process share.

It starts with the first of them and ends with this process, however that ends. A forked child
starts its own.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading

from openenv_gym.errors import ServerError
from openenv_gym.workers.process import WorkerProcess

_EXIT_TIMEOUT_S = 2.0


class EmbeddedWorker:
    """The shared worker of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None

    def connect(self) -> tuple[socket.socket, str]:
        """Open a session, starting the worker if there is none; return its socket and name.

        Raises:
            ServerError: no worker can be started.
        """
        with self._lock:
            if self._worker is None:
                self._worker = WorkerProcess()
            try:
                sock = self._worker.connect()
            except ServerError:
                # It died since the last session; those that it had have been told.
                self._worker.stop(timeout_s=0)
                self._worker = WorkerProcess()
                sock = self._worker.connect()
            return sock, f"the embedded worker (process {self._worker.pid})"

    @property
    def pid(self) -> int | None:
        """The process id of the worker, None where there is none."""
        return None if self._worker is None else self._worker.pid

    def stop(self) -> None:
        """End the worker; the next session starts another one."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop(_EXIT_TIMEOUT_S)

    def _reset(self) -> None:
        """In a forked child: the parent's worker is not ours."""
        self._lock = threading.Lock()
        self._worker = None


EMBEDDED = EmbeddedWorker()
"""The one of this process."""

atexit.register(EMBEDDED.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=EMBEDDED._reset)
