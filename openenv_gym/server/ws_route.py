"""``/ws``: OpenEnv's JSON, or our binary protocol where the client asks for it."""

from __future__ import annotations

from collections.abc import Mapping

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
    Step,
    failure,
)
from openenv_gym.protocol.binary_messages import sequence_of
from openenv_gym.protocol.json_messages import JsonServerMessages
from openenv_gym.protocol.limits import LIMIT_HEADER, limit_in, reply_too_long
from openenv_gym.protocol.resume import ASK, RESUME_HEADER
from openenv_gym.server.engine import Engine
from openenv_gym.server.health_routes import json_response
from openenv_gym.server.inbox import Inbox
from openenv_gym.server.lengths import Lengths, TooLongError
from openenv_gym.server.mcp_steps import McpSteps
from openenv_gym.server.off_loop import off_loop
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session
from openenv_gym.server.tokens import json_subprotocol, owner_of
from openenv_gym.server.ws_binary import (
    accept_binary,
    release,
    said_at_handshake,
    say_draining,
    serve_binary,
    take_up,
)
from openenv_gym.wire.messages import Text, error_data, error_message
from openenv_gym.wire.typed import TypedView, view_for

INTERNAL_ERROR, TRY_AGAIN_LATER = 1011, 1013
"""Close codes of connections that have no session."""


async def websocket_endpoint(websocket: WebSocket, service: Service) -> None:
    """Serve one session, from the handshake to the goodbye.

    It begins with the first message: a client that says nothing takes no slot.
    """
    is_binary = SUBPROTOCOL in websocket.scope.get("subprotocols", ())
    if not is_binary and (session_id := websocket.query_params.get("session_id")) is not None:
        await _join(websocket, service, session_id)
        return
    token = websocket.headers.get(RESUME_HEADER, ASK)
    if is_binary and token != ASK:
        await take_up(websocket, service, token)
        return
    if is_binary or VIEW_PARAMETER in websocket.query_params:  # it is a client of ours
        try:
            service.sessions.expect_room()
        except CapacityError as exc:
            service.monitor.refused(exc)
            await _refuse(websocket, exc)
            return
    session = Session(owner=owner_of(websocket))
    inbox = Inbox(websocket, service, session)
    try:
        await (accept_binary if is_binary else _accept_json)(websocket, service, session)
        if await inbox.has_first() and await _begun(websocket, service, session, inbox, is_binary):
            serve = serve_binary if is_binary else _serve_json
            await serve(websocket, service, session, inbox)
        await say_draining(websocket, service)
    except WebSocketDisconnect:  # while it was being answered: there is nobody to tell
        inbox.was_lost = True
    finally:
        inbox.close()
        await release(websocket, service, session, inbox)


async def _begun(
    websocket: WebSocket, service: Service, session: Session, inbox: Inbox, is_binary: bool
) -> bool:
    """Take a slot for a session whose client has spoken; tell the client where there is none."""
    try:
        await service.sessions.begin(session)
    except OpenEnvGymError as exc:
        service.monitor.refused(exc)
        code = TRY_AGAIN_LATER if isinstance(exc, CapacityError) else INTERNAL_ERROR
        await _decline(websocket, exc, code, inbox, is_binary)
        return False
    session.on_drain = inbox.drain
    return True


async def _join(websocket: WebSocket, service: Service, session_id: str) -> None:
    """Take part in a session that was begun over HTTP or MCP, and leave it alive at the goodbye."""
    inbox = Inbox(websocket, service, session=None)
    try:
        await websocket.accept(json_subprotocol(websocket), said_at_handshake(service))
        if await inbox.has_first():
            await _take_part(websocket, service, session_id, inbox)
    except WebSocketDisconnect:
        # The client left while it was being answered: there is nobody to tell.
        return
    finally:
        inbox.close()


async def _take_part(websocket: WebSocket, service: Service, session_id: str, inbox: Inbox) -> None:
    session = service.sessions.find(session_id, owner_of(websocket))
    engine = None if session is None else session.engine
    if session is None or engine is None:
        exc = UnknownEnvironmentError(
            f"session_id: no session has the id {session_id[:40]!r}, it may have expired; "
            "leave it out, and the connection has one of its own"
        )
        await _decline(websocket, exc, INTERNAL_ERROR, inbox)
        return
    session.guests += 1
    try:
        await _converse(websocket, service, session, engine, inbox, is_guest=True)
    finally:
        session.guests -= 1
        # Which notes that it was in use until now.
        service.sessions.find(session.session_id, session.owner)


