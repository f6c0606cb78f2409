"""One session of a server: one client's environment, and what is known of the client."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from openenv_gym.errors import CapacityError
from openenv_gym.protocol.resume import Resumption
from openenv_gym.server.backends import Backend
from openenv_gym.server.engine import Engine
from openenv_gym.server.relay import Relay

MAX_WAITING = 16
"""So many requests may wait for one that is under way; each holds its body in memory."""


class BoundedLock:
    """A lock that is had first come, first served, and that few may wait for.

    In another event loop than before it is a new one: whoever had it there is gone.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()
        self._count = 0

    def locked(self) -> bool:
        """Whether somebody has the lock."""
        return self._lock.locked()

    async def __aenter__(self) -> None:
        """Wait until the lock is free.

        Raises:
            CapacityError: too many wait already.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lock, self._count = loop, asyncio.Lock(), 0
        if self._count > MAX_WAITING:  # the count includes the one who has the lock
            raise CapacityError(
                f"expected at most {MAX_WAITING} requests that wait for another one of their "
                "session, got one more; wait for an answer, or use a session of your own"
            )
        self._count += 1
        try:
            await self._lock.acquire()
        except BaseException:
            self._count -= 1
            raise

    async def __aexit__(self, *exc: object) -> None:
        """Let the next one have the lock."""
        self._lock.release()
        self._count -= 1


@dataclass(kw_only=True)
class Session:
    """One client, and the environment that it plays.

    A session of ``/ws`` has an environment from its beginning and ends with its connection, which
    alone may use it. A session over HTTP or MCP is shared: requests name it by its id, it waits
    without an environment for its first reset, and it may lose the environment to another client
    while it was not used.

    Attributes:
        session_id: A random text that cannot be guessed.
        is_shared: Whether whoever knows the id may use the session, if the token is the same.
        owner: The name of the owner of the token with which it was begun; None on a server
            without tokens.
        engine: Runs requests on the environment; None while the session has no environment.
        last_used_s: When the session was used last, on the server's clock.
        lock: Has one request run at a time.
        is_ended: Whether the client has said goodbye, or has left for good.
        was_vacated: Whether the environment was taken away and the client was not told yet.
        mcp_version: The revision of MCP that was agreed on; None without a handshake.
        on_drain: Called when the server is to end; None of sessions that no connection holds.
        guests: How many connections take part in the session that did not begin it.
        relay: Passes the requests of an open binary session on.
        resumption: How the session is taken up when its connection was lost; None where it ends.
        expiry: Ends a session whose connection was lost; None while it is connected.
    """

    session_id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    is_shared: bool = False
    owner: str | None = None
    engine: Engine | None = None
    last_used_s: float = 0.0
    lock: BoundedLock = field(default_factory=BoundedLock)
    is_ended: bool = False
    was_vacated: bool = False
    mcp_version: str | None = None
    on_drain: Callable[[], None] | None = None
    guests: int = 0
    relay: Relay | None = None
    resumption: Resumption | None = None
    expiry: asyncio.TimerHandle | None = None

    @property
    def backend(self) -> Backend:
        """Where the environment lives, of a session that has one."""
        assert self.engine is not None
        return self.engine.backend

    @property
    def is_answering(self) -> bool:
        """Whether a request is under way."""
        return self.lock.locked() or (self.relay is not None and self.relay.is_busy)

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or a connection is still to hear of the end."""
        return self.on_drain is not None or self.lock.locked()
