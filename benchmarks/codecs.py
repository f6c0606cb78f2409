"""One value of every kind of space: to bytes and back, beside memcpy and peers.

Every peer must first show what it gives back; what is not the value to the bit is marked.
"""

import argparse
import gc
import pickle
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import msgspec
import numpy as np

from benchmarks import report
from benchmarks.children import BenchmarkError
from benchmarks.rounds import Kind, Ratio, say, take_turns
from benchmarks.samples import Sample, all_samples, losses
from openenv_gym.codecs import binary_codec, json_codec
from openenv_gym.protocol import BinaryMessages, Opened, Result
from openenv_gym.spaces.descriptor import to_descriptor
from openenv_gym.wire.description import Description

Call = Callable[[], object]
PACKAGES = ("gymnasium", "numpy", "msgspec", "msgpack", "msgpack-numpy", "orjson")
DIRECTIONS = ("encode", "decode")
EXACT = ("binary", "message")  # codecs of ours that promise every bit
LOOKS = 3  # how often the first loops are timed: the system may interrupt one of them, hardly each


def _targets(direction: str, codec: str) -> tuple[Ratio, Ratio]:
    image, small = f"image.{direction}.{codec}", f"cartpole.{direction}.{codec}"
    limit = {f"image.{direction}.memcpy": 1.0}
    return (
        Ratio(name=f"{image}_to_memcpy", over={image: 1}, under=limit, at_most=2.0),
        Ratio(name=small, over={small: 1}, unit="µs", at_most=5.0),
    )


RATIOS = sum((_targets(way, codec) for way in DIRECTIONS for codec in EXACT), ())


class Ways(NamedTuple):
    """One value with one codec."""

    encode: Call  # the value to bytes
    decode: Call  # these bytes to what they give back
    nbytes: int
    back: Any  # what came back when it was tried


def _tried(encode: Callable[[], Any], decode: Callable[[Any], Any]) -> Ways:
    payload = encode()
    return Ways(encode, partial(decode, payload), len(payload), decode(payload))


def _memcpy(sample: Sample) -> Ways:
    """As many bytes as our binary form has, into new bytes, and into a new array."""
    payload = binary_codec(sample.space).pack(sample.value)
    array = np.frombuffer(payload, np.uint8)
    return Ways(partial(bytes, memoryview(payload)), array.copy, len(payload), sample.value)


def _binary(sample: Sample) -> Ways:
    codec = binary_codec(sample.space)
    payload = codec.pack(sample.value)
    decode = partial(codec.unpack, payload, 0)
    return Ways(partial(codec.pack, sample.value), decode, len(payload), decode()[0])


def _message(sample: Sample) -> Ways:
    """The value as the observation of a step, the way from and to the body of a message."""
    messages, observation = BinaryMessages(), to_descriptor(sample.space)
    description = Description(environment="E", view="gymnasium", observation=observation)
    messages.encode_reply(0, Opened(description))  # from here on it knows the space
    result = Result(sample.value, 1.0, False, False, {})
    ways = _tried(partial(messages.encode_reply, 1, result), messages.decode_reply)
    return ways._replace(back=ways.back[1].obs)


def _json(sample: Sample) -> Ways:
    codec, value = json_codec(sample.space), sample.value
    to_json, from_json = codec.to_json, codec.from_json
    to_text, from_text = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    return _tried(lambda: to_text(to_json(value)), lambda text: from_json(from_text(text), "$"))


def _msgpack(sample: Sample) -> Ways:
    import msgpack
    import msgpack_numpy

    encode = partial(msgpack.packb, sample.value, default=msgpack_numpy.encode)
    return _tried(encode, partial(msgpack.unpackb, object_hook=msgpack_numpy.decode))


def _pickle(sample: Sample) -> Ways:
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
    return _tried(_orjson(sample).encode, lambda payload: array(loads(payload), dtype))


class Codec(NamedTuple):
    """A way to write values.

    ``ways`` returns None where the codec is not meant for a value, and raises ``TypeError`` where
    it cannot write it.
    """

    name: str  # in the formulas and the JSON
    label: str  # for people
    kind: Kind
    ways: Callable[[Sample], Ways | None]


CODECS = (
    Codec("memcpy", "memcpy", "limit", _memcpy),
    Codec("binary", "ours, binary", "ours", _binary),
    Codec("message", "ours, in a message", "ours", _message),
    Codec("json", "ours, JSON", "ours", _json),
    Codec("msgpack", "msgpack-numpy", "peer", _msgpack),
    Codec("pickle", "pickle", "peer", _pickle),
    Codec("orjson", "orjson", "peer", _orjson),
    Codec("orjson_array", "orjson, array", "peer", _orjson_array),
)
Tried = dict[tuple[str, str], dict[str, Any]]
"""What came of a sample with a codec, by their names: ``bytes`` and ``losses``, or ``error``."""

OPTIONS = {
    "rounds": (31, "of all codecs"),
    "loop-ms": (8, "how long a codec is timed at a time, roughly"),
}


