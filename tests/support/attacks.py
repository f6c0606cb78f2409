"""Messages that are as long as a server takes, or longer, of every kind and for every route."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Open, Reset
from openenv_gym.protocol.binary_messages import OPEN, RESET, STEP
from openenv_gym.wire.messages import MAX_VALUES

Ask = Callable[[], str]
"""Sends the message, and returns the beginning of its answer."""


class Attack(NamedTuple):
    """A message, and how it is sent.

    Attributes:
        route: The kind of route: ``ws``, ``vector``, ``binary``, or the path of a ``POST``.
        name: What the message is made of.
        body: The message.
    """

    route: str
    name: str
    body: bytes

    @property
    def id(self) -> str:
        """What tests call it."""
        return f"{self.route} {self.name}"

    @contextmanager
    def on(self, url: str) -> Iterator[Ask]:
        """Opens a session on a server, for the message to be sent in."""
        opens = {"ws": _json, "vector": _vector, "binary": _binary}.get(self.route, _http)
        with opens(url, self) as ask:
            yield ask


_FRAMES = {
    "ws": ('{"type":"reset","data":{"options":{"a":[', "]}}}"),
    "vector": ('{"type":"reset","data":{"options":{"a":[', "]}}}"),
    "/reset": ('{"options":{"a":[', "]}}"),
    "/mcp": (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"reset",'
        '"arguments":{"options":{"a":[',
        "]}}}}",
    ),
}
_STEPS = {
    "ws": ('{"type":"step","data":{"action":[', "]}}"),
    "vector": ('{"type":"step","data":{"action":[', "]}}"),
    "/step": ('{"action":{"action":[', "]}}"),
    "/mcp": (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"step",'
        '"arguments":{"action":[',
        "]}}}",
    ),
}
_ITEMS = {"objects": "{}", "maps": '{"a":0}', "arrays": "[[0]]", "numbers": "0.1234"}


def attacks(most: int, step: int) -> list[Attack]:
    """Return all of them.

    Args:
        most: The longest message that the server takes, in bytes.
        step: The longest step that it takes of one environment.
    """
    return [*_resets(most), *_steps(most, step), *_binary_ones(most, step)]


def _resets(most: int) -> Iterator[Attack]:
    for route, (before, after) in _FRAMES.items():
        begin, end = before.encode(), after.encode()
        room = most - len(begin) - len(end)
        for name, item in _ITEMS.items():
            yield Attack(route, f"reset of {name}", begin + _row(item, room) + end)
            few = _row(item, MAX_VALUES // (1 + sum(map(item.count, "[{"))) * len(item))
            text = b',"' + b"x" * (room - len(few) - 3) + b'"'
            yield Attack(route, f"reset of few {name} and a text", begin + few + text + end)
        yield Attack(route, "reset of a text", begin + b'"' + b"x" * (room - 2) + b'"' + end)
        unicode = "é".encode() * (room // 2 - 1)
        yield Attack(route, "reset of a text of Unicode", begin + b'"' + unicode + b'"' + end)
        yield Attack(route, "reset of white space", begin + b" " * room + end)
        yield Attack(route, "too long", begin + b" " * (room + 1) + end)


def _steps(most: int, step: int) -> Iterator[Attack]:
    for route, (before, after) in _STEPS.items():
        begin, end = before.encode(), after.encode()
        room = step - len(begin) - len(end)
        for name, item in _ITEMS.items():
            yield Attack(route, f"step of {name}", begin + _row(item, room) + end)
        yield Attack(route, "step that is too long", begin + b" " * (most - 100) + end)


def _binary_ones(most: int, step: int) -> Iterator[Attack]:
    for name, item in {"maps": b"\x80", "tuples": b"\xd4\x01\x90", "nothing": b"\xc0"}.items():
        for what, size in {"": most - 100, "few ": MAX_VALUES - 100}.items():
            count = size // len(item)
            values = b"\xdd" + count.to_bytes(4, "big") + item * count
            yield Attack("binary", f"open of {what}{name}", _head(OPEN) + b"\x9e\xa1a" + values)
            if (name, what) == ("tuples", ""):
                continue  # its own worker takes a minute to read it
            reset = _head(RESET) + b"\x94\xc0\x81\xa1a" + values + b"\xc0\x80"
            yield Attack("binary", f"reset of {what}{name}", reset)
    size = most - 100
    options = b"\x94\xc0\x81\xa1a\xc6" + size.to_bytes(4, "big") + b"x" * size + b"\xc0\x80"
    yield Attack("binary", "reset of bytes", _head(RESET) + options)
    yield Attack("binary", "step", _head(STEP).ljust(step, b"\x80"))
    yield Attack("binary", "step that is too long", _head(STEP).ljust(most, b"\x80"))
    yield Attack("binary", "too long", _head(RESET).ljust(most + 1, b"\x80"))


def _row(item: str, room: int) -> bytes:
    return ",".join([item] * ((room + 1) // (len(item) + 1))).encode()


def _head(kind: int) -> bytes:
    return bytes((kind, 0, 0, 0, 7, 0, 0, 0))


@contextmanager
def _json(url: str, attack: Attack, query: str = "") -> Iterator[Ask]:
    with _connected(url, f"/ws{query}") as socket:
        socket.send('{"type": "reset"}')
        socket.recv(timeout=60)
        text = attack.body.decode()
        yield lambda: _answer(socket, text)


def _vector(url: str, attack: Attack) -> Any:
    return _json(url, attack, "?num_envs=64")


@contextmanager
def _binary(url: str, attack: Attack) -> Iterator[Ask]:
    with _connected(url, "/ws", subprotocols=[SUBPROTOCOL]) as socket:
        if attack.body[0] != OPEN:
            for number, request in enumerate((Open(), Reset(0))):
                socket.send(BinaryMessages().encode_request(number, request))
                socket.recv(timeout=60)
        yield lambda: _answer(socket, attack.body)


def _connected(url: str, path: str, **options: Any) -> ClientConnection:
    address = f"{url}{path}".replace("http", "ws", 1)
    return connect(address, compression=None, max_size=None, open_timeout=60, **options)


def _answer(socket: ClientConnection, message: str | bytes) -> str:
    try:
        socket.send(message)
        return str(socket.recv(timeout=60))[:300]
    except ConnectionClosed as closed:
        return f"{closed.rcvd and closed.rcvd.code} {closed.rcvd and closed.rcvd.reason}"


@contextmanager
def _http(url: str, attack: Attack) -> Iterator[Ask]:
    line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    line.request("POST", "/reset", json.dumps({}))
    line.getresponse().read()

    def ask() -> str:
        line.request("POST", attack.route, attack.body)
        answer = line.getresponse()
        return f"{answer.status} {answer.read()[:300]!r}"

    yield ask
    line.close()
