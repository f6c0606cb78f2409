"""The gate: every request passes it before any route sees it, and so does every handshake.

A server that listens on 127.0.0.1 is not out of reach of the web. Any page that its user opens can
send requests there: a ``POST`` with the content type ``text/plain`` needs nobody's leave, and nor
does a WebSocket. Two headers, which a page cannot forge, give it away.

``Origin`` names the page that sends the request. Browsers send it with every handshake of a
WebSocket and with every request but ``GET`` and ``HEAD``, and they do not let another page read the
answer to these two. Python clients, curl and agents send none. So a request without an ``Origin``
passes, and one with an ``Origin`` passes if the page came from this server itself, or from one that
``--allow-origin`` names.

``Host`` says by which name the client found the server. It matters because of *DNS rebinding*: a
page of http://evil.example:8000 has the name evil.example point to 127.0.0.1 after it was loaded.
The browser then takes this server for the page's own, sends an ``Origin`` that fits the ``Host``,
and lets the page read every answer. The attack needs a name whose address the attacker chooses, so:

- Loopback names and addresses, the address that the connection came to, the name of this machine
  and the names of ``--allow-host`` always pass.
- On a connection over the loopback interface nothing else does. This is where rebinding strikes
  servers that were meant for one machine.
- On a connection over a network, where the server listens on that address or on all (0.0.0.0),
  nobody here knows all names that lead to it: those of containers, of services in a cluster, of
  proxies. An address passes, because an address cannot be rebound. A name passes if the request is
  not of a browser's page, or of one that ``--allow-origin`` trusts; so Python clients reach the
  server by any name, and a rebound page can change nothing. It could still read what ``GET``
  answers; where that matters, ``--allow-host`` names all names, and no other passes then.

A *token* (:mod:`openenv_gym.server.tokens`) opens a server that has any, and without one nothing
behind the gate runs: no slot is taken and no environment built. Three kinds of requests need none.
The probes :data:`PROBES` are asked by orchestrators, which have no token to send; they tell no more
than their state. The page of ``--web`` is the same for everybody, and asks its user for the token.
Before a browser sends a token for a page of an allowed origin it asks for leave, without the token;
the middleware for CORS answers that, and no route sees it.

Nothing here knows the flag ``--host``: the address comes with each connection (``server`` in the
ASGI scope), so that the gate holds under any ASGI server.

The checks are the list :data:`CHECKS`. A check is a function that is given a request and the
settings, and returns why the request is refused, or None. A further one is one more function there.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from openenv_gym.server.settings import ServerSettings
from openenv_gym.server.tokens import OWNER, protocols_of_tokens, shown_token
from openenv_gym.server.web_route import PAGE
from openenv_gym.wire.error_codes import brief, printable

PROBES = ("/livez", "/readyz", "/health")
"""What an orchestrator asks: Kubernetes' convention, and the last one is that of OpenEnv."""

_OPEN = (*PROBES, f"/{PAGE}")
"""What needs no token: the page is the same for everybody, and asks its user for one."""

_log = logging.getLogger(__name__)

_REALM = 'realm="openenv-gym"'


class Refusal(NamedTuple):
    """Why a request is refused.

    Attributes:
        status: The HTTP status of the answer.
        sentence: What the answer says.
        headers: What its headers say beside that.
    """

    status: int
    sentence: str
    headers: Mapping[str, str] = MappingProxyType({})


Check: TypeAlias = Callable[[HTTPConnection, ServerSettings], Refusal | None]


def check_host(request: HTTPConnection, settings: ServerSettings) -> Refusal | None:
    """Refuse a name that somebody else may have made lead here."""
    for said in request.headers.getlist("host"):  # none is fine: a browser sends one
        if not _is_ours(_host_name(said), request, settings):
            return Refusal(403, f"Host {_shown(said)} is no name of this server (--allow-host)")
    return None


def _is_ours(host: str, request: HTTPConnection, settings: ServerSettings) -> bool:
    server = request.scope.get("server")
    own = None if server is None else str(server[0])
    names = [name.lower() for name in settings.allow_hosts]
    if is_loopback(host) or host in (own, socket.gethostname().lower(), *names):
        return True
    is_page = request.headers.get("origin") not in (None, *settings.allow_origins)
    is_from_network = own is None or not is_loopback(own)
    return is_from_network and (is_address(host) or not (names or is_page))


