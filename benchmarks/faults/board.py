"""What a run of ``faults`` found: a scoreboard with a row for each promise, tables and notes."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from benchmarks.faults.bad_inputs import BadInputRun
from benchmarks.faults.cases import NUM_ENVS, Left, Trial
from benchmarks.faults.connections import Connections
from benchmarks.faults.endings import Orphans, Termination
from benchmarks.faults.hangs import Hang
from benchmarks.faults.sessions import Growth, Usage
from benchmarks.report import Table, verdict

PEERS = {
    "async_vector": "AsyncVectorEnv",
    "subproc_vec": "SubprocVecEnv",
    "stock": "stock 0.10",
    "stock_03": "stock 0.3",
}
SHARED = ("embedded", "embedded_vector")
"""The ways of ours in which environments share a worker; in the others each has its own."""

ENOUGH_FAULTS, ENOUGH_INPUTS, ENOUGH_SESSIONS = 1000, 10**6, 10**5
RECOVERY_S, DRAIN_S, P99_RATIO = 0.5, 26.0, 2.0
MOST_MB = {"server": 5.0, "client": 2.0}

Tell = Callable[[list[Any]], str]


@dataclass(kw_only=True)
class Found:
    """What a run found; what was left out of it is empty."""

    trials: list[Trial] = field(default_factory=list)  # each kind of fault in each way
    left: list[Left] = field(default_factory=list)  # what was left behind then
    hangs: list[Hang] = field(default_factory=list)
    late_replies: list[Connections] = field(default_factory=list)
    cuts: list[Connections] = field(default_factory=list)
    bad_inputs: list[BadInputRun] = field(default_factory=list)
    terminations: list[Termination] = field(default_factory=list)
    orphans: list[Orphans] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A promise, and what was found of ours and of the peers."""

    figure: str
    target: str
    ours: str
    peers: dict[str, str]
    hit: bool | None  # None where nothing went wrong, but over fewer than the target is for


def rows(found: Found) -> list[Row]:
    """Return the promises in their order, of what was measured."""
    board: list[Row] = []
    if _ours(found.trials):
        board += [*_trials(found.trials), *_left(found.left)]
    if found.bad_inputs:
        board.append(_bad_inputs(found.bad_inputs))
    if found.late_replies:
        board += _connections(found.late_replies, found.cuts)
    if found.hangs:
        board += _hangs(found.hangs, found.trials)
    if found.terminations:
        board += _endings(found.terminations, found.orphans)
    if found.growth:
        board += _growth(found.growth)
    return board


def _ours(found: Sequence[Any]) -> list[Any]:
    return [one for one in found if one.way not in PEERS]


def _peers(found: Sequence[Any], tell: Tell) -> dict[str, str]:
    """What is to be told of each peer that was tried; nothing where that is empty."""
    own = {way: [one for one in found if one.way == way] for way in PEERS}
    cells = {way: tell(those) for way, those in own.items() if those}
    return {way: cell for way, cell in cells.items() if cell}


def _row(figure: str, target: str, found: Sequence[Any], tell: Tell, hit: bool | None) -> Row:
    """A promise in which ours and peers are told of alike."""
    return Row(figure, target, tell(_ours(found)), _peers(found, tell), hit)


def _sum(found: Sequence[Any], *names: str) -> int:
    return sum(getattr(one, name) for one in found for name in names)


def _sums(*names: str) -> Tell:
    return lambda found: " / ".join(f"{_sum(found, name):,}" for name in names)


def _verdict(is_good: bool, is_enough: bool) -> bool | None:
    """Whether a promise is kept; None where it is, over too few."""
    return None if is_good and not is_enough else is_good


def _trials(trials: Sequence[Trial]) -> list[Row]:
    def most(found: Sequence[Trial]) -> str:
        return str(max((one.harmed for one in found), default=0))

    own, alone = _ours(trials), [one for one in trials if one.way not in SHARED]
    figure, target = "faults injected / training went on", f"from {ENOUGH_FAULTS} / all"
    is_good = all(one.injected == one.continued == one.flagged for one in own)
    hit = _verdict(is_good, _sum(own, "injected") >= ENOUGH_FAULTS)
    harmed = f"environments of {NUM_ENVS} harmed by a fault, at most"
    return [
        _row(figure, target, trials, _sums("injected", "continued"), hit),
        _row(harmed, "1, with a worker for each", alone, most, most(_ours(alone)) == "1"),
    ]


