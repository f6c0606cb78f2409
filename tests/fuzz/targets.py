"""What is fuzzed: functions of bytes, which read them, or refuse them with an error of ours.

Whatever else comes out of a target is a find. The first bytes of an input choose among the variants
of a target where it has any: the space, where a stream is cut.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import msgspec
import numpy as np

from openenv_gym.codecs import (
    binary_codec,
    info_from_json,
    info_to_json,
    json_codec,
    pack_freeform,
    unpack_freeform,
)
from openenv_gym.errors import OpenEnvGymError, ProtocolError
from openenv_gym.protocol import BinaryMessages, FrameReader, Opened, frame, frame_header
from openenv_gym.protocol.events import Close, GetState, Open, Render, Request, Reset, Result, Step
from openenv_gym.protocol.json_messages import JsonServerMessages
from openenv_gym.protocol.websocket_frames import BINARY, FrameError, FrameSplitter
from openenv_gym.spaces import to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.wire.typed import view_for
from openenv_gym.workers.built_env import BuiltEnv, builder_for
from openenv_gym.workers.session import WorkerSession
from tests.support.spaces import CATALOGUE, samples

SPACES = list(CATALOGUE.values())
BINARY_CODECS = [binary_codec(space) for space in SPACES]
JSON_CODECS = [json_codec(space) for space in SPACES]
LIMIT_BYTES = 1 << 16


def read(decode: Callable[..., Any], *arguments: Any) -> Any:
    """What a decoder makes of its arguments, None where it refuses them."""
    try:
        return decode(*arguments)
    except OpenEnvGymError as exc:
        assert str(exc), "an error says something"
        return None


def parsed(data: bytes) -> Any:
    """The JSON in ``data``, None where there is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def free_form(data: bytes) -> None:
    read(unpack_freeform, data)


def binary_value(data: bytes) -> None:
    if data:
        read(BINARY_CODECS[data[0] % len(SPACES)].unpack, data[1:], 0)


def json_value(data: bytes) -> None:
    if data:
        read(JSON_CODECS[data[0] % len(SPACES)].from_json, parsed(data[1:]), "$")


def json_info(data: bytes) -> None:
    match parsed(data):
        case [value, types]:
            read(info_from_json, value, types)
        case value:
            read(info_from_json, value, {})


def _described(space: gym.Space[Any], num_envs: int | None = None) -> Description:
    one = to_descriptor(space)
    return Description(
        environment="some", view="gymnasium", action=one, observation=one, num_envs=num_envs
    )


def _learning(space: gym.Space[Any]) -> BinaryMessages:
    messages = BinaryMessages()
    messages.encode_reply(1, Opened(_described(space)))
    return messages


_LEARNED = [_learning(space) for space in SPACES]


def _learned(space: int) -> BinaryMessages:
    """The messages of a session whose actions and observations are of one of the spaces."""
    return copy.copy(_LEARNED[space % len(SPACES)])  # an input may teach it another one


def binary_request(data: bytes) -> None:
    if data:
        read(BinaryMessages().decode_request, data[1:])
        read(_learned(data[0]).decode_request, data[1:])


def binary_reply(data: bytes) -> None:
    if data:
        read(BinaryMessages().decode_reply, data[1:])
        read(_learned(data[0]).decode_reply, data[1:])


def json_request(data: bytes) -> None:
    if data:
        messages = VIEWS[data[0] % len(VIEWS)]
        read(messages.decode_request, data[1:])
        read(messages.decode_request, data[1:].decode(errors="surrogateescape"))


VIEWS = [
    JsonServerMessages(view_for(_described(CATALOGUE[name], num_envs)))
    for name in ("discrete", "box", "nested", "text of unicode", "multi binary")
    for num_envs in (None, 2)
]


def stream(data: bytes) -> None:
    """Bodies do not depend on where the stream was cut."""
    whole, cut = (_bodies(FrameReader(LIMIT_BYTES), parts) for parts in _both(data))
    assert whole == cut


def websocket(data: bytes) -> None:
    """Messages do not depend on where the stream was cut."""
    if data:
        options: dict[str, Any] = {
            "is_server": bool(data[0] & 1),
            "opcode": BINARY if data[0] & 2 else None,
            "in_place": bool(data[0] & 4),
        }
        whole, cut = (
            _bodies(_Splitter(LIMIT_BYTES, **options), parts) for parts in _both(data[1:])
        )
        assert whole == cut


class _Splitter(FrameSplitter):
    """Control frames are bodies too here."""

    def feed(self, data: Any) -> Any:
        messages, control = super().feed(data)
        self.control = getattr(self, "control", b"") + control
        return messages


def _both(data: bytes) -> Iterator[list[bytes]]:
    at = data[0] if data else 0
    rest = data[1:]
    yield [rest]
    yield [part for part in (rest[:at], rest[at:]) if part]


