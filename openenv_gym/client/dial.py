"""A connected socket to a server: TCP, TLS or a Unix socket."""

from __future__ import annotations

import socket
import ssl

from openenv_gym.address import Address
from openenv_gym.client.tls import system_trust
from openenv_gym.errors import UnreachableError


def dial(address: Address, timeout_s: float, context: ssl.SSLContext | None) -> socket.socket:
    """Return a socket that is connected to the server.

    Args:
        address: The address of the server.
        timeout_s: The longest time for each of TCP and TLS, in seconds.
        context: The TLS context; None trusts the system's certificates.

    Raises:
        UnreachableError: nobody answers there.
    """
    try:
        if address.socket_path is not None:
            return _dial_unix(address.socket_path, timeout_s)
        sock = socket.create_connection((address.host, address.port), timeout_s)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not address.is_secure:
                return sock
            return (context or system_trust()).wrap_socket(sock, server_hostname=address.host)
        except BaseException:
            sock.close()
            raise
    except (OSError, ValueError) as exc:  # ValueError: a name that cannot be a host's
        raise UnreachableError(
            f"cannot connect to {address}: {exc}; is the server running, and is the address right?"
        ) from exc


def _dial_unix(path: str, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout_s)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock
