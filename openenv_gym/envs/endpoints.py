"""Where an environment comes from: a recipe that can be pickled, and makes connections.

A recipe holds names and numbers, never a socket, so that an environment can be copied, sent to
another process, and connected anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from openenv_gym.client import Connection, StreamTransport
from openenv_gym.envs.face import Endpoint, Face, face_of, opened, was_unread
from openenv_gym.envs.patience import (
    AUTO,
    BEYOND_S,
    DEFAULT_TIMEOUT_S,
    Timeout,
    check_patience,
    patience,
)
from openenv_gym.envs.server_endpoint import (
    CODECS,
    SCHEMA_KEY,
    Codec,
    ServerEndpoint,
    SpaceOverrides,
)
from openenv_gym.errors import ConnectionLostError
from openenv_gym.protocol import BinaryMessages, ClientSession, Open
from openenv_gym.wire.description import Description

__all__ = [
    "AUTO",
    "BEYOND_S",
    "CODECS",
    "DEFAULT_TIMEOUT_S",
    "SCHEMA_KEY",
    "Codec",
    "EmbeddedEndpoint",
    "Endpoint",
    "Face",
    "ServerEndpoint",
    "SpaceOverrides",
    "Timeout",
    "check_patience",
    "patience",
]

_STARTS = 3
"""How many workers an environment is sent to, where they die before they have read the request."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedEndpoint:
    """An environment in an embedded worker.

    Attributes:
        request: What to open.
        worker: Which of them.
        timeout_s: How long to wait for a reply.
    """

    request: Open
    timeout_s: Timeout = AUTO
    worker: int = 0

    def open(self) -> tuple[Face, Connection | None]:
        """Build the environment, and keep the session: nothing is gained by building it twice."""
        connection, description = self.start()
        return face_of(description, self.request.render_mode), connection

    def connect(self, known: Face | None = None) -> Connection:
        """Return a new session, of what was embedded before."""
        return self.start()[0]

    def start(self) -> tuple[Connection, Description]:
        """Return a new session and what its environment says of itself."""
        from openenv_gym.launchers.embedded import EMBEDDED

        for left in reversed(range(_STARTS)):
            sock, worker = EMBEDDED.connect(self.worker)
            session = ClientSession(BinaryMessages())
            peer = f"the embedded worker (process {worker.pid})"
            transport = StreamTransport(sock, peer, worker)
            connection = Connection(session, transport, patience(self.timeout_s, {}))
            try:
                return connection, opened(connection, self.request)
            except ConnectionLostError as exc:
                if not left or not was_unread(exc):
                    raise
                EMBEDDED.drop(self.worker, worker)
        raise AssertionError("the last try returns or raises")
