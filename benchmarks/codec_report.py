"""What a run of ``codecs`` found: on the terminal, as JSON, and in the README."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.codec_cases import Codec
from benchmarks.figures import head_json, listed, publish, ratio_json, ratio_table, summary, verdict
from benchmarks.loops import quartiles
from benchmarks.machine import Machine
from benchmarks.rounds import Ratio
from benchmarks.samples import Sample
from benchmarks.tables import Table

COMMAND = "python -m benchmarks codecs"
DIRECTIONS = ("encode", "decode")
LOSSY = " †"

SMALL = "cartpole"
"""The sample that is to take less than ``SMALL_TARGET_US``, with each of ``SMALL_CODECS``."""
SMALL_CODECS = ("binary", "message")
SMALL_TARGET_US = 5.0


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of writing a sample with a codec and reading it back.

    Attributes:
        losses: What came back otherwise, see :func:`benchmarks.fidelity.losses`.
        nbytes: How many bytes were written; None where it could not be.
        error: Why it could not be written.
    """

    losses: list[str] = field(default_factory=list)
    nbytes: int | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class CodecReport:
    """A run.

    Attributes:
        samples: The rows.
        codecs: The columns.
        tried: By the names of a sample and a codec; what is not there does not apply.
        times_us: By ``sample.direction.codec``, of each round.
        ratios: What is compared.
        loop_ms: How long a codec was timed at a time.
        machine: Where.
        date: When it began.
        load_average_start: Over one, five and fifteen minutes.
        load_average_end: Likewise.
    """

    samples: Sequence[Sample]
    codecs: Sequence[Codec]
    tried: dict[tuple[str, str], Tried]
    times_us: dict[str, list[float]]
    ratios: Sequence[Ratio]
    loop_ms: int
    machine: Machine
    date: str
    load_average_start: list[float]
    load_average_end: list[float]

    @property
    def rounds(self) -> int:
        return min(len(times) for times in self.times_us.values())


class Small(NamedTuple):
    """A direction of the small sample with a codec of ours, beside its target."""

    name: str
    times_us: list[float]

    @property
    def hit(self) -> bool:
        return statistics.median(self.times_us) < SMALL_TARGET_US


def write(report: CodecReport, folder: Path) -> None:
    """Show the tables, and write the two files in ``folder``."""
    tables = [
        sample_table(report),
        *(time_table(report, direction) for direction in DIRECTIONS),
        fidelity_table(report),
        ratio_table(report.ratios, report.times_us),
        small_table(report),
    ]
    publish("codecs", folder, as_json(report), tables, notes(report))


def as_json(report: CodecReport) -> dict[str, Any]:
    return {
        **head_json(COMMAND, report),
        "rounds": report.rounds,
        "loop_ms": report.loop_ms,
        "samples": [{"name": sample.name, "label": sample.label} for sample in report.samples],
        "codecs": [
            {"name": codec.name, "label": codec.label, "kind": codec.kind}
            for codec in report.codecs
        ],
        "cases": [_case_json(report, *key) for key in report.tried],
        "ratios": [ratio_json(ratio, report.times_us) for ratio in report.ratios],
        "small": {
            "sample": SMALL,
            "target_us": SMALL_TARGET_US,
            "hit": {small.name: small.hit for small in _smalls(report)},
        },
    }


def _case_json(report: CodecReport, sample: str, codec: str) -> dict[str, Any]:
    tried = report.tried[sample, codec]
    head = {"sample": sample, "codec": codec}
    if tried.error is not None:
        return {**head, "error": tried.error}
    times = {
        direction: _spread(report.times_us[f"{sample}.{direction}.{codec}"])
        for direction in DIRECTIONS
    }
    return {**head, "bytes": tried.nbytes, "losses": tried.losses, **times}


def _spread(times_us: list[float]) -> dict[str, Any]:
    lower, upper = quartiles(times_us)
    quarters = {"lower_quartile": round(lower, 4), "upper_quartile": round(upper, 4)}
    return {**quarters, **summary("us_per_call", times_us, digits=4)}


def sample_table(report: CodecReport) -> Table:
    rows = [
        [sample.label, sample.name, str(report.tried[sample.name, "binary"].nbytes)]
        for sample in report.samples
    ]
    return Table(heads=["one value of", "name", "bytes, binary"], rows=rows, texts=2)


def time_table(report: CodecReport, direction: str) -> Table:
    names = [codec.name for codec in report.codecs]
    rows = []
    for sample in report.samples:
        cells = [_time(report, sample.name, codec, direction) for codec in names]
        rows.append([sample.name, *cells])
    return Table(heads=[f"{direction}, median µs", *names], rows=rows, texts=1)


def _time(report: CodecReport, sample: str, codec: str, direction: str) -> str:
    tried = report.tried.get((sample, codec))
    if tried is None or tried.error is not None:
        return "" if tried is None else "cannot"
    median = statistics.median(report.times_us[f"{sample}.{direction}.{codec}"])
    digits = 2 if median < 10 else 1 if median < 100 else 0
    return f"{median:.{digits}f}{LOSSY if tried.losses else ''}"


def fidelity_table(report: CodecReport) -> Table:
    """What each codec gives back, and of which samples."""
    rows = []
    for codec in report.codecs:
        if codec.kind == "limit":
            continue
        found: dict[str, list[str]] = {"exact": []}
        for sample in report.samples:
            tried = report.tried.get((sample.name, codec.name))
            for outcome in _outcomes(tried) if tried else []:
                found.setdefault(outcome, []).append(sample.name)
        rows += [[codec.name, what, ", ".join(names)] for what, names in found.items() if names]
    return Table(heads=["codec", "what comes back", "of"], rows=rows, texts=3)


def _outcomes(tried: Tried) -> list[str]:
    if tried.error is not None:
        return [f"cannot: {tried.error}"]
    return [f"lossy: {loss}" for loss in tried.losses] or ["exact"]


def _smalls(report: CodecReport) -> list[Small]:
    names = [f"{SMALL}.{direction}.{codec}" for direction in DIRECTIONS for codec in SMALL_CODECS]
    return [Small(name, report.times_us[name]) for name in names]


def small_table(report: CodecReport) -> Table:
    rows = []
    for name, times in _smalls(report):
        figures = (statistics.median(times), min(times), max(times))
        hit = verdict(Small(name, times).hit)
        rows.append([name, *(f"{figure:.2f}" for figure in figures), f"< {SMALL_TARGET_US:g}", hit])
    heads = ["the observation of CartPole", "median µs", "min µs", "max µs", "target", ""]
    return Table(heads=heads, rows=rows, texts=1)


def notes(report: CodecReport) -> list[str]:
    machine = report.machine
    return [
        f"`{COMMAND}`, {report.date}: {report.rounds} rounds of loops of {report.loop_ms} ms.",
        f"{machine.summary}; load average {report.load_average_start[0]:.2f} at the start, "
        f"{report.load_average_end[0]:.2f} at the end.",
        f"{listed(machine.versions)}.",
        "†: what comes back is not the value to the bit; the table after these says how.",
        f"From the lower to the upper quartile of its rounds, the typical figure spans "
        f"{_width(report):.0%} of its median.",
    ]


def _width(report: CodecReport) -> float:
    """The distance of the quartiles in parts of the median, as the median over all figures."""
    widths = []
    for times in report.times_us.values():
        lower, upper = quartiles(times)
        widths.append((upper - lower) / statistics.median(times))
    return statistics.median(widths)
