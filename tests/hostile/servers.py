"""Servers that mean harm: a table with one row for each, and the one server that plays them all.

A row is served under its own name: ``http://127.0.0.1:PORT/NAME``. It says what answers a request
over HTTP, by the last part of the path, and what is sent over a WebSocket once that is open.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from openenv_gym.protocol import SUBPROTOCOL
from openenv_gym.wire.description import SCHEMA_KEY, Description

Say = Callable[[socket.socket, str], None]

DRIP_S = 0.05
"""Between two bytes of a server that takes its time: each comes long before any read is late."""

NUMBER = {"type": "number"}
ACTION = {"type": "object", "properties": {"a": {"enum": [0, 1]}}, "required": ["a"]}
OBSERVATION = {"type": "object", "properties": {"o": NUMBER}, "required": ["o"]}
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n[INFO] all is well \u202egnp.exe\u2066 \x9b31m"


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One server.

    Attributes:
        name: Its name.
        expected: A pattern of the message of the error that ends it.
        http: What it answers over HTTP, by the last part of the path.
        talk: What it does with an open WebSocket.
        handshake: What it answers to the handshake, in place of a right answer.
        play: What the client does, a name of :data:`tests.hostile.client.PLAYS`.
        error: The name of the class of the error.
        deadline_s: How long the client waits for a reply, in seconds.
        is_slow: Whether it takes more than half a second of a whole core.
    """

    name: str
    expected: str
    http: Mapping[str, Say] = field(default_factory=dict)
    talk: Say | None = None
    handshake: Say | None = None
    play: str = "make"
    error: str = "SpaceError"
    deadline_s: float = 0.5
    is_slow: bool = False


def answer(body: bytes | str, status: str = "200 OK", *headers: str) -> Say:
    """Answer with one body."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    head = "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode()
    return lambda sock, key: sock.sendall(head + content)


def schemas(action: Any = ACTION, observation: Any = OBSERVATION, **more: Any) -> dict[str, Say]:
    """The route of a schema."""
    return {"schema": answer(json.dumps({"action": action, "observation": observation, **more}))}


def observing(child: Any, **more: Any) -> dict[str, Say]:
    """The route of a schema whose observation has one field."""
    model = {"type": "object", "properties": {"o": child}, "required": ["o"], **more}
    return schemas(observation=model)


def ours(observation: Any, **more: Any) -> dict[str, Say]:
    """The route of a schema with the description of a server of ours."""
    discrete = {"type": "Discrete", "n": 2, "start": 0, "dtype": "int64"}
    told = {"action": discrete, "observation": observation, **more}
    description = Description(environment="Push-v0", view="gymnasium", **told)
    return schemas(**{SCHEMA_KEY: json.loads(description.to_json())})


def forever(*parts: bytes, pause_s: float = 0) -> Say:
    """Send the first part once and the others over and over."""

    def say(sock: socket.socket, key: str) -> None:
        sock.sendall(parts[0])
        for number in count():
            sock.sendall(parts[1 + number % (len(parts) - 1)])
            time.sleep(pause_s)

    return say


def redirect(location: str) -> Say:
    return answer("", "302 Found", f"Location: {location}")


def around(sock: socket.socket, key: str) -> None:
    """Redirect to itself, slowly: each answer comes in time."""
    time.sleep(0.2)
    answer("", "302 Found", "Location: schema")(sock, key)


def doubling(make: Callable[[Any], Any], levels: int = 40) -> dict[str, Any]:
    """Definitions, each of which names the next one twice."""
    definitions = {f"n{i}": make({"$ref": f"#/$defs/n{i + 1}"}) for i in range(levels)}
    return {"$ref": "#/$defs/n0", "$defs": {**definitions, f"n{levels}": {"type": "boolean"}}}


def two_fields(child: Any) -> Any:
    return {"type": "object", "properties": {"a": child, "b": child}, "required": ["a", "b"]}


def nested(levels: int, begin: str, end: str, middle: str = "") -> str:
    return begin * levels + middle + end * levels


def frame(payload: bytes, first: int = 0x82) -> bytes:
    """One frame as a server sends it."""
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    size = struct.pack(
        "!BBH" if length < 1 << 16 else "!BBQ", first, 126 + (length >= 1 << 16), length
    )
    return size + payload


def text(message: Any) -> bytes:
    return frame((message if isinstance(message, str) else json.dumps(message)).encode(), 0x81)


def observed(**more: Any) -> dict[str, Any]:
    data = {"observation": {"o": 1.0}, "reward": 0.0, "done": False, **more}
    return {"type": "observation", "data": data}


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"type": "error", "data": {"message": message, "code": "EXECUTION_ERROR", **more}}


def reading(*replies: bytes | Say) -> Say:
    """Send one reply for each message of the client."""

    def say(sock: socket.socket, key: str) -> None:
        for reply in replies:
            if not sock.recv(1 << 16):
                return
            if callable(reply):
                reply(sock, key)
            else:
                sock.sendall(reply)
        sock.recv(1 << 16)

    return say


def head_of(length: int, first: int = 0x81) -> bytes:
    return struct.pack("!BBQ", first, 127, length)


def handshake(*headers: str) -> Say:
    def say(sock: socket.socket, key: str) -> None:
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
            *headers,
        ]
        sock.sendall("\r\n".join([*lines, "", ""]).encode())

    return say


def head_of_reply(kind: int, seq: int, flags: int = 0) -> bytes:
    """What every reply of the binary protocol begins with."""
    return struct.pack("<BBHI", kind, flags, 0, seq)


def opened(observation: Any, seq: int = 1, **more: Any) -> bytes:
    """The binary reply that an environment is open."""
    discrete = {"type": "Discrete", "n": 2, "start": 0, "dtype": "int64"}
    told = {"action": discrete, "observation": observation, **more}
    return (
        head_of_reply(129, seq)
        + Description(environment="Push-v0", view="gymnasium", **told).to_json()
    )


def result(seq: int, payload: bytes, flags: int) -> bytes:
    """The binary reply to a reset or a step."""
    return head_of_reply(130, seq, flags) + payload


def large_png(side: int) -> str:
    """A picture of ``side`` by ``side`` pixels, in base64, of few bytes."""
    rows = zlib.compress(bytes(1 + (side + 7) // 8) * side, 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


class Server:
    """Plays all rows, each connection in a thread of its own.

    Args:
        rows: The rows, by name.
    """

    def __init__(self, rows: Mapping[str, Hostile]) -> None:
        self._rows = rows
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self._peers: list[socket.socket] = []

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := peer.recv(4096)):
                    return
                head += data
            lines = head.decode("latin-1").split("\r\n")
            name, route = lines[0].split()[1].split("?")[0].strip("/").split("/")
            told = {
                one.partition(":")[0].lower(): one.partition(":")[2].strip() for one in lines[1:]
            }
            row, key = self._rows[name], told.get("sec-websocket-key", "")
            if route != "ws":
                row.http.get(route, answer("{}", "404 Not Found"))(peer, key)
                return
            offered = told.get("sec-websocket-protocol")
            agreed = [f"Sec-WebSocket-Protocol: {SUBPROTOCOL}"] if offered else []
            (row.handshake or handshake(*agreed))(peer, key)
            if row.talk is not None:
                row.talk(peer, key)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@contextmanager
def served(rows: Mapping[str, Hostile]) -> Iterator[str]:
    """Serve all rows, and give the URL that their names follow."""
    server = Server(rows)
    try:
        yield server.url
    finally:
        server.stop()
