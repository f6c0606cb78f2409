"""HTTP and WebSockets that have no end, or are no such thing."""

from __future__ import annotations

import gzip
import struct
import time

from tests.hostile.parts import (
    CHUNKED,
    HTTP_HEAD,
)
from tests.hostile.servers import (
    DRIP_S,
    ESCAPES,
    NUMBER,
    Hostile,
    answer,
    around,
    forever,
    frame,
    handshake,
    head_of,
    observing,
    reading,
    redirect,
)

HTTP = [
    Hostile(
        name="headers-that-drip",
        http={"schema": forever(HTTP_HEAD, b"X", pause_s=DRIP_S)},
        expected="within 0.5 s",
        error="UnreachableError",
    ),
    Hostile(
        name="headers-without-end",
        http={"schema": forever(HTTP_HEAD, b"X: " + b"x" * 4096 + b"\r\n")},
        expected="is the server running",
        error="UnreachableError",
    ),
    Hostile(
        name="body-that-drips",
        http={"schema": forever(CHUNKED, b"1\r\n \r\n", pause_s=DRIP_S)},
        expected="no end of it",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="body-without-end",
        http={"schema": forever(CHUNKED, b"100000\r\n" + b" " * (1 << 20) + b"\r\n")},
        expected="max_message_bytes|no end of it",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="body-of-2-to-the-62",
        http={
            "schema": forever(
                HTTP_HEAD + b"Content-Length: 4611686018427387904\r\n\r\n", b" ", pause_s=DRIP_S
            )
        },
        expected="no end of it",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="compressed-body",
        deadline_s=5.0,
        http={"schema": answer(gzip.compress(bytes(1 << 28)), "200 OK", "Content-Encoding: gzip")},
        expected="not asked for",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="redirects-in-a-ring",
        http={"schema": around},
        expected="within 0.5 s|more than 10",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="redirect-to-nowhere",
        deadline_s=5.0,
        http={"schema": redirect("http://" + "a" * 50_000 + ESCAPES.replace("\r\n", " "))},
        expected="redirects to|cannot connect",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="silence",
        http={"schema": lambda sock, key: time.sleep(1)},
        expected="within 0.5 s",
        error="UnreachableError",
    ),
    Hostile(
        name="error-page",
        deadline_s=5.0,
        http={"schema": answer(ESCAPES * 100_000, "404 Not Found")},
        expected="HTTP 404",
        error="NotOpenEnvError",
    ),
]

SOCKETS = [
    Hostile(
        name="handshake-that-drips",
        http=observing(NUMBER),
        handshake=forever(b"HTTP/1.1 101 Switching Protocols\r\n", b"X", pause_s=DRIP_S),
        expected="no answer",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="handshake-without-end",
        http=observing(NUMBER),
        handshake=forever(b"HTTP/1.1 101 Switching Protocols\r\n", b"X: " + b"x" * 4096 + b"\r\n"),
        expected="without an end",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="refusal-that-drips",
        http=observing(NUMBER),
        handshake=forever(b"HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\n", b"x", pause_s=DRIP_S),
        expected="no answer",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="compression-that-nobody-asked-for",
        http=observing(NUMBER),
        handshake=handshake("Sec-WebSocket-Extensions: permessage-deflate"),
        expected="expected a WebSocket",
        error="NotOpenEnvError",
    ),
    Hostile(
        name="compressed-frame",
        http=observing(NUMBER),
        talk=reading(frame(b"x" * 100, 0xC1)),
        expected="compression",
        error="ConnectionLostError",
    ),
    Hostile(
        name="frame-that-drips",
        http=observing(NUMBER),
        talk=reading(forever(head_of(1000), b" ", pause_s=DRIP_S)),
        expected="no answer",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="frame-of-2-to-the-62",
        http=observing(NUMBER),
        talk=reading(head_of(1 << 62)),
        expected="max_message_bytes",
        error="InvalidRequestError",
    ),
    Hostile(
        name="frame-larger-than-needed",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(forever(head_of(1 << 29), b" " * (1 << 20))),
        expected="max_message_bytes",
        error="InvalidRequestError",
    ),
    Hostile(
        name="fragments-without-end",
        http=observing(NUMBER),
        talk=reading(forever(frame(b"{", 0x01), frame(b" " * (1 << 20), 0x00))),
        expected="max_message_bytes|no answer",
        error="OpenEnvGymError",
    ),
    Hostile(
        name="empty-fragments",
        http=observing(NUMBER),
        talk=reading(forever(frame(b"{", 0x01), frame(b"", 0x00) * 1000)),
        expected="no answer",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="pings-without-end",
        http=observing(NUMBER),
        talk=reading(forever(frame(b"", 0x89), frame(b"x" * 125, 0x89) * 100)),
        expected="no answer|took no request",
        error="RequestTimeoutError",
    ),
    Hostile(
        name="long-ping",
        deadline_s=5.0,
        http=observing(NUMBER),
        talk=reading(forever(head_of(1 << 28, 0x89), bytes(1 << 20))),
        expected="control frames",
        error="ConnectionLostError",
    ),
    Hostile(
        name="reason-of-the-end",
        http=observing(NUMBER),
        talk=reading(frame(struct.pack("!H", 4000) + ESCAPES.encode(), 0x88)),
        expected=r"4000 \\x1b",
        error="ConnectionLostError",
    ),
    Hostile(
        name="silence-after-the-handshake",
        http=observing(NUMBER),
        expected="closed|no answer",
        error="TransportError",
    ),
]
