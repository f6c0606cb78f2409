"""``/ws``: OpenEnv's JSON, or our binary protocol where the client asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from starlette.websockets import WebSocketState

from openenv_gym.errors import (
    CapacityError,
    ConnectionLostError,
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    RemoteEnvError,
    UnknownEnvironmentError,
)
from openenv_gym.protocol import (
    GYMNASIUM_VIEW,
    SUBPROTOCOL,
    VIEW_PARAMETER,
    BinaryMessages,
    Body,
    Close,
    Closed,
    Open,
    ServerSession,
    SessionState,
    failure,
)
from openenv_gym.protocol.binary_messages import CLOSED, OPENED, sequence_of
from openenv_gym.protocol.json_messages import JsonServerMessages
from openenv_gym.server.backends import Backend
from openenv_gym.server.engine import Engine
from openenv_gym.server.process_backend import ProcessBackend
from openenv_gym.server.relay import EXTENSION, GOING_AWAY, Relay, RelayProtocol
from openenv_gym.server.service import Service
from openenv_gym.server.sessions import Session
from openenv_gym.server.wakeful import Wait
from openenv_gym.wire.messages import error_data, error_message
from openenv_gym.wire.typed import TypedView, view_for

T = TypeVar("T")

RETRY_AFTER_S = 5

FIRST_MESSAGE_S = 10.0
"""How long a client without a session may take until it asks for something."""

PATIENCE_S = 1.0
"""A request that takes longer is given up where its client has left."""


async def websocket_endpoint(websocket: WebSocket, service: Service) -> None:
    """Serve one session, from the handshake to the goodbye."""
    is_binary = SUBPROTOCOL in websocket.scope.get("subprotocols", ())
    if not is_binary and (session_id := websocket.query_params.get("session_id")) is not None:
        await _attend(websocket, service, session_id)
        return
    try:
        session = await service.sessions.create()
    except CapacityError as exc:
        await _refuse(websocket, exc, is_binary or VIEW_PARAMETER in websocket.query_params)
        return
    except OpenEnvGymError as exc:
        await _apologize(websocket, exc, is_binary)
        return
    inbox = _Inbox(websocket, service, session)
    session.on_drain = inbox.drain
    try:
        await websocket.accept(SUBPROTOCOL if is_binary else None)
        serve = _serve_binary if is_binary else _serve_json
        await serve(websocket, service, session, inbox)
        await _say_draining(websocket, service)
    except WebSocketDisconnect:
        # The client left while it was being answered: there is nobody to tell.
        return
    finally:
        inbox.close()
        await service.sessions.end(session)


async def _say_draining(websocket: WebSocket, service: Service) -> None:
    """Tell a client that is still there why there are no more answers."""
    if service.sessions.is_draining and websocket.application_state is WebSocketState.CONNECTED:
        await websocket.close(GOING_AWAY, "server_draining")


async def _attend(websocket: WebSocket, service: Service, session_id: str) -> None:
    """Take part in a session that was begun over HTTP or MCP, and leave it there at the goodbye."""
    episode = service.episodes.find(session_id)
    if episode is None:
        exc = UnknownEnvironmentError(
            f"session_id: no session has the id {session_id[:40]!r}, it may have expired; "
            "leave it out, and the connection has one of its own"
        )
        await _apologize(websocket, exc, is_binary=False)
        return
    session = episode.session
    inbox = _Inbox(websocket, service, session)
    session.expires = False
    try:
        await websocket.accept()
        await _converse(websocket, service, session, episode.engine, inbox, is_guest=True)
    except WebSocketDisconnect:
        # The client left while it was being answered: there is nobody to tell.
        return
    finally:
        session.expires = True
        service.sessions.find(session.session_id)  # it was in use until now
        inbox.close()


async def _refuse(websocket: WebSocket, exc: CapacityError, is_ours: bool) -> None:
    """Say that there is no session, so that it reaches the user.

    Our clients are told at the handshake, with 503. Of that a stock client would show its user the
    number and nothing else, and an error that it did not ask for one of 0.3 shows as a connection
    that was closed. Both show the answer to their first message.
    """
    if is_ours:
        body = error_data(str(exc), exc.code)
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        await websocket.send_denial_response(JSONResponse(body, 503, headers))
        return
    await websocket.accept()
    await _decline(websocket, exc, 1013)  # try again later


async def _decline(
    websocket: WebSocket, exc: OpenEnvGymError, code: int, inbox: _Inbox | None = None
) -> None:
    """Answer the first message of a JSON session that there is none, and close."""
    first = _next(websocket) if inbox is None else inbox.next()
    with contextlib.suppress(TimeoutError):
        if await asyncio.wait_for(first, FIRST_MESSAGE_S) is None:
            return
    with contextlib.suppress(WebSocketDisconnect):
        await _send_text(websocket, error_message(str(exc), exc.code, exc.fault))
        await websocket.close(code)


async def _next(websocket: WebSocket) -> Any:
    """The next message; None where the client has left."""
    message = await websocket.receive()
    return None if message["type"] == "websocket.disconnect" else message


async def _apologize(websocket: WebSocket, exc: OpenEnvGymError, is_binary: bool) -> None:
    """Say why there is no session, and close."""
    await websocket.accept(SUBPROTOCOL if is_binary else None)
    if not is_binary:
        await _decline(websocket, exc, 1011)
        return
    body = (await websocket.receive()).get("bytes") or b""
    await websocket.send_bytes(BinaryMessages().encode_reply(sequence_of(body), failure(exc)))
    await websocket.close(1011)


async def _serve_binary(
    websocket: WebSocket, service: Service, session: Session, inbox: _Inbox
) -> None:
    """Pass bodies through, once the environment that is served here is open.

    Until then every request is read: what is opened is the server's to say, not the client's.
    """
    backend = session.backend
    is_open = False
    while (body := await inbox.next()) is not None:
        if isinstance(body, str):
            await websocket.close(1003, f"{SUBPROTOCOL} has binary messages only")
            return
        try:
            if not is_open:
                body = _admitted(service, body)
            reply = await inbox.watch(backend.request(body))
        except ConnectionLostError as exc:
            await _say_lost(websocket, service, session, body, exc)
            return
        except OpenEnvGymError as exc:
            reply = BinaryMessages().encode_reply(sequence_of(body), failure(exc))
        relay = None
        if reply[0] == OPENED and not is_open:
            is_open, relay = True, _relay(websocket, service, backend)
        await websocket.send_bytes(bytes(reply))
        if reply[0] == CLOSED:
            await websocket.close()
            return
        if relay is not None:
            await _serve_relayed(websocket, service, session, inbox, relay)
            return


async def _say_lost(
    websocket: WebSocket,
    service: Service,
    session: Session,
    body: Body,
    exc: ConnectionLostError,
) -> None:
    """Answer the request in ``body``, which was lost with the worker, and close."""
    await service.sessions.end(session)  # first, so that who hears of it finds the slot free
    await websocket.send_bytes(BinaryMessages().encode_reply(sequence_of(body), failure(exc)))
    if not service.sessions.is_draining:
        await websocket.close(1011)


def _relay(websocket: WebSocket, service: Service, backend: Backend) -> Relay | None:
    """What passes bodies on without this task; None with other ASGI servers, and in process."""
    connection = _connection(websocket)
    if connection is None or not isinstance(backend, ProcessBackend):
        return None
    return Relay(connection, backend, service.wakeful) if connection.can_be_taken_over else None


def _connection(websocket: WebSocket) -> RelayProtocol | None:
    """What is below the application; None with other ASGI servers."""
    offer = (websocket.scope.get("extensions") or {}).get(EXTENSION)
    return None if offer is None else offer["connection"]


async def _serve_relayed(
    websocket: WebSocket, service: Service, session: Session, inbox: _Inbox, relay: Relay
) -> None:
    """Wait for the end of a session that needs this task no more."""
    session.on_drain = relay.drain
    if service.sessions.is_draining:
        relay.drain()
    while not relay.ended.done():
        incoming = asyncio.ensure_future(inbox.next())
        try:
            await asyncio.wait({incoming, relay.ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            incoming.cancel()
        if relay.ended.done():
            break
        body = incoming.result()
        if body is None:
            return
        relay.pass_on(body)  # it came before the relay began
    lost = relay.ended.result()
    if lost is None:
        await _say_draining(websocket, service)
        if websocket.application_state is WebSocketState.CONNECTED:
            await websocket.close()
    else:
        await _say_lost(websocket, service, session, lost, await relay.backend.loss())


def _admitted(service: Service, body: bytes) -> bytes:
    """A request that may open the environment, as the worker gets it.

    Raises:
        OpenEnvGymError: it is no ``open``, or not of what is served here.
    """
    messages = BinaryMessages()
    seq, request = messages.decode_request(body)
    if isinstance(request, Close):
        return body
    if not isinstance(request, Open):
        raise ProtocolError(f"expected open as the first request, got {type(request).__name__}")
    return messages.encode_request(seq, service.settings.admit(request))


async def _serve_json(
    websocket: WebSocket, service: Service, session: Session, inbox: _Inbox
) -> None:
    engine = Engine(session.backend)
    try:
        wanted = service.settings.admit(_asked(websocket.query_params))
        description = await inbox.watch(engine.open(wanted))
    except OpenEnvGymError as exc:
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
    inbox: _Inbox,
    view: TypedView | None = None,
    is_guest: bool = False,
) -> None:
    """Answer one message after the other; a guest's goodbye does not end the session."""
    server = ServerSession(JsonServerMessages(view or service.view), SessionState.READY)
    while (text := await inbox.next()) is not None:
        if is_guest:  # others play in the same session
            server.state = engine.state
        try:
            request = server.receive(text)
        except OpenEnvGymError as exc:
            await _send_text(websocket, server.refuse(exc))
            continue
        if is_guest and isinstance(request, Close):
            await websocket.close()
            return
        async with session.lock:
            reply = await inbox.watch(engine.execute(request))
        if isinstance(request, Close) or isinstance(reply, Closed):
            await websocket.close()
            return
        try:
            body = server.send(reply)
        except RemoteEnvError as exc:  # an observation that its own space does not describe
            body = server.send(failure(exc))
        if engine.is_lost:  # before that is said, so that who hears of it finds the slot free
            await service.sessions.end(session)
        await _send_text(websocket, body)
        if engine.is_lost:
            if not service.sessions.is_draining:
                await websocket.close(1011)
            return


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


