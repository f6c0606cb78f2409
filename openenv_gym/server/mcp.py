"""The methods of the Model Context Protocol over JSON-RPC, whatever carries the messages.

See https://modelcontextprotocol.io/specification/2025-11-25. OpenEnv's own clients send the same
``tools/list`` and ``tools/call`` without a handshake, and name the session in their parameters.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeAlias

from openenv_gym import __version__
from openenv_gym.errors import OpenEnvGymError, shown
from openenv_gym.server.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    SERVER_ERROR,
    Call,
    JsonObject,
    JsonRpcError,
    error_body,
    id_of,
    is_response,
    result_body,
    to_call,
)
from openenv_gym.server.mcp_tools import McpTools, refusal
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session
from openenv_gym.wire.error_codes import without_folders

_log = logging.getLogger(__name__)

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions with a handshake, oldest first. What came after them has no sessions."""

BATCHING = (None, "2024-11-05", "2025-03-26")
"""Revisions in which one body may hold several messages, as in plain JSON-RPC."""

MAX_BATCH = 100

UNSUPPORTED_VERSION = -32022


class Reception(NamedTuple):
    """What becomes of the body of a request.

    Attributes:
        answer: What to send back; None where nobody waits for anything.
        opened: The session that an ``initialize`` among the requests opened.
    """

    answer: JsonObject | list[JsonObject] | None
    opened: Session | None = None


Method: TypeAlias = Callable[[dict[str, Any], Session | None], Awaitable[dict[str, Any]]]


class McpServer:
    """Answers the messages of MCP clients.

    Args:
        service: What is served.
        owner: The name of the owner whose sessions these are; None on a server without tokens.
        tools: What the environment offers, where it is known already.

    Attributes:
        owner: The owner that was given.
        sessions: The sessions of the server.
    """

    def __init__(
        self, service: Service, owner: str | None = None, tools: McpTools | None = None
    ) -> None:
        self._service = service
        self.owner = owner
        self.sessions = service.sessions
        self._tools = tools or McpTools(service)
        # Plain JSON-RPC that names no session shares this one.
        self._default = Session(is_shared=True, owner=owner)
        self._is_name_needed = service.settings.http_sessions == "required"
        self._methods: dict[str, Method] = {
            "ping": self._ping,
            "tools/list": self._list,
            "tools/call": self._call,
            "openenv/session/create": self._create,
            "openenv/session/close": self._close,
        }

    async def receive(self, message: Any, session: Session | None) -> Reception:
        """Return the answer to ``message``, which is one of JSON-RPC's or a list of them.

        Args:
            message: The decoded JSON.
            session: The session of the client; None where it has none.
        """
        if not isinstance(message, list):
            return await self._receive_one(message, session)
        version = None if session is None else session.mcp_version
        fault = None
        if version not in BATCHING:
            fault = f"expected one message, got a batch, which MCP {version} does not have"
        elif not 1 <= len(message) <= MAX_BATCH:
            fault = f"expected a batch of 1 to {MAX_BATCH} messages, got {len(message)}"
        if fault is not None:
            return Reception(error_body(None, JsonRpcError(INVALID_REQUEST, fault)))
        outcomes = [await self._receive_one(one, session, is_batched=True) for one in message]
        answers = [out.answer for out in outcomes if isinstance(out.answer, dict)]
        return Reception(answers or None)

    async def _receive_one(
        self, message: Any, session: Session | None, is_batched: bool = False
    ) -> Reception:
        if is_response(message):
            return Reception(None)
        try:
            call = to_call(message)
            if call.method == "initialize" and not call.is_notification:
                if is_batched:
                    raise JsonRpcError(
                        INVALID_REQUEST,
                        "initialize: expected a message of its own, got it within a batch; send "
                        "other requests after its answer",
                    )
                return self._initialize(call, session)
            result = await self._answer(call, session)
        except JsonRpcError as exc:
            if isinstance(message, dict) and "id" not in message and "method" in message:
                return Reception(None)  # a notification has no answer, not even this one
            return Reception(error_body(id_of(message), exc))
        except Exception as exc:  # the border: whatever it is, the client hears of it
            _log.exception("a request over MCP failed")
            said = f"the server failed: {type(exc).__name__}: {exc}"
            if not self._service.settings.expose_tracebacks:
                said = without_folders(said)
            error = JsonRpcError(INTERNAL_ERROR, said)
            return Reception(error_body(id_of(message), error))
        return Reception(None if call.is_notification else result_body(call.call_id, result))

    async def _answer(self, call: Call, session: Session | None) -> dict[str, Any]:
        if call.is_notification:
            # Among them `notifications/cancelled`: a step that was begun is taken, because
            # breaking it off would leave the environment nobody knows where. Its client does
            # not look at the answer.
            return {}
        method = self._methods.get(call.method)
        if method is None:
            known = ", ".join(["initialize", *self._methods])
            raise JsonRpcError(
                METHOD_NOT_FOUND,
                f"expected a method among {known}, got {shown(call.method, 60)}",
            )
        return await method(call.params, session)

    def _initialize(self, call: Call, session: Session | None) -> Reception:
        asked = call.params.get("protocolVersion")
        if not isinstance(asked, str):
            got = shown(asked, 40)
            raise JsonRpcError(
                INVALID_PARAMS, f"$.params.protocolVersion: expected a string, got {got}"
            )
        version = asked if asked in VERSIONS else VERSIONS[-1]
        opened = None
        if session is None:
            opened = Session(is_shared=True, owner=self.owner, mcp_version=version)
            self.sessions.add(opened)
        else:  # a connection is a session already
            session.mcp_version = version
        about = self._service.description.about
        result = {
            "protocolVersion": version,
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "openenv-gym", "version": __version__},
            "instructions": f"{about.get('name', '')}: {about.get('description', '')}\n"
            "Call reset, then step until done is true. Each session plays an episode of its own.",
        }
        return Reception(result_body(call.call_id, result), opened)

    async def _ping(self, params: dict[str, Any], session: Session | None) -> dict[str, Any]:
        return {}

    async def _list(self, params: dict[str, Any], session: Session | None) -> dict[str, Any]:
        if params.get("cursor") is not None:
            raise JsonRpcError(INVALID_PARAMS, "$.params.cursor: all tools are on the first page")
        return {"tools": self._tools.listed}

    async def _call(self, params: dict[str, Any], session: Session | None) -> dict[str, Any]:
        name, arguments = params.get("name"), params.get("arguments")
        if name not in self._tools.names:
            raise JsonRpcError(
                INVALID_PARAMS,
                f"$.params.name: expected a tool among {', '.join(self._tools.names)}, "
                f"got {shown(name, 60)}",
            )
        if arguments is not None and not isinstance(arguments, dict):
            got = shown(arguments, 60)
            raise JsonRpcError(INVALID_PARAMS, f"$.params.arguments: expected an object, got {got}")
        is_named = session is None and ("session_id" in params or self._is_name_needed)
        if session is not None and params.get("session_id") not in (None, session.session_id):
            raise JsonRpcError(
                INVALID_PARAMS,
                "$.params.session_id: expected none, because the request belongs to the session of "
                "its header or its connection, got another one; leave out either",
            )
        player = self._named(params) if is_named else session or self._default
        try:
            result = await self._tools.call(name, player, arguments or {})
        except OpenEnvGymError as exc:
            self._service.monitor.refused(exc)
            if is_named:  # OpenEnv's client raises this, and looks into no result
                raise _server_error(exc) from exc
            return refusal(exc)
        if is_named and "structuredContent" in result:
            result["data"] = result["structuredContent"]  # what OpenEnv's client returns
        return result

    async def _create(self, params: dict[str, Any], session: Session | None) -> dict[str, Any]:
        session = Session(is_shared=True, owner=self.owner)
        try:
            async with self.sessions.turn(session):
                await self._tools.open(session)
            return {"session_id": session.session_id}
        except OpenEnvGymError as exc:
            raise _server_error(exc) from exc

    async def _close(self, params: dict[str, Any], session: Session | None) -> dict[str, Any]:
        named = self._named(params)
        await self.sessions.end(named)
        return {"session_id": named.session_id, "closed": True}

    def _named(self, params: dict[str, Any]) -> Session:
        """The session that ``params`` name, as OpenEnv does.

        Raises:
            JsonRpcError: there is none.
        """
        session_id = params.get("session_id")
        found = None
        if isinstance(session_id, str):
            found = self.sessions.find(session_id, self.owner, may_be_vacant=True)
        if found is None:
            raise JsonRpcError(
                INVALID_PARAMS,
                "$.params.session_id: expected the id of a session, got "
                f"{shown(session_id, 60)}; it may have been closed, "
                "openenv/session/create makes another one",
            )
        return found


def _server_error(exc: OpenEnvGymError) -> JsonRpcError:
    return JsonRpcError(SERVER_ERROR, str(exc), {"code": exc.code})
