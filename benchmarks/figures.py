"""Figures of any part as JSON and as cells of a table."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.machine import Machine
from benchmarks.rounds import Ratio, Result
from benchmarks.tables import Table, markdown, replace_block, show


def json_text(value: dict[str, Any]) -> str:
    """Return JSON whose lists of numbers are on one line each."""
    text = json.dumps(value, indent=1) + "\n"
    return re.sub(r"\[[\s\d.,]+\]", lambda match: " ".join(match[0].split()), text)


class Dated(Protocol):
    """A run, as far as all parts have the same to say of it."""

    @property
    def machine(self) -> Machine: ...

    @property
    def date(self) -> str: ...

    @property
    def load_average_start(self) -> list[float]: ...

    @property
    def load_average_end(self) -> list[float]: ...


def head_json(command: str, report: Dated) -> dict[str, Any]:
    """Return what the JSON of every part begins with."""
    return {
        "command": command,
        "date": report.date,
        "machine": report.machine.as_json(),
        "load_average": {"start": report.load_average_start, "end": report.load_average_end},
    }


def publish(
    part: str,
    folder: Path,
    data: dict[str, Any],
    tables: Sequence[Table],
    notes: Sequence[str],
    picture: str = "",
) -> None:
    """Show tables and notes, and write them into the README of ``folder`` and beside it as JSON.

    Args:
        part: Whose block of the README, and the name of the JSON file in ``results``.
        folder: Where.
        data: The JSON.
        tables: What was measured.
        notes: What is to be known of it.
        picture: In Markdown, between tables and notes.
    """
    results = folder / "results"
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{part}.json").write_text(json_text(data), encoding="utf-8")
    for table in tables:
        show(table)
    print("\n".join(notes))
    listed_notes = "\n".join(f"- {note}" for note in notes)
    parts = [*map(markdown, tables), *([picture] if picture else []), listed_notes]
    replace_block(folder / "README.md", part, "\n\n".join(parts))


def summary(unit: str, values: Sequence[float], digits: int) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        unit: [round(value, digits) for value in values],
    }


def cases_json(result: Result) -> list[dict[str, Any]]:
    return [
        {
            "name": case.name,
            "label": case.label,
            "kind": case.kind,
            **summary("us_per_step", result.times_us[case.name], digits=3),
        }
        for case in result.cases
    ]


def times_table(head: str, result: Result) -> Table:
    rows = []
    for case in result.cases:
        times = result.times_us[case.name]
        figures = (statistics.median(times), min(times), max(times))
        rows.append([case.label, case.name, *(f"{figure:.1f}" for figure in figures)])
    heads = [head, "name", "median µs", "min µs", "max µs"]
    return Table(heads=heads, rows=rows, texts=2)


def ratio_json(ratio: Ratio, times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {
        "name": ratio.name,
        "formula": ratio.formula,
        "over": dict(ratio.over),
        "under": dict(ratio.under),
        "at_most": ratio.at_most,
        "at_least": ratio.at_least,
        "hit": ratio.hit(times),
        **summary("per_round", ratio.per_round(times), digits=4),
    }


def ratio_table(ratios: Sequence[Ratio], times: Mapping[str, Sequence[float]]) -> Table:
    rows = []
    for ratio in ratios:
        values = ratio.per_round(times)
        span = f"{min(values):.2f} to {max(values):.2f}"
        median = f"{statistics.median(values):.2f}"
        rows.append([ratio.formula, median, span, ratio.target, verdict(ratio.hit(times))])
    heads = ["ratio of each round", "median", "min to max", "target", ""]
    return Table(heads=heads, rows=rows, texts=1)


def verdict(hit: bool | None) -> str:
    return "" if hit is None else "hit" if hit else "missed"


def listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def places(
    machine: Machine,
    stock_versions: dict[str, str] | None,
    load_start: Sequence[float],
    load_end: Sequence[float],
) -> list[str]:
    """Return notes of where both servers ran."""
    lines = [
        f"{machine.summary}; load average {load_start[0]:.2f} at the start, {load_end[0]:.2f} "
        "at the end.",
        f"Ours: {listed(machine.versions)}; event loop of the server: {_loop(machine.versions)}.",
    ]
    if stock_versions is not None:
        loop = _loop(stock_versions)
        lines.append(f"Stock: {listed(stock_versions)}; event loop of the server: {loop}.")
    return lines


def _loop(versions: Mapping[str, str]) -> str:
    return "uvloop" if "uvloop" in versions else "asyncio's"  # uvicorn takes uvloop if it is there
