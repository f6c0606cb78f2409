"""Faults on purpose: whose training goes on, who else is harmed, and how soon it is over.

Environments fail in every way of ours, in Gymnasium's AsyncVectorEnv, in the SubprocVecEnv of
Stable-Baselines3 and in stock OpenEnv; connections are cut and replies come too late; servers get
messages that no client sends, are told to end while a session hangs, are killed, and open and
close many sessions. A default run takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.children import ROOT
from benchmarks.faults import bad_input_runs, connections, endings, hangs, peers, sessions
from benchmarks.faults.bad_input_runs import BadInputRun
from benchmarks.faults.campaign import campaign
from benchmarks.faults.cases import KINDS, Left, Trial
from benchmarks.faults.connections import Connections
from benchmarks.faults.report import FaultsReport, write
from benchmarks.faults.sessions import Growth
from benchmarks.faults.ways import WAYS
from benchmarks.machine import load_average, now, this_machine
from benchmarks.options import add_output, add_stock, count, say
from benchmarks.stock_python import stock_python, stock_versions
from benchmarks.ways import stay_here

OLD_STOCK = ROOT / ".venv-openenv03/bin/python"
_STOCK_SESSIONS, _STOCK_SECONDS = 1000, 30.0
_CUT_TIMEOUT_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_count(parser, "faults", 100_000, 165, "crashes and exceptions in each of our ways")
    _add_count(parser, "hangs", 1000, 3, "of each kind, whose recovery is timed")
    _add_count(parser, "late", 100_000, 20, "replies that come too late")
    _add_count(parser, "cuts", 100_000, 40, "connections that are cut in the middle of a step")
    _add_count(parser, "bad-inputs", 10**9, 10**6, "messages, as many as fit in the time")
    _add_count(parser, "sessions", 10**6, 10**4, "opened and closed, likewise")
    _add_seconds(parser, "bad-inputs", 120.0, "for them")
    _add_seconds(parser, "sessions", 120.0, "for them")
    parser.add_argument(
        "--drain-timeout",
        type=float,
        default=25.0,
        metavar="S",
        help="of the server that is told to end while a session hangs (default: %(default)g)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the bad inputs (default: %(default)s)"
    )
    add_stock(parser, "openenv, open_spiel and gymnasium")
    parser.add_argument(
        "--old-stock-python",
        type=Path,
        default=OLD_STOCK,
        metavar="PATH",
        help="a Python with openenv-core 0.3, for what differs there; unless given, "
        f"{OLD_STOCK.parents[1].name}, which the tests make, if it is there",
    )
    add_output(parser, "results/faults.json")


def _add_count(
    parser: argparse.ArgumentParser, name: str, most: int, default: int, what: str
) -> None:
    parser.add_argument(
        f"--{name}", type=count(most), default=default, help=f"{what} (default: %(default)s)"
    )


def _add_seconds(parser: argparse.ArgumentParser, name: str, default: float, what: str) -> None:
    parser.add_argument(
        f"--{name}-time",
        type=float,
        default=default,
        metavar="S",
        help=f"seconds {what}, at most (default: %(default)g)",
    )


def run(options: argparse.Namespace) -> None:
    stay_here()
    python = None if options.without_stock else stock_python(options.stock_python)
    versions = None if python is None else stock_versions(python, "pyspiel")
    stocks = _stocks(options, python)
    started, load = now(), load_average()
    trials, left = _campaigns(options.faults, python)
    say("hangs ...")
    timed = hangs.hangs(options.hangs)
    say("late replies, cut connections ...")
    late, cut = _connections(options, stocks)
    say("bad inputs ...")
    inputs = _bad_inputs(options, python)
    say("servers that end ...")
    ends = endings.terminations(options.drain_timeout, python)
    orphans = endings.all_orphans()
    say("many sessions ...")
    report = FaultsReport(
        trials=trials,
        left=left,
        hangs=timed,
        late=late,
        cuts=cut,
        bad_inputs=inputs,
        terminations=ends,
        orphans=orphans,
        growth=_growth(options, stocks),
        machine=this_machine(),
        stock_versions=versions,
        date=started,
        load_average_start=load,
        load_average_end=load_average(),
    )
    write(report, options.output)


def _stocks(options: argparse.Namespace, python: Path | None) -> dict[str, Path]:
    """The stock peers by name: the newest one, and an old one if it is at hand."""
    if python is None:
        return {}
    old = options.old_stock_python
    return {"stock": python, **({"stock_03": old} if old.exists() else {})}


def _campaigns(faults: int, python: Path | None) -> tuple[list[Trial], list[Left]]:
    trials: list[Trial] = []
    left: list[Left] = []
    crashes = [kind for kind in KINDS if not kind.is_hang]
    hanging = [kind for kind in KINDS if kind.is_hang]
    for way in WAYS:
        say(f"{way.name}: {faults} faults, {len(hanging)} hangs ...")
        trials += campaign(way, crashes, faults, left)
        trials += campaign(way, hanging, len(hanging), left)
    for kind in KINDS:
        for name, kinds in peers.LOCAL.items():
            if kind.name in kinds:
                say(f"{name}: {kind.name} ...")
                trials.append(peers.local(name, kind, left))
        if python is not None and kind.name in peers.STOCK_KINDS:
            say(f"stock: {kind.name} ...")
            trials.append(peers.stock(python, kind, left))
    return trials, left


def _connections(
    options: argparse.Namespace, stocks: dict[str, Path]
) -> tuple[list[Connections], list[Connections]]:
    late_s, cut_s = connections.LATE_S, _CUT_TIMEOUT_S
    late, cut = [], []
    for way, codec in (("binary", "binary"), ("json", "json")):
        pair = connections.our_client(codec, late_s)
        late.append(connections.late_replies(way, pair, options.late))
        cut.append(connections.cuts(way, connections.our_client(codec, cut_s), options.cuts))
    for way, python in stocks.items():  # fewer, which is enough to see
        pair = connections.stock_client(python, late_s)
        late.append(connections.late_replies(way, pair, max(1, options.late // 4)))
        pair = connections.stock_client(python, cut_s)
        cut.append(connections.cuts(way, pair, max(1, options.cuts // 4)))
    return late, cut


def _bad_inputs(options: argparse.Namespace, python: Path | None) -> list[BadInputRun]:
    number, seconds = options.bad_inputs, options.bad_inputs_time
    runs = bad_input_runs.ours(number, seconds, options.seed)
    if python is not None:
        runs.append(bad_input_runs.stock(python, number, seconds / 4, options.seed))
    return runs


def _growth(options: argparse.Namespace, stocks: dict[str, Path]) -> list[Growth]:
    number, seconds = options.sessions, options.sessions_time
    found = [sessions.grow_ours(number, seconds)]
    few = min(number, _STOCK_SESSIONS)
    for way, python in stocks.items():
        found.append(sessions.grow_stock(way, python, few, min(seconds, _STOCK_SECONDS)))
    return found
