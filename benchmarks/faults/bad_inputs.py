"""Messages that no honest client sends, for a server of ours and a stock one.

They are drawn from a seed: texts for JSON sessions, and bodies for binary ones. Some mutations come
out harmless, and some are valid; what counts is that a server answers each. What would end a
session by right, a goodbye, is not drawn.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from benchmarks.children import stderr_to
from benchmarks.ways import stock_server
from benchmarks.workload import GAME
from openenv_gym.codecs import pack_freeform
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, GetState, Open, Render, Reset, Step
from openenv_gym.protocol.binary_messages import CLOSE

BATCH = 32  # so many of ours are sent before the answers are read
ANSWER_TIMEOUT_S = 20.0
_OPEN_TIMEOUT_S = 5.0

EDGES = (10**9, -1, 9, 99, 2**31, -(2**31), 2**32, 2**63 - 1, 2**63, -(2**63), 10**30, 0, 4)
ILLEGAL: tuple[Any, ...] = (*EDGES, 1.5, True, "1", None, [], {}, [0], 1e308, -0.0)
WORDS = ("reset", "step", "state", "mcp", "type", "data", "seed", "options", "action_id", "")
STRINGS = (*WORDS, "\x00", "\ud800", "é" * 100, "a" * 2000, False)
VALID: tuple[dict[str, Any], ...] = (
    {"type": "reset", "data": {"seed": 7, "options": {}, "episode_id": "e"}},
    {"type": "step", "data": {"action_id": 4, "game_name": "tic_tac_toe", "game_params": {}}},
    {"type": "state"},
)
_MARKS = "\"'{}[]:,\\/0123456789-+.eENaInfinitytrue \n\x00\ud7ffé"
_NESTING = (16, 33, 65, 500, 5000)


class BadInputs:
    """Draws messages, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._choose, self._bytes = self._random.choice, self._random.randbytes
        self._int = self._random.randint

    def text(self) -> str | bytes:
        """Return a message for a JSON session; bytes are for a binary frame."""
        kinds: tuple[Callable[[], str | bytes], ...] = (
            lambda: _step(self._choose(ILLEGAL)),
            self._mutated,
            self._replaced,
            lambda: json.dumps(self._value(4)),
            self._nested,
            self._long_number,
            self._no_number,
            lambda: self._bytes(self._int(0, 64)),
        )
        while True:
            message = self._choose(kinds)()
            if isinstance(message, bytes) or "close" not in message:
                return message

    def body(self) -> bytes:
        """Return a body for a session of ``openenv-gym.v1``."""
        kinds = (
            self._illegal_body,
            self._changed_body,
            self._foreign_kind,
            self._nested_body,
            lambda: self._bytes(self._int(0, 200)),
            self._long_claim,
        )
        while True:
            body = self._choose(kinds)()
            if body[:1] != bytes((CLOSE,)):
                return body

    def _mutated(self) -> str:
        text = json.dumps(self._choose(VALID))
        for _ in range(self._int(1, 4)):
            at, end = sorted(self._random.choices(range(len(text) + 1), k=2))
            new = "".join(self._random.choices(_MARKS, k=self._int(0, 3)))
            text = text[:at] + new + text[min(end, at + self._int(0, 6)) :]
        return text

    def _replaced(self) -> str:
        """A valid message with something else in one place, or one thing more."""
        message = json.loads(json.dumps(self._choose(VALID)))
        place = message
        while isinstance(place.get("data"), dict) and self._random.random() < 0.7:
            place = place["data"]
        key = self._choose([*place, *WORDS])
        place[key] = self._value(3)
        return json.dumps(message)

    def _nested(self) -> str:
        depth, opening = self._choose(_NESTING), self._choose(("[", '{"a":'))
        inner = opening * depth + "0" + ("]" if opening == "[" else "}") * depth
        return self._choose((inner, f'{{"type": "step", "data": {inner}}}'))

    def _long_number(self) -> str:
        digits = "".join(self._random.choices("0123456789", k=self._int(20, 5000)))
        number = self._choose((digits, f"-{digits}", f"1e{digits[:5]}", f"0.{digits}"))
        return f'{{"type": "step", "data": {{"action_id": {number}}}}}'

    def _no_number(self) -> str:
        number = self._choose(("NaN", "Infinity", "-Infinity", '"NaN"'))
        name, kind = self._choose(("action_id", "seed", "reward")), self._choose(("step", "reset"))
        return f'{{"type": "{kind}", "data": {{"{name}": {number}}}}}'

    def _value(self, depth: int) -> Any:
        draw = self._random.random()
        if depth and draw < 0.2:
            return [self._value(depth - 1) for _ in range(self._int(0, 4))]
        if depth and draw < 0.4:
            names = self._random.choices(WORDS, k=self._int(0, 4))
            return {name: self._value(depth - 1) for name in names}
        return self._choose(ILLEGAL if draw < 0.7 else STRINGS)

    def _seq(self) -> int:
        return self._random.getrandbits(32)

    def _valid_body(self) -> bytes:
        requests = (Step(4), Reset(7, {}, "e", {}), GetState(), Render())
        return BinaryMessages().encode_request(self._seq(), self._choose(requests))

    def _illegal_body(self) -> bytes:
        action = self._choose(ILLEGAL)
        if self._random.random() < 0.5:
            return BinaryMessages().encode_request(self._seq(), Step(action))
        number = action if isinstance(action, int) else 10**9
        compact = bytes((self._int(0, 2),)) + (number % 2**64).to_bytes(8, "little")
        return b"\x03\x01\x00\x00" + self._seq().to_bytes(4, "little") + compact

    def _changed_body(self) -> bytes:
        body = bytearray(self._valid_body())
        for _ in range(self._int(1, 6)):
            at = self._random.randrange(len(body) + 1)
            drawn = self._bytes(self._int(0, 3))
            body[at : at + self._int(0, 3)] = drawn
        return bytes(body)

    def _foreign_kind(self) -> bytes:
        body = self._valid_body()
        return bytes((self._random.randrange(256), self._random.randrange(256))) + body[2:]

    def _nested_body(self) -> bytes:
        depth = self._choose(_NESTING)
        inner = bytes((self._choose((0x91, 0x81)),)) * depth + b"\xc0"
        return b"\x02\x00\x00\x00" + self._seq().to_bytes(4, "little") + inner

    def _long_claim(self) -> bytes:
        """Lengths that the bytes do not have: of texts, lists, maps, arrays, values."""
        length = self._choose((2**32 - 1, 2**31, 2**24, 70000)).to_bytes(4, "big")
        claim = self._choose((b"\xdb", b"\xdd", b"\xdf", b"\xc6", b"\xc9")) + length
        array = pack_freeform({"a": [1, 2, 3]})[:-1] + b"\xc7\x0f\x02<f8\x00\x02" + length * 2
        payload = self._choose((claim, claim + b"\x02<f8\x00\x01", array, length + claim))
        kind = self._choose((1, 2, 3, 7))
        return bytes((kind, 0, 0, 0)) + self._seq().to_bytes(4, "little") + payload


