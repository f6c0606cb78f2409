"""Messages that no honest client sends, for a server of ours and a stock one.

They are drawn from a seed: texts for JSON sessions, and bodies for binary ones. Some come out
harmless, and some are valid; what counts is that a server answers each. What would end a session by
right, a goodbye, is not drawn.
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
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

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
NO_NUMBERS = ("NaN", "Infinity", "-Infinity", '"NaN"')
NESTING = (16, 33, 65, 500, 5000)
LENGTHS = (2**32 - 1, 2**31, 2**24, 70000)
_MARKS = "\"'{}[]:,\\/0123456789-+.eENaInfinitytrue \n\x00\ud7ffé"
_REQUESTS = (Step(4), Reset(7, {}, "e", {}), GetState(), Render())


class BadInputs:
    """Draws messages, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._one_of, self._bytes = self._random.choice, self._random.randbytes
        self._int = self._random.randint

    def text(self) -> str | bytes:
        """Return a message for a JSON session; bytes are for a binary frame."""
        kinds: tuple[Callable[[], Any], ...] = (
            lambda: self._of_step(json.dumps(self._one_of(ILLEGAL))),
            lambda: self._of_step(self._number()),
            lambda: self._of_step(self._one_of(NO_NUMBERS)),
            lambda: self._mutated(json.dumps(self._one_of(VALID)), self._marks),
            lambda: json.dumps(self._replaced()),
            lambda: json.dumps(self._value(4)),
            lambda: self._one_of((str, self._of_step))(self._nested("[", "]")),
            lambda: self._one_of((str, self._of_step))(self._nested('{"a":', "}")),
            lambda: self._bytes(self._int(0, 64)),
        )
        while True:
            message: str | bytes = self._one_of(kinds)()
            if isinstance(message, bytes) or "close" not in message:
                return message

    def body(self) -> bytes:
        """Return a body for a session of ``openenv-gym.v1``."""
        kinds: tuple[Callable[[], Any], ...] = (
            lambda: BinaryMessages().encode_request(self._seq(), Step(self._one_of(ILLEGAL))),
            lambda: self._head(3, 1) + self._bytes(1) + self._bytes(8),  # a compact action
            lambda: self._mutated(self._valid_body(), self._bytes),
            lambda: self._bytes(2) + self._valid_body()[2:],  # a foreign kind, foreign flags
            lambda: self._head(2, 0) + self._one_of((b"\x91", b"\x81")) * self._one_of(NESTING),
            lambda: self._bytes(self._int(0, 200)),
            lambda: self._head(self._one_of((1, 2, 3, 7)), 0) + self._long_claim(),
        )
        while True:
            body: bytes = self._one_of(kinds)()
            if body[:1] != bytes((CLOSE,)):
                return body

    def _of_step(self, action: str) -> str:
        name, kind = self._one_of(("action_id", "action_id", "seed")), self._one_of(WORDS[:2])
        return f'{{"type": "{kind}", "data": {{"{name}": {action}}}}}'

    def _number(self) -> str:
        digits = "".join(self._random.choices("0123456789", k=self._int(20, 5000)))
        return str(self._one_of((digits, f"-{digits}", f"1e{digits[:5]}", f"0.{digits}")))

    def _mutated(self, message: Any, draw: Callable[[int], Any]) -> Any:
        for _ in range(self._int(1, 5)):
            at = self._random.randrange(len(message) + 1)
            message = message[:at] + draw(self._int(0, 3)) + message[at + self._int(0, 5) :]
        return message

    def _marks(self, count: int) -> str:
        return "".join(self._random.choices(_MARKS, k=count))

    def _replaced(self) -> dict[str, Any]:
        """A valid message with something else in one place, or one thing more."""
        message = json.loads(json.dumps(self._one_of(VALID)))
        place = message
        while isinstance(place.get("data"), dict) and self._random.random() < 0.7:
            place = place["data"]
        place[self._one_of([*place, *WORDS])] = self._value(3)
        return dict(message)

    def _value(self, depth: int) -> Any:
        draw = self._random.random()
        if depth and draw < 0.2:
            return [self._value(depth - 1) for _ in range(self._int(0, 4))]
        if depth and draw < 0.4:
            names = self._random.choices(WORDS, k=self._int(0, 4))
            return {name: self._value(depth - 1) for name in names}
        return self._one_of(ILLEGAL if draw < 0.7 else STRINGS)

    def _nested(self, opening: str, closing: str) -> str:
        depth = self._one_of(NESTING)
        return opening * depth + "0" + closing * depth

    def _seq(self) -> int:
        return self._random.getrandbits(32)

    def _head(self, kind: int, flags: int) -> bytes:
        return bytes((kind, flags, 0, 0)) + self._bytes(4)

    def _valid_body(self) -> bytes:
        return BinaryMessages().encode_request(self._seq(), self._one_of(_REQUESTS))

    def _long_claim(self) -> bytes:
        """Lengths that the bytes do not have: of texts, lists, maps, arrays, values."""
        length = self._one_of(LENGTHS).to_bytes(4, "big")
        claim = self._one_of((b"\xdb", b"\xdd", b"\xdf", b"\xc6", b"\xc9")) + length
        array = pack_freeform({"a": [1, 2, 3]})[:-1] + b"\xc7\x0f\x02<f8\x00\x02" + length * 2
        return bytes(self._one_of((claim, claim + b"\x02<f8\x00\x01", array, length + claim)))


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


