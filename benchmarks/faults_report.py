"""What a run of ``faults`` found: on the terminal, as JSON, and in the README."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults_cases import NUM_ENVS, Trial
from benchmarks.faults_growth import Growth
from benchmarks.figures import head_json, places, publish
from benchmarks.machine import Machine
from benchmarks.tables import Table

COMMAND = "python -m benchmarks faults"


@dataclass(frozen=True, kw_only=True)
class FaultsReport:
    """A run.

    Attributes:
        trials: Each kind of fault in each way.
        growth: Over many sessions.
        machine: Where.
        stock_versions: Of the packages of the stock peer; None without it.
        date: When it began.
        load_average_start: Over one, five and fifteen minutes.
        load_average_end: Likewise.
    """

    trials: Sequence[Trial]
    growth: Growth
    machine: Machine
    stock_versions: dict[str, str] | None
    date: str
    load_average_start: list[float]
    load_average_end: list[float]


def write(report: FaultsReport, folder: Path) -> None:
    """Show the tables, and write the two files in ``folder``."""
    tables = [total_table(report.trials), trial_table(report.trials), growth_table(report.growth)]
    publish("faults", folder, as_json(report), tables, notes(report))


def as_json(report: FaultsReport) -> dict[str, Any]:
    return {
        **head_json(COMMAND, report),
        "stock_versions": report.stock_versions,
        "environments": NUM_ENVS,
        "trials": [_trial_json(trial) for trial in report.trials],
        "growth": asdict(report.growth),
    }


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {**asdict(trial), "recovery_s": [round(value, 4) for value in trial.recovery_s]}


def total_table(trials: Sequence[Trial]) -> Table:
    """Each way, over all kinds."""
    rows = []
    for way in dict.fromkeys(trial.way for trial in trials):
        own = [trial for trial in trials if trial.way == way]
        flagged = [trial.flagged for trial in own if trial.flagged is not None]
        rows.append(
            [
                way,
                str(sum(trial.injected for trial in own)),
                str(sum(trial.continued for trial in own)),
                str(sum(flagged)) if flagged else "none",
                str(max(trial.harmed for trial in own)),
            ]
        )
    heads = ["way", "faults injected", "training went on", "steps flagged", "harmed at most"]
    return Table(heads=heads, rows=rows, texts=1)


def trial_table(trials: Sequence[Trial]) -> Table:
    rows = []
    for trial in trials:
        times = trial.recovery_s
        recovery = [f"{statistics.median(times):.2f}", f"{max(times):.2f}"] if times else ["", ""]
        went_on = f"{trial.continued} of {trial.injected}"
        harmed = f"{trial.harmed} of {NUM_ENVS}"
        rows.append([trial.kind, trial.way, trial.ended, went_on, harmed, *recovery])
    heads = ["fault", "way", "ended by", "went on", "harmed", "median s", "max s"]
    return Table(heads=heads, rows=rows, texts=3)


def growth_table(growth: Growth) -> Table:
    rows = []
    for name, (before, after) in (("server", growth.server), ("client", growth.client)):
        memory = f"{(after.rss - before.rss) / 2**20:+.2f}"
        fds, threads = after.fds - before.fds, after.threads - before.threads
        rows.append([name, memory, f"{fds:+d}", f"{threads:+d}"])
    heads = [f"after {growth.sessions} sessions", "MB of memory", "descriptors", "threads"]
    return Table(heads=heads, rows=rows, texts=1)


def notes(report: FaultsReport) -> list[str]:
    growth, loads = report.growth, (report.load_average_start, report.load_average_end)
    workers = growth.workers[1] - growth.workers[0]
    shared = growth.shared_memory[1] - growth.shared_memory[0]
    return [
        f"`{COMMAND}`, {report.date}: {NUM_ENVS} environments, the first one fails.",
        f"Of the {growth.sessions} sessions {growth.crashed} crashed; processes {workers:+d}, "
        f"files in shared memory {shared:+d}.",
        *places(report.machine, report.stock_versions, *loads),
    ]
