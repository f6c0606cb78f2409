"""TLS with an authority that nobody else knows."""

from __future__ import annotations

import ssl

import trustme


def private_tls(host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the context of a server called ``host``, and that of a client which trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
