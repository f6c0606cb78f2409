"""``/mcp``: MCP's Streamable HTTP, plain JSON-RPC over HTTP, and JSON-RPC over a WebSocket.

Every answer is one JSON body. The tools send nothing while they work, so that no event stream is
needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

from fastapi import APIRouter, Request, Response, WebSocket, WebSocketDisconnect

from openenv_gym.server.inbox import Inbox
from openenv_gym.server.jsonrpc import (
    INVALID_REQUEST,
    SERVER_ERROR,
    JsonRpcError,
    decode,
    error_body,
    id_of,
    is_response,
)
from openenv_gym.server.lengths import Lengths, TooLongError, read_body
from openenv_gym.server.mcp import UNSUPPORTED_VERSION, VERSIONS, McpServer
from openenv_gym.server.mcp_tools import McpTools
from openenv_gym.server.off_loop import off_loop
from openenv_gym.server.openapi import jsonrpc_body
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session
from openenv_gym.server.tokens import json_subprotocol, owner_of
from openenv_gym.server.ws_binary import say_draining
from openenv_gym.wire.error_codes import brief
from openenv_gym.wire.messages import Text, encode_json

SESSION_HEADER = "Mcp-Session-Id"
VERSION_HEADER = "MCP-Protocol-Version"

MAX_AT_ONCE = 16
"""So many messages of one WebSocket are answered at a time; more are refused.

They cannot wait unread, because the goodbye of a client whose step hangs would wait behind them.
"""


class _RefusedError(Exception):
    """A request that the transport refuses, with the status that MCP asks for."""

    def __init__(self, status: int, message: str, code: int = INVALID_REQUEST, data: Any = None):
        super().__init__(message)
        self.status = status
        self.error = JsonRpcError(code, message, data)


def mcp_routes(service: Service) -> APIRouter:
    """Return the routes of ``/mcp``."""
    router = APIRouter()
    tools = McpTools(service)

    @functools.cache
    def server_of(owner: str | None) -> McpServer:
        return McpServer(service, owner, tools)

    lengths = service.lengths()

    @router.post("/mcp", tags=["mcp"], openapi_extra=jsonrpc_body())
    async def post(request: Request) -> Response:
        """Speak the Model Context Protocol, or plain JSON-RPC 2.0."""
        message: Any = None
        server = server_of(owner_of(request))
        try:
            _check_accept(request.headers.get("accept"))
            message = await off_loop(decode, await _read(request, lengths), lengths.values)
            session = _session_of(request, server, message)
        except _RefusedError as exc:
            return _json(error_body(id_of(message), exc.error), exc.status)
        except JsonRpcError as exc:
            return _json(error_body(None, exc))
        outcome = await server.receive(message, session)
        if outcome.answer is None or (session is not None and session.is_ended):
            # Who ended its session waits for nothing, and the SDK's client fails on its way out
            # if an answer comes yet.
            return Response(status_code=202)
        opened = outcome.opened
        headers = None if opened is None else {SESSION_HEADER: opened.session_id}
        return await off_loop(_json, outcome.answer, headers=headers)

    @router.delete("/mcp", tags=["mcp"])
    async def delete(request: Request) -> Response:
        """End the session that the header Mcp-Session-Id names."""
        server = server_of(owner_of(request))
        try:
            session = _named(request, server)
            if session is None:
                raise _RefusedError(400, f"expected the header {SESSION_HEADER}, got none")
        except _RefusedError as exc:
            return _json(error_body(None, exc.error), exc.status)
        await server.sessions.end(session)
        return Response(status_code=204)

    @router.websocket("/mcp")
    async def ws(websocket: WebSocket) -> None:
        server = server_of(owner_of(websocket))
        await _serve_websocket(websocket, server, service, lengths)

    return router


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encode_json(body), status, headers, media_type="application/json")


def _check_accept(accept: str | None) -> None:
    """Pass if JSON may be answered.

    Raises:
        _RefusedError: it may not.
    """
    kinds = {part.partition(";")[0].strip().lower() for part in (accept or "*/*").split(",")}
    if kinds.isdisjoint({"application/json", "application/*", "*/*"}):
        raise _RefusedError(
            406, f"Accept: expected application/json among it, got {brief(accept or '', 80)}"
        )


async def _read(request: Request, lengths: Lengths) -> bytearray:
    try:
        return await read_body(request, lengths)
    except TooLongError as exc:
        raise _RefusedError(413, str(exc)) from exc


def _session_of(request: Request, server: McpServer, message: Any) -> Session | None:
    """The session of a request by its headers; None of plain JSON-RPC, which has neither.

    Raises:
        _RefusedError: the headers name a revision or a session that there is not.
    """
    version = request.headers.get(VERSION_HEADER)
    if version is not None and version not in VERSIONS:
        raise _RefusedError(
            400,
            f"{VERSION_HEADER}: expected one of {', '.join(VERSIONS)}, got {brief(version, 40)}; "
            "send initialize to agree on one",
            UNSUPPORTED_VERSION,
            {"supported": list(VERSIONS), "requested": brief(version, 40)},
        )
    session = _named(request, server)
    is_first = isinstance(message, dict) and message.get("method") in ("initialize", "ping")
    if session is None and version is not None and not is_first:
        raise _RefusedError(
            400, f"expected the header {SESSION_HEADER}, which the answer to initialize carries"
        )
    return session


def _named(request: Request, server: McpServer) -> Session | None:
    session_id = request.headers.get(SESSION_HEADER)
    if session_id is None:
        return None
    session = server.sessions.find(session_id, server.owner, may_be_vacant=True)
    if session is None:
        raise _RefusedError(
            404, f"{SESSION_HEADER}: no session has this id, it was ended; send initialize again"
        )
    return session


async def _serve_websocket(
    websocket: WebSocket, server: McpServer, service: Service, lengths: Lengths
) -> None:
    """Serve one session, which is the connection's own and ends with it."""
    await websocket.accept(json_subprotocol(websocket))
    inbox = Inbox(websocket, service, session=None)
    try:
        if await inbox.has_first():
            await _converse(websocket, server, inbox.first, lengths)
        else:
            await say_draining(websocket, service)
    finally:
        inbox.close()


