"""What a run of ``faults`` found: on the terminal, as JSON, and in the README."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.bad_input_runs import BadInputRun
from benchmarks.faults.cases import KINDS, NUM_ENVS, Left, Trial
from benchmarks.faults.connections import Connections
from benchmarks.faults.endings import Orphans, Termination
from benchmarks.faults.hangs import Hang
from benchmarks.faults.scoreboard import PEERS, Row, megabytes, rows
from benchmarks.faults.sessions import Growth
from benchmarks.figures import head_json, places, publish, verdict
from benchmarks.machine import Machine
from benchmarks.tables import Table

COMMAND = "python -m benchmarks faults"


@dataclass(frozen=True, kw_only=True)
class FaultsReport:
    """A run; what was left out of it is empty.

    Attributes:
        trials: Each kind of fault in each way.
        left: What was left behind then.
        hangs: How soon they were over.
        late: Replies that came too late.
        cuts: Connections that were cut.
        bad_inputs: Messages that no client sends.
        terminations: Servers that were told to end.
        orphans: What outlives who was killed.
        growth: Over many sessions.
        seconds: What each part took.
        failed: The parts that did not come to their end, and what ended them.
        machine: Where.
        stock_versions: Of the packages of the stock peer; None without it.
        date: When it began.
        load_average_start: Over one, five and fifteen minutes.
        load_average_end: Likewise.
    """

    trials: Sequence[Trial] = ()
    left: Sequence[Left] = ()
    hangs: Sequence[Hang] = ()
    late: Sequence[Connections] = ()
    cuts: Sequence[Connections] = ()
    bad_inputs: Sequence[BadInputRun] = ()
    terminations: Sequence[Termination] = ()
    orphans: Sequence[Orphans] = ()
    growth: Sequence[Growth] = ()
    seconds: dict[str, float]
    failed: dict[str, str]
    machine: Machine
    stock_versions: dict[str, str] | None
    date: str
    load_average_start: list[float]
    load_average_end: list[float]


def write(report: FaultsReport, folder: Path) -> None:
    """Show the tables, and write the two files in ``folder``."""
    board = rows(report)
    tables = [
        scoreboard_table(board),
        way_table(report.trials),
        kind_table(report.trials),
        hang_table(report.hangs),
        connections_table("replies that came late", report.late),
        connections_table("connections cut in a step", report.cuts),
        bad_inputs_table(report.bad_inputs),
        growth_table(report.growth),
    ]
    data = as_json(report, board)
    publish("faults", folder, data, [table for table in tables if table.rows], notes(report))


def as_json(report: FaultsReport, board: Sequence[Row]) -> dict[str, Any]:
    return {
        **head_json(COMMAND, report),
        "stock_versions": report.stock_versions,
        "environments": NUM_ENVS,
        "seconds": _rounded(report.seconds),
        "failed": report.failed,
        "scoreboard": [asdict(row) for row in board],
        "trials": [_rounded(asdict(trial)) for trial in report.trials],
        "left": [asdict(left) for left in report.left],
        "hangs": [_rounded(asdict(hang)) for hang in report.hangs],
        "late_replies": [asdict(found) for found in report.late],
        "cuts": [asdict(found) for found in report.cuts],
        "bad_inputs": [_rounded(asdict(run)) for run in report.bad_inputs],
        "terminations": [_rounded(asdict(end)) for end in report.terminations],
        "orphans": [asdict(found) for found in report.orphans],
        "growth": [_rounded(asdict(growth)) for growth in report.growth],
    }


def _rounded(value: Any) -> Any:
    """Times to a tenth of a millisecond."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def scoreboard_table(board: Sequence[Row]) -> Table:
    peers = [way for way in PEERS if any(way in row.peers for row in board)]
    lines = [
        [
            *(row.figure, row.target, row.ours),
            *(row.peers.get(way, "") for way in peers),
            verdict(row.hit),
        ]
        for row in board
    ]
    heads = ["promise", "target", "ours", *(PEERS[way] for way in peers), ""]
    return Table(heads=heads, rows=lines, texts=2)


def way_table(trials: Sequence[Trial]) -> Table:
    """Each way, over all kinds; times are those of faults that are no hangs."""
    hanging = {kind.name for kind in KINDS if kind.is_hang}
    lines = []
    for way in dict.fromkeys(trial.way for trial in trials):
        own = [trial for trial in trials if trial.way == way]
        flagged = [trial.flagged for trial in own if trial.flagged is not None]
        times = [s for trial in own if trial.kind not in hanging for s in trial.recovery_s]
        lines.append(
            [
                way,
                *(str(sum(trial.injected for trial in own)), _sum(flagged)),
                str(sum(trial.continued for trial in own)),
                str(max(trial.harmed for trial in own)),
                *([f"{statistics.median(times):.2f}", f"{max(times):.2f}"] if times else ["", ""]),
            ]
        )
    heads = ["way", "faults", "told", "went on", "harmed at most", "median s", "max s"]
    return Table(heads=heads, rows=lines, texts=1)


