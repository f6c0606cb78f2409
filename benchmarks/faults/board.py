"""What a run of ``faults`` found: a scoreboard with a row for each promise, and tables."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from benchmarks.faults.bad_inputs import BadInputRun
from benchmarks.faults.cases import NUM_ENVS, Left, Trial
from benchmarks.faults.endings import Orphans, Termination
from benchmarks.faults.hangs import Hang
from benchmarks.faults.sessions import Growth, Usage
from benchmarks.report import Table, verdict

STOCK = "stock"
"""The way of the peer, stock OpenEnv; all others are ours."""

SHARED = ("embedded", "embedded_vector")
"""The ways of ours in which environments share a worker; in the others each has its own."""

ENOUGH_FAULTS, ENOUGH_INPUTS, ENOUGH_SESSIONS = 1000, 10**6, 10**5
RECOVERY_S, DRAIN_S, P99_RATIO = 0.5, 26.0, 2.0
MOST_MB = {"server": 5.0, "client": 2.0}


@dataclass(kw_only=True)
class Found:
    """What a run found; a list is empty where its part was left out."""

    trials: list[Trial] = field(default_factory=list)  # each kind of fault in each way
    left: list[Left] = field(default_factory=list)  # what each way left behind after them
    hangs: list[Hang] = field(default_factory=list)
    bad_inputs: list[BadInputRun] = field(default_factory=list)
    terminations: list[Termination] = field(default_factory=list)
    orphans: list[Orphans] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A promise, and what was found of ours and of stock OpenEnv."""

    figure: str
    target: str
    ours: str
    stock: str  # empty where it was not tried
    hit: bool | None  # None where nothing went wrong, but over fewer than the target is for


def rows(found: Found) -> list[Row]:
    """Return the promises that were measured, in their order."""
    board: list[Row] = []
    if _ours(found.trials):
        board += _trials(found.trials, found.left)
    if found.bad_inputs:
        board.append(_bad_inputs(found.bad_inputs))
    if found.hangs:
        board += _hangs(found.hangs, found.trials)
    if found.terminations:
        board += _endings(found.terminations, found.orphans)
    if found.growth:
        board += _growth(found.growth)
    return board


def _ours(found: Sequence[Any]) -> list[Any]:
    return [one for one in found if one.way != STOCK]


def _row(
    figure: str,
    target: str,
    found: Sequence[Any],
    tell: Callable[[list[Any]], str],
    hit: bool | None,
) -> Row:
    """Return a promise in which ``tell`` makes the text of ours, and that of stock if it is there.

    Its ``hit`` says whether the promise is kept.
    """
    stock = [one for one in found if one.way == STOCK]
    return Row(figure, target, tell(_ours(found)), tell(stock) if stock else "", hit)


def _sum(found: Sequence[Any], *names: str) -> int:
    return sum(getattr(one, name) or 0 for one in found for name in names)


def _sums(*names: str) -> Callable[[list[Any]], str]:
    return lambda found: " / ".join(f"{_sum(found, name):,}" for name in names)


def _verdict(is_good: bool, is_enough: bool) -> bool | None:
    """Return whether a promise is kept; None where it is, over too few."""
    return None if is_good and not is_enough else is_good


def _trials(trials: Sequence[Trial], left: Sequence[Left]) -> list[Row]:
    def most(found: Sequence[Trial]) -> str:
        return str(max((one.harmed for one in found), default=0))

    own, alone = _ours(trials), [one for one in trials if one.way not in SHARED]
    is_good = all(one.injected == one.continued == one.flagged for one in own)
    went_on = _verdict(is_good, _sum(own, "injected") >= ENOUGH_FAULTS)
    injected = ("faults injected / training went on", f"from {ENOUGH_FAULTS} / all")
    harmed = (f"environments of {NUM_ENVS} harmed by a fault, at most", "1, with a worker for each")
    sessions, rest = "sessions left on servers after all faults", ("processes", "shared_memory")
    own_left = _ours(left)
    return [
        _row(*injected, trials, _sums("injected", "continued"), went_on),
        _row(*harmed, alone, most, most(_ours(alone)) == "1"),
        _row(sessions, "0", left, _sums("sessions"), not _sum(own_left, "sessions")),
        _row(
            "processes and shared-memory files left",
            "0",
            own_left,
            lambda found: str(_sum(found, *rest)),
            not _sum(own_left, *rest),
        ),
    ]


def _bad_inputs(runs: Sequence[BadInputRun]) -> Row:
    crashes = ("server_crashes", "worker_crashes")

    def tell(found: list[BadInputRun]) -> str:
        lost = _sum(found, "sessions_lost")
        return f"{_sum(found, 'tried'):,} / {_sum(found, *crashes)} / {lost}"

    figure, target = "bad inputs / crashes / sessions lost", f"from {ENOUGH_INPUTS:,} / 0 / 0"
    own = _ours(runs)
    is_good = not _sum(own, *crashes, "sessions_lost")
    return _row(figure, target, runs, tell, _verdict(is_good, _sum(own, "tried") >= ENOUGH_INPUTS))


