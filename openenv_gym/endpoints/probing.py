"""The probing reset of a server: a session of its own, closed before anything else begins.

A server may have only one session. The reset carries no seed, and what it shows goes to the
inference of the spaces only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from openenv_gym.client import Connection, Transport
from openenv_gym.errors import (
    CapacityError,
    ConnectionLostError,
    OpenEnvGymError,
    ProtocolError,
    TransportError,
)
from openenv_gym.protocol import ClientSession, GetState, Reset, Result, SessionState, StateReply
from openenv_gym.protocol.json_messages import JsonClientMessages
from openenv_gym.spaces.probing import Probed, probed
from openenv_gym.wire.schema_view import LoadedResult


class RecentProbes:
    """What each server showed last, for when its sessions are all taken.

    Args:
        most: How many servers; the one that was probed longest ago is forgotten.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._seen: OrderedDict[tuple[str, str], Probed] = OrderedDict()

    def probe(
        self, key: tuple[str, str], connect: Callable[[], Transport], timeout_s: float | None
    ) -> Probed:
        """Return what a probing reset shows, or showed before where no session is free now.

        Args:
            key: The address of the server, and its schemas.
            connect: Opens the transport.
            timeout_s: How long to wait for each reply, in seconds; None for ever.

        Raises:
            OpenEnvGymError: as :func:`probe_server`.
        """
        try:
            self._seen[key] = probe_server(connect, timeout_s)
            self._seen.move_to_end(key)
            while len(self._seen) > self._most:
                self._seen.popitem(last=False)
        except (CapacityError, ConnectionLostError):  # the second where the error did not arrive
            if key not in self._seen:
                raise
        return self._seen[key]


RECENT_PROBES = RecentProbes()
"""Those of this process. Gymnasium's checks and vector environments make further environments
while the first one holds its session, and nothing but the process is common to all of them."""


class AsItIs:
    """A view that hands over what a server or a client answers, as it answers it."""

    def dump_action(self, value: Any) -> dict[str, Any]:
        """A probing session takes no step."""
        raise ProtocolError("a probing session takes no step")

    def load_result(self, data: dict[str, Any], *, is_first: bool = False) -> LoadedResult:
        """Return the message for an observation."""
        return LoadedResult(data, None, terminated=False, truncated=False, info={})


def probe_server(connect: Callable[[], Transport], timeout_s: float | None) -> Probed:
    """Reset once in a session of its own, and return what it showed.

    Args:
        connect: Opens the transport.
        timeout_s: How long to wait for each reply, in seconds; None for ever.

    Raises:
        OpenEnvGymError: the server has no session free, or refused, or answered no observation.
    """
    session = ClientSession(JsonClientMessages(AsItIs()), SessionState.READY)
    connection = Connection(session, connect(), timeout_s)
    try:
        reply = connection.request(Reset())
        if not isinstance(reply, Result):
            raise ProtocolError(f"expected an observation, got a {type(reply).__name__}")
        return probed(reply.obs, _state(connection))
    finally:
        connection.close()


def _state(connection: Connection) -> dict[str, Any]:
    """The state, none where the server does not tell it: only few say more of spaces there."""
    try:
        reply = connection.request(GetState())
    except TransportError:
        raise
    except OpenEnvGymError:
        return {}
    return reply.state if isinstance(reply, StateReply) else {}
