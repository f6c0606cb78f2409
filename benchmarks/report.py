"""What a run of ``step`` found: on the terminal, as JSON, and in the README."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import cold_start
from benchmarks.figures import (
    cases_json,
    head_json,
    places,
    publish,
    ratio_json,
    ratio_table,
    summary,
    times_table,
    verdict,
)
from benchmarks.machine import Machine
from benchmarks.plot import draw
from benchmarks.raw_sockets import MessageSizes
from benchmarks.rounds import Ratio, Result
from benchmarks.tables import Table

COMMAND = "python -m benchmarks step"
COLD_LABELS = {"in_process": "in process", "embedded": "embedded"}


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run.

    Attributes:
        result: The rounds.
        ratios: What is compared.
        cold_s: Seconds of each cold start.
        message_bytes: Sizes of a request and a reply.
        machine: Where.
        stock_versions: Of the packages of the stock peer; None without it.
        date: When it began.
        load_average_start: Over one, five and fifteen minutes.
        load_average_end: Likewise.
    """

    result: Result
    ratios: Sequence[Ratio]
    cold_s: dict[str, list[float]]
    message_bytes: MessageSizes
    machine: Machine
    stock_versions: dict[str, str] | None
    date: str
    load_average_start: list[float]
    load_average_end: list[float]


def write(report: Report, folder: Path) -> None:
    """Show the tables, and write the three files in ``folder``."""
    ratios = ratio_table(report.ratios, report.result.times_us)
    tables = [times_table("one CartPole step", report.result), ratios, cold_table(report)]
    publish("step", folder, as_json(report), tables, notes(report))
    draw(report.result, report.cold_s, footer(report), folder / "results" / "step.png")


def as_json(report: Report) -> dict[str, Any]:
    result = report.result
    return {
        **head_json(COMMAND, report),
        "stock_versions": report.stock_versions,
        "rounds": report.result.rounds,
        "steps_per_round": result.steps,
        "message_bytes": report.message_bytes._asdict(),
        "cases": cases_json(report.result),
        "ratios": [ratio_json(ratio, result.times_us) for ratio in report.ratios],
        "cold_start": {
            "target_s": cold_start.TARGET_S,
            "hit": cold_hit(report),
            **{name: summary("seconds", runs, digits=4) for name, runs in report.cold_s.items()},
        },
    }


def cold_table(report: Report) -> Table:
    rows = []
    for name, runs in report.cold_s.items():
        figures = (statistics.median(runs), min(runs), max(runs))
        is_ours = name == "embedded"
        target = f"< {cold_start.TARGET_S:g}" if is_ours else ""
        hit = verdict(cold_hit(report) if is_ours else None)
        rows.append([COLD_LABELS[name], *(f"{figure:.2f}" for figure in figures), target, hit])
    heads = ["first step from a cold start", "median s", "min s", "max s", "target", ""]
    return Table(heads=heads, rows=rows, texts=1)


def cold_hit(report: Report) -> bool:
    return statistics.median(report.cold_s["embedded"]) < cold_start.TARGET_S


def notes(report: Report) -> list[str]:
    result, sizes = report.result, report.message_bytes
    loads = report.load_average_start, report.load_average_end
    return [
        f"`{COMMAND}`, {report.date}: {result.rounds} rounds of {result.steps} steps; "
        f"cold starts: {len(report.cold_s['embedded'])}.",
        *places(report.machine, report.stock_versions, *loads),
        f"A request of the raw sockets has {sizes.request} bytes and a reply {sizes.reply}, as "
        "ours have.",
    ]


def footer(report: Report) -> str:
    return f"{report.machine.summary}, {report.date}"
