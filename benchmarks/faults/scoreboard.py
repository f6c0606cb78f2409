"""The scoreboard: one row for each promise, ours beside the peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.faults.bad_input_runs import BadInputRun
from benchmarks.faults.cases import NUM_ENVS, Left, Trial
from benchmarks.faults.connections import Connections
from benchmarks.faults.endings import Orphans, Termination
from benchmarks.faults.hangs import Hang
from benchmarks.faults.sessions import Growth, Usage
from benchmarks.faults.ways import WAYS

if TYPE_CHECKING:
    from benchmarks.faults.report import FaultsReport

PEERS = {
    "async_vector": "AsyncVectorEnv",
    "subproc_vec": "SubprocVecEnv",
    "stock": "stock 0.10",
    "stock_03": "stock 0.3",
}
OURS = tuple(way.name for way in WAYS)
ALONE = ("ws_process", "ws_json", "ws_vector", "ws_vec_env")
"""The ways in which each environment has a worker of its own."""

ENOUGH_FAULTS, ENOUGH_INPUTS, ENOUGH_SESSIONS = 1000, 10**6, 10**5
RECOVERY_S, DRAIN_S, P99_RATIO = 0.5, 26.0, 2.0
SERVER_MB, CLIENT_MB = 5.0, 2.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """A promise.

    Attributes:
        figure: What is counted or timed.
        target: What is promised.
        ours: What was found.
        peers: Likewise, by the names of peers.
        hit: Whether it is kept; None where nothing went wrong, but over fewer than the target is
            for.
    """

    figure: str
    target: str
    ours: str
    peers: dict[str, str] = field(default_factory=dict)
    hit: bool | None = None


def rows(report: FaultsReport) -> list[Row]:
    """Return the promises in their order, of what was measured."""
    found: list[Row] = []
    if any(trial.way in OURS for trial in report.trials):
        found += [_continued(report.trials), _harmed(report.trials), *_left(report.left)]
    if report.bad_inputs:
        found.append(_bad_inputs(report.bad_inputs))
    if report.late:
        found += [_mismatched(report.late), _cuts(report.cuts)]
    if report.hangs:
        found += _recovery(report.hangs, report.trials)
        found.append(_bystander(report.hangs, report.trials))
    if report.terminations:
        found += [_drain(report.terminations), _orphans(report.orphans)]
    if report.growth:
        found += [_tracebacks(report.growth), *_growth(report.growth)]
    return found


def _each(trials: Sequence[Trial], tell: Callable[[list[Trial]], str]) -> dict[str, str]:
    """What is to be told of each peer that has trials."""
    own = {way: [trial for trial in trials if trial.way == way] for way in PEERS}
    return {way: tell(found) for way, found in own.items() if found}


def _counts(trials: Sequence[Trial]) -> str:
    injected = sum(trial.injected for trial in trials)
    return f"{injected} / {sum(trial.continued for trial in trials)}"


def _continued(trials: Sequence[Trial]) -> Row:
    own = [trial for trial in trials if trial.way in OURS]
    injected = sum(trial.injected for trial in own)
    is_good = all(trial.injected == trial.continued == trial.flagged for trial in own)
    return Row(
        figure="faults injected / training went on",
        target=f"from {ENOUGH_FAULTS} / all",
        ours=_counts(own),
        peers=_each(trials, _counts),
        hit=_verdict(is_good, injected >= ENOUGH_FAULTS),
    )


def _harmed(trials: Sequence[Trial]) -> Row:
    def most(found: Sequence[Trial]) -> int:
        return max((trial.harmed for trial in found), default=0)

    own = most([trial for trial in trials if trial.way in ALONE])
    return Row(
        figure=f"environments of {NUM_ENVS} harmed by a fault, at most",
        target="1, with a worker for each",
        ours=str(own),
        peers=_each(trials, lambda found: str(most(found))),
        hit=own == 1,
    )


def _left(left: Sequence[Left]) -> list[Row]:
    def sessions(found: Sequence[Left]) -> int:
        return sum(own.sessions or 0 for own in found)

    def others(found: Sequence[Left]) -> int:
        return sum(own.processes + own.shared_memory for own in found)

    ours = [own for own in left if own.way in OURS]
    peers = {way: [own for own in left if own.way == way] for way in PEERS}
    served = {
        way: own for way, own in peers.items() if any(one.sessions is not None for one in own)
    }
    local = {way: own for way, own in peers.items() if own and way not in served}
    return [
        Row(
            figure="sessions left on servers after all faults",
            target="0",
            ours=str(sessions(ours)),
            peers={way: str(sessions(own)) for way, own in served.items()},
            hit=sessions(ours) == 0,
        ),
        Row(
            figure="processes and shared-memory files left",
            target="0",
            ours=str(others(ours)),
            peers={way: str(others(own)) for way, own in local.items()},
            hit=others(ours) == 0,
        ),
    ]


def _bad_inputs(runs: Sequence[BadInputRun]) -> Row:
    def cell(ways: Sequence[str]) -> tuple[int, int, int]:
        own = [run for run in runs if run.way in ways]
        crashes = sum(run.server_crashes + run.worker_crashes for run in own)
        return sum(r.tried for r in own), crashes, sum(r.sessions_lost for r in own)

    tried, crashes, lost = cell(OURS)
    stock = cell(("stock",))
    return Row(
        figure="bad inputs / crashes / sessions lost",
        target=f"from {ENOUGH_INPUTS:,} / 0 / 0",
        ours=f"{tried:,} / {crashes} / {lost}",
        peers={"stock": f"{stock[0]:,} / {stock[1]} / {stock[2]}"} if stock[0] else {},
        hit=_verdict(crashes == lost == 0, tried >= ENOUGH_INPUTS),
    )


def _mismatched(late: Sequence[Connections]) -> Row:
    """Of replies after timeouts; one of a session that nobody has reset is a wrong one, too."""

    def cell(found: Sequence[Connections]) -> str:
        wrong = sum(own.mismatched for own in found)
        return f"{wrong} of {sum(own.answers for own in found)}"

    ours = [own for own in late if own.way not in PEERS]
    return Row(
        figure="replies after timeouts that answer another request",
        target="0",
        ours=cell(ours),
        peers={own.way: cell([own]) for own in late if own.way in PEERS},
        hit=not any(own.mismatched or own.miscounted for own in ours),
    )


def _cuts(cuts: Sequence[Connections]) -> Row:
    def cell(found: Sequence[Connections]) -> str:
        disturbed, continued = (
            sum(getattr(c, n) for c in found) for n in ("disturbed", "continued")
        )
        return f"{disturbed} / {continued} / {sum(own.miscounted for own in found)}"

    ours = [own for own in cuts if own.way not in PEERS]
    return Row(
        figure="connections cut in a step / runs that went on / steps lost or taken twice",
        target="all / 0",
        ours=cell(ours),
        peers={own.way: cell([own]) for own in cuts if own.way in PEERS},
        hit=all(own.disturbed == own.continued and not own.miscounted for own in ours),
    )


def _recovery(hangs: Sequence[Hang], trials: Sequence[Trial]) -> list[Row]:
    def row(what: str, worst: float, peers: dict[str, str]) -> Row:
        return Row(
            figure=f"a hang: {what}, after the deadline at most",
            target=f"{RECOVERY_S:g} s",
            ours=f"{worst:.2f} s",
            peers=peers,
            hit=worst <= RECOVERY_S,
        )

    def went_on(found: Sequence[Trial]) -> str:
        return f"{sum(t.continued for t in found)} of {sum(t.injected for t in found)} went on"

    hung = [trial for trial in trials if trial.kind in {hang.kind for hang in hangs}]
    told, over = (max(max(getattr(h, name)) for h in hangs) for name in ("told_s", "over_s"))
    return [row("told", told, {}), row("begun anew", over, _each(hung, went_on))]


def _bystander(hangs: Sequence[Hang], trials: Sequence[Trial]) -> Row:
    ratios = [hang.beside_s / hang.quiet_s for hang in hangs if hang.beside_s and hang.quiet_s]
    worst = max(ratios, default=0.0)
    hung = [trial for trial in trials if trial.kind in {hang.kind for hang in hangs}]
    stalled = _each(hung, lambda found: "stalled" if any(t.harmed > 1 for t in found) else "")
    return Row(
        figure="p99 of a bystander's steps, beside a hang / without, at most",
        target=f"below {P99_RATIO:g}",
        ours=f"{worst:.2f}",
        peers={way: told for way, told in stalled.items() if told},
        hit=worst < P99_RATIO if ratios else None,
    )


def _drain(ends: Sequence[Termination]) -> Row:
    def cell(seconds: float | None) -> str:
        return "never" if seconds is None else f"{seconds:.1f} s"

    own = next(end for end in ends if end.way not in PEERS)
    is_in_time = own.seconds is not None and own.seconds < DRAIN_S and own.exitcode == 0
    return Row(
        figure="SIGTERM with a session that hangs, until the end",
        target=f"below {DRAIN_S:g} s",
        ours=f"{cell(own.seconds)} (drain {own.drain_s:g} s)",
        peers={end.way: cell(end.seconds) for end in ends if end.way in PEERS},
        hit=is_in_time,
    )


def _orphans(found: Sequence[Orphans]) -> Row:
    cells = {own.way: f"{own.orphans} / {own.zombies}" for own in found}
    ours = next(own for own in found if own.way not in PEERS)
    return Row(
        figure="kill -9, 2 s later: workers that run / zombies",
        target="0 / 0",
        ours=cells[ours.way],
        peers={way: cell for way, cell in cells.items() if way in PEERS},
        hit=ours.orphans == ours.zombies == 0,
    )


def _tracebacks(growths: Sequence[Growth]) -> Row:
    per_1000 = {own.way: 1000 * own.tracebacks / own.sessions for own in growths}
    ours = next(own.way for own in growths if own.way not in PEERS)
    return Row(
        figure="tracebacks in the log for 1,000 sessions that end",
        target="0",
        ours=f"{per_1000[ours]:.0f}",
        peers={way: f"{value:.0f}" for way, value in per_1000.items() if way in PEERS},
        hit=per_1000[ours] == 0,
    )


def _growth(growths: Sequence[Growth]) -> list[Row]:
    ours = next(own for own in growths if own.way not in PEERS)
    server = megabytes(ours.server)
    client = 0.0 if ours.client is None else megabytes(ours.client)
    is_enough = ours.sessions >= ENOUGH_SESSIONS
    cells = {own.way: f"{megabytes(own.server):+.2f} MB of {own.sessions:,}" for own in growths}
    return [
        Row(
            figure="memory of the server after sessions",
            target=f"below {SERVER_MB:g} MB of {ENOUGH_SESSIONS:,}",
            ours=cells[ours.way],
            peers={way: cell for way, cell in cells.items() if way in PEERS},
            hit=_verdict(server < SERVER_MB, is_enough),
        ),
        Row(
            figure="memory of the client after sessions",
            target=f"below {CLIENT_MB:g} MB of {ENOUGH_SESSIONS:,}",
            ours=f"{client:+.2f} MB of {ours.sessions:,}",
            hit=_verdict(client < CLIENT_MB, is_enough),
        ),
    ]


def megabytes(usage: Sequence[Usage]) -> float:
    """How much memory was added, from the first to the last."""
    return (usage[-1].rss - usage[0].rss) / 2**20


def _verdict(is_good: bool, is_enough: bool) -> bool | None:
    """Whether a promise is kept; None where it is, over too few."""
    return None if is_good and not is_enough else is_good
