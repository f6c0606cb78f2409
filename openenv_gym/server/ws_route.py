"""``/ws``: OpenEnv's JSON, or our binary protocol where the client asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from openenv_gym.errors import (
    CapacityError,
    InvalidActionError,
    InvalidRequestError,
    OpenEnvGymError,
    RemoteEnvError,
    UnknownEnvironmentError,
)
from openenv_gym.protocol import (
    GYMNASIUM_VIEW,
    SUBPROTOCOL,
    VIEW_PARAMETER,
    BinaryMessages,
    Close,
    Closed,
    Failed,
    Open,
    Reply,
    Request,
    ServerSession,
    SessionState,
    failure,
)
from openenv_gym.protocol.binary_messages import sequence_of
from openenv_gym.protocol.json_messages import JsonServerMessages
from openenv_gym.protocol.limits import LIMIT_HEADER, limit_in, reply_too_long
from openenv_gym.protocol.resume import ASK, RESUME_HEADER
from openenv_gym.server.engine import Engine
from openenv_gym.server.health_routes import json_response
from openenv_gym.server.inbox import Inbox
from openenv_gym.server.mcp_steps import McpSteps
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session
from openenv_gym.server.ws_binary import (
    release,
    said_at_handshake,
    say_draining,
    serve_binary,
    take_up,
)
from openenv_gym.wire.messages import error_data, error_message
from openenv_gym.wire.typed import TypedView, view_for

FIRST_MESSAGE_S = 10.0
"""How long a client without a session may take until it asks for something."""


async def websocket_endpoint(websocket: WebSocket, service: Service) -> None:
    """Serve one session, from the handshake to the goodbye."""
    is_binary = SUBPROTOCOL in websocket.scope.get("subprotocols", ())
    if not is_binary and (session_id := websocket.query_params.get("session_id")) is not None:
        await _join(websocket, service, session_id)
        return
    token = websocket.headers.get(RESUME_HEADER, ASK)
    if is_binary and token != ASK:
        await take_up(websocket, service, token)
        return
    try:
        session = await service.sessions.create()
    except CapacityError as exc:
        service.monitor.refused(exc)
        await _refuse(websocket, exc, is_binary or VIEW_PARAMETER in websocket.query_params)
        return
    except OpenEnvGymError as exc:
        await _reject(websocket, exc, is_binary)
        return
    inbox = Inbox(websocket, service, session)
    session.on_drain = inbox.drain
    try:
        serve = serve_binary if is_binary else _serve_json
        await serve(websocket, service, session, inbox)
        await say_draining(websocket, service)
    except WebSocketDisconnect:  # while it was being answered: there is nobody to tell
        inbox.was_lost = True
    finally:
        inbox.close()
        await release(websocket, service, session, inbox)


async def _join(websocket: WebSocket, service: Service, session_id: str) -> None:
    """Take part in a session that was begun over HTTP or MCP, and leave it alive at the goodbye."""
    session = service.sessions.find(session_id)
    engine = None if session is None else session.engine
    if session is None or engine is None:
        exc = UnknownEnvironmentError(
            f"session_id: no session has the id {session_id[:40]!r}, it may have expired; "
            "leave it out, and the connection has one of its own"
        )
        await _reject(websocket, exc, is_binary=False)
        return
    inbox = Inbox(websocket, service, session=None)
    session.guests += 1
    try:
        await websocket.accept(headers=said_at_handshake(service))
        await _converse(websocket, service, session, engine, inbox, is_guest=True)
    except WebSocketDisconnect:
        # The client left while it was being answered: there is nobody to tell.
        return
    finally:
        session.guests -= 1
        service.sessions.find(session.session_id)  # which notes that it was in use until now
        inbox.close()


async def _refuse(websocket: WebSocket, exc: CapacityError, is_ours: bool) -> None:
    """Say that there is no free session, in the way in which the user gets to read it.

    Our clients are told at the handshake, with 503. A stock client would show its user the number
    503 and nothing else, and one of version 0.3 shows an error that it did not ask for as a closed
    connection. Both show the answer to their first message, so that this is where they are told.
    """
    if is_ours:
        body = error_data(str(exc), exc.code)
        await websocket.send_denial_response(json_response(body, 503))
        return
    await websocket.accept()
    await _decline(websocket, exc, 1013)  # try again later


async def _decline(
    websocket: WebSocket,
    exc: OpenEnvGymError,
    code: int,
    inbox: Inbox | None = None,
    is_binary: bool = False,
) -> None:
    """Answer the first message of a session that there is none, and close."""
    waiting = _next(websocket) if inbox is None else inbox.next()
    first: Any = b""
    with contextlib.suppress(TimeoutError):
        first = await asyncio.wait_for(waiting, FIRST_MESSAGE_S)
        if first is None:
            return
    with contextlib.suppress(WebSocketDisconnect):
        if is_binary:
            number = sequence_of(first) if isinstance(first, bytes) else 0
            await websocket.send_bytes(BinaryMessages().encode_reply(number, failure(exc)))
        else:
            await _send_text(websocket, error_message(str(exc), exc.code, exc.fault, exc.raised))
        await websocket.close(code)


async def _next(websocket: WebSocket) -> Any:
    """The next message, text or bytes; None where the client has left."""
    message = await websocket.receive()
    text = message.get("text")
    return text if text is not None else message.get("bytes")


async def _reject(websocket: WebSocket, exc: OpenEnvGymError, is_binary: bool) -> None:
    """Accept the connection, say why there is no session, and close."""
    await websocket.accept(SUBPROTOCOL if is_binary else None)
    await _decline(websocket, exc, 1011, is_binary=is_binary)


async def _serve_json(
    websocket: WebSocket, service: Service, session: Session, inbox: Inbox
) -> None:
    await websocket.accept(headers=said_at_handshake(service))
    engine = session.engine
    assert engine is not None
    try:
        wanted = service.settings.admit(_asked(websocket.query_params))
        description = await inbox.watch(engine.open(wanted))
        service.opened()
    except OpenEnvGymError as exc:
        service.failed_to_open(exc)
        await service.sessions.end(session)
        await _decline(websocket, exc, 1011, inbox)
        return
    is_served = description.num_envs == service.description.num_envs
    view = service.view if is_served else view_for(description)
    await _converse(websocket, service, session, engine, inbox, view)


async def _converse(
    websocket: WebSocket,
    service: Service,
    session: Session,
    engine: Engine,
    inbox: Inbox,
    view: TypedView | None = None,
    is_guest: bool = False,
) -> None:
    """Answer one message after the other; a guest's goodbye does not end the session."""
    server = ServerSession(JsonServerMessages(view or service.view), SessionState.READY)
    limit = limit_in(websocket.headers.get(LIMIT_HEADER))
    steps = McpSteps(service, session, engine)
    while (text := await inbox.next()) is not None:
        if is_guest:  # others play in the same session
            server.state = engine.state
        try:
            request = server.receive(text)
        except OpenEnvGymError as exc:
            service.monitor.refused(exc)
            body = server.refuse(exc)
            await _send_text(websocket, await inbox.watch(steps.instead(text, body, server)))
            continue
        if is_guest and isinstance(request, Close):
            await websocket.close()
            return
        reply = await _execute(service, session, engine, inbox, request)
        if isinstance(request, Close) or isinstance(reply, Closed):
            await websocket.close()
            return
        body = _encoded(server, reply)
        if isinstance(reply, Failed) and reply.code == InvalidActionError.code:  # in the worker
            body = await inbox.watch(steps.instead(text, body, server))
        if len(body) > limit:
            body = server.refuse(reply_too_long(len(body), limit))
        await _send_text(websocket, body)
        if engine.is_lost:
            if not service.sessions.is_draining:
                await websocket.close(1011)
            return


