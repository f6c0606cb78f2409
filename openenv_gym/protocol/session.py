"""A session, seen from either end: requests and replies in order, matched, and legal.

Neither end touches a socket. The same two classes run over the memory, a worker's stream and a
WebSocket, in binary and in JSON; the codec of the messages is an argument.
"""

from __future__ import annotations

from typing import Any, Protocol

from openenv_gym.errors import OpenEnvGymError, ProtocolError
from openenv_gym.protocol.events import Reply, Request, failure
from openenv_gym.protocol.framing import Body
from openenv_gym.protocol.states import TRANSITIONS, Row, SessionState, outcome_of, refusal

_SEQ_MODULUS = 1 << 32


class ClientCodec(Protocol):
    """Writes requests, reads replies."""

    def encode_request(self, seq: int, request: Request) -> bytes:
        """Return the body of ``request``."""

    def decode_reply(self, body: Any, /) -> tuple[int | None, Reply]:
        """Return the number, None where the wire has none, and the reply in ``body``."""


class ServerCodec(Protocol):
    """Reads requests, writes replies."""

    def decode_request(self, body: Any, /) -> tuple[int | None, Request]:
        """Return the number, None where the wire has none, and the request in ``body``."""

    def encode_reply(self, seq: Any, reply: Reply) -> bytes:
        """Return the body of ``reply``."""


class _Session:
    """What both ends share: the state, and the one request that is under way."""

    def __init__(self, state: SessionState) -> None:
        self.state = state
        self._row: Row | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether a request has no reply yet."""
        return self._row is not None

    def _begin(self, kind: type[Any]) -> None:
        if self._row is not None:
            raise ProtocolError("a request is still under way; wait for its reply")
        row = TRANSITIONS.get((self.state, kind))
        if row is None:
            raise refusal(self.state, kind)
        self._row = row

    def _end(self, reply: Reply) -> None:
        if self._row is None:
            raise ProtocolError(f"a {type(reply).__name__} came that nobody asked for")
        self.state = self._row[outcome_of(reply)]
        self._row = None


class ClientSession(_Session):
    """The client's end.

    Args:
        codec: The codec of the messages.
        state: Where the session begins; a JSON session is open when its socket is.
    """

    def __init__(self, codec: ClientCodec, state: SessionState = SessionState.OPENING) -> None:
        super().__init__(state)
        self._codec = codec
        self._seq = 0

    @property
    def is_inferred(self) -> bool:
        """Whether the spaces of replies are what the client makes of schemas."""
        return getattr(self._codec, "is_inferred", False)

    def send(self, request: Request) -> bytes:
        """Return the body to send for ``request``.

        Raises:
            ResetNeededError: a step where there is no episode.
            ProtocolError: the request is not legal now.
            InvalidRequestError: it cannot be encoded. The session is as before in each case.
        """
        self._begin(type(request))
        try:
            self._seq = (self._seq + 1) % _SEQ_MODULUS
            return self._codec.encode_request(self._seq, request)
        except BaseException:
            self._row = None
            raise

    def receive(self, body: Body) -> Reply:
        """Return the reply in ``body``.

        Raises:
            ProtocolError: the body is no reply, or the reply to another request; the connection
                must not be used again.
        """
        seq, reply = self._codec.decode_reply(body)
        if seq is not None and seq != self._seq:
            raise ProtocolError(f"expected the reply to request {self._seq}, got that to {seq}")
        self._end(reply)
        return reply


class ServerSession(_Session):
    """The server's end.

    Args:
        codec: The codec of the messages.
        state: Where the session begins.
    """

    def __init__(self, codec: ServerCodec, state: SessionState = SessionState.OPENING) -> None:
        super().__init__(state)
        self._codec = codec
        self._seq: int | None = 0

    def receive(self, body: Body | str) -> Request:
        """Return the request in ``body``; it must be answered by :meth:`send`.

        Raises:
            OpenEnvGymError: the request is malformed or not legal now; it is to be answered by
                :meth:`refuse`, and the session is as before.
        """
        self._seq, request = self._codec.decode_request(body)
        self._begin(type(request))
        return request

    def send(self, reply: Reply) -> bytes:
        """Return the body of the reply to the request under way."""
        body = self._codec.encode_reply(self._seq, reply)
        self._end(reply)
        return body

    def refuse(self, error: OpenEnvGymError, seq: int = 0) -> bytes:
        """Return the body that answers a request that :meth:`receive` refused.

        Args:
            error: What it raised.
            seq: The number of the request, where it can be read from its body.
        """
        return self._codec.encode_reply(seq, failure(error))
