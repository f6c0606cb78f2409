"""Bad input: it is answered with an error, and neither the episode nor the server is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openenv_gym.conformance.validation.checks import (
    BrokenError,
    Complaint,
    Findings,
    NotCheckedError,
    check,
    quoted,
)
from openenv_gym.conformance.validation.schema_checks import misfits
from openenv_gym.conformance.validation.served import Served
from openenv_gym.conformance.validation.wire import EndedError, NoJson, WireSession

_CODES = "openenv 0.10, openenv/core/env_server/types.py: WSErrorCode"
_TRAPS = "docs/validate.md#bad-input"
_UNSUPPORTED_DATA = 1003
_WRONG_TYPE = {"not": ["what", "was", "asked"]}


def survives(
    server: Served, message: Any, what: str, *, code: str | None = None, is_standard: bool = True
) -> Iterator[Complaint]:
    """Send a bad message in an episode: an error comes, and the episode goes on.

    Args:
        server: The server.
        message: The message.
        what: What it is, for people.
        code: The code that OpenEnv has for it; None where it has none.
        is_standard: Whether OpenEnv's own server keeps the session; else its loss is a warning.
    """
    with server.session() as (one, _):
        before = one.state()
        try:
            one.send(message)
            reply = one.receive()
        except (EndedError, TimeoutError) as exc:
            yield from _lost(server, one, what, exc, is_standard=is_standard)
            return
        yield from _refused(one, reply, what, code)
        try:
            after = one.state()
        except BrokenError as exc:
            yield from _lost(server, one, what, exc, is_standard=is_standard)
            return
        if any(before.get(name) != after.get(name) for name in ("episode_id", "step_count")):
            yield one.complaint(f"the same episode after {what}", quoted(after))


def _refused(one: WireSession, reply: Any, what: str, code: str | None) -> Iterator[Complaint]:
    data = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(data, dict) or reply.get("type") != "error":
        yield one.complaint(f"an error in reply to {what}", "bytes" if data is NoJson else reply)
    elif code is not None and data.get("code") != code:
        yield one.complaint(f"the code {code} in reply to {what}", quoted(data.get("code")))


def _lost(
    server: Served, one: WireSession, what: str, exc: Exception, *, is_standard: bool
) -> Iterator[Complaint]:
    """The session is gone; look whether the server is."""
    if isinstance(exc, EndedError) and exc.code == _UNSUPPORTED_DATA:
        return  # RFC 6455 has this code for who takes no bytes
    got = exc.complaint.got if isinstance(exc, BrokenError) else exc
    yield one.complaint(f"a session that goes on after {what}", got, is_warning=not is_standard)
    try:
        with server.session():
            pass
    except BrokenError as after:
        found = after.complaint
        yield Complaint(
            expected=f"a server that goes on after {what}",
            got=f"{found.got} where a new session was opened",
            evidence=(*one.evidence, *found.evidence),
        )


@check(
    "input.json",
    "A message that is no JSON is answered with INVALID_JSON, and the episode goes on.",
    rests_on=_CODES,
    needs=("state.reply",),
)
def bad_json(server: Served) -> Findings:
    """Send half of an object."""
    yield from survives(server, '{"type": "st', "a message that is no JSON", code="INVALID_JSON")
    return None


@check(
    "input.type",
    "A message of an unknown type is answered with UNKNOWN_TYPE, and the episode goes on.",
    rests_on=_CODES,
    needs=("state.reply",),
)
def unknown_type(server: Served) -> Findings:
    """Send a message of a type that nobody has."""
    message = {"type": "no_such_type", "data": {}}
    yield from survives(server, message, "a message of an unknown type", code="UNKNOWN_TYPE")
    return None


@check(
    "input.object",
    "JSON that is no object is answered with an error, and the episode goes on.",
    rests_on=_TRAPS,
    needs=("state.reply",),
)
def no_object(server: Served) -> Findings:
    """Send a list, a number and null."""
    for message in ("[1, 2]", "5", "null"):
        what = f"the message {message}, which is no object"
        found = list(survives(server, message, what, is_standard=False))
        yield from found
        if found:
            break  # the others would say the same
    return None


@check(
    "input.binary",
    "A binary frame is answered with an error or with close code 1003, and the server goes on.",
    rests_on=f"{_TRAPS}; RFC 6455, section 7.4.1",
    needs=("state.reply",),
)
def binary(server: Served) -> Findings:
    """Send bytes where texts are spoken."""
    yield from survives(server, b"\x00\xffbytes", "a binary frame", is_standard=False)
    return None


@check(
    "input.data",
    "A step without data is answered with VALIDATION_ERROR, and the episode goes on.",
    rests_on=f"{_CODES}; WSStepMessage",
    needs=("state.reply",),
)
def no_data(server: Served) -> Findings:
    """Send a step that has no action."""
    message = {"type": "step"}
    yield from survives(server, message, "a step without data", code="VALIDATION_ERROR")
    return None


@check(
    "input.action",
    "An action that the schema refuses is answered with an error, and the episode goes on.",
    rests_on="openenv 0.10, openenv/core/env_server/serialization.py: deserialize_action",
    needs=("schema.valid", "state.reply"),
)
def wrong_action(server: Served) -> Findings:
    """Send actions with a field too many, a field too few, and values of wrong types."""
    tried = 0
    for what, action in _wrong_actions(server):
        tried += 1
        message = {"type": "step", "data": action}
        yield from survives(server, message, what)
    if not tried:
        raise NotCheckedError("the schema of actions takes everything")
    return f"{tried} wrong actions"


def _wrong_actions(server: Served) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = server.schemas["action"]
    with server.session() as (_, data):
        right = dict(server.chooser()(data))
    if misfits(schema, right):
        raise NotCheckedError(f"the schema refuses the action that was to be varied: {right}")
    candidates = [("an action with an unknown field", {**right, "no_such_field": 1})]
    for name in right:
        others = {key: item for key, item in right.items() if key != name}
        candidates.append((f"an action without the field {name!r}", others))
        wrong = {**right, name: _WRONG_TYPE}
        candidates.append((f"an action with an object as {name!r}", wrong))
        candidates.append((f"an action with null as {name!r}", {**right, name: None}))
    yield from (one for one in candidates if misfits(schema, one[1]))


@check(
    "input.illegal",
    "An action that is far out of its range is answered with an error, and the server goes on.",
    rests_on="docs/validate.md#what-may-do-harm",
    needs=("step.reply",),
    is_opt_in=True,
)
def illegal(server: Served) -> Findings:
    """Send numbers that no environment takes: those who hand them to native code may crash."""
    with server.session() as (_, data):
        right = dict(server.chooser()(data))
    numbers = [name for name, item in right.items() if type(item) in (int, float)]
    if not numbers:
        raise NotCheckedError("actions have no number of their own")
    for value in (10**9, -1, 2**70):
        for name in numbers:
            action = {**right, name: value}
            what = f"an action with {value} as {name!r}"
            with server.session() as (one, _):
                try:
                    one.request({"type": "step", "data": action})
                except BrokenError as exc:
                    yield from _lost(server, one, what, exc, is_standard=True)
    return None