async def _refuse(websocket: WebSocket, exc: CapacityError) -> None:
    """Tell a client of ours at the handshake that there is no free session.

    A stock client would show its user the number 503 and nothing else, and one of version 0.3 shows
    an error that it did not ask for as a closed connection. Both show the answer to their first
    message, so that this is where they are told.
    """
    body = error_data(str(exc), exc.code)
    await websocket.send_denial_response(json_response(body, 503))


async def _decline(
    websocket: WebSocket,
    exc: OpenEnvGymError,
    code: int,
    inbox: Inbox,
    is_binary: bool = False,
) -> None:
    """Answer the first message with why there is no session, and close."""
    if is_binary:
        number = 0 if isinstance(inbox.first, str) else sequence_of(inbox.first)
        await websocket.send_bytes(BinaryMessages().encode_reply(number, failure(exc)))
    else:
        await _send_text(websocket, error_message(str(exc), exc.code, exc.fault, exc.raised))
    await websocket.close(code)


async def _accept_json(websocket: WebSocket, service: Service, session: Session) -> None:
    await websocket.accept(json_subprotocol(websocket), said_at_handshake(service))


async def _serve_json(
    websocket: WebSocket, service: Service, session: Session, inbox: Inbox
) -> None:
    engine = session.engine
    assert engine is not None
    try:
        wanted = service.settings.admit(_asked(websocket.query_params))
        description = await inbox.watch(engine.open(wanted))
        service.opened()
    except OpenEnvGymError as exc:
        service.failed_to_open(exc)
        await service.sessions.end(session)
        await _decline(websocket, exc, INTERNAL_ERROR, inbox)
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
    view = view or service.view
    lengths = service.lengths(view.num_envs)
    server = ServerSession(JsonServerMessages(view, lengths.values), SessionState.READY)
    limit = limit_in(websocket.headers.get(LIMIT_HEADER))
    steps = McpSteps(service, session, engine)
    while (text := await inbox.next()) is not None:
        if is_guest:  # others play in the same session
            server.state = engine.state
        request = await _read(service, text, lengths, server, steps, inbox)
        if isinstance(request, bytes):
            await _send_text(websocket, request)
            continue
        if is_guest and isinstance(request, Close):
            await websocket.close()
            return
        text = text if type(request) is Step else ""  # a reset may be long, and is not read again
        reply = await _execute(service, session, engine, inbox, request)
        if isinstance(request, Close) or isinstance(reply, Closed):
            await websocket.close()
            return
        body = await off_loop(_encoded, server, reply)
        if isinstance(reply, Failed) and reply.code == InvalidActionError.code:  # in the worker
            body = await inbox.watch(steps.instead(text, body, server))
        if len(body) > limit:
            body = server.refuse(reply_too_long(len(body), limit))
        await _send_text(websocket, body)
        if engine.is_lost:
            if not service.sessions.is_draining:
                await websocket.close(1011)
            return


async def _read(
    service: Service,
    text: Text,
    lengths: Lengths,
    server: ServerSession,
    steps: McpSteps,
    inbox: Inbox,
) -> Request | bytes:
    """The request in a message, or the answer to a message that is none."""
    try:
        lengths.check_json(text)
        return await off_loop(server.receive, text)
    except OpenEnvGymError as exc:
        service.monitor.refused(exc)
        body = server.refuse(exc)
        if isinstance(exc, TooLongError):  # which is not read
            return body
        return await inbox.watch(steps.instead(text, body, server))


def _encoded(server: ServerSession, reply: Reply) -> bytes:
    try:
        return bytes(server.send(reply))
    except RemoteEnvError as exc:  # an observation not of its space, or a frame that is none
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
    """What the query of the URL asks for: Gymnasium's view, many sub-environments, pictures.

    Raises:
        InvalidRequestError: ``num_envs`` is no number.
    """
    number = query.get("num_envs")
    if number is not None and not number.isdecimal():
        raise InvalidRequestError(f"num_envs: expected a number in the URL, got {number[:40]!r}")
    return Open(
        render_mode=query.get("render_mode"),
        is_typed=query.get(VIEW_PARAMETER) != GYMNASIUM_VIEW,
        num_envs=None if number is None else int(number[:9]),
        vectorization=query.get("vectorization", "auto"),
        autoreset_mode=query.get("autoreset_mode", "NextStep"),
    )


async def _send_text(websocket: WebSocket, body: bytes) -> None:
    await websocket.send_text(body.decode())
