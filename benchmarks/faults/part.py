"""Faults on purpose: whose training goes on, who else is harmed, and how soon it is over.

Environments fail in every way of ours, in Gymnasium's AsyncVectorEnv, in the SubprocVecEnv of
Stable-Baselines3 and in stock OpenEnv; connections are cut and replies come too late; servers get
messages that no client sends, are told to end while a session hangs, are killed, and open and
close many sessions. A default run takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.children import ROOT
from benchmarks.errors import BenchmarkError
from benchmarks.faults import bad_input_runs, connections, endings, hangs, peers, sessions
from benchmarks.faults.campaign import campaign
from benchmarks.faults.cases import KINDS, Left, Trial
from benchmarks.faults.report import FaultsReport, write
from benchmarks.faults.ways import WAYS
from benchmarks.machine import load_average, now, this_machine
from benchmarks.options import add_output, add_stock, count, say
from benchmarks.stock_python import stock_python, stock_versions
from benchmarks.ways import stay_here

OLD_STOCK = ROOT / ".venv-openenv03/bin/python"
_STOCK_SESSIONS, _STOCK_SECONDS = 1000, 30.0
_CUT_TIMEOUT_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", nargs="+", choices=tuple(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    _add_count(parser, "faults", 100_000, 165, "crashes and exceptions in each of our ways")
    _add_count(parser, "hangs", 1000, 3, "of each kind, whose recovery is timed")
    _add_count(parser, "late", 100_000, 12, "replies that come too late")
    _add_count(parser, "cuts", 100_000, 32, "connections that are cut in the middle of a step")
    _add_count(parser, "bad-inputs", 10**9, 10**6, "messages, as many as fit in the time")
    _add_count(parser, "sessions", 10**6, 10**4, "opened and closed, likewise")
    _add_seconds(parser, "bad-inputs", 120.0, "for them")
    _add_seconds(parser, "sessions", 60.0, "for them")
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
    found: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for part in options.only or PARTS:
        say(f"{part} ...")
        began = time.perf_counter()
        try:
            for name, values in PARTS[part](options, stocks).items():
                found[name] = [*found.get(name, ()), *values]
        except Exception as exc:  # what the other parts find in a quarter of an hour is kept
            traceback.print_exc()
            failed[part] = type(exc).__name__
        seconds[part] = time.perf_counter() - began
    report = FaultsReport(
        **found,
        seconds=seconds,
        failed=failed,
        machine=this_machine(),
        stock_versions=versions,
        date=started,
        load_average_start=load,
        load_average_end=load_average(),
    )
    write(report, options.output)
    if failed:
        raise BenchmarkError(f"did not come to their end: {', '.join(failed)}; why is above")


def _stocks(options: argparse.Namespace, python: Path | None) -> Stocks:
    """The stock peers by name: the newest one, and an old one if it is at hand."""
    if python is None:
        return {}
    old = options.old_stock_python
    return {"stock": python, **({"stock_03": old} if old.exists() else {})}


def _campaigns(options: argparse.Namespace, stocks: Stocks) -> dict[str, Any]:
    trials: list[Trial] = []
    left: list[Left] = []
    crashes = [kind for kind in KINDS if not kind.is_hang]
    hanging = [kind for kind in KINDS if kind.is_hang]
    for way in WAYS:
        say(f"  {way.name}: {options.faults} faults, {len(hanging)} hangs")
        trials += campaign(way, crashes, options.faults, left)
        trials += campaign(way, hanging, len(hanging), left)
    return {"trials": trials, "left": left}


def _peers(options: argparse.Namespace, stocks: Stocks) -> dict[str, Any]:
    trials: list[Trial] = []
    left: list[Left] = []
    for kind in KINDS:
        say(f"  {kind.name}")
        for way, kinds in peers.LOCAL.items():
            if kind.name in kinds:
                trials.append(peers.local(way, kind, left))
        if "stock" in stocks and kind.name in peers.STOCK_KINDS:
            trials.append(peers.stock(stocks["stock"], kind, left))
    return {"trials": trials, "left": left}


def _hangs(options: argparse.Namespace, stocks: Stocks) -> dict[str, Any]:
    return {"hangs": hangs.hangs(options.hangs)}


def _connections(options: argparse.Namespace, stocks: Stocks) -> dict[str, Any]:
    late_s, cut_s = connections.LATE_S, _CUT_TIMEOUT_S
    late, cuts = [], []
    for way, codec in (("ours", "binary"), ("ours, JSON", "json")):
        pair = connections.our_client(codec, late_s, "inline")  # which is soon ready again
        late.append(connections.late_replies(way, pair, options.late))
        pair = connections.our_client(codec, cut_s)
        cuts.append(connections.cuts(way, pair, options.cuts))
    for way, python in stocks.items():  # fewer, which is enough to see
        pair = connections.stock_client(python, late_s)
        late.append(connections.late_replies(way, pair, max(1, options.late // 4)))
        pair = connections.stock_client(python, cut_s)
        cuts.append(connections.cuts(way, pair, max(1, options.cuts // 4)))
    return {"late": late, "cuts": cuts}


def _bad_inputs(options: argparse.Namespace, stocks: Stocks) -> dict[str, Any]:
    number, seconds = options.bad_inputs, options.bad_inputs_time
    runs = bad_input_runs.ours(number, seconds, options.seed)
    if "stock" in stocks:
        runs.append(bad_input_runs.stock(stocks["stock"], number, seconds / 4, options.seed))
    return {"bad_inputs": runs}


def _endings(options: argparse.Namespace, stocks: Stocks) -> dict[str, Any]:
    ends = endings.terminations(options.drain_timeout, stocks.get("stock"))
    return {"terminations": ends, "orphans": endings.all_orphans()}


def _sessions(options: argparse.Namespace, stocks: Stocks) -> dict[str, Any]:
    number, seconds = options.sessions, options.sessions_time
    growth = [sessions.grow_ours(number, seconds)]
    few = min(number, _STOCK_SESSIONS)
    for way, python in stocks.items():
        growth.append(sessions.grow_stock(way, python, few, min(seconds, _STOCK_SECONDS)))
    return {"growth": growth}


Stocks: TypeAlias = dict[str, Path]

PARTS: dict[str, Callable[[argparse.Namespace, Stocks], dict[str, Any]]] = {
    "campaigns": _campaigns,
    "peers": _peers,
    "hangs": _hangs,
    "connections": _connections,
    "inputs": _bad_inputs,
    "endings": _endings,
    "sessions": _sessions,
}
"""By name; each gives what it found by the names of the report."""
