"""Many sub-environments in one message: beside Gymnasium's vector environments and stock OpenEnv.

The cases of each environment play the same seeded episodes in turns. The targets are those of the
project. A figure counts the steps of all sub-environments.
"""

from __future__ import annotations

import argparse

from benchmarks.machine import PACKAGES, load_average, now, this_machine
from benchmarks.options import add_output, add_rounds, add_stock, count, say
from benchmarks.rounds import Ratio
from benchmarks.stock_python import stock_python, stock_versions
from benchmarks.vector_cases import all_groups
from benchmarks.vector_curve import SIZES, measure_curve
from benchmarks.vector_report import Target, VectorReport, write
from benchmarks.vector_rounds import measure
from benchmarks.ways import stay_here

ENV_STEPS = 50
"""So many times ``--steps`` are the steps of all sub-environments, in a round of the curve."""


def faster(name: str, than: str, ours: str, at_least: float | None = None) -> Target:
    """How many times as fast as ``than`` is ``ours``."""
    ratio = Ratio(name=name, over={than: 1}, under={ours: 1}, at_least=at_least)
    return Target(ratio=ratio)


NATIVE_LIMIT = Ratio(
    name="native_ws_to_limit",
    over={"native256.native": 1, "native256.raw_tcp": 1},
    under={"native256.ws": 1},
    at_least=0.5,
)
TARGETS = (
    faster("embedded_to_sync", "cartpole64.sync", "cartpole64.embedded", 1.3),
    faster("embedded_to_async", "cartpole64.async", "cartpole64.embedded", 10),
    faster("embedded_to_stock", "cartpole64.stock", "cartpole64.embedded", 35),
    faster("ws_to_sync", "cartpole64.sync", "cartpole64.ws", 0.8),
    Target(ratio=NATIVE_LIMIT, rate=1_000_000, rate_of="native256.ws"),
    faster("envpool_served", "envpool64.in_process", "envpool64.embedded", 0.4),
    faster("breakout_to_async", "breakout8.async", "breakout8.embedded", 1.0),
    faster("one_to_async", "cartpole1.async", "cartpole1.embedded", 1.5),
    faster("one_to_stock", "cartpole1.stock", "cartpole1.embedded", 6),
    faster("ws_to_stock", "cartpole64.stock", "cartpole64.ws"),
    faster("native_embedded_to_native", "native256.native", "native256.embedded"),
    faster("breakout_to_sync", "breakout8.sync", "breakout8.embedded"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_rounds(parser, default=9)
    parser.add_argument(
        "--steps",
        type=count(10_000),
        default=400,
        help="a round of CartPole x64, the others in proportion (default: %(default)s)",
    )
    add_stock(parser, "openenv and gymnasium")
    parser.add_argument("--without-curve", action="store_true", help="measure the targets only")
    parser.add_argument(
        "--curve-rounds", type=count(1000), default=5, help="of each point (default: %(default)s)"
    )
    parser.add_argument(
        "--curve-sizes",
        type=count(4096),
        nargs="+",
        default=list(SIZES),
        metavar="N",
        help="numbers of sub-environments (default: %(default)s)",
    )
    add_output(parser, "results/vector.json, results/vector.png")


def run(options: argparse.Namespace) -> None:
    stay_here()
    python = None if options.without_stock else stock_python(options.stock_python)
    stock = None if python is None else stock_versions(python)
    started, load = now(), load_average()
    groups = all_groups(python, options.steps)
    results = [measure(group, options.rounds, say) for group in groups]
    sizes = [] if options.without_curve else options.curve_sizes
    env_steps = ENV_STEPS * options.steps
    report = VectorReport(
        groups=results,
        targets=TARGETS,
        curve=measure_curve(sizes, options.curve_rounds, env_steps, say) if sizes else [],
        rounds=options.rounds,
        curve_rounds=options.curve_rounds,
        machine=this_machine((*PACKAGES, "ale-py", "envpool")),
        stock_versions=stock,
        date=started,
        load_average_start=load,
        load_average_end=load_average(),
    )
    write(report, options.output)
