"""The same faults for a server of stock OpenEnv, one of each kind.

Its clients are plain ones, which begin with a new connection after an error: that is more than
OpenEnv's own client does.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from benchmarks.children import stderr_to
from benchmarks.faults.cases import (
    CRASHES,
    DEADLINE_S,
    FAULT_STEP,
    NUM_ENVS,
    NUMBERS,
    PLAIN,
    Left,
    Trial,
)
from benchmarks.ways import stock_server

CONNECT_S = 5.0
STOCK_KINDS = (*CRASHES, "sleep", "hold_gil")
SESSIONS = 2 * NUM_ENVS  # how many a stock server has room for


def trial(python: Path, kind: str, left: list[Left]) -> Trial:
    """Have the first of several clients fail, each of which has a session of its own."""
    trial = Trial(way="stock", kind=kind, injected=1)
    with stderr_to(), stock_server(python, "target", SESSIONS) as url:
        with contextlib.ExitStack() as stack:
            first, *others = [stack.enter_context(PlainClient(url)) for _ in range(NUM_ENVS)]
            for client in (first, *others):
                client.ask("reset")
                for _ in range(FAULT_STEP - 1):
                    client.step(PLAIN)
            first.step(NUMBERS[kind])
            error, plain = first.error, (PLAIN, FAULT_STEP)
            # Right after it: a server that is about to die answers nobody.
            trial.harmed = 1 + sum(client.step(PLAIN) != plain for client in others)
            trial.continued = int(bool(first.ask("reset") and first.step(PLAIN)))
            trial.ended = "" if trial.continued else error
        if trial.continued:  # else there is no server, or none that answers
            with contextlib.ExitStack() as stack:  # whether there is room for as many sessions
                clients = [stack.enter_context(PlainClient(url)) for _ in range(SESSIONS)]
                lost = sum(client.ask("reset") is None for client in clients)
            left.append(Left(way="stock", sessions=lost, processes=0, shared_memory=0))
    return trial


class PlainClient(contextlib.ExitStack):
    """A session in JSON, which is begun anew after an error.

    Attributes:
        error: Which one was the last.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._address, self._connection, self.error = url.replace("http", "ws", 1) + "/ws", None, ""

    def step(self, number: int) -> tuple[int, int] | None:
        """Return the number of the action, and how many steps the episode has had."""
        seen = self.ask("step", number=number)
        return seen and (seen["number"], seen["steps"])

    def ask(self, kind: str, **data: Any) -> Any:
        """Return the observation that answers a request, or None where there is an error."""
        try:
            if self._connection is None:
                options: Any = {"open_timeout": CONNECT_S, "close_timeout": DEADLINE_S}
                self._connection = self.enter_context(connect(self._address, **options))
            self._connection.send(json.dumps({"type": kind, "data": data}))
            answer = json.loads(self._connection.recv(DEADLINE_S))
        except (OSError, WebSocketException, TimeoutError) as exc:
            self.error, self._connection = type(exc).__name__, None
            return None
        if answer["type"] == "error":
            self.error = answer["data"]["code"]
            return None
        return answer["data"]["observation"]