def _left(left: Sequence[Left]) -> list[Row]:
    def row(figure: str, tell: Tell, of_servers: bool) -> Row:
        def tell_peer(own: list[Left]) -> str:
            has_server = any(one.sessions is not None for one in own)
            return tell(own) if has_server == of_servers else ""

        ours = tell(_ours(left))
        return Row(figure, "0", ours, _peers(left, tell_peer), ours == "0")

    return [
        row(
            "sessions left on servers after all faults",
            lambda found: str(sum(one.sessions or 0 for one in found)),
            True,
        ),
        row(
            "processes and shared-memory files left",
            lambda found: str(_sum(found, "processes", "shared_memory")),
            False,
        ),
    ]


def _bad_inputs(runs: Sequence[BadInputRun]) -> Row:
    def tell(found: list[BadInputRun]) -> str:
        crashes = _sum(found, "server_crashes", "worker_crashes")
        return f"{_sum(found, 'tried'):,} / {crashes} / {_sum(found, 'sessions_lost')}"

    figure, target = "bad inputs / crashes / sessions lost", f"from {ENOUGH_INPUTS:,} / 0 / 0"
    own = _ours(runs)
    is_good = not _sum(own, "server_crashes", "worker_crashes", "sessions_lost")
    return _row(figure, target, runs, tell, _verdict(is_good, _sum(own, "tried") >= ENOUGH_INPUTS))


def _connections(late: Sequence[Connections], cuts: Sequence[Connections]) -> list[Row]:
    """A reply after a timeout of a session that nobody has reset is a wrong one, too."""
    figure = "replies after timeouts that answer another request"
    is_right = not _sum(_ours(late), "mismatched", "miscounted")
    cut = "connections cut in a step / runs that went on / steps lost or taken twice"
    goes_on = all(one.disturbed == one.continued and not one.miscounted for one in _ours(cuts))
    told = _sums("disturbed", "continued", "miscounted")
    return [
        _row(
            figure,
            "0",
            late,
            lambda found: f"{_sum(found, 'mismatched')} of {_sum(found, 'answers')}",
            is_right,
        ),
        _row(cut, "all / 0", cuts, told, goes_on),
    ]


def _hangs(hangs: Sequence[Hang], trials: Sequence[Trial]) -> list[Row]:
    def went_on(own: list[Trial]) -> str:
        return f"{_sum(own, 'continued')} of {_sum(own, 'injected')} went on"

    hung = [trial for trial in trials if trial.kind in {hang.kind for hang in hangs}]
    told, over = (max(max(getattr(one, name)) for one in hangs) for name in ("told_s", "over_s"))
    stalled = _peers(hung, lambda own: "stalled" if any(one.harmed > 1 for one in own) else "")
    ratios = [hang.beside_s / hang.quiet_s for hang in hangs if hang.beside_s and hang.quiet_s]
    worst, within = max(ratios, default=0.0), f"{RECOVERY_S:g} s"
    figure = "a hang: {}, after the deadline at most"
    p99 = "p99 of a bystander's steps, beside a hang / without, at most"
    is_below = worst < P99_RATIO if ratios else None
    begun = (f"{over:.2f} s", _peers(hung, went_on), over <= RECOVERY_S)
    return [
        Row(figure.format("told"), within, f"{told:.2f} s", {}, told <= RECOVERY_S),
        Row(figure.format("begun anew"), within, *begun),
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
            (own,) = found
            usage = getattr(own, name)
            return f"{megabytes(usage):+.2f} MB of {own.sessions:,}" if usage else ""

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
    peers = [way for way in PEERS if any(way in row.peers for row in board)]
    lines = []
    for row in board:
        cells = [row.peers.get(way, "") for way in peers]
        lines.append([row.figure, row.target, row.ours, *cells, verdict(row.hit)])
    heads = ["promise", "target", "ours", *(PEERS[way] for way in peers), ""]
    return [
        Table(heads, lines, texts=2),
        _table(found.trials, "faults"),
        _table(found.hangs, "a hang"),
        _table(found.late_replies, "replies that came late"),
        _table(found.cuts, "connections cut in a step"),
        _table(found.bad_inputs, "bad inputs"),
        _table(found.growth, "after sessions"),
    ]


def _table(found: Sequence[Any], head: str) -> Table:
    """All that was found, by the names of its fields."""
    rows, heads = [], [head]
    for one in found:
        values = {field.name: getattr(one, field.name) for field in fields(one)}
        way = PEERS.get(one.way, values.pop("way"))
        heads = [head, *(name.replace("_", " ") for name in values)]
        rows.append([way, *map(_cell, values.values())])
    return Table(heads, rows)


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
        return ", ".join(f"{count} of {name}" for name, count in value.items())
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.5g}" if isinstance(value, float) else f"{value:,}"
