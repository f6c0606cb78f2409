"""What a client sends too fast, or reads too slowly, is its own to wait for."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from urllib.parse import urlsplit

import gymnasium as gym
import httpx
import psutil
import pytest
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Open, Reset, Step
from openenv_gym.server.session import MAX_WAITING
from tests.support.family import only_worker_of
from tests.support.hanging import Hanging
from tests.support.waiting import wait_until

HANGING = "tests.support.hanging:Hanging-v0"
MOST_BYTES = 20 * 2**20


def open_session(url: str) -> connect:
    return connect(url.replace("http", "ws") + "/ws", subprotocols=[SUBPROTOCOL], max_size=None)


def begin(ws, messages: BinaryMessages, options: dict | None = None) -> None:
    for seq, request in enumerate((Open(), Reset(0, options)), 1):
        ws.send(messages.encode_request(seq, request))
        messages.decode_reply(ws.recv(timeout=40))


def flood(sock: socket.socket, data: bytes, most_bytes: int, patience_s: float = 1) -> int:
    """Send until the other end takes no more for a while; return how many bytes it took."""
    sock.settimeout(patience_s)
    sent = 0
    try:
        while sent < most_bytes:
            sent += sock.send(data)
    except TimeoutError:
        pass
    return sent


def test_requests_behind_a_step_that_hangs_are_not_read():
    with (
        ServerProcess(HANGING, "--step-timeout=100", "--drain-timeout=1") as server,
        open_session(server.base_url) as ws,
    ):
        messages = BinaryMessages()
        begin(ws, messages)
        ws.send(messages.encode_request(3, Step(Hanging.SLEEP)))
        before = psutil.Process(server.pid).memory_info().rss
        step = Frame(Opcode.BINARY, messages.encode_request(4, Step(0))).serialize(mask=True)
        with ws.protocol_mutex:
            sent = flood(ws.socket, step * 2000, 200 * 2**20)
        assert sent < 2 * MOST_BYTES  # the rest waits in the sockets
        assert psutil.Process(server.pid).memory_info().rss - before < MOST_BYTES
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        env.reset()
        assert env.step(0)[0][0] == 1.0
        env.close()
        ws.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_pings_of_a_client_that_reads_no_pongs_are_not_read(codec: str):
    protocols = [SUBPROTOCOL] if codec == "binary" else None
    # No other pings: what is said of them would come between the parts of one of ours.
    with ServerProcess(HANGING, "--write-timeout=0", "--ping-interval=0") as server:
        url = server.base_url.replace("http", "ws") + "/ws"
        with connect(url, subprotocols=protocols, ping_interval=None) as ws:
            messages = BinaryMessages()
            if codec == "binary":
                begin(ws, messages)
            before = psutil.Process(server.pid).memory_info().rss
            ping = Frame(Opcode.PING, bytes(125)).serialize(mask=True)
            with ws.protocol_mutex:
                sent = flood(ws.socket, ping * 500, 3 * MOST_BYTES, patience_s=5)
                assert sent < 2 * MOST_BYTES  # the rest waits in the sockets
                assert psutil.Process(server.pid).memory_info().rss - before < MOST_BYTES
                begun = sent % len(ping)
                ws.socket.settimeout(None)
                thread = Thread(target=ws.socket.sendall, args=(ping[begun:],))
                thread.start()
            thread.join()  # its pongs are read now
            if codec == "binary":
                ws.send(messages.encode_request(3, Step(0)))
                assert messages.decode_reply(ws.recv(timeout=40))[1].obs[0] == 1.0
            ws.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_a_client_that_reads_nothing_is_left(codec: str):
    with ServerProcess(HANGING, "--write-timeout=1", "--max-sessions=1") as server:
        address = urlsplit(server.base_url)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((address.hostname, address.port))
        before = psutil.Process(server.pid).memory_info().rss
        messages = BinaryMessages()
        large = {"text": "x" * 300_000}
        if codec == "binary":
            protocol, opcode = f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n", Opcode.BINARY
            first = messages.encode_request(1, Open())
            again = messages.encode_request(2, Reset(0, large))
        else:
            protocol, opcode = "", Opcode.TEXT
            first = b'{"type": "reset", "data": {}}'
            again = b'{"type": "reset", "data": {"options": {"text": "%s"}}}' % (b"x" * 300_000)
        head = (
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        )
        sock.sendall(head.encode() + Frame(opcode, first).serialize(mask=True))
        flooding = Frame(opcode, again).serialize(mask=True)
        try:
            sock.settimeout(40)
            while True:  # until the server has had enough
                sock.sendall(flooding)
        except ConnectionError:
            pass
        assert psutil.Process(server.pid).memory_info().rss - before < MOST_BYTES
        env = gym.make("openenv/remote-v0", base_url=server.base_url)
        env.reset()  # the slot is free
        env.close()
        sock.close()


def test_few_requests_over_http_wait_for_one_that_hangs():
    with (
        ServerProcess(HANGING, "--workers=0", "--close-timeout=0.5") as server,
        httpx.Client(base_url=server.base_url, timeout=60) as client,
        ThreadPoolExecutor(2 * MAX_WAITING + 1) as pool,
    ):
        client.post("/reset", json={})
        worker = only_worker_of(server.pid)  # the one that the server is described by has ended
        begun_s = worker.cpu_times().user
        hanging = pool.submit(client.post, "/step", json={"action": {"action": Hanging.SPIN}})
        wait_until(lambda: worker.cpu_times().user >= begun_s + 0.2)
        body = {"options": {"text": "x" * 1_000_000}}
        others = [pool.submit(client.post, "/reset", json=body) for _ in range(2 * MAX_WAITING)]
        wait_until(lambda: sum(other.done() for other in others) >= MAX_WAITING)
        client.post("/close")
        answers = sorted(other.result().status_code for other in others)
        assert answers == [409] * MAX_WAITING + [503] * MAX_WAITING
        assert hanging.result().status_code == 500
