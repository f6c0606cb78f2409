"""The transport over a WebSocket, on TCP, TLS or a Unix socket.

It blocks in the thread of the caller: there is no event loop and no thread hop between a step and
its reply. While the caller computes, one daemon thread answers the pings of all idle sockets
(:mod:`openenv_gym.client.keepalive`). Two threads may so want to read from one socket. The flag
``_is_waiting``, set and read under a lock, says that the caller reads; the daemon then leaves the
socket alone. The lock is held while the flag changes, while the daemon reads and while a goodbye is
said, and never while the caller waits for a reply.

Two parsers share the bytes. ``websockets`` does the handshake, pings and the closing; whole data
frames are cut out before it by :mod:`openenv_gym.protocol.websocket_frames`, which is much faster.

A connection that is lost need not be the end of the session. A server of ours hands out a token in
the handshake and keeps the session for a while after a loss; whoever comes back with the token has
it again (:meth:`WebSocketTransport.resume`). A close frame tells which losses are final: only the
codes of a proxy that goes away, or of pings that do not come through, are worth another try.
"""

from __future__ import annotations

import contextlib
import math
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.uri import parse_uri

from openenv_gym.address import Address
from openenv_gym.client.dial import dial
from openenv_gym.client.ends import closed_by_peer, unreadable
from openenv_gym.client.handshake import (
    HANDSHAKES,
    add_headers,
    await_response,
    is_resuming,
    left_s,
    redirect_of,
    refused_handshake,
)
from openenv_gym.client.keepalive import KEEPALIVE
from openenv_gym.client.redirects import Stop, follow
from openenv_gym.client.resume import LONGEST_GRACE_S, keep_trying, note_reached
from openenv_gym.client.transport import Transport
from openenv_gym.errors import (
    ConnectionLostError,
    InvalidRequestError,
    NotOpenEnvError,
    ProtocolError,
    TransportError,
    UnreachableError,
)
from openenv_gym.protocol import Body
from openenv_gym.protocol.limits import (
    LIMIT_HEADER,
    MAX_MESSAGE_BYTES,
    REPLY_ALLOWANCE_BYTES,
    limit_in,
)
from openenv_gym.protocol.resume import ASK, RESUME_HEADER, Resumption, resumption_in
from openenv_gym.protocol.websocket_frames import BINARY, TEXT, FrameSplitter, client_frame
from openenv_gym.sockets import BlockingSocket
from openenv_gym.spaces.budget import MAX_SPACE_BYTES

_RESUMABLE_CLOSE_CODES = {1001, 1011}
"""A proxy that goes away, and a server to which pings and pongs do not come through."""
CONTROL_TIMEOUT_S = 1.0
"""How long a peer may take nothing while it is sent a pong or a goodbye."""


@dataclass(frozen=True, kw_only=True)
class WebSocketOptions:
    """How a WebSocket is opened.

    Attributes:
        connect_timeout_s: The longest time to open a connection, with TLS, the handshake and all
            redirects; and for the whole answer to a request over HTTP. In seconds.
        max_message_bytes: A longer message from the server is refused. A server of ours is told,
            and answers with an error in place of a longer one. None for what observations need, and
            beside it 32 MiB and 8 for each sub-environment, which the server is not told.
        max_space_bytes: What the spaces of a server may take, all together, in bytes; those that
            take more are refused. None for no limit.
        headers: Sent with the handshake, such as ``Authorization``.
        ssl_context: The TLS context for ``wss`` and ``https``. Unless given, the system's
            certificates are trusted, as they are when first needed.
        resume_timeout_s: How long to try to take up a session again whose connection was lost;
            None for as long as the server keeps it, an hour at most; 0 for not at all.
        redirect_hosts: Names of other hosts to which redirects are followed, without ``headers``
            and credentials. On the host of the address they are followed anyway.

    Raises:
        InvalidRequestError: ``resume_timeout_s`` is no time, a limit no number of bytes, or
            ``redirect_hosts`` is one text.
    """

    connect_timeout_s: float = 10.0
    max_message_bytes: int | None = None
    max_space_bytes: int | None = MAX_SPACE_BYTES
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # which may be secret
    ssl_context: ssl.SSLContext | None = None
    resume_timeout_s: float | None = None
    redirect_hosts: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        hosts = self.redirect_hosts
        if isinstance(hosts, str):
            raise InvalidRequestError(f"redirect_hosts: expected a list of names, got {hosts!r}")
        for name in ("max_message_bytes", "max_space_bytes"):
            limit = getattr(self, name)
            if limit is not None and (type(limit) is not int or limit < 1):
                raise InvalidRequestError(f"{name}: expected bytes from 1, got {limit!r:.80}")
        if self.resume_timeout_s is not None and not 0 <= self.resume_timeout_s < math.inf:
            raise InvalidRequestError(
                "resume_timeout_s: expected seconds, 0 for never, or None for as long as the "
                f"server keeps a session, got {self.resume_timeout_s!r}"
            )

    @property
    def longest_message(self) -> int:
        """The longest message that is ever taken, in bytes, whatever the environment needs."""
        return self.max_message_bytes or MAX_MESSAGE_BYTES

    def __deepcopy__(self, memo: dict[int, object]) -> WebSocketOptions:
        """Return a copy with the same TLS context, of which there is no copy."""
        return replace(self, headers=dict(self.headers))