def _bodies(reader: Any, parts: list[bytes]) -> tuple[list[bytes], bytes, bool]:
    bodies: list[bytes] = []
    try:
        for part in parts:
            bodies += map(bytes, reader.feed(part))
    except (ProtocolError, FrameError):
        return [], b"", True  # what came before it was told already, in the one case
    return bodies, getattr(reader, "control", b""), False


class Quiet(gym.Env[np.ndarray, int]):
    """Does nothing."""

    action_space, observation_space = gym.spaces.Discrete(3), gym.spaces.Box(-1, 1, (2,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: int):
        return np.zeros(2, np.float32), 1.0, False, False, {}


_make_quiet = builder_for(Quiet, "some")


def _build(request: Open) -> BuiltEnv:
    most = None if request.num_envs is None else 2  # a server has a limit, a worker has none
    return _make_quiet(msgspec.structs.replace(request, num_envs=most))


def session(data: bytes) -> None:
    """A worker answers each body with one that its client can read."""
    worker, client = WorkerSession(_build), BinaryMessages()
    for body in (read(FrameReader(LIMIT_BYTES).feed, data) or [])[:16]:
        client.decode_reply(worker.handle(body))
    worker.close()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "free-form": free_form,
    "binary-value": binary_value,
    "json-value": json_value,
    "json-info": json_info,
    "binary-request": binary_request,
    "binary-reply": binary_reply,
    "json-request": json_request,
    "stream": stream,
    "websocket": websocket,
    "session": session,
}


def seeds(target: str) -> Iterator[bytes]:
    """Inputs with which a fuzzer begins: what the encoders write."""
    return _SEEDS[target]()


def _values() -> Iterator[tuple[int, Any]]:
    for number, space in enumerate(SPACES):
        for value in samples(space, 2):
            yield number, value


def _requests() -> Iterator[Request]:
    yield from (Open(), Open("some", {"a": 1}, num_envs=2), Reset(), Reset(3, {"a": [1, None]}))
    yield from (Step(1), Step({"a": np.zeros(2)}), GetState(), Render(), Close())


def _free_forms() -> Iterator[bytes]:
    for _, value in _values():
        yield pack_freeform(value, is_exact=True)


def _binary_values() -> Iterator[bytes]:
    for number, value in _values():
        yield bytes([number]) + BINARY_CODECS[number].pack(value)


def _json_values() -> Iterator[bytes]:
    for number, value in _values():
        yield bytes([number]) + msgspec.json.encode(JSON_CODECS[number].to_json(value))


def _json_infos() -> Iterator[bytes]:
    for _, value in _values():
        yield msgspec.json.encode(info_to_json({"value": value}))


def _binary_requests() -> Iterator[bytes]:
    for request in _requests():
        yield b"\0" + BinaryMessages().encode_request(1, request)
    for number, value in _values():
        yield bytes([number]) + _learned(number).encode_request(2, Step(value))


def _binary_replies() -> Iterator[bytes]:
    for number, value in _values():
        reply = Result(value, 1.0, False, True, {"a": 1})
        yield bytes([number]) + _learned(number).encode_reply(2, reply)


def _json_requests() -> Iterator[bytes]:
    for number in range(len(VIEWS)):
        yield bytes([number]) + b'{"type": "reset", "data": {"seed": 3, "options": {"a": 1}}}'
        for action in (b"1", b"[0.5, 1, 1, 1]", b'{"pair": [[1, 0], {"deep": [1]}], "list": []}'):
            yield bytes([number]) + b'{"type": "step", "data": {"action": %b}}' % action


def _streams() -> Iterator[bytes]:
    for body in (b"", b"a" * 5, b"b" * 300):
        yield b"\3" + frame(body) * 2


def _websockets() -> Iterator[bytes]:
    for option in range(8):
        for first, length in ((0x82, 5), (0x02, 5), (0x80, 5), (0x89, 2), (0x81, 126)):
            head = bytes([first, length | (0x80 if option & 1 else 0)])
            yield bytes([option, 4]) + (head + b"\0\5" + b"\0" * (length + 4)) * 2


def _sessions() -> Iterator[bytes]:
    bodies = [BinaryMessages().encode_request(at, one) for at, one in enumerate(_requests(), 1)]
    yield b"".join(frame_header(body) + body for body in bodies)
    yield b"".join(frame(body) for body in bodies[1:])


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "free-form": _free_forms,
    "binary-value": _binary_values,
    "json-value": _json_values,
    "json-info": _json_infos,
    "binary-request": _binary_requests,
    "binary-reply": _binary_replies,
    "json-request": _json_requests,
    "stream": _streams,
    "websocket": _websockets,
    "session": _sessions,
}