async def _converse(websocket: WebSocket, server: McpServer, first: Text, lengths: Lengths) -> None:
    session = Session(is_shared=True, owner=server.owner)
    answering: set[asyncio.Task[None]] = set()
    text: Text | None = first
    try:
        while text is not None:
            if len(answering) >= MAX_AT_ONCE:
                await _refuse_one_more(websocket, text, lengths)
            else:
                # A task, so that a ping is answered and a goodbye is heard in a long step.
                task = asyncio.create_task(_answer(websocket, server, session, text, lengths))
                answering.add(task)
                task.add_done_callback(answering.discard)
            text = await _next(websocket)
    finally:
        await server.sessions.end(session)
        await asyncio.gather(*answering)


async def _refuse_one_more(websocket: WebSocket, text: Text, lengths: Lengths) -> None:
    message: Any = None
    with contextlib.suppress(JsonRpcError):
        message = await _decoded(text, lengths)
    if is_response(message) or (isinstance(message, dict) and "id" not in message):
        return
    error = JsonRpcError(
        SERVER_ERROR,
        f"expected at most {MAX_AT_ONCE} requests under way, got one more; wait for an answer",
    )
    await _send(websocket, error_body(id_of(message), error))


async def _next(websocket: WebSocket) -> Text | None:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        return None
    text: Text | None = message.get("text")
    return text if text is not None else message.get("bytes") or b""


async def _answer(
    websocket: WebSocket,
    server: McpServer,
    session: Session,
    text: Text,
    lengths: Lengths,
) -> None:
    try:
        message = await _decoded(text, lengths)
        text = ""  # it may be long, and a step takes its time
        answer: Any = (await server.receive(message, session)).answer
    except JsonRpcError as exc:
        answer = error_body(None, exc)
    if answer is not None:
        await _send(websocket, answer)


async def _decoded(text: Text, lengths: Lengths) -> Any:
    try:
        lengths.check_json(text)
    except TooLongError as exc:
        raise JsonRpcError(INVALID_REQUEST, str(exc)) from exc
    return await off_loop(decode, text, lengths.values)


async def _send(websocket: WebSocket, answer: Any) -> None:
    text = (await off_loop(encode_json, answer)).decode()
    # The client may have left meanwhile: there is nobody to tell.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.send_text(text)
