"""Sessions: that they do not touch each other, survive silence, and are freed."""

from __future__ import annotations

import contextlib
import time
from contextlib import AbstractContextManager

from openenv_gym.conformance.validation.checks import (
    BrokenError,
    Complaint,
    Findings,
    NotCheckedError,
    check,
    quoted,
)
from openenv_gym.conformance.validation.opening_checks import repeated_ends
from openenv_gym.conformance.validation.served import SEED, Data, Played, Served, difference
from openenv_gym.conformance.validation.wire import EndedError, FullError, WireSession

_SERVER = "openenv 0.10, openenv/core/env_server/http_server.py"
_POLICY = "openenv 0.10, openenv/validation/policies/severity-v2.json"
_SHORT_S = 1.0


@check(
    "session.apart",
    "Two sessions do not touch each other.",
    rests_on=f"{_POLICY}: runtime.episode_isolation",
    needs=("step.reply", "state.reply"),
)
def apart(server: Served) -> Findings:
    """Play an episode by itself, and again while another session plays another one."""
    by_itself = server.played()
    with server.session() as (one, data), _second(server) as (other, first):
        together = Played(replies=[data])
        choose, theirs = server.chooser(SEED + 1), first
        for action in by_itself.actions:
            before = _counted(one)
            if theirs.get("done") is not True:
                theirs = server.advance(other, theirs, choose)
            after = _counted(one)
            if before != after:
                yield one.complaint(
                    f"the state {before} as before the step of another session", quoted(after)
                )
                return None
            together.actions.append(action)
            together.replies.append(one.step(action))
    found = difference(by_itself, together)
    if found is None:
        return None
    by_chance = server.change(by_itself)
    if by_chance is not None:
        return "only the states were compared, because equal seeds differ"
    yield Complaint(
        expected="the same episode as when no other session played",
        got=found,
        evidence=(*one.evidence, *(f"other session: {line}" for line in other.evidence[-4:-2])),
    )
    return None


def _counted(one: WireSession) -> Data:
    """Return what of a state no other session may change."""
    state = one.state()
    return {name: state.get(name) for name in ("episode_id", "step_count")}


def _second(server: Served) -> AbstractContextManager[tuple[WireSession, Data]]:
    """Open a session beside another one, which some servers do not have."""
    return server.session(SEED + 1, wait_s=_SHORT_S)


@check(
    "session.ping",
    "A ping is answered with a pong.",
    rests_on="RFC 6455, section 5.5.2",
    needs=("session.handshake",),
)
def ping(server: Served) -> Findings:
    """Send a ping in an episode."""
    with server.session() as (one, _):
        if not one.ping():
            yield one.complaint("a pong", TimeoutError())
    return None


@check(
    "session.pause",
    "A client may be silent for a while: the episode goes on.",
    rests_on="docs/validate.md#pauses",
    needs=("state.reply", "step.reply"),
)
def pause(server: Served) -> Findings:
    """Say nothing for a while, as a trainer does that computes; pings are answered meanwhile."""
    seconds = server.options.pause_s
    with server.session() as (one, data):
        before = one.state()
        time.sleep(seconds)
        try:
            after = one.state()
            server.advance(one, data)
        except BrokenError as exc:
            got = exc.complaint.got
            yield one.complaint(f"a session that goes on after {seconds:g} s of silence", got)
            return None
        if before != after:
            expected = f"the same state after {seconds:g} s of silence: {quoted(before)}"
            yield one.complaint(expected, quoted(after))
    return f"{seconds:g} s"


@check(
    "session.drop",
    "A client that vanishes without a goodbye leaves nothing behind: its session is freed.",
    rests_on=f"{_SERVER}: websocket_endpoint, WebSocketDisconnect",
    needs=("session.close",),
)
def drop(server: Served) -> Findings:
    """Vanish from one session after the other, more than a server has."""
    return (yield from repeated_ends(server, WireSession.drop, "after the client vanished"))


@check(
    "session.capacity",
    "A server that has no free session says CAPACITY_REACHED, and those that play go on.",
    rests_on=f"{_SERVER}: SessionCapacityError; openenv/core/env_server/types.py: WSErrorCode",
    needs=("session.close",),
)
def capacity(server: Served) -> Findings:
    """Open sessions until the server refuses one."""
    with contextlib.ExitStack() as stack:
        held: list[WireSession] = []
        refused: FullError | BrokenError | None = None
        while refused is None and len(held) <= server.options.sessions:
            try:
                # The first may have to wait until the session of the last check is freed.
                one, _ = stack.enter_context(server.session(wait_s=0 if held else None))
                held.append(one)
            except (FullError, BrokenError) as exc:
                refused = exc
        if not held:
            assert refused is not None
            raise refused
        if refused is None:
            raise NotCheckedError(
                f"{len(held)} sessions at once, and none refused; open more with --sessions"
            )
        if isinstance(refused, BrokenError):
            found = refused.complaint
            yield Complaint(
                expected=f"the code CAPACITY_REACHED for session {len(held) + 1}, or HTTP 503",
                got=found.got,
                evidence=found.evidence,
            )
        for one in held:
            one.reset(seed=SEED)  # those that play go on
    return f"{len(held)} sessions at once"


@check(
    "session.slow",
    "While one session takes long over a step, others are answered.",
    rests_on="docs/validate.md#what-a-timeout-does",
    needs=("step.reply",),
    is_opt_in=True,
)
def slow(server: Served) -> Findings:
    """Send the slow action, play in another session meanwhile, and vanish."""
    action = server.options.slow_action
    if action is None:
        raise NotCheckedError("name an action on which the environment takes long: --slow-action")
    with server.session() as (one, _):
        one.send({"type": "step", "data": action})
        try:
            one.receive(_SHORT_S)
            raise NotCheckedError(f"the slow action was answered within {_SHORT_S:g} s")
        except TimeoutError:
            pass
        except EndedError as exc:
            yield one.complaint("a session that goes on in a slow step", f"{exc}")
            return None
        began_s = time.monotonic()
        with _second(server) as (other, data):
            server.advance(other, data)
        took_s = time.monotonic() - began_s
        with contextlib.suppress(TimeoutError):
            one.receive(0)
            if took_s > _SHORT_S:
                yield one.complaint(
                    "another session that plays during the slow step",
                    f"its step was answered after {took_s:.1f} s, when the slow one was over",
                )
        one.drop()
    return f"another session played within {took_s:.2f} s"
