"""A session, seen from either end: requests and replies in order, matched, and legal.

Neither end touches a socket. The same two classes run over the memory, a worker's stream and a
WebSocket, in binary and in JSON; the codec of the messages is an argument.
"""

from __future__ import annotations

from typing import Any, Protocol

from openenv_gym.errors import ConnectionLostError, OpenEnvGymError, ProtocolError
from openenv_gym.protocol.events import Reply, Request, Step, failure
from openenv_gym.protocol.framing import Body
from openenv_gym.protocol.states import TRANSITIONS, Outcome, Row, SessionState, outcome_of, refusal

_SEQ_MODULUS = 1 << 32


class ClientCodec(Protocol):
    """Writes requests, reads replies."""

    def encode_request(self, seq: int, request: Request) -> Body:
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
    """What both ends share: the state, and the one request that is under way.

    Attributes:
        state: Where the session stands.
        under_way: The class of the request that has no reply yet; None where there is none. This
            is the one place that says so: nobody else keeps a note of it.
        why_ended: What there is to say of an episode that was over with its reset; "" else.
    """

    def __init__(self, state: SessionState) -> None:
        self.state = state
        self.under_way: type[Any] | None = None
        self._row: Row = {}  # what the reply to it means
        self._why_broken = ""
        self.why_ended = ""

    def _refusal(self, kind: type[Any]) -> OpenEnvGymError:
        if self.under_way is not None:
            return ProtocolError("a request is still under way; wait for its reply")
        return refusal(self.state, kind, self._why_broken, self.why_ended)

    def _end(self, reply: Reply) -> None:
        if self.state is SessionState.BROKEN:  # by another thread, while the reply was waited for
            raise ConnectionLostError(f"the reply came too late, because {self._why_broken}")
        if self.under_way is None:
            raise ProtocolError(f"a {type(reply).__name__} came that nobody asked for")
        self.state = self._row[outcome_of(reply)]
        self.under_way = None


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

    def send(self, request: Request) -> Body:
        """Return the body to send for ``request``.

        Raises:
            ResetNeededError: a step where there is no episode.
            ConnectionLostError: the session is broken.
            ProtocolError: the request is not legal now.
            InvalidRequestError: it cannot be encoded. The session is as before in each case.
        """
        kind = type(request)
        row = TRANSITIONS.get((self.state, kind))
        if row is None or self.under_way is not None:
            raise self._refusal(kind)
        self._row, self.under_way = row, kind
        try:
            self._seq = (self._seq + 1) % _SEQ_MODULUS
            return self._codec.encode_request(self._seq, request)
        except BaseException:
            self.under_way = None
            raise

    def take_back(self) -> None:
        """Forget the request under way, which was not sent."""
        self.under_way = None

    def fail(self, why: str) -> None:
        """Take the session for broken: its connection failed, or is given up.

        Args:
            why: What happened, as in "because ...". The first reason stays.
        """
        if self.state is not SessionState.BROKEN:
            self._why_broken = why
            self.state = SessionState.BROKEN
        self.under_way = None

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

    def receive(self, body: Body | bytearray | str) -> Request:
        """Return the request in ``body``; it must be answered by :meth:`send`.

        Raises:
            OpenEnvGymError: the request is malformed or not legal now; it is to be answered by
                :meth:`refuse`, and the session is as before.
        """
        self._seq, request = self._codec.decode_request(body)
        kind = type(request)
        row = TRANSITIONS.get((self.state, kind))
        if row is None or self.under_way is not None:
            raise self._refusal(kind)
        self._row, self.under_way = row, kind
        return request

    def send(self, reply: Reply) -> bytes:
        """Return the body of the reply to the request under way."""
        body = self._codec.encode_reply(self._seq, reply)
        self._end(reply)
        return body

    def note_end(self) -> None:
        """Note that a step has ended the episode, whose reply somebody else has sent."""
        self.state = TRANSITIONS[self.state, Step][Outcome.ENDS]

    def refuse(self, error: OpenEnvGymError, seq: int = 0) -> bytes:
        """Return the body that answers a request that :meth:`receive` refused.

        Args:
            error: What it raised.
            seq: The number of the request, where it can be read from its body.
        """
        return self._codec.encode_reply(seq, failure(error))
