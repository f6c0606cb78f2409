"""One value of every kind of space: to bytes and back, beside memcpy and peers.

Every peer must first show what it gives back; what is not the value to the bit is marked.
"""

from __future__ import annotations

import argparse

from benchmarks.codec_cases import Codec, Ways, all_codecs
from benchmarks.codec_report import DIRECTIONS, CodecReport, Tried, write
from benchmarks.errors import BenchmarkError
from benchmarks.fidelity import losses
from benchmarks.loops import Call, measure
from benchmarks.machine import load_average, now, this_machine
from benchmarks.options import add_output, add_rounds, count, say
from benchmarks.rounds import Ratio
from benchmarks.samples import Sample, all_samples

PACKAGES = ("gymnasium", "numpy", "msgspec", "msgpack", "msgpack-numpy", "orjson")
EXACT = ("binary", "message")
"""Codecs of ours that promise every bit; the JSON of OpenEnv has no numpy integers."""

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_rounds(parser, default=31)
    parser.add_argument(
        "--loop-ms",
        type=count(1000),
        default=8,
        help="how long a codec is timed at a time, roughly (default: %(default)s)",
    )
    add_output(parser, "results/codecs.json")


def run(options: argparse.Namespace) -> None:
    started, load = now(), load_average()
    samples, codecs = all_samples(), all_codecs()
    calls: dict[str, Call] = {}
    tried: dict[tuple[str, str], Tried] = {}
    for sample in samples:
        ways = _ways(sample, codecs, tried)
        for direction in DIRECTIONS:
            for name, way in ways.items():
                calls[f"{sample.name}.{direction}.{name}"] = getattr(way, direction)
    times_us = measure(calls, options.rounds, options.loop_ms, say)
    report = CodecReport(
        samples=samples,
        codecs=codecs,
        tried=tried,
        times_us=times_us,
        ratios=RATIOS,
        loop_ms=options.loop_ms,
        machine=this_machine(PACKAGES),
        date=started,
        load_average_start=load,
        load_average_end=load_average(),
    )
    write(report, options.output)


def _ways(
    sample: Sample, codecs: list[Codec], tried: dict[tuple[str, str], Tried]
) -> dict[str, Ways]:
    """Return the codecs that can write ``sample``; what each gives back is added to ``tried``.

    Raises:
        BenchmarkError: a codec of ours that promises every bit does not give every bit back.
    """
    found = {}
    for codec in codecs:
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
