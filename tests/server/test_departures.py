"""Clients that leave in the midst of a request are one line of the log each, and no traceback."""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Open, Reset, Step
from openenv_gym.server.logs import EscapingFormatter
from tests.support.failing import SLOW_S, Failing
from tests.support.waiting import wait_until

FAILING = "tests.support.failing:Failing-v0"
BINARY = BinaryMessages()


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def leave_http(url: str, path: str, body: Any, cut: int = 0) -> None:
    """Send a request, or all but its end, and leave before the answer."""
    at = urlsplit(url)
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection((at.hostname, at.port)) as sock:
        sock.sendall(head.encode() + content[: len(content) - cut])
        time.sleep(SLOW_S / 4)


def leave_websocket(url: str, path: str, *messages: str | bytes, protocol: Any = None) -> None:
    """Send messages, and leave without a goodbye before the last one is answered."""
    protocols = None if protocol is None else [protocol]
    with connect(f"{url.replace('http', 'ws')}{path}", subprotocols=protocols) as websocket:
        for message in messages[:-1]:
            websocket.send(message)
            websocket.recv()
        websocket.send(messages[-1])
        time.sleep(SLOW_S / 4)
        websocket.socket.shutdown(socket.SHUT_RDWR)


def in_a_body(url: str) -> None:
    leave_http(url, "/step", {"action": {"action": 0}}, cut=5)


def in_a_step_over_http(url: str) -> None:
    httpx.post(f"{url}/reset", timeout=60)
    leave_http(url, "/step", {"action": {"action": Failing.SLOW}})


def in_a_tool(url: str) -> None:
    httpx.post(f"{url}/mcp", json=call("reset"), timeout=60)
    leave_http(url, "/mcp", call("step", action=Failing.SLOW))


def in_json(url: str) -> None:
    step = {"type": "step", "data": {"action": Failing.SLOW}}
    leave_websocket(url, "/ws", json.dumps({"type": "reset"}), json.dumps(step))


def in_binary(url: str) -> None:
    requests = Open(), Reset(), Step(Failing.SLOW)
    bodies = [BINARY.encode_request(seq, one) for seq, one in enumerate(requests)]
    leave_websocket(url, "/ws", *bodies, protocol=SUBPROTOCOL)


def in_a_start(url: str) -> None:
    leave_websocket(url, "/ws", BINARY.encode_request(1, Open()), protocol=SUBPROTOCOL)


def in_mcp_over_a_websocket(url: str) -> None:
    step = call("step", action=Failing.SLOW)
    leave_websocket(url, "/mcp", json.dumps(call("reset")), json.dumps(step))


WAYS: list[tuple[Callable[[str], None], str]] = [
    (in_a_body, "POST /step"),
    (in_a_step_over_http, "POST /step"),
    (in_a_tool, "POST /mcp"),
    (in_json, "WebSocket /ws"),
    (in_binary, "WebSocket /ws"),
    (in_a_start, "WebSocket /ws"),
    (in_mcp_over_a_websocket, "WebSocket /mcp"),
]


def test_who_leaves_in_the_midst_of_a_request_is_one_line(capfd: pytest.CaptureFixture[str]):
    said = ""

    def count() -> int:
        nonlocal said
        said += capfd.readouterr().err
        return said.count(" left in the midst of ")

    with ServerProcess(FAILING, "--log-level=info", "--resume-grace=0") as server:
        for number, (leave, _) in enumerate(WAYS, start=1):
            leave(server.base_url)
            wait_until(lambda number=number: count() >= number)  # type: ignore[misc]
    count()
    assert re.findall(r"INFO: +127\.0\.0\.1:\d+ left in the midst of (.+)", said) == [
        what for _, what in WAYS
    ]
    for word in ("Traceback", "ERROR", "WARNING", "error "):
        assert word not in said


def test_no_text_of_a_message_or_an_error_forges_a_line():
    formatter = EscapingFormatter(logging.Formatter("%(levelname)s %(message)s"))
    forged = "a\n[INFO] fake\x1b[2J\u202e\udcff"
    record = logging.LogRecord("x", logging.INFO, "", 0, "got %s", (forged,), None)
    assert formatter.format(record) == r"INFO got a\n[INFO] fake\x1b[2J\u202e\udcff"
    try:
        raise ValueError(forged)
    except ValueError as exc:
        said = (type(exc), exc, exc.__traceback__)
        record = logging.LogRecord("x", logging.INFO, "", 0, "failed", None, said)
    first, *lines = formatter.format(record).split("\n")
    assert first == "INFO failed"
    assert lines[-1] == r"    [INFO] fake\x1b[2J\u202e\udcff"
    assert all(line.startswith("    ") for line in lines)
