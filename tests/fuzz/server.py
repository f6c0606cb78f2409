"""Fuzzes a server: what its OpenAPI page says, and what comes over WebSockets and bare sockets.

A bystander plays meanwhile. A find is an answer of 5xx, a server that does not answer, and a
bystander whose session is lost.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import gymnasium as gym
import httpx
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from benchmarks.package_venv import InstallError
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL
from tests import venvs
from tests.fuzz.targets import seeds

ENVIRONMENT = "CartPole-v1"
# A session that nobody uses gives way at once: that a server is full is no find.
SETTINGS = ("--http-idle=0", "--max-sessions=16", "--header-timeout=2", "--first-message-timeout=2")

_REQUEST_TIMEOUT_S = 30

# Its command `fuzz` has a limit of time, and makes one request in that where `run` makes hundreds.
OPTIONS = (
    *("--checks=not_a_server_error", "--phases=examples,coverage,fuzzing", "--max-examples=30"),
    *("--suppress-health-check=all", "--generation-database=none", "--no-color"),
    f"--request-timeout={_REQUEST_TIMEOUT_S}",
)


def fuzz(seconds: float) -> list[str]:
    """Fuzz for that long; return what was found, one text each."""
    finds: list[str] = []
    with logged() as log, ServerProcess(ENVIRONMENT, *SETTINGS) as server, playing(server, finds):
        for part in (openapi, websockets, bytes_of_http):
            finds += [f"{part.__name__}: {find}" for find in part(server.base_url, seconds / 3)]
        if server._process.poll() is not None:
            finds.append("the server has ended")
        elif httpx.get(f"{server.base_url}/livez", timeout=60).status_code != 200:
            finds.append("the server does not live")
        said = log()
        if "Traceback" in said:
            place = said.index("Traceback")
            count = said.count("Traceback")
            finds.append(f"{count} tracebacks in the log: {said[place : place + 6000]}")
    return finds


@contextlib.contextmanager
def logged() -> Iterator[Callable[[], str]]:
    """Have what is started now print to a file; gives a function that reads it."""
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: os.pread(file.fileno(), 1 << 26, 0).decode(errors="replace")
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def playing(server: ServerProcess, finds: list[str]) -> Iterator[None]:
    """Play an environment meanwhile; that its session is lost is a find."""
    is_over = threading.Event()

    def play() -> None:
        env = gym.make("openenv/remote-v0", base_url=server.base_url, on_fault="raise")
        steps, has_ended = 0, True
        try:
            while not is_over.is_set():
                if has_ended:
                    env.reset(seed=1)
                _, _, terminated, truncated, _ = env.step(env.action_space.sample())
                has_ended = terminated or truncated
                steps += 1
                time.sleep(0.005)
            env.close()
        except OpenEnvGymError as exc:
            finds.append(f"a bystander after {steps} steps: {type(exc).__name__}: {exc}")
        print(f"a bystander: {steps:,} steps")

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        is_over.set()
        player.join()


def openapi(url: str, seconds: float) -> list[str]:
    """Have Schemathesis ask what the OpenAPI page says, and what it does not say."""
    try:
        python = venvs.SCHEMATHESIS.make()
    except InstallError as exc:
        print(f"openapi: left out, there is no Schemathesis: {exc}")
        return []
    program = python.parent / "schemathesis"
    end_s, number, count = time.monotonic() + seconds, 0, 0
    while not number or time.monotonic() < end_s:
        ended = subprocess.run(
            [program, "run", *OPTIONS, f"--seed={number}", f"{url}/openapi.json"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=venvs.SCHEMATHESIS.folder,
        )
        said = ended.stdout + ended.stderr
        counted = re.search(r"(\d+) generated", said)
        count += int(counted[1]) if counted else 0
        number += 1
        if ended.returncode:
            return [said[-6000:]]
    print(f"openapi: {count:,} requests", flush=True)
    return []


def websockets(url: str, seconds: float) -> list[str]:
    """Send messages with faults in them, in both protocols."""
    known = {
        None: [data[1:] for data in seeds("json-request")],
        SUBPROTOCOL: [data[1:] for data in seeds("binary-request")],
    }
    places = ["/ws", "/ws?num_envs=2", "/ws?view=gymnasium", "/ws?num_envs=x", "/mcp"]

    def session(draw: random.Random) -> str | None:
        protocol = draw.choice(list(known))
        protocols = None if protocol is None else [protocol]
        place = url.replace("http", "ws") + draw.choice(places)
        try:
            with connect(place, subprotocols=protocols, proxy=None, close_timeout=1) as peer:
                for _ in range(draw.randrange(6)):
                    data = _with_faults(draw.choice(known[protocol]), draw)
                    peer.send(data if draw.random() < 0.5 else data.decode(errors="replace"))
                    if draw.random() < 0.7:
                        peer.recv(timeout=_REQUEST_TIMEOUT_S)
        except InvalidStatus as exc:
            status = exc.response.status_code
            return f"{place} was answered with {status}" if status >= 500 else None
        except TimeoutError:
            return f"{place} was not answered: {data!r}"
        except (WebSocketException, OSError):  # the server has hung up, as it may
            return None
        return None

    return _repeated("websockets", session, seconds)


def bytes_of_http(url: str, seconds: float) -> list[str]:
    """Send requests with faults in their bytes, handshakes among them."""
    known = [
        b"GET /schema HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b'POST /reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n{"seed": 1}',
        b"POST /step HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'1a\r\n{"action": {"action": 1} }\r\n0\r\n\r\n',
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 46\r\n\r\n{"jsonrpc": "2.0", "id": 1, "method": "ping" }',
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        b'\x81\x91\0\0\0\0{"type": "state"}',
    ]
    place = urlsplit(url)

    def request(draw: random.Random) -> str | None:
        data = _with_faults(draw.choice(known), draw)
        try:
            with socket.create_connection((place.hostname, place.port), timeout=0.2) as peer:
                peer.sendall(data)
                answer = peer.recv(1 << 16)
        except OSError:  # it waits for more, or has hung up
            return None
        has_failed = re.match(rb"HTTP/1\.1 5", answer)
        return f"{data!r} was answered with {answer[:300]!r}" if has_failed else None

    return _repeated("bytes of HTTP", request, seconds)


def _with_faults(data: bytes, draw: random.Random) -> bytes:
    """The same, with some bytes written over, left out, or said twice."""
    body = bytearray(data)
    for _ in range(draw.randrange(4)):
        place, count = draw.randrange(len(body) + 1), draw.randrange(1, 6)
        match draw.randrange(4):
            case 0:
                body[place : place + 1] = draw.randbytes(1)
            case 1:
                body[place : place + count] = b""
            case 2:
                body[place:place] = body[place : place + 10 * count]
            case _:
                body[place:place] = draw.choice(
                    [b"0", b"-", b"9" * 30, b"null", b"[" * 200, b"\xff"]
                )
    return bytes(body)


def _repeated(
    name: str, attempt: Callable[[random.Random], str | None], seconds: float
) -> list[str]:
    """Try again and again until the time is over; return the first finds."""
    finds: list[str] = []
    end_s, count = time.monotonic() + seconds, 0
    while time.monotonic() < end_s and len(finds) < 10:
        found = attempt(random.Random(count))
        finds += [] if found is None else [f"number {count}: {found}"]
        count += 1
    print(f"{name}: {count:,} tried", flush=True)
    return finds
