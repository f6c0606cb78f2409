"""JSON-RPC 2.0: messages, and the answers to what is no message.

See https://www.jsonrpc.org/specification.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import msgspec

from openenv_gym.errors import shown
from openenv_gym.wire.error_codes import brief, parts_of, printable
from openenv_gym.wire.messages import (
    MAX_VALUES,
    MalformedMessageError,
    Text,
    check_count,
    check_nesting,
)

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
SERVER_ERROR = -32000

_REFUSALS = (PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS)

Id: TypeAlias = str | int | None
JsonObject: TypeAlias = dict[str, Any]


class JsonRpcError(Exception):
    """A request that is answered with an error.

    Args:
        code: A code of JSON-RPC, or one of the server's own.
        message: What was expected, what came, and what to do.
        data: What programs may want to know beside the message.
    """

    def __init__(self, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Call(NamedTuple):
    """A request, or a notification, which has no id and no answer.

    Attributes:
        method: The name of the method.
        params: The parameters of the method.
        call_id: The id of the request; None of a notification.
        is_notification: Whether nobody waits for an answer.
    """

    method: str
    params: dict[str, Any]
    call_id: Id
    is_notification: bool


def decode(raw: Text, most_values: int = MAX_VALUES) -> Any:
    """Return the JSON value in ``raw``.

    Args:
        raw: The text.
        most_values: How many values it may have.

    Raises:
        JsonRpcError: it is no JSON, or nested too deeply, or has too many values.
    """
    try:
        check_count(raw, most_values)
        value = msgspec.json.decode(raw)
        check_nesting(raw, value)
    except MalformedMessageError as exc:
        raise JsonRpcError(INVALID_REQUEST, str(exc)) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise JsonRpcError(
            PARSE_ERROR, f"expected a JSON-RPC message, got no JSON: {brief(str(exc), 200)}"
        ) from exc
    return value


def is_response(message: Any) -> bool:
    """Whether a message answers a request, which servers of ours never send."""
    return (
        isinstance(message, dict)
        and "method" not in message
        and ("result" in message or "error" in message)
    )


def to_call(message: Any) -> Call:
    """Return the request or notification that ``message`` is.

    Raises:
        JsonRpcError: it is neither.
    """
    if not isinstance(message, dict):
        raise JsonRpcError(INVALID_REQUEST, f"expected a JSON object, got {shown(message)}")
    if message.get("jsonrpc") != "2.0":
        got = shown(message.get("jsonrpc"), 40)
        raise JsonRpcError(INVALID_REQUEST, f'$.jsonrpc: expected "2.0", got {got}')
    method, params = message.get("method"), message.get("params")
    if not isinstance(method, str):
        got = shown(method)
        raise JsonRpcError(INVALID_REQUEST, f"$.method: expected a string, got {got}")
    if "id" in message and type(message["id"]) not in (str, int):
        got = shown(message["id"], 40)
        raise JsonRpcError(INVALID_REQUEST, f"$.id: expected a string or an integer, got {got}")
    if params is not None and not isinstance(params, dict):
        got = shown(params)
        raise JsonRpcError(INVALID_PARAMS, f"$.params: expected an object, got {got}")
    return Call(method, params or {}, message.get("id"), "id" not in message)


def id_of(message: Any) -> Id:
    """The id to answer ``message`` with, which may be no request."""
    found = message.get("id") if isinstance(message, dict) else None
    return found if type(found) in (str, int) else None


def result_body(call_id: Id, result: dict[str, Any]) -> JsonObject:
    """Return the message that answers a request."""
    return {"jsonrpc": "2.0", "id": call_id, "result": result}


def error_body(call_id: Id, error: JsonRpcError) -> JsonObject:
    """Return the message that refuses a request."""
    said: dict[str, Any] = {"code": error.code, "message": brief(printable(str(error)))}
    data = {} if error.data is None else error.data
    if error.code in _REFUSALS:
        data = parts_of(said["message"]) | data
    if data:
        said["data"] = data
    return {"jsonrpc": "2.0", "id": call_id, "error": said}
