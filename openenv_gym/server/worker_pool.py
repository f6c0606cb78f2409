"""Where a server gets its worker processes from."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from openenv_gym.errors import ServerError
from openenv_gym.forks import in_children
from openenv_gym.server.monitor import Monitor
from openenv_gym.server.settings import ServerSettings
from openenv_gym.workers.built_env import modules_to_preload
from openenv_gym.workers.forked import ForkserverProcess
from openenv_gym.workers.output import Output
from openenv_gym.workers.process import WorkerProcess

_log = logging.getLogger(__name__)

FORK_TIMEOUT_S = 30.0
"""How long a forkserver may take for a worker; the first one waits for its imports."""

_TRIES = 2
"""How often the pool tries to fork for one session before that gets a new interpreter."""


class WorkerPool:
    """Starts workers as the start method says, and keeps some waiting.

    With ``forkserver`` one process that this server started forks them. The pool starts that
    process anew where it has died; where that does not help, or with ``spawn``, a worker is a new
    interpreter. Sessions that run do not notice.

    A forked child of this process has workers and a forkserver of its own, which it starts when it
    needs the first one.

    Args:
        settings: How workers are started, and how many wait.
        monitor: Counts forkservers that were started anew.
    """

    def __init__(self, settings: ServerSettings, monitor: Monitor | None = None) -> None:
        self._monitor = monitor or Monitor()
        self._settings = settings
        self._spares: deque[WorkerProcess] = deque()
        self._forkserver: ForkserverProcess | None = None
        self._forks = settings.start_method == "forkserver"
        if settings.isolation == "process":
            if self._forks:
                self._living_forkserver()  # it imports while the server does
            self.refill()
        _all.add(self)

    async def take(self) -> WorkerProcess:
        """Return a worker without a session: one that waited, or a new one.

        Raises:
            ServerError: none can be started.
        """
        while self._spares:
            worker = self._spares.popleft()
            if await self._has_begun(worker) and not worker.has_ended:
                return worker
            worker.stop(timeout_s=0)  # it died while it waited
        for _ in range(_TRIES if self._forks else 0):
            forked = self._fork()
            if forked is None:  # the forkserver died since the last look; another one may live
                continue
            if await self._has_begun(forked):
                return forked
            forked.stop(timeout_s=0)
        return self._worker(None)

    def refill(self) -> None:
        """Start as many workers as are to wait for a session, and wait for none of them.

        Raises:
            ServerError: one cannot be started.
        """
        while len(self._spares) < self._settings.workers:
            self._spares.append(self._start())

    def close(self) -> None:
        """End the workers that wait, which have nothing to close, and the forkserver."""
        while self._spares:
            self._spares.popleft().stop(timeout_s=0)
        if self._forkserver is not None:
            self._forkserver.stop()
            self._forkserver = None

    def _begin_anew(self) -> None:
        """In a forked child: what waits is the parent's."""
        self._spares.clear()
        self._forkserver = None

    async def _has_begun(self, worker: WorkerProcess) -> bool:
        try:
            await asyncio.wait_for(_beginning(worker), FORK_TIMEOUT_S)
        except ServerError as exc:
            _log.warning("%s", exc)
            return False
        except TimeoutError:
            _log.warning("the forkserver did not answer within %g s; it is killed", FORK_TIMEOUT_S)
            if worker.forkserver is not None:  # which may have been replaced meanwhile
                worker.forkserver.stop()
            return False
        except BaseException:  # nobody waits for this worker any more
            worker.stop(timeout_s=0)
            raise
        return True

    def _start(self) -> WorkerProcess:
        forked = self._fork() if self._forks else None
        return self._worker(None) if forked is None else forked

    def _fork(self) -> WorkerProcess | None:
        try:
            return self._worker(self._living_forkserver())
        except ServerError as exc:
            _log.warning("%s", exc)
            return None

    def _living_forkserver(self) -> ForkserverProcess:
        if self._forkserver is not None and not self._forkserver.is_alive:
            _log.warning("the forkserver %d is gone; another one is started", self._forkserver.pid)
            self._monitor.restarts["forkserver"] += 1
            self._forkserver.stop()
            self._forkserver = None
        if self._forkserver is None:
            modules = modules_to_preload(self._settings.environment)
            limit = self._settings.memory_limit_mb
            self._forkserver = ForkserverProcess(modules, memory_limit_mb=limit)
        return self._forkserver

    def _worker(self, forkserver: ForkserverProcess | None) -> WorkerProcess:
        output = Output()
        try:
            limit = self._settings.memory_limit_mb
            return WorkerProcess(output=output, memory_limit_mb=limit, forkserver=forkserver)
        except BaseException:
            output.close()
            raise


# After the processes themselves, whose copies are closed first.
_all = in_children(WorkerPool._begin_anew)


async def _beginning(worker: WorkerProcess) -> None:
    """Wait until ``worker`` has begun: ask time and again, because a fork takes only 2 ms."""
    pause_s = 0.001
    while not worker.has_begun:
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.02)
