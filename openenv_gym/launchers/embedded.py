"""The embedded workers: processes that the environments of this process share.

Single environments share the first worker. The shards of a vector environment are spread over
several. A worker starts with the first environment that needs it, and ends with this process,
however that ends. A forked child starts workers of its own.
"""

from __future__ import annotations

import atexit
import socket
import threading
import time

from openenv_gym.errors import ServerError
from openenv_gym.forks import in_children
from openenv_gym.workers.output import StderrCopy
from openenv_gym.workers.process import WorkerProcess

_EXIT_TIMEOUT_S = 1.5
"""The time in which all workers together close their environments when this process ends."""


class EmbeddedWorkers:
    """The shared workers of one process, by number."""

    def __init__(self) -> None:
        self._begin_anew()
        _all.add(self)

    def _begin_anew(self) -> None:
        """At first, and in a forked child, where the workers are the parent's."""
        self._lock = threading.Lock()
        self._workers: dict[int, WorkerProcess] = {}

    def connect(self, number: int = 0) -> tuple[socket.socket, WorkerProcess]:
        """Open a session; start the worker if there is none.

        Args:
            number: The number of the worker, from 0.

        Returns:
            The socket of the session, and the worker.

        Raises:
            ServerError: no worker can be started.
        """
        with self._lock:
            worker = self._workers.get(number) or self._start(number)
            try:
                sock = worker.connect()
            except ServerError:
                # It died after the last session began. Its sessions have got their errors.
                worker.stop(timeout_s=0)
                worker = self._start(number)
                sock = worker.connect()
            return sock, worker

    def drop(self, number: int, worker: WorkerProcess) -> None:
        """End a worker that is dying; the next session starts another one.

        Args:
            number: The number of the worker, from 0.
            worker: The worker. Nothing happens if another one has taken its place.
        """
        with self._lock:
            if self._workers.get(number) is not worker:
                return
            del self._workers[number]
        worker.stop(timeout_s=0)

    def _start(self, number: int) -> WorkerProcess:
        worker = self._workers[number] = WorkerProcess(stderr_copy=StderrCopy())
        return worker

    @property
    def pid(self) -> int | None:
        """The process id of the first worker, None if there is none."""
        return self._workers[0].pid if 0 in self._workers else None

    def stop(self) -> None:
        """End the workers; the next session starts another one."""
        with self._lock:
            workers, self._workers = self._workers, {}
        for worker in workers.values():
            worker.dismiss()
        end_s = time.monotonic() + _EXIT_TIMEOUT_S
        for worker in workers.values():
            worker.stop(max(0, end_s - time.monotonic()))


_all = in_children(EmbeddedWorkers._begin_anew)

EMBEDDED = EmbeddedWorkers()
"""The embedded workers of this process."""

atexit.register(EMBEDDED.stop)
