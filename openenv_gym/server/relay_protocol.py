"""uvicorn's WebSocket, whose messages a session may take over (:mod:`openenv_gym.server.relay`).

uvicorn hides a connection behind the callables of ASGI. The class below derives from uvicorn's
protocol and offers itself to the application in the scope of the handshake. When the application
has accepted the connection, ``data_received`` splits what it reads into frames itself, which takes
the memory of a long message once and not three times. Control frames (pings, the closing handshake)
go on to ``websockets``, which keeps the state of the connection. A session may then *take it over*:
from that moment binary messages go to the session at once, and not through the queue of ASGI.
Messages that are sent are written to the transport directly, past ``websockets``, whose state they
do not change.

Back pressure has two sides here. ``hold`` and ``go_on`` stop and resume reading for the session,
which has a request under way. ``pause_writing`` and ``resume_writing`` are called by the transport
while the client does not read; nothing is read from such a client either, because even its pings
alone would be answered with pongs that pile up.

The gate in front of the application (:mod:`openenv_gym.server.gate`) sees every handshake before a
session can accept it, so nothing is taken over that the gate refused.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from openenv_gym.protocol import SUBPROTOCOL, Body
from openenv_gym.protocol.websocket_frames import (
    BINARY,
    CLOSE,
    MAX_REASON_BYTES,
    MESSAGE_TOO_BIG,
    UNSUPPORTED_DATA,
    FrameError,
    FrameSplitter,
    server_frame_header,
)

_log = logging.getLogger(__name__)

EXTENSION = "openenv_gym.connection"
"""The key under which an application finds the connection in the extensions of its scope."""

GOING_AWAY = 1012
"""The close code of a server that ends and may be started anew."""

LINGER_S = 5.0
"""How long a client may go on sending after it was told that it breaks the rules."""

_OPTION = "--max-message-bytes"

_GATHERED_BYTES = 4096
"""Up to this size a message is copied behind its header, which is quicker than a list of two."""


class RelayProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, whose data messages a session may take over.

    ``websockets`` goes on to do the handshake, pings and the closing. uvicorn makes the objects, so
    what :mod:`openenv_gym.server.run` has to say to them is an attribute of a derived class.
    """

    write_timeout_s: float | None = None
    """How long a client may leave unread what was sent to it; None and 0 are no limit."""

    _on_message: Callable[[Body], None] | None = None
    _on_writable: Callable[[], None] | None = None
    _splitter: FrameSplitter | None = None
    _is_held = False
    _is_lingering = False
    _write_timer: asyncio.TimerHandle | None = None

    def handle_connect(self, event: Any) -> None:
        """Offer the connection to the application."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            # A weak reference, because this object has the scope: a cycle would keep both until
            # the collector comes. The task that asks is alive as long as this object is.
            self.scope["extensions"][EXTENSION] = {"connection": weakref.ref(self)}

    @property
    def can_be_taken_over(self) -> bool:
        """Whether messages are as they were sent: not where compression was agreed on."""
        return not self.conn.extensions

    def take_over(
        self,
        on_message: Callable[[Body], None],
        on_writable: Callable[[], None],
        max_bytes_by_kind: Mapping[int, int],
    ) -> None:
        """Hand each binary message to ``on_message`` from now on, when none is under way.

        Args:
            on_message: Takes messages.
            on_writable: Called when a client that was slow has read again.
            max_bytes_by_kind: How long messages may be that begin with a byte.
        """
        if self._splitter is None:
            self._splitter = self._new_splitter()
        self._splitter.limit(max_bytes_by_kind)
        self._on_message, self._on_writable = on_message, on_writable

    def hold(self) -> None:
        """Take no further message for now; what is behind the last one waits in the sockets."""
        self._is_held = True
        self.transport.pause_reading()

    def go_on(self) -> None:
        """Take messages again, as soon as the client reads what is sent."""
        self._is_held = False
        if self.writable.is_set():
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take in what was read, and read no more from a client that does not read itself."""
        if self._is_lingering:
            return
        if self._splitter is None and self._is_accepted:
            self._splitter = self._new_splitter()
        if self._splitter is None:
            super().data_received(data)
        else:
            self._take_in(data, self._splitter, self._on_message or self._queue)
        if not self.writable.is_set() and not self.transport.is_closing():
            self.transport.pause_reading()

    @property
    def _is_accepted(self) -> bool:
        """Whether frames come from now on, and none came before, and none is compressed."""
        is_open = self.handshake_complete and not self.close_sent
        return is_open and self.can_be_taken_over and not self.conn.reader.buffer

    def _new_splitter(self) -> FrameSplitter:
        agreed = self.response.headers.get("Sec-WebSocket-Protocol")
        return FrameSplitter(
            self.config.ws_max_size,
            is_server=True,
            opcode=BINARY if agreed == SUBPROTOCOL else None,
            in_place=True,
            option=_OPTION,
        )

    def _queue(self, message: Body) -> None:
        """Hand a message to the application, and read no further until it has taken it."""
        event: Any = {"type": "websocket.receive", "bytes": message}
        self.queue.put_nowait(event)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _take_in(
        self, data: bytes, splitter: FrameSplitter, on_message: Callable[[Body], None]
    ) -> None:
        try:
            messages, control = splitter.feed(data)
        except FrameError as exc:
            if not self.conn.close_sent:
                reason = str(exc)
                if exc.close_code == UNSUPPORTED_DATA:
                    reason = f"{SUBPROTOCOL} has binary messages only"
                self.conn.fail(exc.close_code, reason[:MAX_REASON_BYTES])
            self.handle_parser_exception()
            return
        for message in messages:
            on_message(message)
        if control:
            super().data_received(control)

    def handle_parser_exception(self) -> None:
        """Tell a client which rule it breaks, and read on for a while without looking at it.

        The kernel resets a socket that is closed while there is something to read, and a client
        that is still sending would find the reset in place of the reason.
        """
        assert self.conn.close_sent is not None
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        goodbye = b"".join(self.conn.data_to_send())
        if code == MESSAGE_TOO_BIG and _OPTION not in reason:  # `websockets` does not know it
            reason = f"{reason} ({_OPTION})"[:MAX_REASON_BYTES]
            payload = struct.pack("!H", code) + reason.encode()
            goodbye = server_frame_header(CLOSE, payload) + payload
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(goodbye)
        self.close_sent = self.disconnected = self._is_lingering = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(LINGER_S, self.transport.close)

    def shutdown(self) -> None:
        """Close the connection, when the server ends."""
        if self._is_lingering:  # the goodbye was said; old versions of uvicorn would repeat it
            self.transport.close()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """Note that the client does not read what is sent, and give it some time to."""
        super().pause_writing()
        self.writable.clear()  # old versions of uvicorn do not
        if self.write_timeout_s:
            self._write_timer = self.loop.call_later(self.write_timeout_s, self._give_up)

    def resume_writing(self) -> None:
        """Note that the client has read what was sent, and read from it again."""
        self._stop_write_timer()
        super().resume_writing()
        self.writable.set()
        if self._on_writable is not None:
            self._on_writable()
        if not (self._is_held or self.read_paused):
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that there is no connection any more."""
        self._stop_write_timer()
        super().connection_lost(exc)
        self.writable.set()
        self._on_message = self._on_writable = None  # they refer to the session, which has this

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _give_up(self) -> None:
        _log.warning(
            "%s has not read its answers for %g s (--write-timeout): its connection is closed",
            self.client,
            self.write_timeout_s,
        )
        self.transport.abort()

    def wake(self) -> None:
        """Wake the application, which waits for a message, as if the client had left."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": GOING_AWAY})

    def send_message(self, body: Body) -> None:
        """Send one binary message, unless the connection is closing."""
        if self.close_sent or self.transport.is_closing():
            return
        head = server_frame_header(BINARY, body)
        if len(body) < _GATHERED_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.writelines([head, body])


def connection_of(websocket: WebSocket) -> RelayProtocol | None:
    """Return the connection below an application; None with other ASGI servers."""
    offer = (websocket.scope.get("extensions") or {}).get(EXTENSION)
    return None if offer is None else offer["connection"]()
