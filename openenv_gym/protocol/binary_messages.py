"""Requests and replies ↔ the bodies of ``openenv-gym.v1`` (docs/protocol.md is normative).

A body is a header of eight bytes and a payload, little endian::

    offset  0       1       2          4          8
            kind u8 flag u8 zero u16   seq u32    payload

``seq`` numbers the requests of a session; a reply repeats that of its request. The payload of
each kind is below; "free form" is :mod:`openenv_gym.codecs.freeform`, "value" is the compact
form of a space where flag ``COMPACT`` is set and free form with a length where not.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from openenv_gym.codecs import (
    BinaryCodec,
    Buffer,
    Misfit,
    append_freeform,
    binary_codec,
    pack_freeform,
    unpack_freeform,
)
from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    ProtocolError,
    SpaceError,
    shown,
)
from openenv_gym.protocol.events import (
    BatchResult,
    Close,
    Closed,
    Failed,
    GetState,
    Open,
    Opened,
    Render,
    Rendered,
    Reply,
    Request,
    Reset,
    Result,
    StateReply,
    Step,
    Use,
    Used,
)
from openenv_gym.protocol.framing import IN_PLACE_BYTES, Body
from openenv_gym.spaces.budget import MAX_SPACE_BYTES
from openenv_gym.wire.description import Description, description_from_json
from openenv_gym.wire.fault_info import fault_from_wire, fault_to_wire

SUBPROTOCOL = "openenv-gym.v1"
"""The name under which a WebSocket negotiates this protocol."""

OPEN, RESET, STEP, STATE, RENDER, CLOSE, USE = range(1, 8)
OPENED, RESULT, STATE_REPLY, RENDERED, CLOSED, BATCH_RESULT, USED = range(129, 136)
FAILED = 255

COMPACT, TERMINATED, TRUNCATED, HAS_REWARD, HAS_INFO, ARRAY_REWARD = 1, 2, 4, 8, 16, 32

REWARD_DTYPES = (
    *("<f8", "<f4", "<i4", "<i8", "<f2", "<i2", "|i1", "|u1"),
    *("<u2", "<u4", "<u8", "|b1"),
)
"""The dtypes of rewards, by their number in a batch: EnvPool and ALE use others than Gymnasium."""

_HEADER = struct.Struct("<BBHI")
_RESULT = struct.Struct("<BBHId")
HEADER_BYTES = _HEADER.size
_RESULT_BYTES = _RESULT.size

_anything = binary_codec(None)


def sequence_of(body: Body) -> int:
    """Return the ``seq`` of a body, 0 where it is too short to have one."""
    return int.from_bytes(body[4:8], "little") if len(body) >= HEADER_BYTES else 0


class BinaryMessages:
    """The binary codec of one session; it learns the spaces from the reply to ``Open``.

    Args:
        max_space_bytes: What these spaces may take, all together, in bytes; None for no limit.
    """

    def __init__(self, max_space_bytes: int | None = MAX_SPACE_BYTES) -> None:
        self._max_space_bytes = max_space_bytes
        self._action: BinaryCodec = _anything
        self._observation: BinaryCodec = _anything
        self._num_envs = 0

    def _learn(self, description: Description) -> None:
        self._action = binary_codec(description.batched_action_space)
        self._observation = binary_codec(description.batched_observation_space)
        self._num_envs = description.num_envs or 0

    # Requests

    def encode_request(self, seq: int, request: Request) -> Body:
        """Return the body of ``request``.

        Raises:
            InvalidActionError: the action is a value that cannot travel.
            InvalidRequestError: something else is.
        """
        if type(request) is Step:  # first, because nearly all are
            try:
                flags, payload = _pack_value(self._action, request.action)
            except InvalidRequestError as exc:
                raise InvalidActionError(str(exc)) from exc
            return b"".join((_HEADER.pack(STEP, flags, 0, seq), payload))
        if type(request) is Reset:  # whose options may be long
            body = bytearray(_HEADER.pack(RESET, 0, 0, seq))
            append_freeform(body, _plain_fields(request))
            return memoryview(body) if len(body) in IN_PLACE_BYTES else bytes(body)
        kind, payload = _PACK_REQUEST[type(request)](request)
        return _HEADER.pack(kind, 0, 0, seq) + payload

    def decode_request(self, body: Body) -> tuple[int, Request]:
        """Return the number and the request in ``body``.

        Raises:
            ProtocolError: the body is too short, or of an unknown kind.
            InvalidRequestError: its payload is malformed.
        """
        if len(body) < HEADER_BYTES:
            raise _too_short(body)
        kind, flags, _, seq = _HEADER.unpack_from(body)
        if kind == STEP:
            codec = self._action if flags & COMPACT else _anything
            action, end = codec.unpack(body, HEADER_BYTES)
            if end != len(body):
                raise _wrong_length(body, end)
            return seq, Step(action)
        unpack = _UNPACK_REQUEST.get(kind)
        if unpack is None:
            raise ProtocolError(f"expected a request kind among 1 to 7, got {kind}")
        return seq, unpack(memoryview(body)[HEADER_BYTES:])

    # Replies

    def encode_reply(self, seq: int, reply: Reply) -> bytes:
        """Return the body of ``reply``."""
        if type(reply) is Result:
            return self._pack_result(seq, reply)
        if type(reply) is BatchResult:
            return self._pack_batch(seq, reply)
        if type(reply) is Opened:
            self._learn(reply.description)
        kind, payload = _PACK_REPLY[type(reply)](reply)
        return _HEADER.pack(kind, 0, 0, seq) + payload

    def decode_reply(self, body: Body) -> tuple[int, Reply]:
        """Return the number and the reply in ``body``.

        Raises:
            ProtocolError: the body is too short, or of an unknown kind.
            InvalidRequestError: its payload is malformed.
        """
        if len(body) < HEADER_BYTES:
            raise _too_short(body)
        kind, flags, _, seq = _HEADER.unpack_from(body)
        if kind == RESULT:
            return seq, self._unpack_result(flags, body)
        if kind == BATCH_RESULT:
            return seq, self._unpack_batch(flags, body)
        unpack = _UNPACK_REPLY.get(kind)
        if unpack is None:
            raise ProtocolError(f"expected a reply kind of openenv-gym.v1, got {kind}")
        reply = unpack(memoryview(body)[HEADER_BYTES:])
        if type(reply) is Opened:
            self._learn(reply.description.within(self._max_space_bytes))
        return seq, reply

    def _pack_result(self, seq: int, result: Result) -> bytes:
        flags, payload = _pack_value(self._observation, result.obs)
        reward = result.reward
        if result.terminated:
            flags |= TERMINATED
        if result.truncated:
            flags |= TRUNCATED
        array: Buffer = b""
        if type(reward) is float:
            flags |= HAS_REWARD
        else:
            if reward is not None:
                flags |= HAS_REWARD | ARRAY_REWARD
                array = _anything.pack(reward)
            reward = 0.0
        info = b""
        if result.info:
            flags |= HAS_INFO
            info = pack_freeform(result.info)
        return b"".join((_RESULT.pack(RESULT, flags, 0, seq, reward), payload, array, info))

    def _unpack_result(self, flags: int, body: Body) -> Result:
        if len(body) < _RESULT_BYTES:
            raise ProtocolError(f"expected a result of at least 16 bytes, got {len(body)}")
        reward: Any = _RESULT.unpack_from(body)[4] if flags & HAS_REWARD else None
        codec = self._observation if flags & COMPACT else _anything
        obs, end = codec.unpack(body, _RESULT_BYTES)
        if flags & ARRAY_REWARD:
            reward, end = _anything.unpack(body, end)
        info: dict[str, Any] = {}
        if flags & HAS_INFO:
            info = _mapping(memoryview(body)[end:])
        elif end != len(body):
            raise _wrong_length(body, end)
        return Result(obs, reward, flags & TERMINATED != 0, flags & TRUNCATED != 0, info)

    def _pack_batch(self, seq: int, result: BatchResult) -> bytes:
        flags, payload = _pack_value(self._observation, result.obs)
        parts = [payload]
        if result.rewards is not None:
            rewards = np.asarray(result.rewards)
            wire = rewards.dtype.newbyteorder("<").str
            code = REWARD_DTYPES.index(wire) if wire in REWARD_DTYPES else 0
            flags |= HAS_REWARD
            head, shape = bytes((code,)), rewards.shape[1:]
            if shape:
                flags |= ARRAY_REWARD
                head += struct.pack(f"<B{len(shape)}I", len(shape), *shape)
            parts += [
                head,
                _column(rewards, (self._num_envs, *shape), REWARD_DTYPES[code]),
                _column(result.terminations, (self._num_envs,), "u1"),
                _column(result.truncations, (self._num_envs,), "u1"),
            ]
        if result.info:
            flags |= HAS_INFO
            parts.append(pack_freeform(result.info))
        return b"".join((_HEADER.pack(BATCH_RESULT, flags, 0, seq), *parts))

    def _unpack_batch(self, flags: int, body: Body) -> BatchResult:
        codec = self._observation if flags & COMPACT else _anything
        obs, end = codec.unpack(body, HEADER_BYTES)
        rewards = terminations = truncations = None
        if flags & HAS_REWARD:
            code = body[end] if end < len(body) else len(REWARD_DTYPES)
            if code >= len(REWARD_DTYPES):
                raise InvalidRequestError("expected the dtype of rewards, got none that is known")
            wire, count, start = _REWARD_WIRES[code], self._num_envs, end + 1
            shape: tuple[int, ...] = ()
            if flags & ARRAY_REWARD:
                shape, start = _shape(body, start)
            numbers = count * math.prod(shape)
            middle = start + numbers * wire.itemsize
            end = middle + 2 * count
            if end > len(body):
                raise _wrong_length(body, end)
            rewards = np.frombuffer(body, wire, numbers, start).astype(_REWARD_DTYPES[code])
            if shape:
                rewards = _reshaped(rewards, (count, *shape))
            endings = np.frombuffer(body, np.uint8, 2 * count, middle).astype(np.bool_)
            terminations, truncations = endings[:count], endings[count:]
        info: Any = {}
        if flags & HAS_INFO:
            info = unpack_freeform(memoryview(body)[end:])
            if not isinstance(info, (dict, list)):
                raise InvalidRequestError(f"expected infos, got {type(info).__name__}")
        elif end != len(body):
            raise _wrong_length(body, end)
        return BatchResult(obs, rewards, terminations, truncations, info)


_REWARD_DTYPES = tuple(np.dtype(wire).newbyteorder("=") for wire in REWARD_DTYPES)
# A byte of a boolean array that is neither 0 nor 1 would be none of numpy's booleans.
_REWARD_WIRES = tuple(np.dtype("u1" if wire == "|b1" else wire) for wire in REWARD_DTYPES)


def _column(values: Any, shape: tuple[int, ...], wire: str) -> bytes:
    """The rewards or flags of all sub-environments."""
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind not in "biufO":
        raise SpaceError(
            f"rewards and flags of a vector environment: expected numbers of shape {shape}, "
            f"got {array!r:.80} of shape {array.shape}"
        )
    return array.astype(wire, copy=False).tobytes()


def _shape(body: Body, start: int) -> tuple[tuple[int, ...], int]:
    """Return the shape of each array reward of a batch, and where it ends."""
    try:
        end = start + 1 + 4 * body[start]
        return struct.unpack(f"<{body[start]}I", body[start + 1 : end]), end
    except (IndexError, struct.error) as exc:
        raise InvalidRequestError("expected the shape of rewards, got a body that ends") from exc


def _reshaped(rewards: Any, shape: tuple[int, ...]) -> Any:
    try:
        return rewards.reshape(shape)
    except ValueError as exc:  # too many axes, or too long ones beside one of length 0
        raise InvalidRequestError(
            f"expected a shape of rewards that an array may have: {exc}"
        ) from exc


def _too_short(body: Body) -> ProtocolError:
    return ProtocolError(f"expected a body of at least 8 bytes, got {len(body)}")


def _wrong_length(body: Body, end: int) -> InvalidRequestError:
    return InvalidRequestError(f"expected a body of {end} bytes, got {len(body)}")


def _pack_value(codec: BinaryCodec, value: Any) -> tuple[int, Buffer]:
    try:
        return COMPACT, codec.pack(value)
    except Misfit:
        return 0, _anything.pack(value)


def _mapping(payload: memoryview) -> dict[str, Any]:
    value = unpack_freeform(payload)
    if not isinstance(value, dict):
        raise InvalidRequestError(f"expected a map, got {type(value).__name__}")
    return value


def _plain_fields(event: Any) -> list[Any]:
    fields = [getattr(event, name) for name in event.__struct_fields__]
    # What is a struct within an event travels as a map.
    return [msgspec.structs.asdict(x) if isinstance(x, msgspec.Struct) else x for x in fields]


def _pack_fields(event: Any) -> bytes:
    return pack_freeform(_plain_fields(event), is_exact=True)


def _fields(kind: type[Any]) -> Callable[[memoryview], Any]:
    def unpack(payload: memoryview) -> Any:
        values, names = unpack_freeform(payload), kind.__struct_fields__
        if not isinstance(values, list) or len(values) != len(names):
            raise InvalidRequestError(
                f"expected the fields {', '.join(names)} of {kind.__name__}, got {shown(values)}"
            )
        try:
            return msgspec.convert(dict(zip(names, values, strict=True)), kind)
        except msgspec.ValidationError as exc:
            raise InvalidRequestError(f"{kind.__name__}: {exc}") from exc

    return unpack


class _WireFailed(msgspec.Struct):
    """A ``Failed`` whose fault is a map."""

    code: str
    message: str
    traceback: str
    fault: dict[str, Any] | None
    raised: str


def _pack_failed(event: Failed) -> bytes:
    fault = fault_to_wire(event.fault)
    said = _WireFailed(event.code, event.message, event.traceback, fault, event.raised)
    return _pack_fields(said)


def _unpack_failed(payload: memoryview) -> Failed:
    said: _WireFailed = _fields(_WireFailed)(payload)
    fault = fault_from_wire(said.fault)
    return Failed(said.code, said.message, said.traceback, fault, said.raised)


_PACK_REQUEST: dict[type[Any], Callable[[Any], tuple[int, bytes]]] = {
    Open: lambda event: (OPEN, _pack_fields(event)),
    GetState: lambda event: (STATE, b""),
    Render: lambda event: (RENDER, b""),
    Use: lambda event: (USE, _pack_fields(event)),
    Close: lambda event: (CLOSE, b""),
}
_UNPACK_REQUEST: dict[int, Callable[[memoryview], Request]] = {
    OPEN: _fields(Open),
    RESET: _fields(Reset),
    STATE: lambda payload: GetState(),
    RENDER: lambda payload: Render(),
    USE: _fields(Use),
    CLOSE: lambda payload: Close(),
}
_PACK_REPLY: dict[type[Any], Callable[[Any], tuple[int, bytes]]] = {
    Opened: lambda event: (OPENED, event.description.to_json()),
    StateReply: lambda event: (STATE_REPLY, pack_freeform(dict(event.state))),
    Rendered: lambda event: (RENDERED, pack_freeform(event.frame)),
    Used: lambda event: (USED, _pack_fields(event)),
    Closed: lambda event: (CLOSED, b""),
    Failed: lambda event: (FAILED, _pack_failed(event)),
}
_UNPACK_REPLY: dict[int, Callable[[memoryview], Reply]] = {
    OPENED: lambda payload: Opened(description_from_json(payload)),
    STATE_REPLY: lambda payload: StateReply(_mapping(payload)),
    RENDERED: lambda payload: Rendered(unpack_freeform(payload)),
    USED: _fields(Used),
    CLOSED: lambda payload: Closed(),
    FAILED: _unpack_failed,
}
