"""How a session begins and ends."""

from __future__ import annotations

from collections.abc import Callable

from openenv_gym.conformance.validation.checks import Complaint, Findings, check
from openenv_gym.conformance.validation.served import Served, is_full
from openenv_gym.conformance.validation.wire import FullError, WireSession

_SERVER = "openenv 0.10, openenv/core/env_server/http_server.py: websocket_endpoint"
_NORMAL_CLOSURE = 1000


@check(
    "session.handshake",
    "A WebSocket opens at /ws, and the first message on it is answered.",
    rests_on=f"{_SERVER}; RFC 6455, section 4",
)
def handshake(server: Served) -> Findings:
    """Open a session and reset it."""
    try:
        with server.connected() as one:
            reply = one.request({"type": "reset", "data": {}})
            if is_full(reply):
                yield one.complaint("a free session", reply)
            elif not isinstance(reply, dict) or not isinstance(reply.get("type"), str):
                yield one.complaint("an object with a type as reply to a reset", reply)
    except FullError as exc:
        yield Complaint(expected="a free session", got=str(exc), evidence=exc.evidence)
    return None


@check(
    "session.close",
    "The message close ends the session, and the server frees it.",
    rests_on=_SERVER,
    needs=("session.handshake",),
)
def close(server: Served) -> Findings:
    """Open one session after the other, more than a server has, and close each."""
    yield from repeated_ends(server, WireSession.goodbye, "after the message close")
    return None


def repeated_ends(server: Served, end: Callable[[WireSession], int | None], after: str) -> Findings:
    """Open one session after the other and end each: who does not free them runs out of them."""
    for number in range(server.options.sessions + 1):
        try:
            with server.session() as (one, _):
                try:
                    code = end(one)
                except TimeoutError:
                    yield one.complaint("the server to close the connection", "an open one")
                    return None
            if number == 0 and code not in (None, _NORMAL_CLOSURE):
                yield one.complaint(f"close code 1000 {after}", f"{code}", is_warning=True)
        except FullError as exc:
            if number == 0:
                raise
            yield Complaint(
                expected=f"a free session within {server.options.free_timeout_s:g} s {after}",
                got=f"{exc}, when {number} sessions had been ended, one after the other",
                evidence=exc.evidence,
            )
            return None
    return f"{server.options.sessions + 1} sessions, one after the other"