def ours(inputs: int, seconds: float, seed: int = 0) -> list[BadInputRun]:
    """Half of the inputs as bodies, half as texts, as many as fit into the time."""
    limits = (max(1, inputs // 2), seconds / 2, BATCH)
    return [
        _try("ws_process", _our_server, BadInputs(seed).body, limits, is_binary=True),
        _try("ws_json", _our_server, BadInputs(seed).text, limits, is_binary=False),
    ]


def stock(python: Path, inputs: int, seconds: float, seed: int = 0) -> BadInputRun:
    """Texts; every crash costs a start of the server, which belongs to the time."""
    # One at a time: what is behind one that ends the session is not read, and does not count.
    limits, same_game = (inputs, seconds, 1), partial(stock_server, python, "openspiel", 4)
    return _try("stock", same_game, BadInputs(seed).text, limits, is_binary=False)


@contextlib.contextmanager
def _our_server() -> Iterator[str]:
    with ServerProcess(f"openspiel:{GAME}", "--workers=1", "--log-level=critical") as server:
        yield server.base_url


def _try(
    way: str,
    start: Callable[[], AbstractContextManager[str]],
    draw: Callable[[], str | bytes],
    limits: tuple[int, float, int],
    *,
    is_binary: bool,
) -> BadInputRun:
    """Send inputs, session after session; a server that has crashed is started again."""
    run, (inputs, seconds, at_once) = BadInputRun(way=way), limits
    with stderr_to(), contextlib.ExitStack() as stack:
        url, began = stack.enter_context(start()), time.perf_counter()
        is_over = False
        while not is_over:
            # After the last input one more session shows that the server is still there.
            is_over = run.tried >= inputs or time.perf_counter() - began > seconds
            try:
                with _connection(url, is_binary) as connection:
                    session, is_alive = _Session(connection, is_binary), not is_over
                    while is_alive and run.tried < inputs and time.perf_counter() - began < seconds:
                        size = min(at_once, inputs - run.tried)
                        is_alive = session.batch(list(islice(iter(draw, None), size)), run)
            except (OSError, WebSocketException, TimeoutError):
                run.server_crashes += 1
                stack.close()
                url = stack.enter_context(start())
    run.seconds = round(time.perf_counter() - began, 2)
    return run


def _connection(url: str, is_binary: bool) -> ClientConnection:
    return connect(
        url.replace("http", "ws", 1) + "/ws",
        subprotocols=[Subprotocol(SUBPROTOCOL)] if is_binary else None,
        compression=None,
        max_size=None,
        open_timeout=_OPEN_TIMEOUT_S,
        close_timeout=1,
    )


class _Session:
    """What is exchanged on a connection, and what a plain reset gives on it."""

    def __init__(self, connection: ClientConnection, is_binary: bool) -> None:
        self._connection, self._is_binary, self._seq = connection, is_binary, 0
        self._messages = BinaryMessages()
        if is_binary:
            self._exchange(Open(None, {}, None, None))
        self._first = self._reset()

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

    def _note(self, answer: Any, run: BadInputRun) -> None:
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
