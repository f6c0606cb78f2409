"""What a run of ``faults`` found, as tables and notes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.faults.bad_inputs import BadInputRun
from benchmarks.faults.cases import HANGS, KINDS, Trial
from benchmarks.faults.connections import Connections
from benchmarks.faults.hangs import Hang
from benchmarks.faults.scoreboard import PEERS, Found, Row, megabytes
from benchmarks.faults.sessions import Growth
from benchmarks.report import Table, verdict


def all_tables(found: Found, board: Sequence[Row]) -> list[Table]:
    return [
        _scoreboard(board),
        _ways(found.trials),
        _kinds(found.trials),
        _hangs(found.hangs),
        _connections("replies that came late", found.late_replies),
        _connections("connections cut in a step", found.cuts),
        _bad_inputs(found.bad_inputs),
        _growth(found.growth),
    ]


def _scoreboard(board: Sequence[Row]) -> Table:
    peers = [way for way in PEERS if any(way in row.peers for row in board)]
    lines = []
    for row in board:
        cells = [row.peers.get(way, "") for way in peers]
        lines.append([row.figure, row.target, row.ours, *cells, verdict(row.hit)])
    heads = ["promise", "target", "ours", *(PEERS[way] for way in peers), ""]
    return Table(heads=heads, rows=lines, texts=2)


def _ways(trials: Sequence[Trial]) -> Table:
    """Each way, over all kinds; times are those of faults that are no hangs."""
    lines = []
    for way in dict.fromkeys(trial.way for trial in trials):
        own = [trial for trial in trials if trial.way == way]
        flagged = [trial.flagged for trial in own if trial.flagged is not None]
        times = [s for trial in own if trial.kind not in HANGS for s in trial.recovery_s]
        figures = [sum(one.injected for one in own), sum(flagged) if flagged else "none"]
        figures += [sum(one.continued for one in own), max(one.harmed for one in own)]
        spent = [f"{statistics.median(times):.2f}", f"{max(times):.2f}"] if times else ["", ""]
        lines.append([way, *map(str, figures), *spent])
    heads = ["way", "faults", "told", "went on", "harmed at most", "median s", "max s"]
    return Table(heads=heads, rows=lines)


def _kinds(trials: Sequence[Trial]) -> Table:
    """How each kind went on in each way, and how many it harmed."""
    ways = list(dict.fromkeys(trial.way for trial in trials))
    cells = {
        (one.kind, one.way): f"{one.continued} of {one.injected}, {one.harmed}"
        for one in trials
        if one.injected
    }
    tried = [kind.name for kind in KINDS if any(trial.kind == kind.name for trial in trials)]
    lines = [[kind, *(cells.get((kind, way), "") for way in ways)] for kind in tried]
    return Table(heads=["went on, harmed", *ways], rows=lines)


def _hangs(hangs: Sequence[Hang]) -> Table:
    lines = []
    for hang in hangs:
        beside = ["", ""]
        if hang.quiet_s is not None and hang.beside_s is not None:
            beside = [f"{hang.beside_s * 1e3:.2f}", f"{hang.beside_s / hang.quiet_s:.2f}"]
        times = [(statistics.median(own), max(own)) for own in (hang.told_s, hang.over_s)]
        figures = [f"{figure:.2f}" for pair in times for figure in pair]
        head = [hang.kind, hang.way, f"{hang.deadline_s:g}", str(len(hang.over_s))]
        lines.append([*head, *figures, *beside])
    heads = ["hang", "way", "deadline s", "times", "told: median s", "max s"]
    heads += ["reset: median s", "max s", "bystander p99 ms", "/ quiet"]
    return Table(heads=heads, rows=lines, texts=2)


def _connections(head: str, found: Sequence[Connections]) -> Table:
    names = ("disturbed", "unnoticed", "continued", "answers", "mismatched", "miscounted")
    lines = [[PEERS.get(own.way, own.way), *(str(getattr(own, n)) for n in names)] for own in found]
    heads = [head, "times", "answered all the same", "went on", "replies after"]
    return Table(heads=[*heads, "of another request", "counts differ"], rows=lines)


def _bad_inputs(runs: Sequence[BadInputRun]) -> Table:
    lines = []
    for run in runs:
        figures = [run.tried, run.refused, run.tried / run.seconds if run.seconds else 0.0]
        counts = [run.server_crashes, run.worker_crashes, run.sessions_lost, run.wrong]
        lines.append([run.way, *(f"{figure:,.0f}" for figure in figures), *map(str, counts)])
    heads = ["bad inputs", "tried", "refused", "a second", "server crashes", "worker crashes"]
    return Table(heads=[*heads, "sessions lost", "wrong after"], rows=lines)


def _growth(growths: Sequence[Growth]) -> Table:
    lines = []
    for growth in growths:
        for name, usage in (("server", growth.server), ("client", growth.client)):
            if usage is None:
                continue
            added = [usage[2].fds - usage[0].fds, usage[2].threads - usage[0].threads]
            memory = [f"{megabytes(usage):+.2f}", f"{megabytes(usage[1:]):+.2f}"]
            sizes = [f"{growth.sessions:,}", *memory, *(f"{count:+d}" for count in added)]
            lines.append([growth.way, name, *sizes])
    heads = ["after sessions", "of", "sessions", "MB of memory", "of these, in the second half"]
    return Table(heads=[*heads, "descriptors", "threads"], rows=lines, texts=2)


def growth_notes(growths: Sequence[Growth]) -> list[str]:
    lines = []
    for own in growths:
        workers = own.workers[1] - own.workers[0]
        files = own.shared_memory[1] - own.shared_memory[0]
        lines.append(
            f"{PEERS.get(own.way, own.way)}: of {own.sessions:,} sessions {own.crashed} crashed "
            f"and {own.aborted} were aborted, in {own.seconds:.0f} s; worker processes "
            f"{workers:+d}, files in shared memory {files:+d}; the log has {own.tracebacks} tracebacks, "
            f"{own.log_bytes:,} bytes."
        )
    return lines