def _hangs(hangs: Sequence[Hang], trials: Sequence[Trial]) -> list[Row]:
    kinds = {hang.kind for hang in hangs}
    theirs = [trial for trial in trials if trial.way == STOCK and trial.kind in kinds]
    told, over = (max(max(getattr(one, name)) for one in hangs) for name in ("told_s", "over_s"))
    ratios = [hang.beside_s / hang.quiet_s for hang in hangs if hang.beside_s and hang.quiet_s]
    worst, within = max(ratios, default=0.0), f"{RECOVERY_S:g} s"
    went_on = f"{_sum(theirs, 'continued')} of {_sum(theirs, 'injected')} went on" if theirs else ""
    stalled = "stalled" if any(trial.harmed > 1 for trial in theirs) else ""
    figure = "a hang: {}, after the deadline at most"
    p99 = "p99 of a bystander's steps, beside a hang / without, at most"
    is_below = worst < P99_RATIO if ratios else None
    return [
        Row(figure.format("told"), within, f"{told:.2f} s", "", told <= RECOVERY_S),
        Row(figure.format("begun anew"), within, f"{over:.2f} s", went_on, over <= RECOVERY_S),
        Row(p99, f"below {P99_RATIO:g}", f"{worst:.2f}", stalled, is_below),
    ]


def _endings(ends: Sequence[Termination], orphans: Sequence[Orphans]) -> list[Row]:
    def tell(found: list[Termination]) -> str:
        (end,) = found
        drain = "" if end.drain_s is None else f" (drain {end.drain_s:g} s)"
        return f"{'never' if end.seconds is None else f'{end.seconds:.1f} s'}{drain}"

    (own,) = _ours(ends)
    is_in_time = own.seconds is not None and own.seconds < DRAIN_S and own.exitcode == 0
    figure, target = "SIGTERM with a session that hangs, until the end", f"below {DRAIN_S:g} s"
    killed, told = "kill -9, 2 s later: workers that run / zombies", _sums("orphans", "zombies")
    return [
        _row(figure, target, ends, tell, is_in_time),
        _row(killed, "0 / 0", orphans, told, told(_ours(orphans)) == "0 / 0"),
    ]


def _growth(growths: Sequence[Growth]) -> list[Row]:
    def logged(found: Sequence[Growth]) -> str:
        return f"{1000 * _sum(found, 'tracebacks') / _sum(found, 'sessions'):.0f}"

    def memory(name: str) -> Row:
        def tell(found: list[Growth]) -> str:
            usage = getattr(found[0], name)
            return f"{megabytes(usage):+.2f} MB of {found[0].sessions:,}" if usage else ""

        usage, most = getattr(ours, name), MOST_MB[name]
        is_good = usage is None or megabytes(usage) < most
        hit = _verdict(is_good, ours.sessions >= ENOUGH_SESSIONS)
        target = f"below {most:g} MB of {ENOUGH_SESSIONS:,}"
        return _row(f"memory of the {name} after sessions", target, growths, tell, hit)

    (ours,) = _ours(growths)
    figure = "tracebacks in the log for 1,000 sessions that end"
    return [_row(figure, "0", growths, logged, not ours.tracebacks), *map(memory, MOST_MB)]


def megabytes(usage: Sequence[Usage]) -> float:
    """Return how much memory was added, from the first to the last."""
    return (usage[-1].rss - usage[0].rss) / 2**20


def all_tables(found: Found, board: Sequence[Row]) -> list[Table]:
    lines = [[row.figure, row.target, row.ours, row.stock, verdict(row.hit)] for row in board]
    return [
        Table(["promise", "target", "ours", "stock 0.10", ""], lines, texts=2),
        _table(found.trials, "faults"),
        _table(found.hangs, "a hang"),
        _table(found.bad_inputs, "bad inputs"),
        _table(found.growth, "after sessions"),
    ]


def _table(found: Sequence[Any], head: str) -> Table:
    """Return all that was found, by the names of its fields; the first one is the way."""
    if not found:
        return Table([head], [])
    way, *names = [field.name for field in fields(found[0])]
    rows = [[getattr(one, way), *(_cell(getattr(one, name)) for name in names)] for one in found]
    return Table([head, *(name.replace("_", " ") for name in names)], rows)


def _cell(value: Any) -> str:
    """Several times as median and maximum; a usage as what was added, and of that in the end."""
    if isinstance(value, list):
        return f"{statistics.median(value):.2f}, {max(value):.2f}" if value else ""
    if isinstance(value, tuple) and isinstance(value[0], Usage):
        first, _, last = value
        added = (last.fds - first.fds, last.threads - first.threads)
        memory = f"{megabytes(value):+.2f} MB, {megabytes(value[1:]):+.2f} in the second half"
        return f"{memory}, descriptors {added[0]:+d}, threads {added[1]:+d}"
    if isinstance(value, tuple):
        return " to ".join(map(str, value))
    if isinstance(value, dict):
        most = sorted(value.items(), key=lambda item: -item[1])[:3]  # the JSON has them all
        return ", ".join(f"{count} of {name}" for name, count in most)
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.5g}" if isinstance(value, float) else f"{value:,}"
