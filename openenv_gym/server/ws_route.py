"""``/ws``: OpenEnv's JSON, or our binary protocol where the client asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from openenv_gym.errors import CapacityError, OpenEnvGymError, ProtocolError, RemoteEnvError
from openenv_gym.protocol import (
    SUBPROTOCOL,
    BinaryMessages,
    Close,
    Closed,
    Open,
    ServerSession,
    SessionState,
    failure,
)
from openenv_gym.protocol.binary_messages import CLOSED, OPENED, sequence_of
from openenv_gym.protocol.json_messages import JsonServerMessages
from openenv_gym.server.engine import Engine
from openenv_gym.server.service import Service
from openenv_gym.server.sessions import Session
from openenv_gym.server.wakeful import Wakeful
from openenv_gym.wire.messages import error_data, error_message

RETRY_AFTER_S = 5


async def websocket_endpoint(websocket: WebSocket, service: Service) -> None:
    """Serve one session, from the handshake to the goodbye."""
    is_binary = SUBPROTOCOL in websocket.scope.get("subprotocols", ())
    try:
        session = await service.sessions.create()
    except CapacityError as exc:
        await _refuse(websocket, exc)
        return
    except OpenEnvGymError as exc:
        await websocket.accept()
        await _send_text(websocket, error_message(str(exc), exc.code))
        await websocket.close(1011)
        return
    try:
        await websocket.accept(SUBPROTOCOL if is_binary else None)
        serve = _serve_binary if is_binary else _serve_json
        await serve(websocket, service, session)
    except WebSocketDisconnect:
        # The client left while it was being answered: there is nobody to tell.
        return
    finally:
        await service.sessions.end(session)


async def _refuse(websocket: WebSocket, exc: CapacityError) -> None:
    """Answer the handshake with 503: an error after it never reaches a stock client's user."""
    body = error_data(str(exc), exc.code)
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    await websocket.send_denial_response(JSONResponse(body, 503, headers))


async def _serve_binary(websocket: WebSocket, service: Service, session: Session) -> None:
    """Pass bodies through, once the environment that is served here is open.

    Until then every request is read: what is opened is the server's to say, not the client's.
    """
    receive = _receiver(websocket, service.wakeful)
    backend = session.backend
    is_open = False
    while (body := await receive()) is not None:
        if isinstance(body, str):
            await websocket.close(1003, f"{SUBPROTOCOL} has binary messages only")
            return
        try:
            if not is_open:
                body = _admitted(service, body)
            service.wakeful.expect()
            reply = await backend.request(body)
            service.wakeful.hear()
        except OpenEnvGymError as exc:
            reply = BinaryMessages().encode_reply(sequence_of(body), failure(exc))
        is_open = is_open or reply[0] == OPENED
        await websocket.send_bytes(reply)
        if reply[0] == CLOSED:
            await websocket.close()
            return


def _admitted(service: Service, body: bytes) -> bytes:
    """A request that may open the environment, as the worker gets it.

    Raises:
        OpenEnvGymError: it is no ``open``, or not of what is served here.
    """
    messages = BinaryMessages()
    seq, request = messages.decode_request(body)
    if not isinstance(request, Open):
        raise ProtocolError(f"expected open as the first request, got {type(request).__name__}")
    return messages.encode_request(seq, service.settings.admit(request))


async def _serve_json(websocket: WebSocket, service: Service, session: Session) -> None:
    receive = _receiver(websocket, service.wakeful)
    engine = Engine(session.backend)
    try:
        await engine.open(service.settings.admit(Open()))
    except OpenEnvGymError as exc:
        await _send_text(websocket, error_message(str(exc), exc.code))
        await websocket.close(1011)
        return
    server = ServerSession(JsonServerMessages(service.view), SessionState.READY)
    while (text := await receive()) is not None:
        try:
            request = server.receive(text)
        except OpenEnvGymError as exc:
            await _send_text(websocket, server.refuse(exc))
            continue
        service.wakeful.expect()
        reply = await engine.execute(request)
        service.wakeful.hear()
        if isinstance(request, Close) or isinstance(reply, Closed):
            await websocket.close()
            return
        try:
            body = server.send(reply)
        except RemoteEnvError as exc:  # an observation that its own space does not describe
            body = server.send(failure(exc))
        await _send_text(websocket, body)


def _receiver(websocket: WebSocket, wakeful: Wakeful) -> Callable[[], Any]:
    async def receive() -> str | bytes | None:
        """The next message, None where the client has left."""
        wakeful.expect()
        message = await websocket.receive()
        wakeful.hear()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else data

    return receive


async def _send_text(websocket: WebSocket, body: bytes) -> None:
    await websocket.send_text(body.decode())
