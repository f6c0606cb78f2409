"""What is asked over HTTP, before any session is opened."""

from __future__ import annotations

import os
from typing import Any

from openenv_gym.address import Address
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.errors import NotOpenEnvError, UnreachableError


def get_schema(address: Address, options: WebSocketOptions) -> dict[str, Any]:
    """Return the body of ``GET /schema``.

    Raises:
        UnreachableError: nobody answers at ``address``.
        NotOpenEnvError: who answers has no such route, or says something else there.
    """
    if address.socket_path is not None and not os.path.exists(address.socket_path):
        raise UnreachableError(
            f"cannot connect to {address}: no such file; is the server running, "
            "and is the address right?"
        )
    import httpx  # takes longer to import than a worker takes to start, and is needed only here

    transport = httpx.HTTPTransport(uds=address.socket_path, verify=options.ssl_context or True)
    url = f"{address.http_url}/schema"
    auth = None if address.username is None else (address.username, address.password or "")
    try:
        with httpx.Client(transport=transport, timeout=options.connect_timeout_s) as client:
            response = client.get(url, headers=options.headers, auth=auth)
    except (httpx.TransportError, OSError, ValueError) as exc:
        raise UnreachableError(
            f"cannot connect to {address}: {exc or type(exc).__name__}; is the server running, "
            "and is the address right?"
        ) from exc
    except httpx.DecodingError as exc:
        raise NotOpenEnvError(f"{address} sent what cannot be read: {exc}") from exc
    expected = f"expected the schema of an OpenEnv server at {url}"
    if response.status_code != httpx.codes.OK:
        raise NotOpenEnvError(f"{expected}, got HTTP {response.status_code}: {response.text[:100]}")
    try:
        body = response.json()
    except (ValueError, RecursionError) as exc:
        raise NotOpenEnvError(f"{expected}, got no JSON: {response.text[:100]}") from exc
    if not isinstance(body, dict) or not {"action", "observation"} <= body.keys():
        raise NotOpenEnvError(f"{expected}, got JSON without 'action' and 'observation'")
    return body
