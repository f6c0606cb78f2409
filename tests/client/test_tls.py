"""Certificates are loaded once in a process, and where there is no TLS not at all."""

from __future__ import annotations

import gc
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from websockets.sync.server import ServerConnection, serve

from openenv_gym.address import parse_address
from openenv_gym.client.http import get_schema
from openenv_gym.client.tls import system_trust
from openenv_gym.client.websocket import WebSocketOptions, WebSocketTransport
from openenv_gym.errors import UnreachableError
from openenv_gym.protocol import SUBPROTOCOL
from tests.support.collector import no_collection

SCHEMA = {"action": {}, "observation": {}}
REQUESTS = 5


class Schema(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(SCHEMA).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """Adds an authority to the system's; gives the context of a server that it vouches for."""
    ca = trustme.CA()
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    system_trust.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    yield context
    system_trust.cache_clear()


@contextmanager
def https(context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server with a schema; gives its URL."""
    with http.server.ThreadingHTTPServer(("localhost", 0), Schema) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            scheme = "http" if context is None else "https"
            yield f"{scheme}://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def wss(context: ssl.SSLContext) -> Iterator[str]:
    """A server that repeats what it is told; gives its URL."""

    def repeat(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    protocols = [SUBPROTOCOL]
    with serve(repeat, "localhost", 0, ssl=context, subprotocols=protocols) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"wss://localhost:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def certificates() -> int:
    """How many are in memory, of all contexts that are there."""
    contexts = [one for one in gc.get_objects() if type(one) is ssl.SSLContext]
    return sum(context.cert_store_stats()["x509"] for context in contexts)


def test_without_tls_no_certificates_are_loaded():
    with https() as url, no_collection():
        before = certificates()
        for _ in range(REQUESTS):
            assert get_schema(parse_address(url), WebSocketOptions()) == SCHEMA
        assert certificates() == before


def test_the_certificates_of_the_system_are_loaded_once_for_both_protocols(trusted):
    with https(trusted) as url, wss(trusted) as ws_url, no_collection():
        before = certificates()
        for _ in range(REQUESTS):
            assert get_schema(parse_address(url), WebSocketOptions()) == SCHEMA
            transport = WebSocketTransport(parse_address(ws_url), SUBPROTOCOL, WebSocketOptions())
            transport.send(b"step")
            assert transport.receive(30) == b"step"
            transport.close()
        assert certificates() == before + 1


def test_who_is_not_vouched_for_is_refused(trusted):
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(other)
    refused = pytest.raises(UnreachableError, match="certificate verify failed")
    with https(other) as url, refused:
        get_schema(parse_address(url), WebSocketOptions())
