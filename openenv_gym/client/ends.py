"""What the end of a WebSocket means: a fault, or a message that was too long for one end."""

from __future__ import annotations

from websockets.frames import Close

from openenv_gym.errors import (
    ConnectionLostError,
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
)
from openenv_gym.faults import fault_of_close
from openenv_gym.protocol.websocket_frames import MESSAGE_TOO_BIG, FrameError
from openenv_gym.texts import quoted


def closed_by_peer(peer: str, closed: Close) -> OpenEnvGymError:
    """Return the error for a connection that the peer closed.

    A length is no fault: in a new session the same message would be as long.
    """
    text = f"{peer} closed the connection: {closed.code} {quoted(closed.reason)}"
    if closed.code == MESSAGE_TOO_BIG:
        return InvalidRequestError(f"{text}; the last message was longer than it takes")
    return ConnectionLostError(text, fault=fault_of_close(closed.code))


def unreadable(peer: str, exc: ProtocolError) -> OpenEnvGymError:
    """Return the error for what a peer sent against the rules of frames."""
    is_long = isinstance(exc, FrameError) and exc.close_code == MESSAGE_TOO_BIG
    if is_long:
        return InvalidRequestError(
            f"{peer}: {exc}; to have it, pass options=WebSocketOptions(max_message_bytes=...)"
        )
    return ConnectionLostError(f"{peer}: {exc}")
