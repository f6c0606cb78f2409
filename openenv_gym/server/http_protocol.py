"""uvicorn's HTTP, which waits for a request no longer than it was told.

uvicorn closes a connection that is idle between two requests. It has no limit for the time until
the headers of a request are there: it waits for ever for a client that sends nothing, or one byte a
second. The class below is mixed into the class that uvicorn would take. It looks at two things that
all of uvicorn's have: ``cycle``, the request under way, and the transport, which gets another
protocol when a request becomes a WebSocket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from openenv_gym.server.half_open import HalfOpen

GONE_S = 1.0
"""How long a client that was told that it is too late may take to read it."""


class HeaderDeadline(asyncio.Protocol):
    """A connection whose client has to send the headers of a request in time.

    The time counts from the beginning of the connection, and from the first byte after an answer.

    uvicorn makes the objects, so what there is to say to them is an attribute of a derived class.
    """

    header_timeout_s: float | None = None
    """How long the headers may take; None and 0 are no limit."""
    half_open = HalfOpen()
    """The connections that wait for headers."""

    # These are uvicorn's.
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    cycle: Any

    _deadline: asyncio.TimerHandle | None = None
    _is_waiting = _has_begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the headers of the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take in what was read, and note whether a request is there."""
        self._has_begun = True
        super().data_received(data)
        is_asked = self.cycle is not None and not self.cycle.response_complete
        if is_asked or self.transport.get_protocol() is not self:
            self._stop()
        elif not self._is_waiting:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that there is no connection any more."""
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and tell a route, which may be reading the body just now.

        uvicorn does not tell it. The route would answer too, and each time the log had a traceback.
        """
        if self.cycle is None or not self.cycle.response_started:
            super().send_400_response(msg)  # type: ignore[misc]  # uvicorn's
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _wait(self) -> None:
        self._is_waiting = True
        self.half_open.add(self, self._end)
        if self.header_timeout_s:
            self._deadline = self.loop.call_later(self.header_timeout_s, self._end)

    def _stop(self) -> None:
        self._is_waiting = self._has_begun = False
        self.half_open.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        """Close the connection; who has sent a part of a request is told why."""
        if self._has_begun and not self.transport.is_closing():
            self.transport.write(self._too_late())
        self._stop()
        self.transport.close()
        self.loop.call_later(GONE_S, self.transport.abort)  # a client may not let go of it either

    def _too_late(self) -> bytes:
        text = (
            f"expected the headers of a request within {self.header_timeout_s or 0:g} s "
            "(--header-timeout), and sooner where many connections wait\n"
        )
        head = (
            "HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
        )
        return (head + text).encode()


def http_protocol(header_timeout_s: float | None) -> type[asyncio.Protocol]:
    """Return the class for ``uvicorn.Config(http=...)``.

    Args:
        header_timeout_s: How long the headers of a request may take; None and 0 are no limit.
    """
    said = {"header_timeout_s": header_timeout_s, "half_open": HalfOpen()}
    return type("HTTPProtocol", (HeaderDeadline, AutoHTTPProtocol), said)


def limit_tls(loop: asyncio.AbstractEventLoop, handshake_timeout_s: float | None) -> None:
    """Have servers of this loop wait for the two handshakes of TLS no longer than that.

    A protocol hears of a connection when TLS has shaken hands, which may take 60 s unless asyncio
    is told otherwise, and the goodbye 30 s. uvicorn does not pass such limits on.

    Args:
        loop: The event loop.
        handshake_timeout_s: How long the handshake may take; None and 0 change nothing.
    """
    create: dict[str, Callable[..., Any]] = {
        name: getattr(loop, name) for name in ("create_server", "create_unix_server")
    }

    def limited(name: str) -> Callable[..., Any]:
        def made(*args: Any, **kwargs: Any) -> Any:
            if kwargs.get("ssl") is not None and handshake_timeout_s:
                kwargs["ssl_handshake_timeout"] = handshake_timeout_s
                kwargs["ssl_shutdown_timeout"] = GONE_S
            return create[name](*args, **kwargs)

        return made

    for name in create:
        setattr(loop, name, limited(name))