def run(options: argparse.Namespace) -> None:
    run, samples, tried = report.Run("codecs", options, PACKAGES), all_samples(), Tried()
    calls = {}
    for sample in samples:
        ways = ways_of(sample, tried)
        for direction in DIRECTIONS:
            for name, way in ways.items():
                calls[f"{sample.name}.{direction}.{name}"] = getattr(way, direction)
    times = measure(calls, options.rounds, options.loop_ms)
    for key, us in times.items():
        sample_name, direction, codec = key.split(".")
        tried[sample_name, codec][direction] = report.summary("us_per_call", us, digits=4)
    ratios, ratio_table = report.compared(RATIOS, times)
    data = {
        "rounds": options.rounds,
        "loop_ms": options.loop_ms,
        "samples": [{"name": sample.name, "label": sample.label} for sample in samples],
        "codecs": [{"name": one.name, "label": one.label, "kind": one.kind} for one in CODECS],
        "cases": [{"sample": key[0], "codec": key[1], **found} for key, found in tried.items()],
        "ratios": ratios,
    }
    names = [codec.name for codec in CODECS]
    sizes = [[one.label, one.name, str(tried[one.name, "binary"]["bytes"])] for one in samples]
    tables = [report.Table(["one value of", "name", "bytes, binary"], sizes, texts=2)]
    for direction in DIRECTIONS:
        rows = [
            [one.name, *(_cell(tried.get((one.name, name)), direction) for name in names)]
            for one in samples
        ]
        tables.append(report.Table([f"{direction}, median µs", *names], rows))
    tables += [fidelity_table(tried), ratio_table]
    about = f"{options.rounds} rounds of loops of {options.loop_ms} ms."
    note = "†: what comes back is not the value to the bit; the table after these says how."
    run.publish(data, tables, about, [note])


def ways_of(sample: Sample, tried: Tried) -> dict[str, Ways]:
    """Return the codecs that can write ``sample``; what each gives back is added to ``tried``.

    Raises:
        BenchmarkError: a peer is not installed, or a codec of ours that promises every bit does
            not give every bit back.
    """
    found = {}
    for codec in CODECS:
        try:
            ways = codec.ways(sample)
        except ImportError as exc:
            raise BenchmarkError(
                f"{codec.label} is not installed: {exc}. The `dev` extra has the peers: "
                "pip install -e '.[dev]'"
            ) from exc
        except TypeError as exc:
            if codec.kind != "peer":
                raise
            tried[sample.name, codec.name] = {"error": str(exc)}
            continue
        if ways is None:
            continue
        lost = losses(sample.value, ways.back)
        if lost and codec.name in EXACT:
            raise BenchmarkError(
                f"{codec.label}: expected the very value of {sample.label}, got {', '.join(lost)}"
            )
        tried[sample.name, codec.name] = {"bytes": ways.nbytes, "losses": lost}
        found[codec.name] = ways
    return found


def measure(calls: Mapping[str, Call], rounds: int, loop_ms: int) -> dict[str, list[float]]:
    """Return the microseconds of one call, per name and round.

    A call is timed in a loop that takes about ``loop_ms``; one that takes longer is a loop of its
    own. The loops are sized before the first round.
    """
    say("warming up")
    sizes = {name: loop_size(call, loop_ms * 1_000_000) for name, call in calls.items()}

    def time_us(name: str, number: int) -> float:
        return loop_ns(calls[name], sizes[name]) / sizes[name] / 1000

    gc.collect()
    gc.disable()  # it would hit whoever is timed at that moment
    try:
        return take_turns({name: partial(time_us, name) for name in calls}, rounds)
    finally:
        gc.enable()


def loop_ns(call: Call, size: int) -> int:
    """Return the nanoseconds of ``size`` calls, one after another."""
    turns = repeat(None, size)
    started = time.perf_counter_ns()
    for _ in turns:
        call()
    return time.perf_counter_ns() - started


def loop_size(call: Call, goal_ns: int) -> int:
    """Return how many calls take about ``goal_ns``, one at least."""
    size = 1
    while (took_ns := min(loop_ns(call, size) for _ in range(LOOKS))) < goal_ns / 8:
        size *= 2
    return max(1, round(size * goal_ns / took_ns))


def _cell(found: dict[str, Any] | None, direction: str) -> str:
    if found is None or "error" in found:
        return "" if found is None else "cannot"
    median = found[direction]["median"]
    digits = 2 if median < 10 else 1 if median < 100 else 0
    return f"{median:.{digits}f}{' †' if found['losses'] else ''}"


def fidelity_table(tried: Tried) -> report.Table:
    """What each codec gives back, and of which samples."""
    rows = []
    for codec in CODECS[1:]:  # behind the limit
        found: dict[str, list[str]] = {"exact": []}
        for (sample, name), one in tried.items():
            lossy = [f"lossy: {loss}" for loss in one.get("losses", ())] or ["exact"]
            outcomes = [f"cannot: {one['error']}"] if "error" in one else lossy
            for outcome in outcomes if name == codec.name else ():
                found.setdefault(outcome, []).append(sample)
        rows += [[codec.name, what, ", ".join(names)] for what, names in found.items() if names]
    return report.Table(["codec", "what comes back", "of"], rows, texts=3)
