"""Runs an application under uvicorn, and says where it listens."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from dataclasses import replace
from types import FrameType

import openenv_gym.server.packages  # noqa: F401  (raises before uvicorn is imported)

# isort: split

import uvicorn
from fastapi import FastAPI

from openenv_gym.errors import UnreachableError
from openenv_gym.interpreter.lifeline import watch_lifeline
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES
from openenv_gym.server.app import app_of
from openenv_gym.server.backends import SESSION_THREAD
from openenv_gym.server.gate import is_address, is_loopback
from openenv_gym.server.logs import begin_log, escape_log
from openenv_gym.server.relay_protocol import RelayProtocol
from openenv_gym.server.service import Service
from openenv_gym.server.settings import Listener, ServerSettings

_log = logging.getLogger(__name__)

_FILES, _FILES_PER_SESSION = 64, 8
_CONNECTIONS_CLOSE_S = 1
"""How long connections may take to close when their sessions have ended."""
_LOOK_AGAIN_S = 0.01


class _RefusalIsNoFault(logging.Filter):
    """Drops what uvicorn logs as an error when a handshake is answered with a status."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "without completing handshake" not in record.getMessage()


class _Server(uvicorn.Server):
    """uvicorn's server, which says where it listens and finishes what is under way at the end."""

    def __init__(self, config: uvicorn.Config, title: str, listener: Listener) -> None:
        super().__init__(config)
        self._title = title
        self._lifeline = listener.lifeline
        self._drain_timeout_s = listener.drain_timeout_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end at the first signal, and end at once at a second one."""
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

        uvicorn closes the sockets at once. A client that writes to a closed socket finds an error
        before it reads the reason, which came in time.
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


def _allow_files_of(sessions: int) -> None:
    """Raise the limit of open files for this process and what it starts, where it may.

    The customary limit (1,024) is too low for 150 sessions.
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


def settled(settings: ServerSettings, listener: Listener) -> ServerSettings:
    """Return ``settings`` with what follows from where the server listens."""
    if listener.host and not is_address(listener.host):  # clients use the name that it is bound to
        settings = replace(settings, allow_hosts=[*settings.allow_hosts, listener.host])
    if settings.expose_tracebacks is None:
        is_local = listener.uds is not None or is_loopback(listener.host)
        settings = replace(settings, expose_tracebacks=is_local)
    return settings


def serve(settings: ServerSettings, listener: Listener) -> None:
    """Serve an environment until a signal says to stop.

    Args:
        settings: What is served.
        listener: Where to listen.

    Raises:
        UnreachableError: the address cannot be had.
        OpenEnvGymError: the environment cannot be built.
    """
    begin_log(listener.log_level)
    settings = settled(settings, listener)
    _allow_files_of(settings.max_sessions)  # first, for what creating the application starts
    run(app_of(Service(settings)), listener, f"openenv-gym serves {settings.environment}")


def run(app: FastAPI, listener: Listener, title: str) -> None:
    """Serve ``app`` until a signal says to stop.

    Args:
        app: The application.
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
        ws_max_size=_takes_bytes(app),
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_CONNECTIONS_CLOSE_S,
    )
    escape_log()
    logging.getLogger("uvicorn.error").addFilter(_RefusalIsNoFault())
    _Server(config, title, listener).run(_bound(listener))
    if any(thread.name.startswith(SESSION_THREAD) for thread in threading.enumerate()):
        # An environment hangs in a thread, and Python would wait for the thread.
        logging.shutdown()
        os._exit(0)


def _takes_bytes(app: FastAPI) -> int:
    """The longest message of a client, which a session refuses in its own words if it can."""
    service: Service | None = getattr(app.state, "service", None)
    return MAX_MESSAGE_BYTES if service is None else service.takes_bytes


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
