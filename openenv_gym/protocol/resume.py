"""How a binary session outlives its connection: what handshakes say of it (docs/protocol.md).

A client asks for it when it connects. The server answers with a token, and a client that lost its
connection shows that token in the handshake of another one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

RESUME_HEADER = "OpenEnv-Gym-Resume"
"""The header of both handshakes."""

ASK = "new"
"""What a client says that has no session yet, and wants one that can be taken up again."""

_GRACE = ";grace="


class Resumption(NamedTuple):
    """What a server says of a session that can be taken up again.

    Attributes:
        token: Names the session, and proves that one had it.
        grace_s: How long the session is kept without a connection, in seconds.
    """

    token: str
    grace_s: float

    def header(self) -> str:
        """Return it as the value of the header."""
        return f"{self.token}{_GRACE}{self.grace_s:g}"


def resumption_in(header: str | None) -> Resumption | None:
    """Return what the header of a server's handshake says; None where it offers nothing.

    >>> resumption_in("k3.x7;grace=60")
    Resumption(token='k3.x7', grace_s=60.0)
    """
    token, _, grace = (header or "").partition(_GRACE)
    try:
        grace_s = float(grace)
    except ValueError:
        return None
    return Resumption(token, grace_s) if token and 0 < grace_s < math.inf else None
