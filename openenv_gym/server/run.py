"""Runs an application under uvicorn, and says where."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import uvicorn

PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 25


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Where to listen.

    Attributes:
        host: Name or address of the interface.
        port: TCP port; 0 takes a free one.
        uds: Path of a Unix socket to listen on instead.
        log_level: uvicorn's.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    log_level: str = "warning"


class _Server(uvicorn.Server):
    """Says where it listens as soon as it does."""

    def __init__(self, config: uvicorn.Config, title: str) -> None:
        super().__init__(config)
        self._title = title

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"{self._title} at {self._url()}", flush=True)

    def _url(self) -> str:
        if self.config.uds:
            return f"unix://{self.config.uds}"
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Any, listener: Listener, title: str) -> None:
    """Serve ``app`` until a signal says to stop.

    Args:
        app: The ASGI application.
        listener: Where to listen.
        title: Printed before the address when the server is ready.
    """
    config = uvicorn.Config(
        app,
        host=listener.host,
        port=listener.port,
        uds=listener.uds,
        log_level=listener.log_level,
        ws="websockets-sansio",
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_TIMEOUT_S,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=DRAIN_TIMEOUT_S,
    )
    _Server(config, title).run()