class _Inbox:
    """What the client of a session sends; whether it has left is noticed in a long step, too."""

    def __init__(self, websocket: WebSocket, service: Service, session: Session) -> None:
        self._websocket = websocket
        self._service = service
        self._session = session
        self._ahead: asyncio.Task[Any] | None = None
        self._is_waiting = False
        self._for_client, self._for_worker = Wait(service.wakeful), Wait(service.wakeful)

    async def next(self) -> Any:
        """The next message, text or bytes; None where the client has left, or the server ends."""
        if self._service.sessions.is_draining:
            return None
        self._for_client.begin()
        self._is_waiting = True
        if self._ahead is None:
            message = await self._websocket.receive()
        else:
            message = await self._ahead
            self._ahead = None
        self._is_waiting = False
        self._for_client.end()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        return text if text is not None else message.get("bytes")

    async def watch(self, reply: Awaitable[T]) -> T:
        """Wait for ``reply``; end the session if the client leaves while it takes long."""
        timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._look_ahead)
        self._for_worker.begin()
        try:
            return await reply
        finally:
            self._for_worker.end()
            timer.cancel()

    def drain(self) -> None:
        """Wait for no further message; what is being answered is answered."""
        connection = _connection(self._websocket)
        if self._is_waiting and connection is not None:
            connection.wake()

    def close(self) -> None:
        """Look for nothing more."""
        if self._ahead is not None:
            self._ahead.cancel()

    def _look_ahead(self) -> None:
        if self._ahead is None:
            self._ahead = asyncio.get_running_loop().create_task(self._take_ahead())

    async def _take_ahead(self) -> Any:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            await self._service.sessions.end(self._session)
        return message


async def _send_text(websocket: WebSocket, body: bytes) -> None:
    await websocket.send_text(body.decode())
