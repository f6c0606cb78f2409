"""What is asked over HTTP, before any session is opened."""

from __future__ import annotations

import os
import time
from typing import Any

from openenv_gym.address import Address
from openenv_gym.client.handshake import add_headers, unauthenticated
from openenv_gym.client.redirects import Stop, follow, redirect_in
from openenv_gym.client.tls import no_trust, system_trust
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.errors import NotOpenEnvError, UnreachableError

_OK, _UNAUTHENTICATED = 200, 401
_MAX_SCHEMA_BYTES = 100 * 2**20


class NoSchema(NotOpenEnvError):
    """Who answers may be an OpenEnv server, but its schemas cannot be had."""


def get_schema(address: Address, options: WebSocketOptions) -> dict[str, Any]:
    """Return the body of ``GET /schema``.

    Raises:
        UnreachableError: nobody answers at ``address``.
        AuthenticationError: who answers wants another token.
        NoSchema: a web application answers, without a schema.
        NotOpenEnvError: who answers has no such route, or says something else there.
    """
    response = _get(address, "schema", options)
    expected = f"expected the schema of an OpenEnv server at {response.url}"
    if response.status_code != _OK:
        kind = NoSchema if _is_application(response) else NotOpenEnvError
        raise kind(f"{expected}, got HTTP {response.status_code}: {response.text[:100]}")
    try:
        body = response.json()
    except (ValueError, RecursionError) as exc:
        raise NotOpenEnvError(f"{expected}, got no JSON: {response.text[:100]}") from exc
    if not isinstance(body, dict) or not {"action", "observation"} <= body.keys():
        raise NotOpenEnvError(f"{expected}, got JSON without 'action' and 'observation'")
    return body


def get_name(address: Address, options: WebSocketOptions) -> str | None:
    """Return the name of the environment under ``GET /metadata``, None where there is none.

    Raises:
        UnreachableError: nobody answers at ``address``.
    """
    response = _get(address, "metadata", options)
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return None
    name = body.get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) else None


def _is_application(response: Any) -> bool:
    """Whether a server failed to make its schema, or FastAPI has no such route."""
    if response.status_code >= 500:
        return True
    kind = str(response.headers.get("content-type", ""))
    return bool(response.status_code == 404) and kind.startswith("application/json")


def _get(address: Address, path: str, options: WebSocketOptions) -> Any:
    if address.socket_path is not None and not os.path.exists(address.socket_path):
        raise UnreachableError(
            f"cannot connect to {address}: no such file; is the server running, "
            "and is the address right?"
        )
    answer: Any = None

    def ask(place: Stop) -> str | None:
        nonlocal answer
        answer = _answer_at(place, options)
        return redirect_in(answer.status_code, answer.headers.get("location"))

    follow(Stop.of(address, path), ask, options.redirect_hosts)
    if answer.status_code == _UNAUTHENTICATED:
        raise unauthenticated(address, answer.text)
    return answer


def _answer_at(place: Stop, options: WebSocketOptions) -> Any:
    """What one place answers, be it a redirect."""
    import httpx  # takes longer to import than a worker takes to start, and is needed only here

    address = place.address
    trust = options.ssl_context or (system_trust() if address.is_secure else no_trust())
    transport = httpx.HTTPTransport(uds=address.socket_path, verify=trust)
    headers: dict[str, str] = {}
    if place.is_own:
        add_headers(headers, address, options.headers)
    try:
        with (
            httpx.Client(transport=transport, timeout=options.connect_timeout_s) as client,
            client.stream("GET", place.url, headers=headers) as response,
        ):
            content = _content(response, options)
        response.stream = httpx.ByteStream(b"")  # which was part of a cycle, with all the client
        headers_left = {
            name: response.headers.get(name, "") for name in ("content-type", "location")
        }
        asked = httpx.Request("GET", place.url)
        return httpx.Response(
            response.status_code, headers=headers_left, content=content, request=asked
        )
    except (httpx.TransportError, OSError, ValueError) as exc:
        raise UnreachableError(
            f"cannot connect to {address}: {exc or type(exc).__name__}; is the server running, "
            "and is the address right?"
        ) from exc
    except httpx.DecodingError as exc:
        raise NotOpenEnvError(f"{address} sent what cannot be read: {exc}") from exc


def _content(response: Any, options: WebSocketOptions) -> bytes:
    """The whole body, of a server that may go on without end, or as slowly as it likes."""
    deadline_s = time.monotonic() + options.connect_timeout_s
    content, limit = bytearray(), min(options.max_message_bytes, _MAX_SCHEMA_BYTES)
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > limit:
            raise NotOpenEnvError(
                f"{response.url}: expected at most {limit} bytes "
                "(max_message_bytes), got more; is this an OpenEnv server?"
            )
        if time.monotonic() > deadline_s:
            raise NotOpenEnvError(
                f"{response.url}: expected the answer within {options.connect_timeout_s:g} s "
                f"(connect_timeout_s), got {len(content)} bytes and no end of it"
            )
    return bytes(content)
