"""Bad inputs for a server of ours and a stock one, and what became of servers and sessions."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from benchmarks.children import Child
from benchmarks.faults.bad_inputs import BadInputs
from benchmarks.faults.quiet import stderr_to
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Open, Reset

SERVED = "openspiel:tic_tac_toe"
STOCK_SERVED = "openspiel"  # the same game, see benchmarks/stock

BATCH = 32
"""So many of ours are sent before the answers are read."""

ANSWER_TIMEOUT_S = 20.0
_OPEN_TIMEOUT_S = 5.0


@dataclass(kw_only=True)
class BadInputRun:
    """What came of bad inputs.

    Attributes:
        way: Which server, and which protocol.
        tried: How many were sent.
        refused: How many were answered with an error.
        server_crashes: How often the server was gone.
        worker_crashes: How often an answer says that the worker was lost.
        sessions_lost: How often the connection was ended, or nothing came.
        wrong: How often a plain reset after a batch gave something else than before.
        seconds: How long it took.
        causes: The first input that was not answered, shortened, and how often.
    """

    way: str
    tried: int = 0
    refused: int = 0
    server_crashes: int = 0
    worker_crashes: int = 0
    sessions_lost: int = 0
    wrong: int = 0
    seconds: float = 0.0
    causes: dict[str, int] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        """How many a second."""
        return self.tried / self.seconds if self.seconds else 0.0


class _Server:
    """A server that is started again where it has crashed."""

    def __init__(self, start: Callable[[], AbstractContextManager[str]]) -> None:
        self._start, self._stack = start, contextlib.ExitStack()
        self.url = self._stack.enter_context(start())

    def restart(self) -> None:
        self.close()
        self.url = self._stack.enter_context(self._start())

    def close(self) -> None:
        self._stack.close()


def ours(inputs: int, seconds: float, seed: int = 0) -> list[BadInputRun]:
    """Half of the inputs as texts, half as bodies, as many as fit into the time."""
    runs = []
    for name, is_binary in (("ws_process", True), ("ws_json", False)):
        run = BadInputRun(way=name)
        limits = (max(1, inputs // 2), seconds / 2)
        _try(run, _our_server, is_binary=is_binary, limits=limits, seed=seed, at_once=BATCH)
        runs.append(run)
    return runs


def stock(python: Path, inputs: int, seconds: float, seed: int = 0) -> BadInputRun:
    """Texts; every crash costs a start of the server, which belongs to the time."""
    run = BadInputRun(way="stock")
    # One at a time: what is behind one that ends the session is not read, and does not count.
    limits = (inputs, seconds)
    _try(
        run,
        lambda: _stock_server(python),
        is_binary=False,
        limits=limits,
        seed=seed,
        at_once=1,
    )
    return run


@contextlib.contextmanager
def _our_server() -> Iterator[str]:
    with ServerProcess(SERVED, "--workers=1", "--log-level=critical") as server:
        yield server.base_url


@contextlib.contextmanager
def _stock_server(python: Path) -> Iterator[str]:
    command = [str(python), "-m", "benchmarks.stock.server", STOCK_SERVED]
    with Child("the stock server", command) as server:
        yield server.line()
        server.kill()  # it has nothing to finish


def _try(
    run: BadInputRun,
    start: Callable[[], AbstractContextManager[str]],
    *,
    is_binary: bool,
    limits: tuple[int, float],
    seed: int,
    at_once: int,
) -> None:
    drawn = BadInputs(seed)
    draw: Callable[[], str | bytes] = drawn.body if is_binary else drawn.text
    messages = iter(draw, None)
    began = time.perf_counter()
    with stderr_to(), contextlib.closing(_Server(start)) as server:
        began = time.perf_counter()
        left = limits[0]
        while left > 0 and time.perf_counter() - began < limits[1]:
            session = _Session.opened(server.url, is_binary)
            if session is None:
                run.server_crashes += 1
                server.restart()
                continue
            with contextlib.closing(session):
                while left > 0 and time.perf_counter() - began < limits[1]:
                    size = min(at_once, left)
                    is_alive = session.batch(list(islice(messages, size)), run)
                    left = limits[0] - run.tried
                    if not is_alive:
                        break
        run.seconds = time.perf_counter() - began
        last = _Session.opened(server.url, is_binary)
        if last is None:
            run.server_crashes += 1
        else:
            last.close()


class _Session:
    """A connection, and what a plain reset gives on it."""

    def __init__(self, url: str, is_binary: bool) -> None:
        self._is_binary, self._seq = is_binary, 0
        self._messages = BinaryMessages()
        protocols: Any = [SUBPROTOCOL] if is_binary else None
        with contextlib.ExitStack() as stack:
            self._connection = stack.enter_context(
                connect(
                    url.replace("http", "ws", 1) + "/ws",
                    subprotocols=protocols,
                    compression=None,
                    max_size=None,
                    open_timeout=_OPEN_TIMEOUT_S,
                    close_timeout=1,
                )
            )
            if is_binary:
                self._exchange(Open(None, {}, None, None))
            self._first = self._reset()
            self._stack = stack.pop_all()

    @classmethod
    def opened(cls, url: str, is_binary: bool) -> _Session | None:
        """A session; None where there is no server any more."""
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

    def close(self) -> None:
        """Say goodbye."""
        self._stack.close()

    def _note(self, answer: str | bytes, run: BadInputRun) -> None:
        if isinstance(answer, bytes):
            run.refused += answer[:1] == b"\xff"
            run.worker_crashes += b"CONNECTION_LOST" in answer
        else:
            run.refused += '"error"' in answer[:40]
            run.worker_crashes += "CONNECTION_LOST" in answer

    def _reset(self) -> Any:
        """What a plain reset gives, without what differs from episode to episode."""
        if self._is_binary:
            return self._exchange(Reset(7, None, None, {}))[8:]
        self._connection.send(json.dumps({"type": "reset", "data": {"seed": 7}}))
        answer = json.loads(self._connection.recv(ANSWER_TIMEOUT_S))
        return answer.get("data", {}).get("observation")

    def _exchange(self, request: Any) -> bytes:
        self._seq += 1  # the number of the request before would be answered with the reply to it
        self._connection.send(self._messages.encode_request(self._seq, request))
        answer = self._connection.recv(ANSWER_TIMEOUT_S)
        assert isinstance(answer, bytes)
        return answer
