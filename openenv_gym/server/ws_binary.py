"""Binary sessions of ``/ws``: opened here, passed through, and taken up on another connection.

A binary session has two phases. In the first one this task reads each request, because what is
opened is the server's to say and not the client's. When the environment is open, nothing is left to
decide: where the server is ours, a :class:`~openenv_gym.server.relay.Relay` passes the messages on
from then on, and this task only waits for the end. Under another ASGI server, or with the
environment in this process, the task goes on to pass each message on itself.

A session with a relay may outlive its connection. Its client is offered a token in the handshake
(:mod:`openenv_gym.protocol.resume`); when the connection is lost without a goodbye, the session is
kept for a while, and a handshake with the token takes it up. What becomes of a session whose
connection has ended is decided in :func:`release` alone.
"""

from __future__ import annotations

import asyncio

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from starlette.websockets import WebSocketState

from openenv_gym.codecs.count import check_values
from openenv_gym.errors import ConnectionLostError, OpenEnvGymError, ProtocolError
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Body, Close, Failed, Open, failure
from openenv_gym.protocol.binary_messages import (
    CLOSED,
    COMPACT,
    FAILED,
    HEADER_BYTES,
    OPENED,
    STEP,
    sequence_of,
)
from openenv_gym.protocol.limits import LIMIT_HEADER, limit_in, within
from openenv_gym.protocol.resume import ASK, RESUME_HEADER
from openenv_gym.server.backends import Backend
from openenv_gym.server.inbox import Inbox
from openenv_gym.server.lengths import Lengths
from openenv_gym.server.off_loop import off_loop
from openenv_gym.server.relay import Relay
from openenv_gym.server.relay_protocol import GOING_AWAY, RelayProtocol, connection_of
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session
from openenv_gym.server.tokens import owner_of
from openenv_gym.wire.messages import MAX_VALUES, error_data


async def serve_binary(
    websocket: WebSocket, service: Service, session: Session, inbox: Inbox
) -> None:
    """Pass bodies through once the environment that is served here is open."""
    backend = session.backend  # which the session gives up when it ends
    is_open, limit = False, limit_in(websocket.headers.get(LIMIT_HEADER))
    lengths = service.lengths()
    while (body := await inbox.next()) is not None:
        if isinstance(body, str):
            await websocket.close(1003, f"{SUBPROTOCOL} has binary messages only")
            return
        try:
            if not is_open:
                body, lengths = await off_loop(_admitted, service, body)
            else:
                await _check(service, lengths, body)
            reply = within(await inbox.watch(backend.request(body)), limit)
        except ConnectionLostError as exc:
            service.lost(exc, is_open)
            await _say_lost(websocket, service, session, body, exc)
            return
        except OpenEnvGymError as exc:
            service.monitor.refused(exc)
            reply = BinaryMessages().encode_reply(sequence_of(body), failure(exc))
        if not is_open and _has_opened(service, reply):
            is_open = True
            session.relay = _relay(websocket, service, backend, reply, lengths)
        await websocket.send_bytes(bytes(reply))
        if reply[0] == CLOSED:
            await websocket.close()
            return
        if session.relay is not None:
            await _serve_relayed(websocket, service, session, session.relay, inbox)
            return


async def take_up(websocket: WebSocket, service: Service, token: str) -> None:
    """Go on with the session whose connection was lost, on this connection."""
    connection = connection_of(websocket)
    session = None if connection is None else service.sessions.take_up(token, owner_of(websocket))
    if connection is None or session is None or session.relay is None:
        text = (
            "no session can be taken up with this token: it has ended, or the server was started "
            "anew; open another session"
        )
        body = error_data(text, ConnectionLostError.code)
        await websocket.send_denial_response(JSONResponse(body, 404))
        return
    inbox = Inbox(websocket, service, session)
    relay = session.relay
    is_over = relay.ended.done()  # the worker was lost while nobody was there to hear of it
    if not is_over:
        relay.attach(connection)
    try:
        await _accept(websocket, service, session)
        if is_over:  # how it was lost is the answer to the first request, whatever that is
            await inbox.has_first()
        await _serve_relayed(websocket, service, session, relay, inbox)
    except WebSocketDisconnect:  # it was lost again
        inbox.was_lost = True
    finally:
        inbox.close()
        await release(websocket, service, session, inbox)


async def release(websocket: WebSocket, service: Service, session: Session, inbox: Inbox) -> None:
    """End a session with its connection, or keep it for a while where that was lost."""
    relay = session.relay
    if relay is None or session.resumption is None or relay.ended.done():
        await service.sessions.end(session)
    elif relay.connection is not connection_of(websocket):
        return  # the client has already taken the session up on another connection
    elif inbox.was_lost:
        relay.detach()
        service.sessions.keep(session)
    else:
        await service.sessions.end(session)


