"""``GET`` from servers that say what they like, as slowly as they like."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from openenv_gym.address import parse_address
from openenv_gym.client.http import get_schema
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.errors import NotOpenEnvError

pytestmark = pytest.mark.single_env

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def endless(chunk: bytes, pause_s: float) -> Iterator[str]:
    """A server whose body has no end; gives its URL."""
    left = threading.Event()

    def answer() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            try:
                peer.sendall(HEAD)
                while not left.wait(pause_s):
                    peer.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            except OSError:  # the client has had enough
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            left.set()
            thread.join()


def test_a_body_without_end_is_refused_at_the_limit():
    options = WebSocketOptions(max_message_bytes=1 << 20)
    refused = pytest.raises(NotOpenEnvError, match=r"expected at most 1048576 bytes .*, got more")
    with endless(b" " * (1 << 16), 0) as url, refused:
        get_schema(parse_address(url), options)


def test_a_body_that_drips_is_refused_in_time():
    # Each drop has as long: who stops for less must not be taken for a server that says nothing.
    options = WebSocketOptions(connect_timeout_s=4)
    refused = pytest.raises(NotOpenEnvError, match=r"within 4 s .*, got \d+ bytes and no end")
    with endless(b" ", 0.05) as url, refused:
        get_schema(parse_address(url), options)
