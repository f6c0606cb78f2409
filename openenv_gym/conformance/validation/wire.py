"""The wire as it is: HTTP requests and WebSocket frames that no client of ours would send.

The transports of :mod:`openenv_gym.client` send no malformed message, answer for the server where
it broke, and take up lost sessions again. A checker needs none of that, so that this uses the
client of ``websockets`` and ``httpx`` as they are.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect, unix_connect

from openenv_gym.address import Address
from openenv_gym.client.handshake import add_headers
from openenv_gym.client.tls import system_trust
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.conformance.validation.checks import (
    BrokenError,
    Complaint,
    NotCheckedError,
    quoted,
)

_MAX_MESSAGE_BYTES = 100 * 2**20
_MOST_LINES = 6
_CONTROL_TIMEOUT_S = 5.0
_SERVICE_UNAVAILABLE = 503


def _headers(address: Address, options: WebSocketOptions) -> dict[str, str]:
    headers: dict[str, str] = {}
    add_headers(headers, address, options.headers)
    return headers


class NoJson:
    """Stands for a text that is no JSON."""


class EndedError(Exception):
    """The server ended the connection.

    Args:
        code: The code of its close frame, None where there was none.
        reason: Its reason.
    """

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(
            "the connection ended without a close frame"
            if code is None
            else f"the server closed the connection with {code} {reason}".rstrip()
        )
        self.code = code


class RefusedAction(dict[str, Any]):
    """Stands for the data of an observation where a server refused the action: the error's code."""


class FullError(NotCheckedError):
    """The server has no free session, so that nothing can be checked in one.

    Args:
        got: How it said so.
        evidence: What was sent and received.
    """

    def __init__(self, got: str, evidence: tuple[str, ...] = ()) -> None:
        super().__init__(f"the server has no free session: {got}")
        self.evidence = evidence


@dataclass(frozen=True, kw_only=True)
class HttpReply:
    """What a server answered to one request.

    Attributes:
        status: The HTTP status.
        body: The parsed JSON; :class:`NoJson` where there is none.
        evidence: The request and the answer.
    """

    status: int
    body: Any
    evidence: tuple[str, ...]

    def field(self, *names: str) -> Any:
        """Return what stands under a path of names, None where there is no such thing."""
        found = self.body
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found