class WebSocketTransport(Transport):
    """Bodies as messages: binary with the subprotocol, text without.

    Args:
        address: The address of the server.
        subprotocol: What to ask for; None speaks OpenEnv's JSON.
        options: How the connection is opened.
        query: What follows the URL, such as ``?view=gymnasium``.

    Raises:
        UnreachableError: nobody answers there.
        AuthenticationError: who answers there wants another token.
        NotOpenEnvError: who answers there has no OpenEnv WebSocket, or not this subprotocol.
        CapacityError: the server has no free session.
    """

    def __init__(
        self,
        address: Address,
        subprotocol: str | None,
        options: WebSocketOptions,
        query: str = "",
    ) -> None:
        self._is_closed = True  # until it is open
        self._opcode = TEXT if subprotocol is None else BINARY
        self._place, self._subprotocol = Stop.of(address, "ws", query), subprotocol
        self._options = options
        self.max_message_bytes = options.max_message_bytes or REPLY_ALLOWANCE_BYTES
        self._messages: deque[Body] = deque()
        self._lock = threading.RLock()  # the collector may close it in the thread that holds it
        self._is_waiting = False
        self._is_over = False
        self._looks_again = True
        self._resumption: Resumption | None = None
        self.last_used_s = time.monotonic()
        # On a Unix socket there is nothing between that could lose a connection.
        asks = subprotocol is not None and address.socket_path is None
        is_wanted = asks and options.resume_timeout_s != 0
        self._open(ASK if is_wanted else None, options.connect_timeout_s)
        note_reached(str(self._place.address))
        self._is_closed = False
        KEEPALIVE.add(self)

    def _open(self, resume: str | None, timeout_s: float) -> None:
        """Connect.

        Args:
            resume: What to say of a session to be taken up; None says nothing.
            timeout_s: The longest time for TCP, TLS and the handshake together, in seconds.
        """
        longest_s = min(timeout_s, self._options.connect_timeout_s)
        end_s = time.monotonic() + longest_s  # of all redirects together
        ask = partial(self._open_at, options=self._options, resume=resume, end_s=end_s)
        # A session is taken up again at the place where it is, and not where one was redirected.
        self._place = follow(self._place, ask, self._options.redirect_hosts)

    def _open_at(
        self, place: Stop, options: WebSocketOptions, resume: str | None, end_s: float
    ) -> str | None:
        """Connect to one place; return where the answer redirects to, None where it does not."""
        address, wanted = place.address, self._subprotocol
        self._splitter = FrameSplitter(self.max_message_bytes, in_place=self._opcode == BINARY)
        sock = dial(address, left_s(end_s), options.ssl_context)
        self._socket = BlockingSocket(sock, str(address))
        self._socket.looks_again = self._looks_again
        self._protocol = ClientProtocol(
            parse_uri(place.ws_url),
            # websockets has a type of its own for names of subprotocols, which are text.
            subprotocols=None if wanted is None else [wanted],  # type: ignore[list-item]
            max_size=None,  # the splitter has the limit
            logger=HANDSHAKES,
        )
        location = None
        try:
            location = self._shake_hands(place, options, resume, end_s)
            if location is None and wanted is not None and self._protocol.subprotocol != wanted:
                raise NotOpenEnvError(f"{address} does not speak {wanted}; use codec='json'")
        except BaseException:
            self._socket.close()
            raise
        if location is not None:
            self._socket.close()
        return location

    @property
    def is_closed(self) -> bool:
        """Whether it was closed here."""
        return self._is_closed

    @property
    def can_resume(self) -> bool:
        """Whether the session may be there still when the connection is lost."""
        return self._resumption is not None and not self._is_over and not self._is_closed

    def resume(self, since_s: float) -> None:
        """Connect again to the same session; nothing that was sent before is sent again.

        Args:
            since_s: When the connection was lost first, by ``time.monotonic``.

        Raises:
            ConnectionLostError: the session is gone, or was not reached in time.
        """
        assert self._resumption is not None
        token, grace_s = self._resumption
        longest_s = self._options.resume_timeout_s
        grace_s = min(grace_s, LONGEST_GRACE_S if longest_s is None else longest_s)
        with self._lock:
            was_waiting, self._is_waiting = self._is_waiting, True
            self._socket.close()
        try:
            keep_trying(
                lambda timeout_s: self._open(token, timeout_s),
                str(self._place.address),
                since_s + grace_s,
            )
        except BaseException:
            self._is_over = True
            raise
        self._is_waiting = was_waiting
        self.last_used_s = time.monotonic()

    def send(self, body: Body, timeout_s: float | None = None) -> None:
        """Send one message."""
        with self._lock:  # held by the keepalive thread while it looks after this socket
            self._is_waiting = True
        # It came with the last reply, or while idle; an error that came with it is told first.
        if not self._messages:
            self._check_open()
        self._socket.send(client_frame(self._opcode, body), timeout_s=timeout_s)

    def receive(self, timeout_s: float | None) -> Body:
        """Wait for one message."""
        if not self._messages:
            self._socket.receive_until(self._take_in, timeout_s, self._splitter.room)
        self.last_used_s = time.monotonic()
        self._is_waiting = False
        return self._messages.popleft()

    def bound_replies(self, max_bytes: int) -> None:
        """Take no longer message from now on, unless the options say how long one may be."""
        if self._options.max_message_bytes is None:
            self.max_message_bytes = min(max_bytes, MAX_MESSAGE_BYTES)
            self._splitter.max_message_bytes = self.max_message_bytes

    def close(self) -> None:
        """Close the connection, with a closing frame where the socket still takes it."""
        if sys.is_finalizing():  # after KEEPALIVE.close_all; its thread may have died in the lock
            self._is_closed = True
            self._socket.close()
            return
        with self._lock:
            self._say_goodbye()

    def __del__(self) -> None:
        # Without a goodbye the server would keep the session for a while.
        if not self._is_closed and not sys.is_finalizing():
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        self._is_closed = True
        with contextlib.suppress(TransportError, InvalidState):
            self._protocol.send_close(1000)
            self._flush()
        self._socket.close()

    def has_hung_up(self) -> bool:
        """Whether the peer is known to be gone."""
        return self._socket.has_hung_up()

    def sleep_at_once(self) -> None:
        """Leave the core to others while nothing comes."""
        self._looks_again = self._socket.looks_again = False

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def look_after(self) -> None:
        """Answer pings, if nobody is waiting for a reply; called by the keepalive thread."""
        with self._lock:
            if self._is_waiting or self._is_closed:
                return
            data = self._socket.receive_nowait()
            if data:
                self._take_in(data)

    def forget(self) -> None:
        """In a forked child: the socket is closed, and who held the lock is not here."""
        self._lock = threading.RLock()
        self._is_closed = True

    def _take_in(self, data: Body) -> bool:
        """Take in what was read; return whether there is a message."""
        try:
            messages, control = self._splitter.feed(data)
        except ProtocolError as exc:
            self._is_over = True  # asked again, the peer would say the same
            raise unreadable(self._socket.peer, exc) from exc
        self._messages.extend(messages)
        if control:
            self._protocol.receive_data(control)
            self._protocol.events_received()  # nobody reads them, and they would pile up
            self._flush()
        if not self._messages:
            self._check_open()
        return bool(self._messages)

    def _check_open(self) -> None:
        """Pass as long as the peer has not closed the connection."""
        closed = self._protocol.close_rcvd
        if closed is not None:
            self._is_over = closed.code not in _RESUMABLE_CLOSE_CODES
            raise closed_by_peer(self._socket.peer, closed)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # the empty one means the end of the stream
                self._socket.send(data, timeout_s=CONTROL_TIMEOUT_S)

    def _shake_hands(
        self, place: Stop, options: WebSocketOptions, resume: str | None, end_s: float
    ) -> str | None:
        """Open the WebSocket; return where the answer redirects to, None where it is open."""
        address = place.address
        request = self._protocol.connect()
        if place.is_own:
            add_headers(request.headers, address, options.headers)
        request.headers[LIMIT_HEADER] = str(options.longest_message)
        if resume is not None:
            request.headers[RESUME_HEADER] = resume
        self._protocol.send_request(request)
        try:
            self._flush()
            response, rest = await_response(self._protocol, self._socket, end_s)
        except ConnectionLostError as exc:
            if isinstance(exc.__cause__, (ConnectionResetError, BrokenPipeError)):
                # A process that is dying closes its sessions before it stops to listen.
                raise UnreachableError(
                    f"{address} took the connection and broke it off; is the server running, "
                    "and is the address right?"
                ) from exc
            raise NotOpenEnvError(
                f"{address} closed the connection instead of opening a WebSocket"
            ) from exc
        refusal = self._protocol.handshake_exc
        if response is None or refusal is not None:
            if (location := redirect_of(refusal)) is None:
                raise refused_handshake(address, refusal, is_resuming(resume))
            return location
        self.takes_bytes = limit_in(response.headers.get(LIMIT_HEADER))
        self._take_offer(response.headers.get(RESUME_HEADER), resume)
        if rest:
            self._take_in(rest)
        return None

    def _take_offer(self, header: str | None, resume: str | None) -> None:
        """Note whether the session can be taken up again, or that it was.

        Raises:
            ConnectionLostError: it was not, and this is another session.
        """
        offer = resumption_in(header)
        if is_resuming(resume) and (offer is None or offer.token != resume):
            raise ConnectionLostError(f"{self._place.address} began another session")
        self._resumption = offer if resume is not None else None
