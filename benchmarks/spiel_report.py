"""What a run of ``openspiel`` found: on the terminal, as JSON, and in the README."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import (
    cases_json,
    head_json,
    places,
    publish,
    ratio_json,
    ratio_table,
    times_table,
)
from benchmarks.machine import Machine
from benchmarks.rounds import Ratio, Result

COMMAND = "python -m benchmarks openspiel"


@dataclass(frozen=True, kw_only=True)
class SpielReport:
    """A run.

    Attributes:
        result: The rounds.
        ratios: What is compared.
        machine: Where.
        stock_versions: Of the packages of the stock peer; None without it.
        date: When it began.
        load_average_start: Over one, five and fifteen minutes.
        load_average_end: Likewise.
    """

    result: Result
    ratios: Sequence[Ratio]
    machine: Machine
    stock_versions: dict[str, str] | None
    date: str
    load_average_start: list[float]
    load_average_end: list[float]


def write(report: SpielReport, folder: Path) -> None:
    """Show the tables, and write the two files in ``folder``."""
    tables = [
        times_table("one tic_tac_toe step", report.result),
        ratio_table(report.ratios, report.result.times_us),
    ]
    publish("openspiel", folder, as_json(report), tables, notes(report))


def as_json(report: SpielReport) -> dict[str, Any]:
    return {
        **head_json(COMMAND, report),
        "stock_versions": report.stock_versions,
        "rounds": report.result.rounds,
        "steps_per_round": report.result.steps,
        "cases": cases_json(report.result),
        "ratios": [ratio_json(ratio, report.result.times_us) for ratio in report.ratios],
    }


def notes(report: SpielReport) -> list[str]:
    result, loads = report.result, (report.load_average_start, report.load_average_end)
    return [
        f"`{COMMAND}`, {report.date}: {result.rounds} rounds of {result.steps} steps.",
        *places(report.machine, report.stock_versions, *loads),
    ]