class HttpSide:
    """Asks a server over HTTP.

    Args:
        address: Where the server is.
        options: How it is reached.
        timeout_s: How long to wait for an answer, in seconds.
    """

    def __init__(self, address: Address, options: WebSocketOptions, timeout_s: float) -> None:
        import httpx  # takes long to import, and is needed only here

        trust = options.ssl_context or (system_trust() if address.is_secure else False)
        self._prefix = address.http_url
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=address.socket_path, verify=trust),
            headers=_headers(address, options),
            timeout=timeout_s,
        )

    def ask(self, method: str, path: str, body: Any = None) -> HttpReply:
        """Send one request.

        Raises:
            BrokenError: no answer came.
        """
        import httpx

        said = f"> {method} {path}" + ("" if body is None else f" {quoted(body)}")
        try:
            more: dict[str, Any] = {} if body is None else {"json": body}
            answer = self._client.request(method, self._prefix + path, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            got = f"{type(exc).__name__}: {exc}"
            raise BrokenError(
                Complaint(expected="an answer over HTTP", got=got, evidence=(said,))
            ) from exc
        text = answer.text
        evidence = (said, f"< HTTP {answer.status_code} {quoted(text)}")
        return HttpReply(status=answer.status_code, body=parsed(text), evidence=evidence)

    def complaint(self) -> Complaint | None:
        """Return what is wrong where the server answers no more, None where it does."""
        try:
            self.ask("GET", "/health")
        except BrokenError as exc:
            return exc.complaint
        return None

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


def parsed(text: str) -> Any:
    """Return the JSON in ``text``, with NaN and infinities; :class:`NoJson` if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return NoJson


class WireSession:
    """One WebSocket, on which anything can be sent.

    Args:
        ws: The open connection.
        timeout_s: How long to wait for a reply, in seconds.
    """

    def __init__(self, ws: Any, timeout_s: float) -> None:
        self._ws = ws
        self._timeout_s = timeout_s
        self._lines: list[str] = []

    @property
    def evidence(self) -> tuple[str, ...]:
        """The last lines that were sent and received."""
        return tuple(self._lines[-_MOST_LINES:])

    def send(self, message: Any) -> None:
        """Send a text or bytes as they are, anything else as JSON.

        Raises:
            EndedError: the connection has ended.
        """
        self._lines.append(f"> {quoted(message)}")
        is_raw = isinstance(message, (str, bytes))
        try:
            self._ws.send(message if is_raw else json.dumps(message, allow_nan=False))
        except ConnectionClosed as exc:
            raise self._ended(exc) from exc

    def receive(self, timeout_s: float | None = None) -> Any:
        """Return the JSON of the next message; bytes as they are.

        Raises:
            EndedError: the connection has ended.
            TimeoutError: nothing came.
        """
        try:
            data = self._ws.recv(self._timeout_s if timeout_s is None else timeout_s)
        except ConnectionClosed as exc:
            raise self._ended(exc) from exc
        except TimeoutError:
            self._lines.append("< nothing")
            raise
        self._lines.append(f"< {quoted(data)}")
        return data if isinstance(data, bytes) else parsed(data)

    def request(self, message: Any) -> Any:
        """Send a message and return the reply.

        Raises:
            BrokenError: no reply came.
        """
        try:
            with contextlib.suppress(EndedError):  # what it said before it closed is still there
                self.send(message)
            return self.receive()
        except (EndedError, TimeoutError) as exc:
            raise BrokenError(self.complaint(f"a reply to {quoted(message)[:80]}", exc)) from exc

    def data(self, message: dict[str, Any], kind: str) -> dict[str, Any]:
        """Send a message and return the data of a reply of this kind.

        Raises:
            BrokenError: another reply came, or none.
        """
        return self.data_of(self.request(message), kind)

    def data_of(self, reply: Any, kind: str) -> dict[str, Any]:
        """Return the data of a reply of this kind.

        Raises:
            BrokenError: it is another one.
        """
        data = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(data, dict) or reply.get("type") != kind:
            expected = f"a reply of type {kind!r} with an object as data"
            raise BrokenError(self.complaint(expected, reply))
        return data

    def reset(self, **arguments: Any) -> dict[str, Any]:
        """Return the data of the reply to a reset, as :meth:`data`."""
        return self.data({"type": "reset", "data": arguments}, "observation")

    def step(self, action: Any) -> dict[str, Any]:
        """Return the data of the reply to a step; a :class:`RefusedAction` where it is an error.

        Raises:
            BrokenError: another reply came, or none.
        """
        reply = self.request({"type": "step", "data": action})
        data = reply.get("data") if isinstance(reply, dict) else None
        if isinstance(data, dict) and reply.get("type") == "error":
            return RefusedAction(error=data.get("code"))
        return self.data_of(reply, "observation")

    def state(self) -> dict[str, Any]:
        """Return the data of the reply to a question for the state, as :meth:`data`."""
        return self.data({"type": "state"}, "state")

    def complaint(self, expected: str, got: Any, *, is_warning: bool = False) -> Complaint:
        """Return a complaint with the last lines as its proof."""
        if isinstance(got, TimeoutError):
            got = f"no reply within {self._timeout_s:g} s"
        elif got is NoJson:
            got = "a message that is no JSON"
        text = got if isinstance(got, str) else str(got) if _is_error(got) else quoted(got)
        return Complaint(expected=expected, got=text, evidence=self.evidence, is_warning=is_warning)

    def ping(self) -> bool:
        """Send a ping, and return whether the pong came in time."""
        self._lines.append("> ping")
        try:
            is_answered: bool = self._ws.ping(b"openenv-gym").wait(self._timeout_s)
        except ConnectionClosed as exc:
            raise self._ended(exc) from exc
        self._lines.append("< pong" if is_answered else "< nothing")
        return is_answered

    def goodbye(self) -> int | None:
        """Send the message ``close``, and return the code with which the server closes.

        Raises:
            TimeoutError: the server leaves the connection open.
        """
        try:
            self.send({"type": "close"})
            while True:
                self.receive(_CONTROL_TIMEOUT_S)
        except EndedError as exc:
            return exc.code

    def drop(self) -> None:
        """Vanish: end the connection without any goodbye."""
        self._lines.append("> (the client vanishes)")
        with contextlib.suppress(OSError):
            self._ws.socket.shutdown(socket.SHUT_RDWR)

    def _ended(self, exc: ConnectionClosed) -> EndedError:
        frame = exc.rcvd
        ended = EndedError(None) if frame is None else EndedError(frame.code, frame.reason)
        self._lines.append(f"< ({ended})")
        return ended


def _is_error(got: Any) -> bool:
    return isinstance(got, BaseException)


@contextlib.contextmanager
def wire_session(
    address: Address, options: WebSocketOptions, timeout_s: float
) -> Iterator[WireSession]:
    """Open a WebSocket at ``/ws``; at the end say goodbye, so that the server frees the session.

    Raises:
        BrokenError: there is no WebSocket.
        FullError: the server refuses it with HTTP 503.
    """
    about: dict[str, Any] = {
        "additional_headers": _headers(address, options),
        "compression": None,
        "open_timeout": timeout_s,
        "ping_interval": None,
        "close_timeout": _CONTROL_TIMEOUT_S,
        "max_size": _MAX_MESSAGE_BYTES,
    }
    if address.is_secure:
        about["ssl"] = options.ssl_context or system_trust()
    try:
        if address.socket_path is not None:
            opened = unix_connect(address.socket_path, address.ws_url, **about)
        else:
            opened = connect(address.ws_url, proxy=None, **about)
        ws = opened.__enter__()
    except (OSError, InvalidHandshake, EOFError) as exc:
        evidence = [f"> GET {address.ws_url} (Upgrade: websocket)"]
        if isinstance(exc, InvalidStatus):
            body = bytes(exc.response.body or b"").decode(errors="replace")
            evidence.append(f"< HTTP {exc.response.status_code} {quoted(body)}")
            if exc.response.status_code == _SERVICE_UNAVAILABLE:
                raise FullError(f"HTTP 503 {quoted(body)}", tuple(evidence)) from exc
        raise BrokenError(
            Complaint(
                expected="a WebSocket at /ws",
                got=f"{type(exc).__name__}: {exc}",
                evidence=tuple(evidence),
            )
        ) from exc
    session = WireSession(ws, timeout_s)
    try:
        yield session
    finally:
        with contextlib.suppress(EndedError, TimeoutError, OSError):
            session.goodbye()
        opened.__exit__(None, None, None)