async def say_draining(websocket: WebSocket, service: Service) -> None:
    """Tell a client that is still there why there are no more answers."""
    if service.sessions.is_draining and websocket.application_state is WebSocketState.CONNECTED:
        await websocket.close(GOING_AWAY, "server_draining")


async def accept_binary(websocket: WebSocket, service: Service, session: Session) -> None:
    """Accept the client of a new session, and offer to resume it where that will be possible."""
    is_relayed = service.backends.are_relayable and _connection_to_relay(websocket) is not None
    if websocket.headers.get(RESUME_HEADER) == ASK and is_relayed:
        service.sessions.offer_resumption(session)
    await _accept(websocket, service, session)


async def _accept(websocket: WebSocket, service: Service, session: Session) -> None:
    headers, offer = said_at_handshake(service), session.resumption
    if offer is not None:
        headers.append((RESUME_HEADER.lower().encode(), offer.header().encode()))
    await websocket.accept(SUBPROTOCOL, headers)


def said_at_handshake(service: Service) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell every client how long its messages may be."""
    return [(LIMIT_HEADER.lower().encode(), str(service.takes_bytes).encode())]


def _relay(
    websocket: WebSocket, service: Service, backend: Backend, opened: Body, lengths: Lengths
) -> Relay | None:
    """What passes bodies on without this task from now on; None where that cannot be."""
    connection = _connection_to_relay(websocket)
    if connection is None or backend.relayable is None:
        return None
    limit = limit_in(websocket.headers.get(LIMIT_HEADER))
    relay = Relay(backend.relayable, service.busy_poll, opened, limit, lengths.step_bytes)
    relay.attach(connection)
    return relay


def _connection_to_relay(websocket: WebSocket) -> RelayProtocol | None:
    """The connection, where a relay can have it: other ASGI servers do not offer it."""
    connection = connection_of(websocket)
    return connection if connection is not None and connection.can_be_taken_over else None


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


async def _serve_relayed(
    websocket: WebSocket, service: Service, session: Session, relay: Relay, inbox: Inbox
) -> None:
    """Wait for the end of a session that needs this task no more."""
    session.on_drain = relay.drain
    if service.sessions.is_draining:
        relay.drain()
    # What uvicorn had read before the relay took the connection over is in its queue, and comes
    # here. Later only the end of the connection does.
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
        relay.pass_on(body)
    lost = relay.ended.result()
    if lost is None:
        await say_draining(websocket, service)
        if websocket.application_state is WebSocketState.CONNECTED:
            await websocket.close()
    else:
        await _say_lost(websocket, service, session, lost, await relay.backend.loss())


def _has_opened(service: Service, reply: Body) -> bool:
    """Whether a reply says that the environment is open; the service notes what it says."""
    if reply[0] == OPENED:
        service.opened()
        return True
    said = BinaryMessages().decode_reply(reply)[1] if reply[0] == FAILED else None
    if isinstance(said, Failed):
        service.failed_to_open(said.to_exception())
    return False


def _admitted(service: Service, body: bytes) -> tuple[Body, Lengths]:
    """The request in ``body``, which may open the environment, as the worker gets it.

    Beside it stands what further messages may be.

    Raises:
        OpenEnvGymError: it is too long, or no ``open``, or not of what is served here.
    """
    check_values(memoryview(body)[HEADER_BYTES:], MAX_VALUES)
    messages = BinaryMessages()
    seq, request = messages.decode_request(body)
    lengths = service.lengths()
    if isinstance(request, Close):
        return body, lengths
    if not isinstance(request, Open):
        raise ProtocolError(f"expected open as the first request, got {type(request).__name__}")
    admitted = service.settings.admit(request, service.description)
    return messages.encode_request(seq, admitted), service.lengths(admitted.num_envs)


async def _check(service: Service, lengths: Lengths, body: bytes) -> None:
    """Pass if a message to an environment that is open may be passed on.

    Where the environment lives in this process, the message will be read here.

    Raises:
        OpenEnvGymError: it is too long, or has too many values.
    """
    is_step, is_compact = body[:1] == bytes((STEP,)), body[1:2] == bytes((COMPACT,))
    if is_step:
        lengths.check_step(len(body))
    if service.settings.isolation != "process" and not (is_step and is_compact):
        start = HEADER_BYTES + (_SIZE_BYTES if is_step else 0)
        await off_loop(check_values, memoryview(body)[start:], MAX_VALUES)


_SIZE_BYTES = 4
"""The length that stands before an action in free form."""
