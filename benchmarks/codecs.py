"""One value of every kind of space: to bytes and back, beside memcpy and peers.

Every peer must first show what it gives back; what is not the value to the bit is marked.
"""

from __future__ import annotations

import argparse
import gc
import pickle
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from benchmarks.children import BenchmarkError
from benchmarks.report import (
    Run,
    Table,
    add_count,
    add_output,
    compared,
    say,
    spread,
    summary,
    verdict,
)
from benchmarks.rounds import Kind, Ratio, take_turns
from benchmarks.samples import Sample, all_samples, losses
from openenv_gym.codecs import binary_codec, json_codec
from openenv_gym.protocol import BinaryMessages, Opened, Result
from openenv_gym.spaces.descriptor import to_descriptor
from openenv_gym.wire.description import Description

Call: TypeAlias = Callable[[], object]
PACKAGES = ("gymnasium", "numpy", "msgspec", "msgpack", "msgpack-numpy", "orjson")
DIRECTIONS = ("encode", "decode")
EXACT = ("binary", "message")  # codecs of ours that promise every bit
SMALL = "cartpole"  # the sample that is to take less than so long, with each of them
SMALL_TARGET_US = 5.0
LOOKS = 3  # how often the first loops are timed: the system may interrupt one of them, hardly each

RATIOS = tuple(
    Ratio(
        name=f"image_{direction}_{codec}_to_memcpy",
        over={f"image.{direction}.{codec}": 1},
        under={f"image.{direction}.memcpy": 1},
        at_most=2.0,
    )
    for direction in DIRECTIONS
    for codec in EXACT
)


class Ways(NamedTuple):
    """One value with one codec."""

    encode: Call  # the value to bytes
    decode: Call  # these bytes to what they give back
    nbytes: int
    back: Any  # what came back when it was tried; the limit has none


def _tried(encode: Callable[[], Any], decode: Callable[[Any], Any]) -> Ways:
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
    encode = partial(orjson.dumps, sample.value, option=orjson.OPT_SERIALIZE_NUMPY)
    return _tried(encode, lambda payload: array(loads(payload), dtype))


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


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of writing a sample with a codec and reading it back."""

    losses: list[str] = field(default_factory=list)  # what came back otherwise
    nbytes: int | None = None  # None where it could not be written
    error: str | None = None  # why it could not be written

    @property
    def outcomes(self) -> list[str]:
        if self.error is not None:
            return [f"cannot: {self.error}"]
        return [f"lossy: {loss}" for loss in self.losses] or ["exact"]


Tries: TypeAlias = dict[tuple[str, str], Tried]
"""By the names of a sample and a codec; what is not there does not apply."""

Times: TypeAlias = Mapping[str, list[float]]
"""Microseconds of each round, by ``sample.direction.codec``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_count(parser, "rounds", 1000, 31, "of all codecs")
    add_count(parser, "loop-ms", 1000, 8, "how long a codec is timed at a time, roughly")
    add_output(parser, "results/codecs.json")


def run(options: argparse.Namespace) -> None:
    check_peers()
    run, samples = Run("codecs", options, PACKAGES), all_samples()
    calls, tried = {}, {}
    for sample in samples:
        ways = ways_of(sample, tried)
        for direction in DIRECTIONS:
            for name, way in ways.items():
                calls[f"{sample.name}.{direction}.{name}"] = getattr(way, direction)
    times = measure(calls, options.rounds, options.loop_ms)
    ratios, ratio_table = compared(RATIOS, times)
    small = [f"{SMALL}.{direction}.{codec}" for direction in DIRECTIONS for codec in EXACT]
    hits = {name: statistics.median(times[name]) < SMALL_TARGET_US for name in small}
    data = {
        "rounds": options.rounds,
        "loop_ms": options.loop_ms,
        "samples": [{"name": sample.name, "label": sample.label} for sample in samples],
        "codecs": [{"name": one.name, "label": one.label, "kind": one.kind} for one in CODECS],
        "cases": [_case_json(sample, codec, tried, times) for sample, codec in tried],
        "ratios": ratios,
        "small": {"sample": SMALL, "target_us": SMALL_TARGET_US, "hit": hits},
    }
    tables = [
        sample_table(samples, tried),
        *(time_table(samples, direction, tried, times) for direction in DIRECTIONS),
        fidelity_table(tried),
        ratio_table,
        small_table(hits, times),
    ]
    about = f"{options.rounds} rounds of loops of {options.loop_ms} ms."
    notes = [
        "†: what comes back is not the value to the bit; the table after these says how.",
        "From the lower to the upper quartile of its rounds, the typical figure spans "
        f"{_width(times):.0%} of its median.",
    ]
    run.publish(data, tables, about, notes)


def check_peers() -> None:
    """Raise ``BenchmarkError`` where a peer is not installed."""
    try:
        import msgpack  # noqa: F401 - is it there
        import msgpack_numpy  # noqa: F401 - is it there
        import orjson  # noqa: F401 - is it there
    except ImportError as exc:
        raise BenchmarkError(
            f"the peers are not installed: {exc}. The `dev` extra has them: pip install -e '.[dev]'"
        ) from exc


