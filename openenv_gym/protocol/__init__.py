"""The sans-I/O protocol: bytes come in as arguments, bytes and events go out.

The JSON messages are in :mod:`openenv_gym.protocol.json_messages` and are not imported here,
because a worker, which speaks binary only, does without pydantic.
"""

from openenv_gym.protocol.binary_messages import SUBPROTOCOL, BinaryMessages
from openenv_gym.protocol.events import (
    GYMNASIUM_VIEW,
    NO_TIME_LIMIT,
    VIEW_PARAMETER,
    BatchResult,
    Close,
    Closed,
    Failed,
    GetState,
    Open,
    Opened,
    Part,
    Recovery,
    Render,
    Rendered,
    Reply,
    Request,
    Reset,
    Result,
    StateReply,
    Step,
    Use,
    Used,
    failure,
)
from openenv_gym.protocol.framing import Body, FrameReader, frame, frame_header
from openenv_gym.protocol.session import ClientSession, ServerSession
from openenv_gym.protocol.states import SessionState

__all__ = [
    "GYMNASIUM_VIEW",
    "NO_TIME_LIMIT",
    "SUBPROTOCOL",
    "VIEW_PARAMETER",
    "BatchResult",
    "BinaryMessages",
    "Body",
    "ClientSession",
    "Close",
    "Closed",
    "Failed",
    "FrameReader",
    "GetState",
    "Open",
    "Opened",
    "Part",
    "Recovery",
    "Render",
    "Rendered",
    "Reply",
    "Request",
    "Reset",
    "Result",
    "ServerSession",
    "SessionState",
    "StateReply",
    "Step",
    "Use",
    "Used",
    "failure",
    "frame",
    "frame_header",
]
