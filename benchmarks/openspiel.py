"""One step of tic_tac_toe: beside bare pyspiel calls, its peers, and stock OpenEnv.

All cases play the same seeded episodes in turns. The targets are those of the project.
"""

from __future__ import annotations

import argparse

from benchmarks.machine import PACKAGES, load_average, now, this_machine
from benchmarks.options import add_output, add_rounds, add_steps, add_stock, say
from benchmarks.rounds import Ratio, measure
from benchmarks.spiel_cases import all_cases
from benchmarks.spiel_report import SpielReport, write
from benchmarks.stock_python import stock_python, stock_versions
from benchmarks.ways import stay_here

RATIOS = (
    Ratio(name="in_process_to_bare", over={"in_process": 1}, under={"bare": 1}, at_most=1.5),
    Ratio(
        name="embedded_faster_than_stock",
        over={"stock": 1},
        under={"embedded": 1},
        at_least=5.0,
    ),
    Ratio(
        name="process_faster_than_stock",
        over={"stock": 1},
        under={"ws_process": 1},
        at_least=5.0,
    ),
    Ratio(name="inline_faster_than_stock", over={"stock": 1}, under={"ws_inline": 1}),
    Ratio(name="json_faster_than_stock", over={"stock": 1}, under={"ws_json": 1}),
    Ratio(name="process_faster_than_stock_async", over={"stock_async": 1}, under={"ws_process": 1}),
    Ratio(
        name="in_process_faster_than_rl_environment",
        over={"rl_environment": 1},
        under={"in_process": 1},
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_rounds(parser, default=21)
    add_steps(parser)
    add_stock(parser, "openenv, gymnasium and open_spiel")
    add_output(parser, "results/openspiel.json")


def run(options: argparse.Namespace) -> None:
    stay_here()
    python = None if options.without_stock else stock_python(options.stock_python)
    stock = None if python is None else stock_versions(python, "open_spiel")
    started, load = now(), load_average()
    result = measure(all_cases(python), options.rounds, options.steps, say)
    report = SpielReport(
        result=result,
        ratios=[ratio for ratio in RATIOS if ratio.cases <= result.times_us.keys()],
        machine=this_machine((*PACKAGES, "open-spiel")),
        stock_versions=stock,
        date=started,
        load_average_start=load,
        load_average_end=load_average(),
    )
    write(report, options.output)
