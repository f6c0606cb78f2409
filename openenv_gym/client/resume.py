"""How long one tries to reach a session again whose connection was lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from openenv_gym.errors import (
    AuthenticationError,
    CapacityError,
    ConnectionLostError,
    NotOpenEnvError,
    RequestTimeoutError,
    UnreachableError,
)

REFUSED_S = 2.0
"""Where nobody listens for so long, the server is taken for dead, and its sessions with it. A
tunnel or a proxy on the way may be started anew meanwhile."""

LONGEST_GRACE_S = 3600.0
"""How long a server is taken at its word that it keeps a session, where the caller says nothing."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0

_jitter = random.Random()  # one of our own: the caller's generators are not touched
_refused_since_s: dict[str, float] = {}
"""Addresses where nobody listens, and since when: what one session found out, others know."""


def note_reached(address: str) -> None:
    """Note that somebody listens at ``address``."""
    _refused_since_s.pop(address, None)


def pauses() -> Iterator[float]:
    """Yield how long to wait before each further try, in seconds."""
    pause_s = FIRST_PAUSE_S
    while True:
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        yield pause_s * _jitter.uniform(0.5, 1)  # many sessions are lost at once


def keep_trying(connect: Callable[[float], None], address: str, end_s: float) -> None:
    """Call ``connect`` until it does not fail.

    Args:
        connect: Told how long it may take, in seconds.
        address: The address of the server, as text.
        end_s: When it is too late, by ``time.monotonic``.

    Raises:
        ConnectionLostError: the session is gone, or was not reached in time.
    """
    if time.monotonic() >= end_s:
        raise ConnectionLostError(f"{address} was not reached in time, or for moments only")
    for pause_s in pauses():
        try:
            connect(max(0.1, end_s - time.monotonic()))
            note_reached(address)
            return
        except AuthenticationError as exc:  # a server that was started anew, with other tokens
            raise ConnectionLostError(str(exc)) from exc
        except (UnreachableError, NotOpenEnvError, CapacityError, RequestTimeoutError) as exc:
            now_s = time.monotonic()
            if _is_refused(exc):
                last_s = _refused_since_s.setdefault(address, now_s) + REFUSED_S
            else:
                note_reached(address)
                last_s = end_s
            if now_s >= min(last_s, end_s):
                raise ConnectionLostError(str(exc)) from exc
            time.sleep(pause_s)


def _is_refused(exc: Exception) -> bool:
    """Whether nobody listens: refused, or reset by a process that is dying."""
    refusals = (ConnectionRefusedError, ConnectionResetError, ConnectionLostError)
    return isinstance(exc, UnreachableError) and isinstance(exc.__cause__, refusals)
