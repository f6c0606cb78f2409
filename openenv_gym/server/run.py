"""Runs an application under uvicorn, and says where it listens."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
import ssl
import stat
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

import openenv_gym.server.packages  # noqa: F401  (raises before uvicorn is imported)

# isort: split

import uvicorn
from fastapi import FastAPI

from openenv_gym.credentials import TOKEN_VARIABLE, HidesSecrets, variable_token
from openenv_gym.errors import InvalidRequestError, UnreachableError
from openenv_gym.interpreter.lifeline import watch_lifeline
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES
from openenv_gym.server.app import app_of
from openenv_gym.server.backends import SESSION_THREAD
from openenv_gym.server.gate import is_address, is_loopback
from openenv_gym.server.half_open import MOST
from openenv_gym.server.http_protocol import http_protocol, limit_tls
from openenv_gym.server.logs import begin_log, escape_log
from openenv_gym.server.relay_protocol import RelayProtocol
from openenv_gym.server.service import Service
from openenv_gym.server.settings import Listener, ServerSettings
from openenv_gym.server.web_route import PAGE

_log = logging.getLogger(__name__)

_FILES, _FILES_PER_SESSION = 64, 8
_CONNECTIONS_CLOSE_S = 1
"""How long connections may take to close when their sessions have ended."""
_LOOK_AGAIN_S = 0.01
_M_MMAP_THRESHOLD = -3  # of malloc.h
_RETURNED_BYTES = 4 * 2**20


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
        state = getattr(config.app, "state", None)
        self._service: Service | None = getattr(state, "service", None)
        self._header_timeout_s = listener.header_timeout_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end at the first signal, and end at once at a second one."""
        if self.should_exit:
            os._exit(128 + sig)  # the workers end with this process
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the sessions while the server still answers, then the rest."""
        if self._service is not None:
            await self._service.drain(self._drain_timeout_s)
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
        limit_tls(asyncio.get_running_loop(), self._header_timeout_s)
        await super().startup(sockets)
        if not self.started:
            return
        if self._lifeline is None:
            print(f"{self._title} at {self._url()}", flush=True)
            has_page = self._service is not None and self._service.settings.web
            if has_page and not self.config.uds:  # no browser opens a Unix socket
                print(f"its page is at {self._url()}/{PAGE}", flush=True)
        else:
            os.write(self._lifeline, f"{self._url()}\n".encode())

    def _url(self) -> str:
        if self.config.uds:
            return f"unix://{self.config.uds}"
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        scheme = "https" if self.config.is_ssl else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _allow_files_of(sessions: int) -> None:
    """Raise the limit of open files for this process and what it starts, where it may.

    The customary limit (1,024) is too low for 150 sessions, and for those who connect and say
    nothing.
    """
    if sys.platform == "win32":
        return
    import resource

    needed = _FILES + _FILES_PER_SESSION * sessions
    wanted = needed + 2 * MOST  # without a whole request, and without a message
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # the platform has a further limit
        most = soft
    if most < needed:
        _log.warning(
            "%d sessions (--max-sessions) need up to %d open files, and %d are allowed: raise "
            "'ulimit -n', or lower --max-sessions",
            sessions,
            needed,
            most,
        )


def why_it_is_open(settings: ServerSettings, listener: Listener) -> str | None:
    """Return what is to be said of a server that everybody on a network could use, None of others.

    Raises:
        InvalidRequestError: A token can be none.
    """
    is_guarded = settings.insecure_no_auth or listener.uds is not None or settings.tokens
    if is_guarded or _is_on_loopback(listener.host):
        return None
    return (
        f"{listener.host or '0.0.0.0'} is open to the network: give --token, or --insecure-no-auth"
    )


def _is_on_loopback(host: str) -> bool:
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:  # nobody can listen there, which is said when the server tries to
        return True
    return all(is_loopback(str(address[0])) for *_, address in found)


def _give_memory_back() -> None:
    """Have the C library return the memory of long messages to the system when they are gone.

    glibc keeps it once it has seen one, up to 32 MiB for each of several pieces, where other values
    may lie behind them. Shorter pieces are used again, because new memory costs time.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    set_option(_M_MMAP_THRESHOLD, _RETURNED_BYTES)


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
        InvalidRequestError: a token can be none, or the files of TLS cannot be used.
        UnreachableError: the address cannot be had.
        OpenEnvGymError: the environment cannot be built.
    """
    begin_log(listener.log_level)
    settings = settled(settings, listener)
    _check_certificates(listener)
    if not (settings.token or settings.token_file) and (token := variable_token()) is not None:
        settings = replace(settings, token=token.reveal())
        del os.environ[TOKEN_VARIABLE]  # which no environment needs to see
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
    _give_memory_back()
    config = uvicorn.Config(
        app,
        host=listener.host,
        port=listener.port,
        uds=listener.uds,
        ssl_certfile=listener.tls_cert,
        ssl_keyfile=listener.tls_key,
        http=http_protocol(listener.header_timeout_s),
        timeout_keep_alive=listener.keep_alive_s,  # type: ignore[arg-type]  # call_later takes it
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
    for name in ("uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).addFilter(HidesSecrets())
    _Server(config, title, listener).run(_bound(listener))
    if listener.uds is not None:
        Path(listener.uds).unlink(missing_ok=True)
    if any(thread.name.startswith(SESSION_THREAD) for thread in threading.enumerate()):
        # An environment hangs in a thread, and Python would wait for the thread.
        logging.shutdown()
        os._exit(0)


def _takes_bytes(app: FastAPI) -> int:
    """The longest message of a client, which a session refuses in its own words if it can."""
    service: Service | None = getattr(app.state, "service", None)
    return MAX_MESSAGE_BYTES if service is None else service.takes_bytes


def _check_certificates(listener: Listener) -> None:
    """Pass if the files of TLS can be used, before anything is built.

    Raises:
        InvalidRequestError: They cannot be read, or do not belong together.
    """
    if listener.tls_cert is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(listener.tls_cert, listener.tls_key, password=lambda: "")
    except OSError as exc:  # ssl.SSLError among them
        files = " and ".join(filter(None, (listener.tls_cert, listener.tls_key)))
        raise InvalidRequestError(
            f"tls_cert: expected certificates and their private key, which has no password, as PEM "
            f"in {files}, got: {exc}"
        ) from exc


def _protocol(write_timeout_s: float | None) -> type[RelayProtocol]:
    return type("Protocol", (RelayProtocol,), {"write_timeout_s": write_timeout_s})


def _bound(listener: Listener) -> list[socket.socket]:
    """The socket to listen on.

    Raises:
        UnreachableError: the address cannot be had.
    """
    if listener.uds is not None:
        return [_bound_unix(listener.uds, int(listener.uds_mode, 8))]
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        return [socket.create_server((listener.host, listener.port), family=family)]
    except OSError as exc:
        raise UnreachableError(
            f"cannot listen on {listener.host}, port {listener.port}: {exc}; "
            "choose another --port, or 0 for a free one"
        ) from exc


def _bound_unix(path: str, mode: int) -> socket.socket:
    """A Unix socket that has its mode from the first moment on.

    Raises:
        UnreachableError: the path cannot be had.
    """
    sock = socket.socket(socket.AF_UNIX)
    before = os.umask(0o777 & ~mode)
    try:
        if _is_left_over(path):
            os.unlink(path)
        sock.bind(path)
    except OSError as exc:
        sock.close()
        raise UnreachableError(
            f"cannot listen on {path}: {exc}; choose another --uds, or end the server that has it"
        ) from exc
    finally:
        os.umask(before)
    return sock


def _is_left_over(path: str) -> bool:
    """Whether this is the socket of a server that has ended."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        return is_socket and probe.connect_ex(path) != 0
