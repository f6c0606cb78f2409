"""What a run of ``step`` found: on the terminal, as JSON, and in the README."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import cold_start
from benchmarks.figures import (
    json_text,
    listed,
    ratio_json,
    ratio_table,
    summary,
    verdict,
)
from benchmarks.machine import Machine
from benchmarks.plot import draw
from benchmarks.raw_sockets import MessageSizes
from benchmarks.rounds import Ratio, Result
from benchmarks.tables import Table, markdown, replace_block, show

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

    @property
    def rounds(self) -> int:
        return min(len(times) for times in self.result.times_us.values())


def write(report: Report, folder: Path) -> None:
    """Show the tables, and write the three files in ``folder``."""
    results = folder / "results"
    results.mkdir(parents=True, exist_ok=True)
    (results / "step.json").write_text(json_text(as_json(report)), encoding="utf-8")
    ratios = ratio_table(report.ratios, report.result.times_us)
    tables = [step_table(report), ratios, cold_table(report)]
    for table in tables:
        show(table)
    print("\n".join(notes(report)))
    draw(report.result, report.cold_s, footer(report), results / "step.png")
    block = [*map(markdown, tables), "\n".join(f"- {note}" for note in notes(report))]
    replace_block(folder / "README.md", "step", "\n\n".join(block))


def as_json(report: Report) -> dict[str, Any]:
    result = report.result
    return {
        "command": COMMAND,
        "date": report.date,
        "machine": report.machine.as_json(),
        "stock_versions": report.stock_versions,
        "load_average": {"start": report.load_average_start, "end": report.load_average_end},
        "rounds": report.rounds,
        "steps_per_round": result.steps,
        "message_bytes": report.message_bytes._asdict(),
        "cases": [
            {
                "name": case.name,
                "label": case.label,
                "kind": case.kind,
                **summary("us_per_step", result.times_us[case.name], digits=3),
            }
            for case in result.cases
        ],
        "ratios": [ratio_json(ratio, result.times_us) for ratio in report.ratios],
        "cold_start": {
            "target_s": cold_start.TARGET_S,
            "hit": cold_hit(report),
            **{name: summary("seconds", runs, digits=4) for name, runs in report.cold_s.items()},
        },
    }


def step_table(report: Report) -> Table:
    rows = []
    for case in report.result.cases:
        times = report.result.times_us[case.name]
        figures = (statistics.median(times), min(times), max(times))
        rows.append([case.label, case.name, *(f"{figure:.1f}" for figure in figures)])
    heads = ["one CartPole step", "name", "median µs", "min µs", "max µs"]
    return Table(heads=heads, rows=rows, texts=2)


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
    sizes, machine = report.message_bytes, report.machine
    lines = [
        f"`{COMMAND}`, {report.date}: {report.rounds} rounds of {report.result.steps} steps; "
        f"cold starts: {len(report.cold_s['embedded'])}.",
        f"{machine.summary}; load average "
        f"{report.load_average_start[0]:.2f} at the start, {report.load_average_end[0]:.2f} "
        "at the end.",
        f"Ours: {listed(machine.versions)}; event loop of the server: {_loop(machine.versions)}.",
    ]
    if report.stock_versions is not None:
        versions = report.stock_versions
        lines.append(f"Stock: {listed(versions)}; event loop of the server: {_loop(versions)}.")
    lines.append(
        f"A request of the raw sockets has {sizes.request} bytes and a reply {sizes.reply}, as "
        "ours have."
    )
    return lines


def footer(report: Report) -> str:
    return f"{report.machine.summary}, {report.date}"


def _loop(versions: dict[str, str]) -> str:
    return "uvloop" if "uvloop" in versions else "asyncio's"  # uvicorn takes uvloop if it is there
