"""One ``GET`` within one deadline: from the first try to connect to the last byte of the body.

The time limits of HTTP libraries are for each read. A server that sends a byte a second keeps all
of them and answers never. Here each read and write gets what is left of the whole.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore

from openenv_gym.errors import NotOpenEnvError


@dataclass(frozen=True)
class HttpAnswer:
    """What a server answered.

    Attributes:
        url: What was asked for.
        status_code: The status.
        headers: Its headers, by their names in lower case.
        content: The whole body.
    """

    url: str
    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The beginning of the body as text, for messages."""
        return self.content[:4096].decode(errors="replace")


class LateBodyError(TimeoutError):
    """The headers came in time, and the body did not."""


def get(
    url: str,
    headers: Mapping[str, str],
    end_s: float,
    max_bytes: int,
    *,
    uds: str | None = None,
    trust: ssl.SSLContext | None = None,
) -> HttpAnswer:
    """Return what a server answers to a ``GET``, be it a redirect.

    Args:
        url: What to ask for.
        headers: What to say beside it.
        end_s: When it is too late, by ``time.monotonic``.
        max_bytes: The longest body that is taken.
        uds: The file of a Unix socket to connect to; None for what the URL says.
        trust: The TLS context; None where the URL has no TLS.

    Raises:
        NotOpenEnvError: the answer is too long, or compressed, which nobody asked for.
        LateBodyError: only its headers came in time.
        TimeoutError: not even these.
        OSError: nobody answers.
        ValueError: the name of the host is none.
    """
    asked: Any = {"Accept-Encoding": "identity", **headers}  # a short body may hide a long one
    content, told = bytearray(), dict[str, str]()
    try:
        with (
            httpcore.ConnectionPool(trust, uds=uds, network_backend=_Timed(end_s)) as pool,
            pool.stream("GET", url, headers=asked) as response,
        ):
            told = {_text(name).lower(): _text(value) for name, value in response.headers}
            if told.get("content-encoding", "identity") != "identity":
                raise NotOpenEnvError(
                    f"{url}: expected a plain body, got one in {told['content-encoding']!r:.40}, "
                    "which was not asked for"
                )
            for chunk in response.iter_stream():
                content += chunk
                if len(content) > max_bytes:
                    raise NotOpenEnvError(
                        f"{url}: expected at most {max_bytes} bytes (max_message_bytes), got more; "
                        "is this an OpenEnv server?"
                    )
    except httpcore.TimeoutException as exc:
        if told:
            raise LateBodyError(f"got {len(content)} bytes and no end of it") from exc
        raise TimeoutError("got none") from exc
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as exc:
        raise OSError(str(exc) or type(exc).__name__) from exc
    return HttpAnswer(url, response.status, told, bytes(content))


def _text(header: bytes) -> str:
    return header.decode("latin-1")


class _Timed(httpcore.NetworkBackend):
    """Sockets that all have the same deadline."""

    def __init__(self, end_s: float) -> None:
        self._end_s = end_s
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left_s = _left(self._end_s)
        stream = self._backend.connect_tcp(host, port, left_s, local_address, socket_options)
        return _TimedStream(stream, self._end_s)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        stream = self._backend.connect_unix_socket(path, _left(self._end_s), socket_options)
        return _TimedStream(stream, self._end_s)


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, end_s: float) -> None:
        self._stream, self._end_s = stream, end_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._end_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._end_s))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._end_s))
        return _TimedStream(stream, self._end_s)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(end_s: float) -> float:
    left_s = end_s - time.monotonic()
    if left_s <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return left_s
