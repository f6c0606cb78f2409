"""Where a server is whose answer says that it is elsewhere.

A server behind a proxy may answer with a redirect: from http to https, to another port, or to a
path with a slash at its end. Such a redirect is followed on the host that the caller named. Another
host might be anybody's: it has to be allowed (``WebSocketOptions.redirect_hosts``), and gets
neither the headers of the caller nor the credentials of the address. Nothing that began under TLS
goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from openenv_gym.address import Address
from openenv_gym.errors import NotOpenEnvError
from openenv_gym.texts import quoted

MAX_REDIRECTS = 10

_STATUSES = {301, 302, 303, 307, 308}
_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


@dataclass(frozen=True)
class Stop:
    """Where one request goes.

    Attributes:
        address: The address of the server there.
        route: The last part of the path of the request, ``schema`` or ``ws``.
        target: The path and the query of the request.
        is_own: Whether the caller's headers and credentials may go there.
    """

    address: Address
    route: str
    target: str
    is_own: bool = True

    @classmethod
    def of(cls, address: Address, route: str, query: str = "") -> Stop:
        """Return where a route of the server at ``address`` is.

        Args:
            address: The address that the caller gave.
            route: The route, without a slash.
            query: What follows it, such as ``?view=gymnasium``.
        """
        return cls(address, route, f"{address.path}/{route}{query}")

    @property
    def url(self) -> str:
        """The whole URL, with ``http`` or ``https``."""
        return replace(self.address, path="").http_url + self.target

    @property
    def ws_url(self) -> str:
        """The whole URL, with ``ws`` or ``wss``."""
        return f"ws{self.url.removeprefix('http')}"

    def redirected(self, location: str, hosts: Collection[str]) -> Stop:
        """Return where an answer redirects to.

        Args:
            location: What the answer says.
            hosts: The other hosts that are allowed.

        Raises:
            NotOpenEnvError: it is not followed there; the message says where to, and what to do.
        """
        try:
            parts = urlsplit(urljoin(self.url, location))
            scheme, host, port = _SCHEMES[parts.scheme], parts.hostname or "", parts.port
        except (KeyError, ValueError) as exc:
            raise NotOpenEnvError(
                f"{self.url} redirects to {location[:200]!r}, which is no address of a server"
            ) from exc
        path, query = parts.path or "/", parts.query or urlsplit(self.target).query
        there = replace(
            self.address,
            host=host,
            port=port or (443 if scheme == "https" else 80),
            path=path.rstrip("/").removesuffix(f"/{self.route}"),
            scheme=scheme,
            socket_path=None,
        )
        if (
            self.address.socket_path is not None
            and there.origin == "localhost"
            and scheme == "http"
        ):
            there = replace(there, scheme="unix", socket_path=self.address.socket_path)
        self._check(there, hosts)
        is_own = self.is_own and there.host == self.address.host
        if not is_own:
            there = replace(there, username=None, token=None)
        return Stop(there, self.route, f"{path}?{query}" if query else path, is_own)

    def _check(self, there: Address, hosts: Collection[str]) -> None:
        url = quoted(there.http_url, 200)
        says = f"{self.url} redirects to {url}"
        if self.address.is_secure and not there.is_secure:
            raise NotOpenEnvError(
                f"{says}, without TLS, which is not followed; pass base_url={url!r} if "
                "that is meant"
            )
        is_other = there.host not in (self.address.host, *hosts)
        if is_other or there.socket_path != self.address.socket_path:
            raise NotOpenEnvError(
                f"{says}, on another host, which is not followed; pass "
                f"base_url={url!r} if that is the server, or allow the host with "
                f"options=WebSocketOptions(redirect_hosts=[{there.host!r:.100}]), which sends "
                "it no headers and credentials"
            )


def redirect_in(status: int, location: str | None) -> str | None:
    """Return where an answer redirects to, None where it is no redirect."""
    return location or None if status in _STATUSES else None


def follow(place: Stop, ask: Callable[[Stop], str | None], hosts: Collection[str]) -> Stop:
    """Ask at a place, then where its answer redirects to, and return where the last answer is from.

    Args:
        place: Where to begin.
        ask: Asks at a place, and returns where the answer redirects to, None where it does not.
        hosts: Further hosts that redirects may lead to.

    Raises:
        NotOpenEnvError: a redirect is not followed, or there are too many.
    """
    begin = place
    for _ in range(MAX_REDIRECTS + 1):
        location = ask(place)
        if location is None:
            return place
        place = place.redirected(location, hosts)
    raise NotOpenEnvError(
        f"{begin.url} redirects more than {MAX_REDIRECTS} times, the last time to "
        f"{quoted(place.url, 200)}; is the address right?"
    )
