"""Faults on purpose: whose training goes on, who else is harmed, and how soon it is over.

Four environments step in turns, and one of them fails by plan, again and again. The others must
give what they give without faults, to the last bit. Gymnasium's AsyncVectorEnv and stock OpenEnv
get the same faults. Last, many sessions are opened and closed, each tenth crashing.
"""

from __future__ import annotations

import argparse

from benchmarks.faults_cases import KINDS, Trial
from benchmarks.faults_growth import grow
from benchmarks.faults_ours import WAYS, campaign
from benchmarks.faults_peers import async_vector, stock
from benchmarks.faults_report import FaultsReport, write
from benchmarks.machine import load_average, now, this_machine
from benchmarks.options import add_output, add_stock, count, say
from benchmarks.stock_python import stock_python, stock_versions
from benchmarks.ways import stay_here


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--faults",
        type=count(10_000),
        default=50,
        help="of each kind, for each of our ways (default: %(default)s)",
    )
    parser.add_argument(
        "--hangs",
        type=count(1000),
        default=5,
        help="likewise, of the kinds that end by a deadline of a second (default: %(default)s)",
    )
    parser.add_argument(
        "--sessions",
        type=count(100_000),
        default=200,
        help="that are opened and closed on one server (default: %(default)s)",
    )
    add_stock(parser, "openenv and gymnasium")
    add_output(parser, "results/faults.json")


def run(options: argparse.Namespace) -> None:
    stay_here()
    python = None if options.without_stock else stock_python(options.stock_python)
    versions = None if python is None else stock_versions(python)
    started, load = now(), load_average()
    trials: list[Trial] = []
    for kind in KINDS:
        say(f"{kind.name} ...")
        faults = options.hangs if kind.is_hang else options.faults
        trials += [campaign(way, kind, faults) for way in WAYS]
        trials.append(async_vector(kind))
        if python is not None:
            trials.append(stock(kind, python))
    say(f"{options.sessions} sessions ...")
    report = FaultsReport(
        trials=trials,
        growth=grow(options.sessions),
        machine=this_machine(),
        stock_versions=versions,
        date=started,
        load_average_start=load,
        load_average_end=load_average(),
    )
    write(report, options.output)
