"""Which transport leads to a place: a table with one row for each scheme.

A new transport is a file with its class, and a row here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from openenv_gym.address import Address
from openenv_gym.client.stream import Peer, StreamTransport
from openenv_gym.client.transport import Transport

if TYPE_CHECKING:
    from openenv_gym.client.websocket import WebSocketOptions


@dataclass(frozen=True)
class WorkerSocket:
    """A socket that is connected to a worker process.

    Attributes:
        sock: The socket; the transport owns it.
        name: What it leads to, for messages.
        process: The process there, to tell how it was lost; None where it is no child.
    """

    sock: socket.socket
    name: str
    process: Peer | None = None
    scheme: ClassVar[str] = "worker"


def _stream(place: Any, *for_servers: Any) -> Transport:
    return StreamTransport(place.sock, place.name, place.process)


def _websocket(place: Any, subprotocol: str | None, query: str, options: Any) -> Transport:
    from openenv_gym.client.websocket import WebSocketOptions, WebSocketTransport

    return WebSocketTransport(place, subprotocol, options or WebSocketOptions(), query)


TRANSPORTS: dict[str, Callable[..., Transport]] = {
    "worker": _stream,
    "unix": _websocket,
    "http": _websocket,
    "https": _websocket,
}
"""What opens a transport to a place of each scheme."""


def open_transport(
    place: Address | WorkerSocket,
    subprotocol: str | None = None,
    query: str = "",
    options: WebSocketOptions | None = None,
) -> Transport:
    """Return a transport that is connected to a place.

    Args:
        place: The address of a server, or a socket of a worker.
        subprotocol: What to ask a server for; None speaks OpenEnv's JSON.
        query: What follows the URL of a server, such as ``?view=gymnasium``.
        options: How a WebSocket is opened; None for the defaults.

    Raises:
        UnreachableError: nobody answers there.
        NotOpenEnvError: who answers there does not speak this.
        CapacityError: the server has no free session.
    """
    return TRANSPORTS[place.scheme](place, subprotocol, query, options)