def _step(action: Any) -> str:
    return json.dumps({"type": "step", "data": {"action_id": action}})


@dataclass(kw_only=True)
class BadInputRun:
    """What came of bad inputs."""

    way: str  # which server, and which protocol
    tried: int = 0  # how many were sent
    refused: int = 0  # how many were answered with an error
    server_crashes: int = 0  # how often the server was gone
    worker_crashes: int = 0  # how often an answer says that the worker was lost
    sessions_lost: int = 0  # how often the connection was ended, or nothing came
    wrong: int = 0  # how often a plain reset after a batch gave something else than before
    seconds: float = 0.0  # how long it took
    causes: dict[str, int] = field(default_factory=dict)  # inputs that were not answered, cut short


class Limits(NamedTuple):
    """How many inputs, and for how long, at most; and how many before answers are read."""

    inputs: int
    seconds: float
    at_once: int = BATCH


def ours(inputs: int, seconds: float, seed: int = 0) -> list[BadInputRun]:
    """Half of the inputs as bodies, half as texts, as many as fit into the time."""
    drawn, limits = BadInputs(seed), Limits(max(1, inputs // 2), seconds / 2)
    bodies = _try("ws_process", _our_server, iter(drawn.body, None), limits, is_binary=True)
    texts = iter(BadInputs(seed).text, None)
    return [bodies, _try("ws_json", _our_server, texts, limits, is_binary=False)]


def stock(python: Path, inputs: int, seconds: float, seed: int = 0) -> BadInputRun:
    """Texts; every crash costs a start of the server, which belongs to the time."""
    # One at a time: what is behind one that ends the session is not read, and does not count.
    limits, texts = Limits(inputs, seconds, at_once=1), iter(BadInputs(seed).text, None)
    return _try("stock", partial(_stock_server, python), texts, limits, is_binary=False)


@contextlib.contextmanager
def _our_server() -> Iterator[str]:
    with ServerProcess(f"openspiel:{GAME}", "--workers=1", "--log-level=critical") as server:
        yield server.base_url


@contextlib.contextmanager
def _stock_server(python: Path) -> Iterator[str]:
    with stock_server(python, "openspiel", 4) as server:  # the same game
        yield server.line()
        server.kill()  # it has nothing to finish


def _try(
    way: str,
    start: Callable[[], AbstractContextManager[str]],
    messages: Iterator[str | bytes],
    limits: Limits,
    *,
    is_binary: bool,
) -> BadInputRun:
    """Send inputs, session after session; a server that has crashed is started again."""
    run, left = BadInputRun(way=way), limits.inputs
    with stderr_to(), contextlib.ExitStack() as stack:
        url = stack.enter_context(start())
        began = time.perf_counter()
        while left > 0 and time.perf_counter() - began < limits.seconds:
            session = _Session.opened(url, is_binary)
            if session is None:
                run.server_crashes += 1
                stack.close()
                url = stack.enter_context(start())
                continue
            with contextlib.closing(session):
                is_alive = True
                while is_alive and left > 0 and time.perf_counter() - began < limits.seconds:
                    batch = list(islice(messages, min(limits.at_once, left)))
                    is_alive = session.batch(batch, run)
                    left = limits.inputs - run.tried
        run.seconds = time.perf_counter() - began
        last = _Session.opened(url, is_binary)
        if last is None:
            run.server_crashes += 1
        else:
            last.close()
    return run


class _Session:
    """A connection, and what a plain reset gives on it."""

    def __init__(self, url: str, is_binary: bool) -> None:
        self._is_binary, self._seq = is_binary, 0
        self._messages = BinaryMessages()
        options: dict[str, Any] = {"subprotocols": [SUBPROTOCOL] if is_binary else None}
        options |= {"compression": None, "max_size": None, "close_timeout": 1}
        address = url.replace("http", "ws", 1) + "/ws"
        with contextlib.ExitStack() as stack:
            connection = connect(address, open_timeout=_OPEN_TIMEOUT_S, **options)
            self._connection = stack.enter_context(connection)
            if is_binary:
                self._exchange(Open(None, {}, None, None))
            self._first = self._reset()
            self.close = stack.pop_all().close

    @classmethod
    def opened(cls, url: str, is_binary: bool) -> _Session | None:
        """Return a session; None where there is no server any more."""
        try:
            return cls(url, is_binary)
        except (OSError, WebSocketException, TimeoutError):
            return None

    def batch(self, inputs: list[str | bytes], run: BadInputRun) -> bool:
        """Send inputs and read the answers; return whether the session is still there."""
        answered = 0
        try:
            for message in inputs:
                self._connection.send(message)
            for _ in inputs:
                self._note(self._connection.recv(ANSWER_TIMEOUT_S), run)
                answered += 1
            run.tried += len(inputs)
            run.wrong += self._reset() != self._first
        except (ConnectionClosed, TimeoutError):
            # Those behind the first one that was not answered do not count: nobody read them.
            run.tried += min(answered + 1, len(inputs))
            run.sessions_lost += 1
            cause = repr(inputs[min(answered, len(inputs) - 1)])[:60]
            run.causes[cause] = run.causes.get(cause, 0) + 1
            return False
        return True

    def _note(self, answer: str | bytes, run: BadInputRun) -> None:
        is_body = isinstance(answer, bytes)
        run.refused += answer[:1] == b"\xff" if is_body else '"error"' in answer[:40]
        run.worker_crashes += (b"CONNECTION_LOST" if is_body else "CONNECTION_LOST") in answer

    def _reset(self) -> Any:
        """Return what a plain reset gives, without what differs from episode to episode."""
        if self._is_binary:
            return self._exchange(Reset(7, None, None, {}))[8:]
        self._connection.send(json.dumps({"type": "reset", "data": {"seed": 7}}))
        answer = json.loads(self._connection.recv(ANSWER_TIMEOUT_S))
        return answer.get("data", {}).get("observation")

    def _exchange(self, request: Any) -> Any:
        self._seq += 1  # the number of the request before would be answered with the reply to it
        self._connection.send(self._messages.encode_request(self._seq, request))
        return self._connection.recv(ANSWER_TIMEOUT_S)