def _sum(numbers: Sequence[int]) -> str:
    return str(sum(numbers)) if numbers else "none"


def kind_table(trials: Sequence[Trial]) -> Table:
    """How each kind went on in each way, and how many it harmed."""
    ways = list(dict.fromkeys(trial.way for trial in trials))
    found = {(trial.kind, trial.way): trial for trial in trials}
    lines = [
        [kind.name, *(_cell(found.get((kind.name, way))) for way in ways)]
        for kind in KINDS
        if any((kind.name, way) in found for way in ways)
    ]
    return Table(heads=["went on, harmed", *ways], rows=lines, texts=1)


def _cell(trial: Trial | None) -> str:
    if trial is None or not trial.injected:
        return ""
    return f"{trial.continued} of {trial.injected}, {trial.harmed}"


def hang_table(hangs: Sequence[Hang]) -> Table:
    lines = []
    for hang in hangs:
        if not hang.over_s:
            continue
        beside = ["", ""]
        if hang.quiet_s is not None and hang.beside_s is not None:
            beside = [f"{hang.beside_s * 1e3:.2f}", f"{hang.beside_s / hang.quiet_s:.2f}"]
        times = [(statistics.median(own), max(own)) for own in (hang.told_s, hang.over_s)]
        figures = [f"{figure:.2f}" for pair in times for figure in pair]
        deadline = f"{hang.deadline_s:g}"
        lines.append([hang.kind, hang.way, deadline, str(len(hang.over_s)), *figures, *beside])
    heads = ["hang", "way", "deadline s", "times", "told: median s", "max s"]
    heads += ["reset: median s", "max s", "bystander p99 ms", "/ quiet"]
    return Table(heads=heads, rows=lines, texts=2)


def connections_table(head: str, found: Sequence[Connections]) -> Table:
    names = ("disturbed", "unnoticed", "continued", "answers", "mismatched", "miscounted")
    lines = [[PEERS.get(own.way, own.way), *(str(getattr(own, n)) for n in names)] for own in found]
    heads = [head, "times", "answered all the same", "went on", "replies after"]
    return Table(heads=[*heads, "of another request", "counts differ"], rows=lines, texts=1)


def bad_inputs_table(runs: Sequence[BadInputRun]) -> Table:
    lines = [
        [
            run.way,
            *(f"{run.tried:,}", f"{run.refused:,}", f"{run.per_s:,.0f}"),
            *(str(run.server_crashes), str(run.worker_crashes), str(run.sessions_lost)),
            str(run.wrong),
        ]
        for run in runs
    ]
    heads = ["bad inputs", "tried", "refused", "a second", "server crashes", "worker crashes"]
    return Table(heads=[*heads, "sessions lost", "wrong after"], rows=lines, texts=1)


def growth_table(growths: Sequence[Growth]) -> Table:
    lines = []
    for growth in growths:
        for name, usage in (("server", growth.server), ("client", growth.client)):
            if usage is not None:
                fds, threads = (usage[2].fds - usage[0].fds, usage[2].threads - usage[0].threads)
                memory = [f"{megabytes(usage):+.2f}", f"{megabytes(usage[1:]):+.2f}"]
                sizes = [f"{growth.sessions:,}", *memory, f"{fds:+d}", f"{threads:+d}"]
                lines.append([growth.way, name, *sizes])
    memory_heads = ["MB of memory", "of these, in the second half"]
    heads = ["after sessions", "of", "sessions", *memory_heads, "descriptors", "threads"]
    return Table(heads=heads, rows=lines, texts=2)


def notes(report: FaultsReport) -> list[str]:
    loads = (report.load_average_start, report.load_average_end)
    lines = [f"`{COMMAND}`, {report.date}: {NUM_ENVS} environments, which fail by turns."]
    for own in report.growth:
        workers = own.workers[1] - own.workers[0]
        files = own.shared_memory[1] - own.shared_memory[0]
        name = PEERS.get(own.way, own.way)
        lines.append(
            f"{name}: of {own.sessions:,} sessions {own.crashed} crashed and {own.aborted} were "
            f"aborted, in {own.seconds:.0f} s; worker processes {workers:+d}, files in shared "
            f"memory {files:+d}; the log has {own.tracebacks} tracebacks, {own.log_bytes:,} bytes."
        )
    took = ", ".join(f"{part} {seconds:.0f}" for part, seconds in report.seconds.items())
    lines.append(f"Seconds of the parts: {took}.")
    for part, name in report.failed.items():
        lines.append(f"The part {part} did not come to its end: {name}.")
    return [*lines, *places(report.machine, report.stock_versions, *loads)]