def check_origin(request: HTTPConnection, settings: ServerSettings) -> Refusal | None:
    """Refuse pages that are neither this server's own nor allowed."""
    scheme = "https" if request.scope.get("scheme") in ("https", "wss") else "http"
    own = [f"{scheme}://{host}".lower() for host in request.headers.getlist("host")]
    for origin in request.headers.getlist("origin"):
        if origin not in (*own, *settings.allow_origins):
            return Refusal(403, f"Origin {_shown(origin)} may not use this server (--allow-origin)")
    return None


def check_token(request: HTTPConnection, settings: ServerSettings) -> Refusal | None:
    """Refuse who shows none of the server's tokens, and note whose token was shown.

    What is behind the gate does not get to see a token that came as a subprotocol.
    """
    if not settings.tokens:
        return None
    scope, shown = request.scope, shown_token(request)
    owner = None if shown is None else settings.tokens.owner_of(shown)
    if owner is not None:
        offered = scope.get("subprotocols")
        if offered:
            scope["subprotocols"] = [p for p in offered if p not in protocols_of_tokens(offered)]
        scope[OWNER] = owner
        return None
    if _is_open(scope) or _asks_for_leave(request, settings):
        return None
    came = "none" if shown is None else "another one"
    _log.info("%s shows no token of this server, but %s", request.client, came)
    return Refusal(
        401,
        f"expected a token of this server as 'Authorization: Bearer TOKEN', got {came}",
        {"WWW-Authenticate": f"Bearer {_REALM}, Basic {_REALM}"},
    )


def _is_open(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    path, prefix = scope["path"], scope.get("root_path") or ""
    return path.removeprefix(prefix) in _OPEN


def _asks_for_leave(request: HTTPConnection, settings: ServerSettings) -> bool:
    """Whether this is what the middleware for CORS answers, which is there for allowed origins."""
    said = request.headers
    is_preflight = "origin" in said and "access-control-request-method" in said
    is_answered = request.scope.get("method") == "OPTIONS" and bool(settings.allow_origins)
    return is_preflight and is_answered


def check_content_type(request: HTTPConnection, settings: ServerSettings) -> Refusal | None:
    """Refuse what a page can send without asking first, which is every other type than JSON.

    Before a browser sends JSON for a page of another origin, it asks the server for leave.
    """
    if request.scope.get("method") != "POST" or "origin" not in request.headers:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return None
    return Refusal(
        415, f"expected the content type application/json of a page, got {_shown(kind) or 'none'}"
    )


CHECKS: tuple[Check, ...] = (check_host, check_origin, check_token, check_content_type)
"""The checks in their order; the first one that refuses is the answer."""


class Gate:
    """An ASGI middleware that refuses requests before the application sees them.

    Args:
        app: The application behind the gate.
        settings: Whom the gate lets pass.
        checks: What is checked.
        on_refusal: Called with the name of the check that refuses a request.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        checks: Sequence[Check] = CHECKS,
        on_refusal: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._on_refusal = on_refusal
        self._app = app
        self._settings = settings
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with its refusal."""
        refusal = None if scope["type"] == "lifespan" else self._refusal_of(HTTPConnection(scope))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket" and not _can_deny(scope):
            await send({"type": "websocket.close"})  # which ASGI servers answer with 403
        else:
            headers = {**refusal.headers, **self._leave_to_read(scope)}
            response = PlainTextResponse(f"{refusal.sentence}\n", refusal.status, headers)
            await response(scope, receive, send)

    def _leave_to_read(self, scope: Scope) -> dict[str, str]:
        """The headers by which a browser lets a page of an allowed origin read a refusal."""
        origin = HTTPConnection(scope).headers.get("origin")
        if origin is None or origin not in self._settings.allow_origins:
            return {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def _refusal_of(self, request: HTTPConnection) -> Refusal | None:
        for check in self._checks:
            if (refusal := check(request, self._settings)) is not None:
                self._on_refusal(check.__name__.removeprefix("check_"))
                return refusal
        return None


def _can_deny(scope: Scope) -> bool:
    """Whether the ASGI server lets a handshake be answered with a status and a body."""
    return "websocket.http.response" in (scope.get("extensions") or {})


def _host_name(said: str) -> str:
    """The name or address in a ``Host`` header, without its port; "" where there is none."""
    try:
        return (urlsplit(f"//{said}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_address(host: str) -> bool:
    """Whether ``host`` is an IP address and no name."""
    return _address(host) is not None


def is_loopback(host: str) -> bool:
    """Whether ``host`` is an address of the loopback interface, or a name that means no other."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)  # IPv4 on a socket for both versions
    return (mapped or address).is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _shown(text: str) -> str:
    return brief(printable(text), 80)