def _encoded(server: ServerSession, reply: Reply) -> bytes:
    try:
        return bytes(server.send(reply))
    except RemoteEnvError as exc:  # an observation that its own space does not describe
        return bytes(server.send(failure(exc)))


async def _execute(
    service: Service, session: Session, engine: Engine, inbox: Inbox, request: Request
) -> Reply:
    """The reply to ``request``, when it is its turn; a refusal is a reply too."""
    try:
        async with session.lock:
            reply = await inbox.watch(service.sessions.execute(session, engine, request))
        if isinstance(reply, Failed):
            service.monitor.refused(reply.to_exception())
        return reply
    except CapacityError as exc:  # many guests wait
        return failure(exc)


def _asked(query: Mapping[str, str]) -> Open:
    """What the query of the URL asks for: Gymnasium's view, or many sub-environments.

    Raises:
        InvalidRequestError: ``num_envs`` is no number.
    """
    number = query.get("num_envs")
    if number is not None and not number.isdecimal():
        raise InvalidRequestError(f"num_envs: expected a number in the URL, got {number[:40]!r}")
    return Open(
        is_typed=query.get(VIEW_PARAMETER) != GYMNASIUM_VIEW,
        num_envs=None if number is None else int(number[:9]),
        vectorization=query.get("vectorization", "auto"),
        autoreset_mode=query.get("autoreset_mode", "NextStep"),
    )


async def _send_text(websocket: WebSocket, body: bytes) -> None:
    await websocket.send_text(body.decode())
