"""Where the environment of a session lives: in a worker process, in a thread, or inline.

A backend takes the body of a request and gives the body of its reply. The same ``WorkerSession``
answers in all three.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from openenv_gym.errors import ConnectionLostError, ServerError
from openenv_gym.protocol import Body
from openenv_gym.server.monitor import Monitor
from openenv_gym.server.process_backend import ProcessBackend
from openenv_gym.server.settings import ServerSettings
from openenv_gym.server.watchdog import Watchdog
from openenv_gym.server.worker_pool import WorkerPool
from openenv_gym.wire.error_codes import without_folders
from openenv_gym.workers.reports import deliver_to
from openenv_gym.workers.session import WorkerSession

_log = logging.getLogger(__name__)

SESSION_THREAD = "openenv-gym session"
"""How the names of the threads of sessions begin."""


class Relayable(Protocol):
    """What a relay needs of a backend: requests that are answered by a callback, without a task."""

    def ask(self, body: Body, on_reply: Callable[[Body | None], None]) -> None:
        """Call ``on_reply`` with the body of the reply, or with None where the worker is lost."""

    async def loss(self) -> ConnectionLostError:
        """Return how the worker was lost."""


class Backend(Protocol):
    """Where the environment of one session lives."""

    @property
    def relayable(self) -> Relayable | None:
        """What a relay may ask; None where each request needs a task."""

    async def request(self, body: Body) -> Body:
        """Return the body of the reply to the request in ``body``.

        Raises:
            ConnectionLostError: the worker is gone.
        """

    async def close(self) -> None:
        """Close the environment."""


class InlineBackend:
    """An environment on the event loop: while it answers, nobody else is served.

    Args:
        settings: What is built.
        monitor: Notes what the environment raises.
    """

    relayable = None

    def __init__(self, settings: ServerSettings, monitor: Monitor) -> None:
        self._session = WorkerSession(settings.builder)
        self._monitor = monitor

    async def request(self, body: Body) -> bytes:
        """Answer at once."""
        deliver_to(partial(self._monitor.take, who="the event loop"))
        return self._monitor.timed(body, self._session.handle)

    async def close(self) -> None:
        """Close the environment."""
        self._session.close()


class ThreadBackend:
    """An environment in a thread of its own.

    Environments may be tied to the thread that made them, so a pool of threads will not do.

    Args:
        settings: What is built, and how long it may take to close.
        monitor: Notes what the environment raises.
    """

    relayable = None

    def __init__(self, settings: ServerSettings, monitor: Monitor) -> None:
        self._session = WorkerSession(settings.builder)
        self._monitor = monitor
        self._executor = ThreadPoolExecutor(
            1, SESSION_THREAD, deliver_to, (partial(monitor.take, who="a thread"),)
        )
        self._is_closed = False
        self._close_timeout_s = settings.close_timeout_s or None

    async def request(self, body: Body) -> bytes:
        """Answer in the session's thread.

        Raises:
            ConnectionLostError: the session was closed.
        """
        if self._is_closed:
            raise ConnectionLostError("this session was closed; open another one")
        loop = asyncio.get_running_loop()
        timed = self._monitor.timed
        return await loop.run_in_executor(self._executor, timed, body, self._session.handle)

    async def close(self) -> None:
        """Close the environment in the session's thread, then end the thread."""
        self._is_closed = True
        closing = asyncio.get_running_loop().run_in_executor(self._executor, self._session.close)
        self._executor.shutdown(wait=False)
        # The closing stays in the queue of the thread: a step that hangs now may still end.
        if not (await asyncio.wait({closing}, timeout=self._close_timeout_s))[0]:
            _log.warning("an environment in a thread hangs, and a thread cannot be ended")


class Backends:
    """Makes the backend of each session.

    Args:
        settings: Where environments live, and what they are.

    Attributes:
        watchdog: Knows the worker processes that have a session.
        monitor: Notes what happens to them.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.watchdog = Watchdog()
        self.monitor = Monitor()
        if settings.isolation != "process" and settings.is_named:  # which could be otherwise
            _log.warning(
                "isolation %r is unsafe: an environment that crashes ends this server, one that "
                "hangs is never ended; process is for environments that are not trusted",
                settings.isolation,
            )
        self._pool = WorkerPool(settings, self.monitor)

    @property
    def are_relayable(self) -> bool:
        """Whether a relay can ask the backends of sessions that are one connection's alone."""
        return self._settings.isolation == "process"

    async def make(self, *, is_roaming: bool = False) -> Backend:
        """Return a backend for a new session.

        Args:
            is_roaming: Whether its next request may come in another event loop.

        Raises:
            ServerError: no worker can be had.
        """
        if self._settings.isolation == "inline":
            return InlineBackend(self._settings, self.monitor)
        if self._settings.isolation == "thread":
            return ThreadBackend(self._settings, self.monitor)
        try:
            worker = await self._pool.take()
            backend = await ProcessBackend.start(
                worker, self._settings, self.watchdog, self.monitor, is_roaming=is_roaming
            )
        except OSError as exc:
            why = str(exc) if self._settings.expose_tracebacks else without_folders(str(exc))
            raise ServerError(
                f"cannot start a worker for a session: {why}; where files are too many, raise "
                "'ulimit -n' of the server or lower its --max-sessions"
            ) from exc
        self.refill()
        return backend

    def refill(self) -> None:
        """Start the workers that are to wait for a session, and wait for none of them."""
        if self._settings.isolation != "process":
            return
        try:
            self._pool.refill()
        except (ServerError, OSError) as exc:  # the next session begins more slowly
            _log.warning("cannot start a worker to wait for the next session: %s", exc)

    def close(self) -> None:
        """End the workers that wait."""
        self._pool.close()
        self.monitor.look(is_last=True)
