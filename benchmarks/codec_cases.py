"""The ways to write a value as bytes and to read it back: ours, peers, and the limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np

from benchmarks.errors import BenchmarkError
from benchmarks.loops import Call
from benchmarks.rounds import Kind
from benchmarks.samples import Sample
from openenv_gym.codecs import binary_codec, json_codec
from openenv_gym.protocol import BinaryMessages, Opened, Result
from openenv_gym.spaces.descriptor import to_descriptor
from openenv_gym.wire.description import Description


class Ways(NamedTuple):
    """One value with one codec.

    Attributes:
        encode: The value to bytes.
        decode: These bytes to what they give back.
        nbytes: How many bytes.
        back: What came back when it was tried; the limit has none.
    """

    encode: Call
    decode: Call
    nbytes: int
    back: Any


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A way to write values.

    Attributes:
        name: In the formulas and the JSON.
        label: For people.
        kind: ``limit`` bounds us, a ``peer`` does the same job, ``ours`` is this package.
        ways: Of one value; None where it is not meant for such values. Raises ``TypeError``
            where the codec cannot write it.
    """

    name: str
    label: str
    kind: Kind
    ways: Callable[[Sample], Ways | None]


def all_codecs() -> list[Codec]:
    """Return the codecs in the order of the tables.

    Raises:
        BenchmarkError: a peer is not installed.
    """
    try:
        import msgpack  # noqa: F401 - is it there
        import msgpack_numpy  # noqa: F401 - is it there
        import orjson  # noqa: F401 - is it there
    except ImportError as exc:
        raise BenchmarkError(
            f"the peers are not installed: {exc}. The `dev` extra has them: pip install -e '.[dev]'"
        ) from exc
    return [
        Codec(name="memcpy", label="memcpy", kind="limit", ways=_memcpy),
        Codec(name="binary", label="ours, binary", kind="ours", ways=_binary),
        Codec(name="message", label="ours, in a message", kind="ours", ways=_message),
        Codec(name="json", label="ours, JSON", kind="ours", ways=_json),
        Codec(name="msgpack", label="msgpack-numpy", kind="peer", ways=_msgpack),
        Codec(name="pickle", label="pickle", kind="peer", ways=_pickle),
        Codec(name="orjson", label="orjson", kind="peer", ways=_orjson),
        Codec(name="orjson_array", label="orjson, array", kind="peer", ways=_orjson_array),
    ]


def _tried(encode: Callable[[], Any], decode: Callable[[Any], Any]) -> Ways:
    """``decode`` is bound to the bytes that ``encode`` makes."""
    payload = encode()
    return Ways(encode, partial(decode, payload), len(payload), decode(payload))


def _memcpy(sample: Sample) -> Ways:
    """As many bytes as our binary form has, into new bytes, and into a new array."""
    payload = binary_codec(sample.space).pack(sample.value)
    array = np.frombuffer(payload, np.uint8)
    return Ways(partial(bytes, memoryview(payload)), array.copy, len(payload), None)


def _binary(sample: Sample) -> Ways:
    codec = binary_codec(sample.space)
    payload = codec.pack(sample.value)
    back, _ = codec.unpack(payload, 0)
    encode, decode = partial(codec.pack, sample.value), partial(codec.unpack, payload, 0)
    return Ways(encode, decode, len(payload), back)


def _message(sample: Sample) -> Ways:
    """The value as the observation of a step, the way from and to the body of a message."""
    messages, observation = BinaryMessages(), to_descriptor(sample.space)
    description = Description(environment="E", view="gymnasium", observation=observation)
    messages.encode_reply(0, Opened(description))  # from here on it knows the space
    encode = partial(messages.encode_reply, 1, Result(sample.value, 1.0, False, False, {}))
    body = encode()
    _, reply = messages.decode_reply(body)
    if not isinstance(reply, Result):
        raise BenchmarkError(f"expected a result back, got {type(reply).__name__}")
    return Ways(encode, partial(messages.decode_reply, body), len(body), reply.obs)


def _json(sample: Sample) -> Ways:
    codec, value = json_codec(sample.space), sample.value
    to_json, from_json = codec.to_json, codec.from_json
    to_text, from_text = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    return _tried(
        lambda: to_text(to_json(value)), lambda payload: from_json(from_text(payload), "$")
    )


def _msgpack(sample: Sample) -> Ways:
    import msgpack
    import msgpack_numpy

    return _tried(
        partial(msgpack.packb, sample.value, default=msgpack_numpy.encode),
        partial(msgpack.unpackb, object_hook=msgpack_numpy.decode),
    )


def _pickle(sample: Sample) -> Ways:
    import pickle

    return _tried(partial(pickle.dumps, sample.value, protocol=5), pickle.loads)


def _orjson(sample: Sample) -> Ways:
    import orjson

    option = orjson.OPT_SERIALIZE_NUMPY
    return _tried(partial(orjson.dumps, sample.value, option=option), orjson.loads)


def _orjson_array(sample: Sample) -> Ways | None:
    """As orjson, and the array is made again of the lists, without a look at what they hold."""
    import orjson

    if not isinstance(sample.value, np.ndarray):
        return None
    loads, array, dtype = orjson.loads, np.array, sample.value.dtype
    option = orjson.OPT_SERIALIZE_NUMPY
    return _tried(
        partial(orjson.dumps, sample.value, option=option),
        lambda payload: array(loads(payload), dtype),
    )
