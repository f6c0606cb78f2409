"""The probing reset of a server: a session of its own, closed before anything else begins.

A server may have only one session. The reset carries no seed, and what it shows goes to the
inference of the spaces only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from openenv_gym.client import Connection, Transport
from openenv_gym.errors import (
    CapacityError,
    ConnectionLostError,
    OpenEnvGymError,
    ProtocolError,
    ResetNeededError,
    SpaceError,
    TransportError,
    shown,
)
from openenv_gym.protocol import ClientSession, GetState, Reset, Result, SessionState, StateReply
from openenv_gym.protocol.json_messages import JsonClientMessages
from openenv_gym.spaces.probing import Probed, probed
from openenv_gym.spaces.tools import ListedTool, tools_in
from openenv_gym.wire.messages import encode_json, parse_reply
from openenv_gym.wire.schema_view import LoadedResult

Shown = TypeVar("Shown")
Look: TypeAlias = Callable[[Callable[[], Transport], float | None], Shown]


class RecentProbes(Generic[Shown]):
    """What each server showed last, for when its sessions are all taken.

    Args:
        look: Looks at a server, with what opens the transport and how long to wait, in seconds.
        most: How many servers; the one that was probed longest ago is forgotten.
    """

    def __init__(self, look: Look[Shown], most: int = 64) -> None:
        self._look, self._most = look, most
        self._seen: OrderedDict[tuple[str, str], Shown] = OrderedDict()

    def probe(
        self, key: tuple[str, str], connect: Callable[[], Transport], timeout_s: float | None
    ) -> Shown:
        """Return what a look at the server shows, or showed before where no session is free now.

        Args:
            key: The address of the server, and its schemas.
            connect: Opens the transport.
            timeout_s: How long to wait for each reply, in seconds; None for ever.

        Raises:
            OpenEnvGymError: as the look at it.
        """
        try:
            self._seen[key] = self._look(connect, timeout_s)
            self._seen.move_to_end(key)
            while len(self._seen) > self._most:
                self._seen.popitem(last=False)
        except (CapacityError, ConnectionLostError):  # the second where the error did not arrive
            if key not in self._seen:
                raise
        return self._seen[key]


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


def list_tools(connect: Callable[[], Transport], timeout_s: float | None) -> list[ListedTool]:
    """Ask a server for its tools in a session of its own, without a reset where that will do.

    OpenEnv's own servers answer a step that lists them; those with an action class of their own,
    only a message of MCP.

    Args:
        connect: Opens the transport.
        timeout_s: How long to wait for each reply, in seconds; None for ever.

    Raises:
        SpaceError: the server does not list them.
        OpenEnvGymError: the server has no session free.
    """
    transport = connect()

    def ask(message: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        transport.send(encode_json(message), timeout_s)
        return parse_reply(bytes(transport.receive(timeout_s)))

    try:
        kind, data = ask(_LIST_BY_STEP)
        if kind == "error" and data.get("code") == ResetNeededError.code:
            ask({"type": "reset", "data": {}})
            kind, data = ask(_LIST_BY_STEP)
        if (tools := tools_in(data.get("observation"))) is not None:
            return tools
        if kind == "error" and data.get("code") == CapacityError.code:
            raise CapacityError(str(data.get("message")))
        _, answer = ask(_LIST_BY_MCP)
        if (tools := tools_in(answer.get("result"))) is not None:
            return tools
    finally:
        session = ClientSession(JsonClientMessages(AsItIs()), SessionState.READY)
        Connection(session, transport, timeout_s).close()  # with a goodbye, and waits for its end
    raise SpaceError(f"it lists none, and answers {shown(data, 200)}")


_LIST_BY_STEP = {"type": "step", "data": {"type": "list_tools"}}
_LIST_BY_MCP = {
    "type": "mcp",
    "data": {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}},
}

RECENT_PROBES: RecentProbes[Probed] = RecentProbes(probe_server)
"""Those of this process. Gymnasium's checks and vector environments make further environments
while the first one holds its session, and nothing but the process is common to all of them."""

RECENT_TOOLS: RecentProbes[list[ListedTool]] = RecentProbes(list_tools)
"""The tools that servers listed, likewise."""
