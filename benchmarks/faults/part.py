"""Faults on purpose: whose training goes on, who else is harmed, and how soon it is over.

Environments fail in every way of ours and in stock OpenEnv; servers get messages that no client
sends, are told to end while a session hangs, are killed, and open and close many sessions. A
default run takes about a quarter of an hour.
"""

import argparse
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks.children import BenchmarkError
from benchmarks.faults import bad_inputs, endings, hangs, peers, sessions
from benchmarks.faults.board import Found, all_tables, rows
from benchmarks.faults.campaign import campaign
from benchmarks.faults.cases import CRASHES, HANGS, NUM_ENVS
from benchmarks.faults.ways import WAYS
from benchmarks.report import Run
from benchmarks.rounds import say


def run(options: argparse.Namespace) -> None:
    run = Run("faults", options, stock_modules=["pyspiel"])
    found, seconds, failed = Found(), dict[str, float](), dict[str, str]()
    if unknown := set(options.only) - PARTS.keys():
        raise BenchmarkError(f"--only: expected of {', '.join(PARTS)}, got {', '.join(unknown)}")
    for part in options.only:
        say(f"{part} ...")
        began = time.perf_counter()
        try:
            PARTS[part](options, run.python, found)
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


def _campaigns(options: argparse.Namespace, stock: Path | None, found: Found) -> None:
    for way in WAYS:
        say(f"  {way.name}: {options.faults} faults, {len(HANGS)} hangs")
        found.trials += campaign(way, CRASHES, options.faults, found.left)
        found.trials += campaign(way, HANGS, len(HANGS), found.left)


def _peers(options: argparse.Namespace, stock: Path | None, found: Found) -> None:
    if stock is not None:
        found.trials += [peers.trial(stock, kind, found.left) for kind in peers.STOCK_KINDS]


def _hangs(options: argparse.Namespace, stock: Path | None, found: Found) -> None:
    found.hangs += hangs.hangs(options.hangs)


def _bad_inputs(options: argparse.Namespace, stock: Path | None, found: Found) -> None:
    number, seconds = options.bad_inputs, options.bad_inputs_time
    found.bad_inputs += bad_inputs.ours(number, seconds, options.seed)
    if stock is not None:
        found.bad_inputs.append(bad_inputs.stock(stock, number, seconds / 4, options.seed))


def _endings(options: argparse.Namespace, stock: Path | None, found: Found) -> None:
    found.terminations.append(endings.termination(options.drain_timeout))
    found.orphans.append(endings.orphans())


def _sessions(options: argparse.Namespace, stock: Path | None, found: Found) -> None:
    found.growth.append(sessions.grow(options.sessions, options.sessions_time))


PARTS: dict[str, Callable[[argparse.Namespace, Path | None, Found], None]] = {
    "campaigns": _campaigns,
    "peers": _peers,
    "hangs": _hangs,
    "inputs": _bad_inputs,
    "endings": _endings,
    "sessions": _sessions,
}
"""By name; each adds what it finds, of stock OpenEnv too where there is a Python that has it."""

STOCK = "openenv, open_spiel and gymnasium"
OPTIONS = {
    "only": (tuple(PARTS), "the parts that are run"),
    "faults": (200, "crashes and exceptions in each of our ways"),
    "hangs": (3, "of each kind, whose recovery is timed"),
    "bad-inputs": (10**6, "messages, as many as fit in the time"),
    "bad-inputs-time": (120.0, "seconds for them, at most"),
    "sessions": (10**4, "opened and closed, as many as fit in the time"),
    "sessions-time": (60.0, "seconds for them, at most"),
    "drain-timeout": (25.0, "seconds of the server that is told to end while a session hangs"),
    "seed": (0, "of the bad inputs"),
}
