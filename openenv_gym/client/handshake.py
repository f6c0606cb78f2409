"""Who a client says that it is, and what the refusal of a handshake means."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Mapping, MutableMapping

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from openenv_gym.address import Address
from openenv_gym.client.redirects import redirect_in
from openenv_gym.credentials import TOKEN_VARIABLE, HidesSecrets
from openenv_gym.errors import (
    AuthenticationError,
    CapacityError,
    ConnectionLostError,
    NotOpenEnvError,
    OpenEnvGymError,
)
from openenv_gym.protocol import Body
from openenv_gym.protocol.resume import ASK
from openenv_gym.sockets import BlockingSocket
from openenv_gym.texts import quoted
from openenv_gym.wire.error_codes import with_way_out

MAX_HANDSHAKE_BYTES = 64 * 2**10
_MAX_QUOTED_CHARS = 200

HANDSHAKES = logging.getLogger("websockets.client.openenv_gym")
"""Where ``websockets`` logs what is said in handshakes."""
HANDSHAKES.addFilter(HidesSecrets())


def is_resuming(resume: str | None) -> bool:
    """Return whether the header ``resume`` asks for a session that was there before."""
    return resume not in (None, ASK)


def add_headers(
    headers: MutableMapping[str, str], address: Address, given: Mapping[str, str]
) -> None:
    """Add the credentials in ``address`` and the headers that the caller gave, which win."""
    secret = "" if address.token is None else address.token.reveal()
    if any(name.lower() == "authorization" for name in given):
        pass
    elif address.username is not None:
        credentials = base64.b64encode(f"{address.username}:{secret}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    elif secret:
        headers["Authorization"] = f"Bearer {secret}"
    for name, value in given.items():
        headers[name] = value


def unauthenticated(address: Address, text: str) -> AuthenticationError:
    """Return the error for an answer with the status 401.

    Args:
        address: The address of the server.
        text: What it answers.
    """
    return AuthenticationError(
        f"{address} does not let this client in (HTTP 401): "
        f"{quoted(text.strip(), _MAX_QUOTED_CHARS)}; "
        f"give token=, or set {TOKEN_VARIABLE}"
    )


def redirect_of(exc: Exception | None) -> str | None:
    """Return where the answer to a handshake redirects to, None where it does not.

    Args:
        exc: What ``websockets`` made of the response.
    """
    if not isinstance(exc, InvalidStatus):
        return None
    return redirect_in(exc.response.status_code, exc.response.headers.get("Location"))


def await_response(
    protocol: ClientProtocol, sock: BlockingSocket, end_s: float
) -> tuple[Response | None, bytes]:
    """Read the response to the handshake; return it, and what came behind it.

    Args:
        protocol: The client's end of the WebSocket, which has sent its request.
        sock: What it goes over.
        end_s: When it is too late, by ``time.monotonic``.

    Returns:
        None in place of a response that opens no WebSocket: ``protocol.handshake_exc`` says why.

    Raises:
        NotOpenEnvError: the headers have no end.
        TransportError: the connection broke, or the response did not come in time.
    """
    received = bytearray()

    def take_in(data: Body) -> bool:
        nonlocal received
        received += data
        if len(received) > MAX_HANDSHAKE_BYTES:
            raise NotOpenEnvError(f"{sock.peer} answers the handshake without an end")
        return b"\r\n\r\n" in received

    def take_in_refusal(data: Body) -> bool:
        protocol.receive_data(bytes(data))
        return protocol.handshake_exc is not None

    sock.receive_until(take_in, left_s(end_s))
    # Frames may follow in the same segment: they are the splitter's, not the protocol's.
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    protocol.receive_data(head + b"\r\n\r\n")
    for event in protocol.events_received():
        if isinstance(event, Response):
            return event, rest
    protocol.receive_data(rest)
    if protocol.handshake_exc is None:
        sock.receive_until(take_in_refusal, left_s(end_s))
    return None, b""


def left_s(end_s: float) -> float:
    """Return how long it is until ``end_s``, in seconds, at least a moment."""
    return max(0.001, end_s - time.monotonic())


def refused_handshake(address: Address, exc: Exception | None, is_resumed: bool) -> OpenEnvGymError:
    """Return the error for a handshake that did not open a WebSocket.

    Args:
        address: The address of the server.
        exc: What ``websockets`` made of the response.
        is_resumed: Whether the handshake asked for a session that was there before.
    """
    if not isinstance(exc, InvalidStatus):
        return NotOpenEnvError(f"expected a WebSocket at {address.ws_url}, got: {quoted(str(exc))}")
    status = exc.response.status_code
    body = bytes(exc.response.body or b"")[: 4 * _MAX_QUOTED_CHARS]
    text = quoted(body.decode(errors="replace"), _MAX_QUOTED_CHARS)
    if status == 401:
        return unauthenticated(address, text)
    if status == 404 and is_resumed:
        return ConnectionLostError(f"{address} does not have it any more (HTTP 404)")
    if status == 503:
        said = f"{address} has no free session (HTTP 503): {text}"
        return CapacityError(with_way_out(said, CapacityError.code))
    return NotOpenEnvError(f"expected a WebSocket at {address.ws_url}, got HTTP {status}: {text}")
