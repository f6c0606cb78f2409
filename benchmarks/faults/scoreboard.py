"""The scoreboard: one row for each promise, ours beside the peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.faults.bad_inputs import BadInputRun
from benchmarks.faults.cases import NUM_ENVS, Left, Trial
from benchmarks.faults.connections import Connections
from benchmarks.faults.endings import Orphans, Termination
from benchmarks.faults.hangs import Hang
from benchmarks.faults.sessions import Growth, Usage

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
SERVER_MB, CLIENT_MB = 5.0, 2.0


@dataclass(kw_only=True)
class Found:
    """What a run found; what was left out of it is empty."""

    trials: list[Trial] = field(default_factory=list)  # each kind of fault in each way
    left: list[Left] = field(default_factory=list)  # what was left behind then
    hangs: list[Hang] = field(default_factory=list)  # how soon they were over
    late_replies: list[Connections] = field(default_factory=list)
    cuts: list[Connections] = field(default_factory=list)
    bad_inputs: list[BadInputRun] = field(default_factory=list)
    terminations: list[Termination] = field(default_factory=list)  # servers told to end
    orphans: list[Orphans] = field(default_factory=list)  # what outlives who was killed
    growth: list[Growth] = field(default_factory=list)  # over many sessions


class Row(NamedTuple):
    """A promise."""

    figure: str  # what is counted or timed
    target: str
    ours: str
    peers: dict[str, str]  # likewise, by their names
    hit: bool | None  # None where nothing went wrong, but over fewer than the target is for


def rows(found: Found) -> list[Row]:
    """Return the promises in their order, of what was measured."""
    board: list[Row] = []
    if _ours(found.trials):
        board += [_continued(found.trials), _harmed(found.trials), *_left(found.left)]
    if found.bad_inputs:
        board.append(_bad_inputs(found.bad_inputs))
    if found.late_replies:
        board += [_mismatched(found.late_replies), _cuts(found.cuts)]
    if found.hangs:
        board += _hangs(found.hangs, found.trials)
    if found.terminations:
        board += [_drain(found.terminations), _orphans(found.orphans)]
    if found.growth:
        board += _growth(found.growth)
    return board


def _ours(found: Sequence[Any]) -> list[Any]:
    return [one for one in found if one.way not in PEERS]


def _peers(found: Sequence[Any], tell: Callable[[list[Any]], str]) -> dict[str, str]:
    """What is to be told of each peer that was tried; nothing where that is empty."""
    own = {way: [one for one in found if one.way == way] for way in PEERS}
    cells = {way: tell(those) for way, those in own.items() if those}
    return {way: cell for way, cell in cells.items() if cell}


def _row(
    figure: str,
    target: str,
    found: Sequence[Any],
    tell: Callable[[list[Any]], str],
    hit: bool | None,
) -> Row:
    """One in which ours and peers are told of alike."""
    return Row(figure, target, tell(_ours(found)), _peers(found, tell), hit)


def _sum(found: Sequence[Any], name: str) -> int:
    return sum(getattr(one, name) for one in found)


def _verdict(is_good: bool, is_enough: bool) -> bool | None:
    """Whether a promise is kept; None where it is, over too few."""
    return None if is_good and not is_enough else is_good


def _continued(trials: Sequence[Trial]) -> Row:
    own = _ours(trials)
    is_good = all(one.injected == one.continued == one.flagged for one in own)
    return _row(
        "faults injected / training went on",
        f"from {ENOUGH_FAULTS} / all",
        trials,
        lambda found: f"{_sum(found, 'injected')} / {_sum(found, 'continued')}",
        _verdict(is_good, _sum(own, "injected") >= ENOUGH_FAULTS),
    )


def _harmed(trials: Sequence[Trial]) -> Row:
    def most(found: Sequence[Trial]) -> str:
        return str(max((one.harmed for one in found), default=0))

    alone = [one for one in trials if one.way not in SHARED]
    figure = f"environments of {NUM_ENVS} harmed by a fault, at most"
    is_good = most(_ours(alone)) == "1"
    return _row(figure, "1, with a worker for each", alone, most, is_good)


def _left(left: Sequence[Left]) -> list[Row]:
    def has_server(found: Sequence[Left]) -> bool:
        return any(one.sessions is not None for one in found)

    def sessions(found: Sequence[Left]) -> str:
        return str(sum(one.sessions or 0 for one in found))

    def others(found: Sequence[Left]) -> str:
        return str(_sum(found, "processes") + _sum(found, "shared_memory"))

    def row(figure: str, tell: Callable[[Sequence[Left]], str], of_servers: bool) -> Row:
        peers = _peers(left, lambda own: tell(own) if has_server(own) == of_servers else "")
        return Row(figure, "0", tell(_ours(left)), peers, tell(_ours(left)) == "0")

    return [
        row("sessions left on servers after all faults", sessions, True),
        row("processes and shared-memory files left", others, False),
    ]


def _bad_inputs(runs: Sequence[BadInputRun]) -> Row:
    def crashes(found: Sequence[BadInputRun]) -> int:
        return _sum(found, "server_crashes") + _sum(found, "worker_crashes")

    own = _ours(runs)
    is_good = crashes(own) == _sum(own, "sessions_lost") == 0
    return _row(
        "bad inputs / crashes / sessions lost",
        f"from {ENOUGH_INPUTS:,} / 0 / 0",
        runs,
        lambda found: (
            f"{_sum(found, 'tried'):,} / {crashes(found)} / {_sum(found, 'sessions_lost')}"
        ),
        _verdict(is_good, _sum(own, "tried") >= ENOUGH_INPUTS),
    )


def _mismatched(late: Sequence[Connections]) -> Row:
    """Of replies after timeouts; one of a session that nobody has reset is a wrong one, too."""
    return _row(
        "replies after timeouts that answer another request",
        "0",
        late,
        lambda found: f"{_sum(found, 'mismatched')} of {_sum(found, 'answers')}",
        not any(one.mismatched or one.miscounted for one in _ours(late)),
    )


def _cuts(cuts: Sequence[Connections]) -> Row:
    names = ("disturbed", "continued", "miscounted")
    return _row(
        "connections cut in a step / runs that went on / steps lost or taken twice",
        "all / 0",
        cuts,
        lambda found: " / ".join(str(_sum(found, name)) for name in names),
        all(one.disturbed == one.continued and not one.miscounted for one in _ours(cuts)),
    )


def _hangs(hangs: Sequence[Hang], trials: Sequence[Trial]) -> list[Row]:
    hung = [trial for trial in trials if trial.kind in {hang.kind for hang in hangs}]
    told, over = (max(max(getattr(one, name)) for one in hangs) for name in ("told_s", "over_s"))
    went_on = _peers(
        hung, lambda own: f"{_sum(own, 'continued')} of {_sum(own, 'injected')} went on"
    )
    stalled = _peers(hung, lambda own: "stalled" if any(one.harmed > 1 for one in own) else "")
    ratios = [hang.beside_s / hang.quiet_s for hang in hangs if hang.beside_s and hang.quiet_s]
    worst, figure = max(ratios, default=0.0), "a hang: {}, after the deadline at most"
    within, told_hit, over_hit = f"{RECOVERY_S:g} s", told <= RECOVERY_S, over <= RECOVERY_S
    return [
        Row(figure.format("told"), within, f"{told:.2f} s", {}, told_hit),
        Row(figure.format("begun anew"), within, f"{over:.2f} s", went_on, over_hit),
        Row(
            "p99 of a bystander's steps, beside a hang / without, at most",
            f"below {P99_RATIO:g}",
            f"{worst:.2f}",
            stalled,
            worst < P99_RATIO if ratios else None,
        ),
    ]


def _drain(ends: Sequence[Termination]) -> Row:
    def tell(found: Sequence[Termination]) -> str:
        (end,) = found
        drain = "" if end.drain_s is None else f" (drain {end.drain_s:g} s)"
        return f"{'never' if end.seconds is None else f'{end.seconds:.1f} s'}{drain}"

    (own,) = _ours(ends)
    is_in_time = own.seconds is not None and own.seconds < DRAIN_S and own.exitcode == 0
    figure = "SIGTERM with a session that hangs, until the end"
    return _row(figure, f"below {DRAIN_S:g} s", ends, tell, is_in_time)


def _orphans(orphans: Sequence[Orphans]) -> Row:
    def tell(found: Sequence[Orphans]) -> str:
        return f"{_sum(found, 'orphans')} / {_sum(found, 'zombies')}"

    figure = "kill -9, 2 s later: workers that run / zombies"
    return _row(figure, "0 / 0", orphans, tell, tell(_ours(orphans)) == "0 / 0")


def _growth(growths: Sequence[Growth]) -> list[Row]:
    def logged(found: Sequence[Growth]) -> str:
        return f"{1000 * _sum(found, 'tracebacks') / _sum(found, 'sessions'):.0f}"

    def memory(found: Sequence[Growth], name: str) -> str:
        (own,) = found
        usage = getattr(own, name)
        return f"{megabytes(usage):+.2f} MB of {own.sessions:,}" if usage else ""

    (ours,) = _ours(growths)
    figure = "tracebacks in the log for 1,000 sessions that end"
    board = [_row(figure, "0", growths, logged, ours.tracebacks == 0)]
    is_enough = ours.sessions >= ENOUGH_SESSIONS
    for name, most in (("server", SERVER_MB), ("client", CLIENT_MB)):
        usage = getattr(ours, name)
        board.append(
            _row(
                f"memory of the {name} after sessions",
                f"below {most:g} MB of {ENOUGH_SESSIONS:,}",
                growths,
                lambda found, name=name: memory(found, name),
                _verdict(usage is None or megabytes(usage) < most, is_enough),
            )
        )
    return board


def megabytes(usage: Sequence[Usage]) -> float:
    """Return how much memory was added, from the first to the last."""
    return (usage[-1].rss - usage[0].rss) / 2**20
