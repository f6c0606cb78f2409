"""The JSON messages of OpenEnv's ``/ws``, one tagged struct per shape.

Requests are ``{"type": "reset"|"step"|"state"|"close", "data": {...}}``; replies are
``{"type": "observation"|"state"|"error", "data": {...}}``. The request ``render`` and its reply
``rendered`` are an addition of ours.
"""

from __future__ import annotations

import base64
import json
from itertools import chain
from typing import Any, TypeAlias

import msgspec

from openenv_gym.codecs.weight import MAX_VALUE_BYTES, check_json
from openenv_gym.errors import InvalidRequestError, NotOpenEnvError, shown
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


class RenderMessage(_Message, tag="render"):
    """Ask for the frame."""

    data: dict[str, Any] = {}


class CloseMessage(_Message, tag="close"):
    """End the session. The answer is that the connection closes."""

    data: dict[str, Any] = {}


Text: TypeAlias = str | bytes | bytearray | memoryview
"""A text of JSON, as characters or in UTF-8."""

Incoming: TypeAlias = ResetMessage | StepMessage | StateMessage | RenderMessage | CloseMessage
_TYPES = ("reset", "step", "state", "render", "close")

_decode = msgspec.json.Decoder(Incoming).decode
_decode_any = msgspec.json.Decoder().decode
encode_strictly = msgspec.json.Encoder().encode
"""Returns a value as JSON that everybody can read: no half of a surrogate pair is in it."""


def encode_json(value: Any) -> bytes:
    """Return ``value`` as JSON.

    Halves of surrogate pairs, which UTF-8 does not have, are written as escapes.
    """
    try:
        return encode_strictly(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode()


class MalformedMessageError(InvalidRequestError):
    """A malformed message; ``code`` says what is wrong with it."""

    def __init__(self, message: str, code: str = error_codes.VALIDATION_ERROR) -> None:
        super().__init__(message)
        self.code = code


MAX_NESTING = 32
"""The deepest nesting of arrays and objects in a message."""

MAX_VALUES = 1 << 17
"""The most values in a message, where its actions do not need more.

Each takes up to 240 bytes of memory when it is read, and up to a quarter of a microsecond.
"""

_COUNTED_AT_ONCE = 1 << 20


def check_count(text: Text, most: int = MAX_VALUES) -> None:
    """Check, without reading it, that a text of JSON has at most so many values.

    Before each value but the first there is a comma, a bracket, or a name with one of these before
    it. Those within texts are counted too.

    Raises:
        MalformedMessageError: there are more.
    """
    if len(text) <= most:
        return
    found = 1
    for start in range(0, len(text), _COUNTED_AT_ONCE):  # between which other threads have a turn
        found += _count(text[start : start + _COUNTED_AT_ONCE], ",[{")
        if found > most:
            raise MalformedMessageError(
                f"expected at most {most} values in a message, counted as commas and brackets, got "
                "more; binary sessions carry an array as one value"
            )


def _count(text: Text, marks: str) -> int:
    if isinstance(text, str):
        return sum(map(text.count, marks))
    return sum(map(bytes(text).count, marks.encode()))


def check_nesting(text: Text, data: Any) -> None:
    """Check that ``data``, read from ``text``, is not nested deeper than :data:`MAX_NESTING`.

    Raises:
        MalformedMessageError: it is nested deeper.
    """
    if len(text) <= _COUNTED_AT_ONCE and _count(text, "[{") <= MAX_NESTING:
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


def parse_message(text: Text, most_values: int = MAX_VALUES) -> Incoming:
    """Return the request in ``text``.

    Args:
        text: The message.
        most_values: How many values it may have.

    Raises:
        MalformedMessageError: ``text`` is not JSON, not an object, no request of this protocol, or
            has too many values.
    """
    check_count(text, most_values)
    try:
        message: Incoming = _decode(text)
    except msgspec.ValidationError as exc:
        raise _explain(text, exc) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise _no_json(text, exc) from exc
    check_nesting(text, message.data)
    return message


def _no_json(text: Text, exc: Exception) -> MalformedMessageError:
    return MalformedMessageError(
        f"expected a JSON object, got text that is no JSON: {brief(str(exc), 200)}; "
        f"it begins {_beginning(text)!r}",
        error_codes.INVALID_JSON,
    )


def _beginning(text: Text) -> str:
    return text[:40] if isinstance(text, str) else bytes(text[:40]).decode(errors="replace")


def _explain(text: Text, exc: msgspec.ValidationError) -> MalformedMessageError:
    # msgspec checks types before it has read the whole text, which may turn out not to be JSON.
    try:
        data = _decode_any(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as malformed:
        return _no_json(text, malformed)
    if isinstance(data, dict) and data.get("type") not in _TYPES:
        return MalformedMessageError(
            f"$.type: expected one of {', '.join(_TYPES)}, got {shown(data.get('type'))}",
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


def rendered_message(frames: list[str | bytes]) -> bytes:
    """Return the reply to a render request.

    Args:
        frames: Each is text, or a picture as a PNG file.
    """
    shown = [
        {"text": one} if isinstance(one, str) else {"png": base64.b64encode(one).decode()}
        for one in frames
    ]
    return encode_json({"type": "rendered", "data": {"frames": shown}})


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


def _decode_reply(text: Text) -> Any:
    """Decode the text of a reply, in which halves of surrogate pairs may stand as escapes.

    Raises:
        ValueError: it is no JSON; so are the errors of msgspec and of Unicode.
        RecursionError: it is nested too deep.
    """
    try:
        return _decode_any(text)
    except msgspec.DecodeError:
        whole = bytes(text) if isinstance(text, memoryview) else text
        lower = whole.lower()
        if not ("\\ud" in lower if isinstance(lower, str) else b"\\ud" in lower):
            raise
        return json.loads(whole, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"expected JSON, got {name}, which it does not have")


def parse_reply(text: Text, max_value_bytes: int = MAX_VALUE_BYTES) -> tuple[str, dict[str, Any]]:
    """Return the type and data of a server's reply.

    Args:
        text: The reply.
        max_value_bytes: What its values may take of the memory, in bytes.

    Raises:
        NotOpenEnvError: the text is no reply of this protocol.
        ProtocolError: it holds so many values that they would fill the memory.
    """
    check_json(text, max_value_bytes)
    try:
        reply = _decode_reply(text)
        check_nesting(text, reply)
    except (ValueError, RecursionError, MalformedMessageError) as exc:
        raise NotOpenEnvError(f"expected a JSON reply, got {_beginning(text)!r}") from exc
    if not isinstance(reply, dict) or not isinstance(reply.get("type"), str):
        raise NotOpenEnvError(f"expected a reply with a 'type', got {shown(reply)}")
    data = reply.get("data")
    return reply["type"], data if isinstance(data, dict) else {}
