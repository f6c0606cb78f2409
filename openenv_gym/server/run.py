"""Runs an application under uvicorn, and says where."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn

from openenv_gym.errors import UnreachableError
from openenv_gym.server.backends import SESSION_THREAD
from openenv_gym.server.relay_protocol import WRITE_TIMEOUT_S, RelayProtocol
from openenv_gym.server.service import Service
from openenv_gym.server.settings import check_seconds
from openenv_gym.workers.lifeline import watch_lifeline

_log = logging.getLogger(__name__)

PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 25.0
_FILES, _FILES_PER_SESSION = 64, 8
_CONNECTIONS_CLOSE_S = 1
"""How long connections may take to close when their sessions have ended."""
_LOOK_AGAIN_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Where to listen.

    Attributes:
        host: Name or address of the interface.
        port: TCP port; 0 takes a free one.
        uds: Path of a Unix socket to listen on instead.
        log_level: uvicorn's.
        lifeline: Descriptor of a lifeline, for a server that ends with who started it; the
            address is written there instead of printed.
        drain_timeout_s: How long a server that is to end waits for what is under way.
        write_timeout_s: How long a client may leave unread what was sent to it; None and 0 are no
            limit.
        ping_interval_s: How often WebSockets are pinged; None and 0 for not at all, where
            something on the way takes pings amiss.
        ping_timeout_s: How long the answer to a ping may take until the client is taken for gone;
            None and 0 are no limit.

    Raises:
        InvalidRequestError: a time is none.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    log_level: str = "warning"
    lifeline: int | None = None
    drain_timeout_s: float = DRAIN_TIMEOUT_S
    write_timeout_s: float | None = WRITE_TIMEOUT_S
    ping_interval_s: float | None = PING_INTERVAL_S
    ping_timeout_s: float | None = PING_TIMEOUT_S

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        check_seconds("drain_timeout_s", self.drain_timeout_s, "0 for not at all")
        for name in ("write_timeout_s", "ping_interval_s", "ping_timeout_s"):
            check_seconds(name, getattr(self, name) or 0, "None or 0 for none")


class _RefusalIsNoFault(logging.Filter):
    """Drops what uvicorn logs as an error when a handshake is answered with a status."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "without completing handshake" not in record.getMessage()


class _Server(uvicorn.Server):
    """Says where it listens as soon as it does, and finishes what is under way before it ends."""

    def __init__(self, config: uvicorn.Config, title: str, listener: Listener) -> None:
        super().__init__(config)
        self._title = title
        self._lifeline = listener.lifeline
        self._drain_timeout_s = listener.drain_timeout_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take in a signal: the first one begins the end, a second one is the end."""
        if self.should_exit:
            os._exit(128 + sig)  # the workers end with this process
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the sessions while the server still answers, then the rest."""
        state = getattr(self.config.app, "state", None)
        service: Service | None = getattr(state, "service", None)
        if service is not None:
            await service.drain(self._drain_timeout_s)
        await self._await_goodbyes()
        await super().shutdown(sockets)

    async def _await_goodbyes(self) -> None:
        """Give clients a moment to read why their WebSockets are closed.

        uvicorn closes the sockets at once, and who writes to a socket that is closed finds an error
        there before the reason that came in time.
        """
        end_s = time.monotonic() + _CONNECTIONS_CLOSE_S
        while any(getattr(one, "close_sent", False) for one in self.server_state.connections):
            if time.monotonic() >= end_s:
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        if self._lifeline is None:
            print(f"{self._title} at {self._url()}", flush=True)
        else:
            os.write(self._lifeline, f"{self._url()}\n".encode())

    def _url(self) -> str:
        if self.config.uds:
            return f"unix://{self.config.uds}"
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def allow_files_of(sessions: int) -> None:
    """Let this process, and what it starts, have the files of ``sessions`` open, where it may.

    What is customary (1,024) is too few for 150 sessions.
    """
    if sys.platform == "win32":
        return
    import resource

    wanted = _FILES + _FILES_PER_SESSION * sessions
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # the platform has a further limit
        most = soft
    if most < wanted:
        _log.warning(
            "%d sessions (--max-sessions) need up to %d open files, and %d are allowed: raise "
            "'ulimit -n', or lower --max-sessions",
            sessions,
            wanted,
            most,
        )


def run(app: Any, listener: Listener, title: str) -> None:
    """Serve ``app`` until a signal says to stop.

    Args:
        app: The ASGI application.
        listener: Where to listen.
        title: Printed before the address when the server is ready.

    Raises:
        UnreachableError: the address cannot be had.
    """
    if listener.lifeline is not None:
        watch_lifeline(listener.lifeline)
    config = uvicorn.Config(
        app,
        host=listener.host,
        port=listener.port,
        uds=listener.uds,
        log_level=listener.log_level,
        ws=_protocol(listener.write_timeout_s),
        ws_ping_interval=listener.ping_interval_s or None,
        ws_ping_timeout=listener.ping_timeout_s or None,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_CONNECTIONS_CLOSE_S,
    )
    logging.getLogger("uvicorn.error").addFilter(_RefusalIsNoFault())
    _Server(config, title, listener).run(_bound(listener))
    if any(thread.name.startswith(SESSION_THREAD) for thread in threading.enumerate()):
        logging.shutdown()
        os._exit(0)  # an environment hangs in a thread, which Python would wait for


def _protocol(write_timeout_s: float | None) -> type[RelayProtocol]:
    return type("Protocol", (RelayProtocol,), {"write_timeout_s": write_timeout_s})


def _bound(listener: Listener) -> list[socket.socket] | None:
    """The socket to listen on; uvicorn itself makes Unix sockets.

    Raises:
        UnreachableError: the address cannot be had.
    """
    if listener.uds is not None:
        return None
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        return [socket.create_server((listener.host, listener.port), family=family)]
    except OSError as exc:
        raise UnreachableError(
            f"cannot listen on {listener.host}, port {listener.port}: {exc}; "
            "choose another --port, or 0 for a free one"
        ) from exc