def ways_of(sample: Sample, tried: Tries) -> dict[str, Ways]:
    """Return the codecs that can write ``sample``; what each gives back is added to ``tried``.

    Raises:
        BenchmarkError: a codec of ours that promises every bit does not give every bit back.
    """
    found = {}
    for codec in CODECS:
        try:
            ways = codec.ways(sample)
        except TypeError as exc:
            if codec.kind != "peer":
                raise
            tried[sample.name, codec.name] = Tried(error=str(exc))
            continue
        if ways is None:
            continue
        lost = [] if codec.kind == "limit" else losses(sample.value, ways.back)
        if lost and codec.name in EXACT:
            raise BenchmarkError(
                f"{codec.label}: expected the very value of {sample.label}, got {', '.join(lost)}"
            )
        tried[sample.name, codec.name] = Tried(losses=lost, nbytes=ways.nbytes)
        found[codec.name] = ways
    return found


def measure(calls: Mapping[str, Call], rounds: int, loop_ms: int) -> dict[str, list[float]]:
    """Return the microseconds of one call, per name and round.

    A call is timed in a loop that takes about ``loop_ms``; one that takes longer is a loop of its
    own. The loops are sized before the first round.
    """
    say("warming up")
    sizes = {name: loop_size(call, loop_ms * 1_000_000) for name, call in calls.items()}

    def time_us(name: str) -> float:
        return loop_ns(calls[name], sizes[name]) / sizes[name] / 1000

    turns = {name: lambda number, name=name: time_us(name) for name in calls}
    return take_turns(turns, rounds, say, without_gc)


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


@contextmanager
def without_gc() -> Iterator[None]:
    """Collect garbage before, and not within: it would hit whoever is timed at that moment."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return what a quarter, and what three quarters of the values do not exceed."""
    if len(values) == 1:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper


def _case_json(sample: str, codec: str, tried: Tries, times: Times) -> dict[str, Any]:
    found, head = tried[sample, codec], {"sample": sample, "codec": codec}
    if found.error is not None:
        return {**head, "error": found.error}
    figures = {}
    for direction in DIRECTIONS:
        values = times[f"{sample}.{direction}.{codec}"]
        lower, upper = (round(value, 4) for value in quartiles(values))
        quarters = {"lower_quartile": lower, "upper_quartile": upper}
        figures[direction] = {**quarters, **summary("us_per_call", values, digits=4)}
    return {**head, "bytes": found.nbytes, "losses": found.losses, **figures}


def sample_table(samples: Sequence[Sample], tried: Tries) -> Table:
    rows = [[one.label, one.name, str(tried[one.name, "binary"].nbytes)] for one in samples]
    return Table(heads=["one value of", "name", "bytes, binary"], rows=rows, texts=2)


def time_table(samples: Sequence[Sample], direction: str, tried: Tries, times: Times) -> Table:
    names = [codec.name for codec in CODECS]
    rows = []
    for sample in samples:
        cells = [_time(sample.name, direction, codec, tried, times) for codec in names]
        rows.append([sample.name, *cells])
    return Table(heads=[f"{direction}, median µs", *names], rows=rows)


def _time(sample: str, direction: str, codec: str, tried: Tries, times: Times) -> str:
    found = tried.get((sample, codec))
    if found is None or found.error is not None:
        return "" if found is None else "cannot"
    median = statistics.median(times[f"{sample}.{direction}.{codec}"])
    digits = 2 if median < 10 else 1 if median < 100 else 0
    return f"{median:.{digits}f}{' †' if found.losses else ''}"


def fidelity_table(tried: Tries) -> Table:
    """What each codec gives back, and of which samples."""
    rows = []
    for codec in CODECS[1:]:  # behind the limit
        found: dict[str, list[str]] = {"exact": []}
        for (sample, name), one in tried.items():
            for outcome in one.outcomes if name == codec.name else []:
                found.setdefault(outcome, []).append(sample)
        rows += [[codec.name, what, ", ".join(names)] for what, names in found.items() if names]
    return Table(heads=["codec", "what comes back", "of"], rows=rows, texts=3)


def small_table(hits: Mapping[str, bool], times: Times) -> Table:
    target = f"< {SMALL_TARGET_US:g}"
    rows = [
        [name, *(f"{figure:.2f}" for figure in spread(times[name])), target, verdict(hit)]
        for name, hit in hits.items()
    ]
    heads = ["the observation of CartPole", "median µs", "min µs", "max µs", "target", ""]
    return Table(heads=heads, rows=rows)


def _width(times: Times) -> float:
    """The distance of the quartiles in parts of the median, as the median over all figures."""
    widths = []
    for values in times.values():
        lower, upper = quartiles(values)
        widths.append((upper - lower) / statistics.median(values))
    return statistics.median(widths)
