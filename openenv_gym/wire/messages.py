"""The JSON messages of OpenEnv's ``/ws``, one tagged struct per shape.

Requests are ``{"type": "reset"|"step"|"state"|"close", "data": {...}}``; replies are
``{"type": "observation"|"state"|"error", "data": {...}}``.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, TypeAlias

import msgspec

from openenv_gym.errors import InvalidRequestError, NotOpenEnvError
from openenv_gym.faults import Fault
from openenv_gym.wire import error_codes
from openenv_gym.wire.error_codes import brief, printable
from openenv_gym.wire.fault_info import fault_to_wire


class _Message(msgspec.Struct, tag_field="type", forbid_unknown_fields=True):
    """One JSON object with a ``type``."""


class ResetMessage(_Message, tag="reset"):
    """Ask for a new episode. ``data`` holds ``seed``, ``episode_id`` and further arguments."""

    data: dict[str, Any] = {}


class StepMessage(_Message, tag="step"):
    """Ask for a step; ``data`` holds the fields of the action."""

    data: dict[str, Any]


class StateMessage(_Message, tag="state"):
    """Ask for the state."""

    data: dict[str, Any] = {}


class CloseMessage(_Message, tag="close"):
    """End the session. The answer is that the connection closes."""

    data: dict[str, Any] = {}


Incoming: TypeAlias = ResetMessage | StepMessage | StateMessage | CloseMessage
_TYPES = ("reset", "step", "state", "close")

_decode = msgspec.json.Decoder(Incoming).decode
_decode_any = msgspec.json.Decoder().decode
encode_json = msgspec.json.Encoder().encode


class MalformedMessageError(InvalidRequestError):
    """A malformed message; ``code`` says what is wrong with it."""

    def __init__(self, message: str, code: str = error_codes.VALIDATION_ERROR) -> None:
        super().__init__(message)
        self.code = code


MAX_NESTING = 64
"""The deepest nesting of arrays and objects in a message. An array of numpy has as many axes."""


def check_nesting(text: str | bytes, data: Any) -> None:
    """Check that ``data``, read from ``text``, is not nested deeper than :data:`MAX_NESTING`.

    Raises:
        MalformedMessageError: it is nested deeper.
    """
    opening = ("[", "{") if isinstance(text, str) else (b"[", b"{")
    count: Any = text.count  # the brackets are of the type of ``text``
    if sum(map(count, opening)) <= MAX_NESTING:
        return
    level = [data]
    for _ in range(MAX_NESTING):
        level = _inside(level)
        if not level:
            return
    raise MalformedMessageError(
        f"expected values nested at most {MAX_NESTING} deep, got deeper ones"
    )


def _inside(level: list[Any]) -> list[Any]:
    """Return what the arrays and objects in ``level`` hold. Only C loops look at numbers."""
    kinds = set(map(type, level))
    if kinds.isdisjoint((list, dict)):
        return []
    lists = level if kinds == {list} else [item for item in level if type(item) is list]
    dicts = [item.values() for item in level if type(item) is dict] if dict in kinds else []
    return [*chain.from_iterable(lists), *chain.from_iterable(dicts)]


def parse_message(text: str | bytes) -> Incoming:
    """Return the request in ``text``.

    Raises:
        MalformedMessageError: ``text`` is not JSON, not an object, or no request of this protocol.
    """
    try:
        message: Incoming = _decode(text)
    except msgspec.ValidationError as exc:
        raise _explain(text, exc) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise _no_json(text, exc) from exc
    check_nesting(text, message.data)
    return message


def _no_json(text: str | bytes, exc: Exception) -> MalformedMessageError:
    return MalformedMessageError(
        f"expected a JSON object, got text that is no JSON: {brief(str(exc), 200)}; "
        f"it begins {text[:40]!r}",
        error_codes.INVALID_JSON,
    )


def _explain(text: str | bytes, exc: msgspec.ValidationError) -> MalformedMessageError:
    # msgspec checks types before it has read the whole text, which may turn out not to be JSON.
    try:
        data = _decode_any(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as malformed:
        return _no_json(text, malformed)
    if isinstance(data, dict) and data.get("type") not in _TYPES:
        return MalformedMessageError(
            f"$.type: expected one of {', '.join(_TYPES)}, got {brief(repr(data.get('type')), 80)}",
            error_codes.UNKNOWN_TYPE,
        )
    return MalformedMessageError(
        f'expected {{"type": ..., "data": {{...}}}}, got something else: {brief(str(exc), 300)}'
    )


def observation_message(
    observation: dict[str, Any], reward: Any, done: bool, metadata: dict[str, Any]
) -> bytes:
    """Return the reply to a reset or a step."""
    data: dict[str, Any] = {"observation": observation, "reward": reward, "done": done}
    if metadata:
        data["metadata"] = metadata
    return encode_json({"type": "observation", "data": data})


def state_message(state: dict[str, Any]) -> bytes:
    """Return the reply to a state request."""
    return encode_json({"type": "state", "data": state})


def error_data(
    message: str, code: str, fault: Fault | None = None, raised: str = ""
) -> dict[str, Any]:
    """Return the ``data`` of an error reply; a refusal has a ``path``, ``expected`` and ``got``.

    Args:
        message: The text of the error, for people.
        code: The error code, one of :mod:`openenv_gym.wire.error_codes`.
        fault: What is known of a lost session. It becomes a further key, which other clients
            ignore.
        raised: The name of the class that the environment raised, which becomes such a key too.
    """
    said: dict[str, Any] = {"message": brief(printable(message)), "code": code}
    if error_codes.is_refusal(code):
        said |= error_codes.parts_of(said["message"])
    further = {"fault": fault_to_wire(fault), "raised": raised or None}
    return said | {key: value for key, value in further.items() if value is not None}


def error_message(message: str, code: str, fault: Fault | None = None, raised: str = "") -> bytes:
    """Return an error reply; the arguments are those of :func:`error_data`."""
    return encode_json({"type": "error", "data": error_data(message, code, fault, raised)})


def parse_reply(text: str | bytes) -> tuple[str, dict[str, Any]]:
    """Return the type and data of a server's reply.

    Raises:
        NotOpenEnvError: the text is no reply of this protocol.
    """
    try:
        reply = _decode_any(text)
        check_nesting(text, reply)
    except (msgspec.DecodeError, UnicodeError, RecursionError, MalformedMessageError) as exc:
        raise NotOpenEnvError(f"expected a JSON reply, got {text[:80]!r}") from exc
    if not isinstance(reply, dict) or not isinstance(reply.get("type"), str):
        raise NotOpenEnvError(f"expected a reply with a 'type', got {brief(repr(reply), 80)}")
    data = reply.get("data")
    return reply["type"], data if isinstance(data, dict) else {}
