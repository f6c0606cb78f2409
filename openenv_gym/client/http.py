"""What is asked over HTTP, before any session is opened."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from openenv_gym.address import Address
from openenv_gym.client.handshake import add_headers, unauthenticated
from openenv_gym.client.redirects import Stop, follow, redirect_in
from openenv_gym.client.tls import system_trust
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.codecs.weight import LIGHT_BYTES, check_json
from openenv_gym.errors import NotOpenEnvError, UnreachableError
from openenv_gym.texts import quoted

if TYPE_CHECKING:
    from openenv_gym.client.get import HttpAnswer

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
        ProtocolError: the schemas would fill the memory.
    """
    response = _get(address, "schema", options)
    expected = f"expected the schema of an OpenEnv server at {response.url}"
    if response.status_code != _OK:
        kind = NoSchema if _is_application(response) else NotOpenEnvError
        raise kind(f"{expected}, got HTTP {response.status_code}: {quoted(response.text, 100)}")
    check_json(response.content)
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError) as exc:
        raise NotOpenEnvError(f"{expected}, got no JSON: {quoted(response.text, 100)}") from exc
    if not isinstance(body, dict) or not {"action", "observation"} <= body.keys():
        raise NotOpenEnvError(f"{expected}, got JSON without 'action' and 'observation'")
    return body


def get_name(address: Address, options: WebSocketOptions) -> str | None:
    """Return the name of the environment under ``GET /metadata``, None where there is none.

    Raises:
        UnreachableError: nobody answers at ``address``.
    """
    response = _get(address, "metadata", options)
    if len(response.content) > LIGHT_BYTES:
        return None
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    name = body.get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) else None


def _is_application(response: HttpAnswer) -> bool:
    """Whether a server failed to make its schema, or FastAPI has no such route."""
    if response.status_code >= 500:
        return True
    kind = response.headers.get("content-type", "")
    return response.status_code == 404 and kind.startswith("application/json")


def _get(address: Address, path: str, options: WebSocketOptions) -> HttpAnswer:
    if address.socket_path is not None and not os.path.exists(address.socket_path):
        raise UnreachableError(
            f"cannot connect to {address}: no such file; is the server running, "
            "and is the address right?"
        )
    answer: Any = None
    end_s = time.monotonic() + options.connect_timeout_s  # of all redirects together

    def ask(place: Stop) -> str | None:
        nonlocal answer
        answer = _answer_at(place, options, end_s)
        return redirect_in(answer.status_code, answer.headers.get("location"))

    follow(Stop.of(address, path), ask, options.redirect_hosts)
    found: HttpAnswer = answer
    if found.status_code == _UNAUTHENTICATED:
        raise unauthenticated(address, found.text)
    return found


def _answer_at(place: Stop, options: WebSocketOptions, end_s: float) -> HttpAnswer:
    """What one place answers, be it a redirect."""
    from openenv_gym.client.get import LateBodyError, get  # its library is needed only here

    address = place.address
    headers = {"User-Agent": "openenv-gym"}
    if place.is_own:
        add_headers(headers, address, options.headers)
    trust = options.ssl_context or (system_trust() if address.is_secure else None)
    limit = min(options.longest_message, _MAX_SCHEMA_BYTES)
    try:
        return get(place.url, headers, end_s, limit, uds=address.socket_path, trust=trust)
    except TimeoutError as exc:
        kind = NotOpenEnvError if isinstance(exc, LateBodyError) else UnreachableError
        raise kind(
            f"{place.url}: expected the answer within {options.connect_timeout_s:g} s "
            f"(connect_timeout_s), {exc}; is the server running, and is the address right?"
        ) from exc
    except (OSError, ValueError) as exc:
        raise UnreachableError(
            f"cannot connect to {address}: {exc or type(exc).__name__}; is the server running, "
            "and is the address right?"
        ) from exc
