"""Faults on purpose: whose training goes on, who else is harmed, and how soon it is over.

Environments fail in every way of ours, in Gymnasium's AsyncVectorEnv, in the SubprocVecEnv of
Stable-Baselines3 and in stock OpenEnv; connections are cut and replies come too late; servers get
messages that no client sends, are told to end while a session hangs, are killed, and open and
close many sessions. A default run takes about a quarter of an hour.
"""

import argparse
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from benchmarks.children import ROOT, BenchmarkError
from benchmarks.faults import bad_inputs, connections, endings, hangs, peers, sessions
from benchmarks.faults.board import Found, all_tables, rows
from benchmarks.faults.campaign import campaign
from benchmarks.faults.cases import HANGS, KINDS, NUM_ENVS
from benchmarks.faults.ways import WAYS
from benchmarks.report import Run
from benchmarks.rounds import say

Stocks: TypeAlias = dict[str, Path]
"""The Pythons of the stock peers: the newest one, and an old one if it is at hand."""

_STOCK_SESSIONS, _STOCK_SECONDS = 1000, 30.0
_CUT_TIMEOUT_S = 5.0


def run(options: argparse.Namespace) -> None:
    run = Run("faults", options, stock_modules=["pyspiel"])
    stocks: Stocks = {}
    if run.python is not None:
        old = options.old_stock_python
        stocks = {"stock": run.python, **({"stock_03": old} if old.exists() else {})}
    found, seconds, failed = Found(), dict[str, float](), dict[str, str]()
    if unknown := set(options.only) - PARTS.keys():
        raise BenchmarkError(f"--only: expected of {', '.join(PARTS)}, got {', '.join(unknown)}")
    for part in options.only:
        say(f"{part} ...")
        began = time.perf_counter()
        try:
            PARTS[part](options, stocks, found)
        except Exception as exc:  # what the other parts find in a quarter of an hour is kept
            traceback.print_exc()
            failed[part] = type(exc).__name__
        seconds[part] = time.perf_counter() - began
    board = rows(found)
    took = ", ".join(f"{part} {spent:.0f}" for part, spent in seconds.items())
    notes = [f"Seconds of the parts: {took}."]
    notes += [f"The part {part} did not come to its end: {name}." for part, name in failed.items()]
    data = {
        "environments": NUM_ENVS,
        "seconds": {part: round(spent, 1) for part, spent in seconds.items()},
        "failed": failed,
        "scoreboard": board,
        **vars(found),
    }
    about = f"{NUM_ENVS} environments, which fail by turns."
    run.publish(data, all_tables(found, board), about, notes)
    if failed:
        raise BenchmarkError(f"did not come to their end: {', '.join(failed)}; why is above")


def _campaigns(options: argparse.Namespace, stocks: Stocks, found: Found) -> None:
    crashes = [kind for kind in KINDS if not kind.is_hang]
    hanging = [kind for kind in KINDS if kind.is_hang]
    for way in WAYS:
        say(f"  {way.name}: {options.faults} faults, {len(HANGS)} hangs")
        found.trials += campaign(way, crashes, options.faults, found.left)
        found.trials += campaign(way, hanging, len(hanging), found.left)


def _peers(options: argparse.Namespace, stocks: Stocks, found: Found) -> None:
    for kind in KINDS:
        say(f"  {kind.name}")
        for way, kinds in peers.LOCAL.items():
            if kind.name in kinds:
                found.trials.append(peers.local(way, kind, found.left))
        if "stock" in stocks and kind.name in peers.STOCK_KINDS:
            found.trials.append(peers.stock(stocks["stock"], kind, found.left))


def _hangs(options: argparse.Namespace, stocks: Stocks, found: Found) -> None:
    found.hangs += hangs.hangs(options.hangs)


def _connections(options: argparse.Namespace, stocks: Stocks, found: Found) -> None:
    def disturb(way: str, late: connections.Pair, cut: connections.Pair, share: int) -> None:
        few = max(1, options.late // share), max(1, options.cuts // share)
        found.late_replies.append(connections.late_replies(way, late, few[0]))
        found.cuts.append(connections.cuts(way, cut, few[1]))

    late_s, cut_s = connections.LATE_S, _CUT_TIMEOUT_S
    for way, codec in (("ours", "binary"), ("ours, JSON", "json")):
        late = connections.our_client(codec, late_s, "inline")  # which is soon ready again
        disturb(way, late, connections.our_client(codec, cut_s), 1)
    for way, python in stocks.items():  # fewer, which is enough to see
        pairs = (connections.stock_client(python, timeout_s) for timeout_s in (late_s, cut_s))
        disturb(way, *pairs, 4)


def _bad_inputs(options: argparse.Namespace, stocks: Stocks, found: Found) -> None:
    number, seconds = options.bad_inputs, options.bad_inputs_time
    found.bad_inputs += bad_inputs.ours(number, seconds, options.seed)
    if "stock" in stocks:
        run = bad_inputs.stock(stocks["stock"], number, seconds / 4, options.seed)
        found.bad_inputs.append(run)


def _endings(options: argparse.Namespace, stocks: Stocks, found: Found) -> None:
    found.terminations += endings.terminations(options.drain_timeout, stocks.get("stock"))
    found.orphans += [endings.orphans_of_ours(), *map(endings.orphans_of, peers.LOCAL)]


def _sessions(options: argparse.Namespace, stocks: Stocks, found: Found) -> None:
    number, seconds = options.sessions, options.sessions_time
    found.growth.append(sessions.grow_ours(number, seconds))
    few = (min(number, _STOCK_SESSIONS), min(seconds, _STOCK_SECONDS))
    for way, python in stocks.items():
        found.growth.append(sessions.grow_stock(way, python, *few))


PARTS: dict[str, Callable[[argparse.Namespace, Stocks, Found], None]] = {
    "campaigns": _campaigns,
    "peers": _peers,
    "hangs": _hangs,
    "connections": _connections,
    "inputs": _bad_inputs,
    "endings": _endings,
    "sessions": _sessions,
}
"""By name; each adds what it finds."""

STOCK = "openenv, open_spiel and gymnasium"
OPTIONS = {
    "only": (tuple(PARTS), "the parts that are run"),
    "faults": (165, "crashes and exceptions in each of our ways"),
    "hangs": (3, "of each kind, whose recovery is timed"),
    "late": (12, "replies that come too late"),
    "cuts": (32, "connections that are cut in the middle of a step"),
    "bad-inputs": (10**6, "messages, as many as fit in the time"),
    "bad-inputs-time": (120.0, "seconds for them, at most"),
    "sessions": (10**4, "opened and closed, as many as fit in the time"),
    "sessions-time": (60.0, "seconds for them, at most"),
    "drain-timeout": (25.0, "seconds of the server that is told to end while a session hangs"),
    "seed": (0, "of the bad inputs"),
    "old-stock-python": (
        ROOT / ".venv-openenv03/bin/python",
        "a Python with openenv-core 0.3, for what differs there, if it is there; the tests make it",
    ),
}
