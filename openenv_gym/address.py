"""Addresses of servers, parsed once into one frozen value.

>>> parse_address("http://localhost:8000/games/").ws_url
'ws://localhost:8000/games/ws'
>>> parse_address("unix:///run/openenv.sock").socket_path
'/run/openenv.sock'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from openenv_gym.credentials import Token
from openenv_gym.errors import AddressError

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https", "unix": "unix"}
"""What is taken as a scheme, and which ones are the same."""
_FORMS = "http://host:port, https://host:port, ws://…, wss://… or unix:///path/to/socket"


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server is.

    Attributes:
        host: The name or IP address; ``localhost`` for a Unix socket.
        port: The TCP port.
        path: The prefix of all paths, without a slash at its end.
        scheme: ``http``, ``https`` or ``unix``.
        socket_path: The file of the Unix socket; None for TCP.
        username: The name for HTTP basic authentication; None without it.
        token: The password for HTTP basic authentication; without a ``username``, the token of
            ``Authorization: Bearer``; None where nothing is sent.
    """

    host: str
    port: int
    path: str = ""
    scheme: str = "http"
    socket_path: str | None = None
    username: str | None = field(default=None, repr=False)  # some servers want the secret there
    token: Token | None = None

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        """``host:port`` as it stands in a URL, without the port where it is the default one."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.is_secure else 80) else f"{name}:{self.port}"

    @property
    def http_url(self) -> str:
        """The URL that all HTTP routes begin with, without a slash at its end."""
        return f"{'https' if self.is_secure else 'http'}://{self.origin}{self.path}"

    @property
    def ws_url(self) -> str:
        """The URL of the WebSocket route."""
        return f"{'wss' if self.is_secure else 'ws'}://{self.origin}{self.path}/ws"

    def __str__(self) -> str:
        """The address for people, without the password."""
        return self.http_url if self.socket_path is None else f"unix://{self.socket_path}"


def shown_url(url: str) -> str:
    """Return a URL for people: without credentials and without its query, which may hold some.

    >>> shown_url("ws://user:secret@host:8000/games?token=5")
    'ws://***@host:8000/games?***'
    """
    url = re.sub(r"[?#].*", lambda found: f"{found[0][0]}***", url, flags=re.DOTALL)
    return re.sub(r"^([^/]*//|).*@", r"\1***@", url, flags=re.DOTALL)


def shown_target(target: str) -> str:
    """Return a URL, or a name of something else, for people: of a URL without credentials."""
    return shown_url(target) if "://" in target else target


def parse_address(url: str) -> Address:
    """Return the address that ``url`` names.

    Raises:
        AddressError: ``url`` is no address.
    """
    if not isinstance(url, str):
        raise AddressError(f"base_url: expected {_FORMS}, got {type(url).__name__}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # What urllib says may quote a part of the password.
        raise AddressError(
            f"base_url: expected {_FORMS}, got {shown_url(url)!r}, which is no URL"
        ) from None
    if parts.scheme not in _SCHEMES or parts.query or parts.fragment:
        raise AddressError(f"base_url: expected {_FORMS}, got {shown_url(url)!r}")
    if parts.scheme == "unix":
        if parts.netloc or not parts.path:
            raise AddressError(f"base_url: expected unix:///path/to/socket, got {shown_url(url)!r}")
        path = unquote(parts.path)
        return Address(host="localhost", port=80, scheme="unix", socket_path=path)
    if not parts.hostname:
        raise AddressError(
            f"base_url: expected {_FORMS}, got {shown_url(url)!r}, which names no host"
        )
    scheme = _SCHEMES[parts.scheme]
    return Address(
        host=parts.hostname,
        port=port or (443 if scheme == "https" else 80),
        path=parts.path.rstrip("/").removesuffix("/ws"),
        scheme=scheme,
        username=None if parts.username is None else unquote(parts.username),
        token=None if parts.password is None else Token(unquote(parts.password)),
    )
