"""What a run of ``vector`` found: on the terminal, as JSON, and in the README."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import head_json, places, publish, ratio_json, summary, verdict
from benchmarks.machine import Machine
from benchmarks.rounds import Ratio
from benchmarks.tables import Table
from benchmarks.vector_curve import Point
from benchmarks.vector_plot import LINES, draw, rates
from benchmarks.vector_rounds import GroupResult

COMMAND = "python -m benchmarks vector"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A comparison, and a rate that does instead.

    Attributes:
        ratio: Of times.
        rate: Steps a second of the case ``rate_of`` that are enough, whatever the ratio is.
        rate_of: The case.
    """

    ratio: Ratio
    rate: float | None = None
    rate_of: str = ""

    def reached(self, times: Mapping[str, Sequence[float]]) -> float | None:
        """Return how much of the target the better of both is; None where there is none."""
        if self.ratio.at_least is None:
            return None
        part = statistics.median(self.ratio.per_round(times)) / self.ratio.at_least
        if self.rate is not None:
            part = max(part, 1e6 / statistics.median(times[self.rate_of]) / self.rate)
        return part

    def hit(self, times: Mapping[str, Sequence[float]]) -> bool | None:
        part = self.reached(times)
        return None if part is None else part >= 1

    @property
    def formula(self) -> str:
        """With a sum above the line in brackets, as one below it is."""
        above, _, below = self.ratio.formula.partition(" / ")
        return f"{f'({above})' if len(self.ratio.over) > 1 else above} / {below}"

    @property
    def text(self) -> str:
        other = "" if self.rate is None else f", or {self.rate:,.0f} steps/s"
        return f"{self.ratio.target}{other}"


@dataclass(frozen=True, kw_only=True)
class VectorReport:
    """A run.

    Attributes:
        groups: What was measured.
        targets: What is compared, of all that there may be.
        curve: Over the number of sub-environments; empty where it was left out.
        rounds: Of the groups.
        curve_rounds: Of each point of the curve.
        machine: Where.
        stock_versions: Of the packages of the stock peer; None without it.
        date: When it began.
        load_average_start: Over one, five and fifteen minutes.
        load_average_end: Likewise.
    """

    groups: Sequence[GroupResult]
    targets: Sequence[Target]
    curve: Sequence[Point]
    rounds: int
    curve_rounds: int
    machine: Machine
    stock_versions: dict[str, str] | None
    date: str
    load_average_start: list[float]
    load_average_end: list[float]

    @property
    def times_us(self) -> dict[str, list[float]]:
        """By the names of group and case."""
        return {
            f"{result.group.name}.{name}": times
            for result in self.groups
            for name, times in result.times_us.items()
        }

    @property
    def compared(self) -> list[Target]:
        """The targets whose cases were measured."""
        return [target for target in self.targets if target.ratio.cases <= self.times_us.keys()]


def write(report: VectorReport, folder: Path) -> None:
    """Show the tables, and write the files in ``folder``."""
    tables, picture = [rate_table(report), target_table(report)], ""
    if report.curve:
        tables.append(curve_table(report))
        picture = "![steps a second and bytes a step](results/vector.png)"
    publish("vector", folder, as_json(report), tables, notes(report), picture)
    if report.curve:
        place = folder / "results" / "vector.png"
        draw(report.curve, f"{report.machine.summary}, {report.date}", place)


def as_json(report: VectorReport) -> dict[str, Any]:
    return {
        **head_json(COMMAND, report),
        "stock_versions": report.stock_versions,
        "rounds": report.rounds,
        "groups": [_group_json(result) for result in report.groups],
        "ratios": [
            {
                **ratio_json(target.ratio, report.times_us),
                "formula": target.formula,
                "or_rate": target.rate,
                "of_target": _rounded(target.reached(report.times_us)),
                "hit": target.hit(report.times_us),
            }
            for target in report.compared
        ],
        "curve": {"rounds": report.curve_rounds, "points": [_point(one) for one in report.curve]},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _group_json(result: GroupResult) -> dict[str, Any]:
    group = result.group
    cases = [
        {
            "name": case.name,
            "label": case.label,
            "kind": case.kind,
            "steps_per_round": group.workload(1, case.share).steps,
            **summary("us_per_env_step", result.times_us[case.name], digits=4),
        }
        for case in group.cases
        if case.name in result.times_us
    ]
    head = {"name": group.name, "label": group.label, "num_envs": group.num_envs}
    return {**head, "cases": cases, "skipped": result.skipped}


def _point(point: Point) -> dict[str, Any]:
    return {
        "num_envs": point.num_envs,
        "bytes": {
            "sync": point.sync_bytes._asdict(),
            "native": point.native_bytes._asdict(),
        },
        "lines": [
            {
                "form": line.form,
                "case": line.case,
                "label": line.label,
                **summary("env_steps_per_s", rates(point, line), digits=1),
            }
            for line in LINES
        ],
    }


def rate_table(report: VectorReport) -> Table:
    rows = []
    for result in report.groups:
        for case in result.group.cases:
            name = f"{result.group.name}.{case.name}"
            texts = [f"{result.group.label}: {case.label}", name]
            if case.name in result.skipped:
                rows.append([*texts, "left out", "", "", ""])
                continue
            times = result.times_us[case.name]
            figures = [1e6 / statistics.median(times), 1e6 / max(times), 1e6 / min(times)]
            step_us = statistics.median(times) * result.group.num_envs
            rows.append([*texts, *(f"{figure:,.0f}" for figure in figures), f"{step_us:,.0f}"])
    heads = ["steps a second of", "name", "median", "min", "max", "µs, all of them"]
    return Table(heads=heads, rows=rows, texts=2)


def target_table(report: VectorReport) -> Table:
    times, rows = report.times_us, []
    for target in report.compared:
        values, part = target.ratio.per_round(times), target.reached(times)
        span = f"{min(values):.2f} to {max(values):.2f}"
        of_target = "" if part is None else f"{part:.0%}"
        row = [target.formula, f"{statistics.median(values):.2f}", span, target.text]
        rows.append([*row, of_target, verdict(target.hit(times))])
    heads = ["ratio of each round", "median", "min to max", "target", "of the target", ""]
    return Table(heads=heads, rows=rows, texts=1)


def curve_table(report: VectorReport) -> Table:
    """Medians of steps a second, and bytes of a step of one sub-environment."""
    heads = ["CartPole, steps/s", *(f"x{point.num_envs}" for point in report.curve)]
    rows = []
    for line in LINES:
        medians = [statistics.median(rates(point, line)) for point in report.curve]
        rows.append([line.label, *(f"{median:,.0f}" for median in medians)])
    for label, form in (("bytes, vector form", "native"), ("bytes, one after the other", "sync")):
        sizes = [sum(getattr(one, f"{form}_bytes")) / one.num_envs for one in report.curve]
        rows.append([label, *(f"{size:.1f}" for size in sizes)])
    return Table(heads=heads, rows=rows, texts=1)


def notes(report: VectorReport) -> list[str]:
    loads = report.load_average_start, report.load_average_end
    rounds = f"{report.rounds} rounds"
    if report.curve:
        rounds += f", {report.curve_rounds} of each point of the curve"
    skipped = [
        f"{result.group.name}.{name} is left out: {reason}."
        for result in report.groups
        for name, reason in result.skipped.items()
    ]
    return [
        f"`{COMMAND}`, {report.date}: {rounds}.",
        *places(report.machine, report.stock_versions, *loads),
        *skipped,
    ]
