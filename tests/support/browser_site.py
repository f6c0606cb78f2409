"""A page of a test, which a browser opens and which says by itself what it found."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import tempfile
import threading
from queue import Empty, Queue
from typing import Any, Self

import httpx
import pytest

from tests.support.browser import OPTIONS, chromium

ANSWER_S = 90.0


class Site:
    """A site of one page, which is of the test. To the browser every name is this machine.

    The test is skipped where there is no Chromium.

    Args:
        name: The host of the site.
        behind: The URL of a server that is found under the same name and port once the page has
            loaded, as after a rebinding. It gets what the page asks of its own origin over HTTP.

    Attributes:
        origin: The origin of the page.
    """

    def __init__(self, name: str, behind: str | None = None) -> None:
        self._program, self._said = chromium(), Queue[Any]()
        self._page = b""
        self._client = httpx.Client(timeout=60)  # to make one for each request takes long
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(behind))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.origin = f"http://{name}:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()

    def told(self, script: str) -> Any:
        """Open the page, and return what its script gives: the body of an asynchronous function."""
        self._page = f"""<!doctype html><title>t</title><script>
        (async () => {{ {script} }})()
          .catch((error) => "failed: " + error)
          .then((found) => fetch("/page", {{method: "POST", body: JSON.stringify(found)}}));
        </script>""".encode()
        return _open(self._program, f"{self.origin}/page", self._said)

    def _handler(self, behind: str | None) -> type:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path != "/page":
                    self.pass_on(body)
                    return
                if self.command == "POST":
                    site._said.put(json.loads(body))
                self.send(200, site._page)

            do_GET = do_HEAD = do_POST = do_DELETE = do_OPTIONS = do_PUT = answer

            def pass_on(self, body: bytes) -> None:
                if behind is None:
                    self.send(404, b"")
                    return
                headers = dict(self.headers.items())  # Host, Origin and all
                there = behind + self.path
                answer = site._client.request(self.command, there, headers=headers, content=body)
                self.send(answer.status_code, answer.content)

            def send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        return Handler


def _open(program: str, url: str, said: Queue[Any]) -> Any:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [program, *OPTIONS, "--no-proxy-server", f"--user-data-dir={folder}"]
        browser = subprocess.Popen(
            [*command, "--host-resolver-rules=MAP * 127.0.0.1", url],
            env={**os.environ, "HOME": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            return said.get(timeout=ANSWER_S)
        except Empty:
            pytest.fail(f"the page said nothing within {ANSWER_S:g} s")
        finally:
            os.killpg(browser.pid, 9)
            browser.wait()
