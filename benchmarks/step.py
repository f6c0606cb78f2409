"""One step of CartPole: beside its physical limits, its peers, and stock OpenEnv.

All cases play the same seeded episodes in turns. The targets are those of the project.
"""

from __future__ import annotations

import argparse

from benchmarks import cold_start
from benchmarks.cases import all_cases
from benchmarks.machine import load_average, now, this_machine
from benchmarks.options import add_output, add_rounds, add_steps, add_stock, count, say
from benchmarks.raw_sockets import message_sizes
from benchmarks.report import Report, write
from benchmarks.rounds import Ratio, measure
from benchmarks.stock_python import stock_python, stock_versions
from benchmarks.ways import stay_here

RATIOS = (
    Ratio(
        name="embedded_to_limit",
        over={"embedded": 1},
        under={"raw_unix": 2, "in_process": 1},
        at_most=1.0,
    ),
    Ratio(
        name="inline_faster_than_stock",
        over={"stock": 1},
        under={"ws_inline": 1},
        at_least=3.0,
    ),
    Ratio(
        name="process_faster_than_stock",
        over={"stock": 1},
        under={"ws_process": 1},
        at_least=2.0,
    ),
    Ratio(
        name="embedded_faster_than_stock",
        over={"stock": 1},
        under={"embedded": 1},
    ),
    Ratio(
        name="embedded_faster_than_async_vector",
        over={"async_vector": 1},
        under={"embedded": 1},
    ),
    Ratio(
        name="inline_faster_than_stock_async",
        over={"stock_async": 1},
        under={"ws_inline": 1},
    ),
    Ratio(
        name="process_faster_than_stock_async",
        over={"stock_async": 1},
        under={"ws_process": 1},
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_rounds(parser, default=21)
    add_steps(parser)
    parser.add_argument(
        "--cold-runs", type=count(100), default=9, help="cold starts (default: %(default)s)"
    )
    add_stock(parser, "openenv and gymnasium")
    add_output(parser, "results/step.json, results/step.png")


def run(options: argparse.Namespace) -> None:
    stay_here()
    python = None if options.without_stock else stock_python(options.stock_python)
    stock = None if python is None else stock_versions(python)
    started, load = now(), load_average()
    result = measure(all_cases(python), options.rounds, options.steps, say)
    cold = cold_start.measure(options.cold_runs, say)
    report = Report(
        result=result,
        ratios=[ratio for ratio in RATIOS if ratio.cases <= result.times_us.keys()],
        cold_s=cold,
        message_bytes=message_sizes(),
        machine=this_machine(),
        stock_versions=stock,
        date=started,
        load_average_start=load,
        load_average_end=load_average(),
    )
    write(report, options.output)
