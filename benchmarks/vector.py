"""Many sub-environments in one message: beside Gymnasium's vector environments and stock OpenEnv.

The cases of each environment play the same seeded episodes in turns. The targets are those of the
project. A figure counts the steps of all sub-environments.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import gymnasium as gym
import numpy as np

from benchmarks.machine import PACKAGES
from benchmarks.plot import draw_curve
from benchmarks.raw_sockets import MessageSizes, ping_pong, tcp_pair, websocket_sizes
from benchmarks.report import (
    Run,
    Table,
    add_count,
    add_output,
    add_stock,
    cases_json,
    compared,
    count,
    say,
    spread,
    summary,
)
from benchmarks.rounds import Case, Group, Player, Ratio, Result, SkippedCase, case, measure
from benchmarks.ways import made, served, stock
from benchmarks.workload import ENV_ID, Played, VectorWorkload
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.launchers import ServerProcess

OURS = f"openenv/{ENV_ID}"
BREAKOUT = "ale_py:ALE/Breakout-v5"
ENVPOOL = "vector:benchmarks.vector:envpool_cartpole"
SLOW = 10  # for how many steps of the others a slow peer plays one
SIZES = (1, 4, 16, 64, 256, 1024)
ENV_STEPS = 50  # so many times `--steps` are the steps of all, in a round of the curve
_FEWEST_STEPS, _MOST_STEPS = 20, 1000

faster = Ratio.faster
RATIOS = (
    faster("embedded_to_sync", "cartpole64.sync", "cartpole64.embedded", 1.3),
    faster("embedded_to_async", "cartpole64.async", "cartpole64.embedded", 10),
    faster("embedded_to_stock", "cartpole64.stock", "cartpole64.embedded", 35),
    faster("ws_to_sync", "cartpole64.sync", "cartpole64.ws", 0.8),
    Ratio(
        name="native_ws_to_limit",
        over={"native256.native": 1, "native256.raw_tcp": 1},
        under={"native256.ws": 1},
        at_least=0.5,
        rate=("native256.ws", 1_000_000),
    ),
    faster("envpool_served", "envpool64.in_process", "envpool64.embedded", 0.4),
    faster("breakout_to_async", "breakout8.async", "breakout8.embedded", 1.0),
    faster("one_to_async", "cartpole1.async", "cartpole1.embedded", 1.5),
    faster("one_to_stock", "cartpole1.stock", "cartpole1.embedded", 6),
    faster("ws_to_stock", "cartpole64.stock", "cartpole64.ws"),
    faster("native_embedded_to_native", "native256.native", "native256.embedded"),
    faster("breakout_to_sync", "breakout8.sync", "breakout8.embedded"),
)


class Line(NamedTuple):
    """One way to step in the curve: its case in a point, and how it is drawn."""

    form: str
    case: str
    label: str
    colour: str
    style: str


LINES = (
    Line("native", "raw_tcp", "raw TCP, as many bytes", "black", ":"),
    Line("native", "in_process", "vector form, in process", "#9aa5b1", "-"),
    Line("native", "embedded", "vector form, embedded", "#2b6cb0", "-"),
    Line("native", "ws", "vector form, WebSocket", "#2b6cb0", "--"),
    Line("sync", "in_process", "SyncVectorEnv, in process", "#c9b79c", "-"),
    Line("sync", "embedded", "one after the other, embedded", "#d9893d", "-"),
    Line("sync", "ws", "one after the other, WebSocket", "#d9893d", "--"),
)
FORMS = {"native": "vector form", "sync": "one after the other"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_count(parser, "rounds", 1000, 9, "of all cases")
    add_count(parser, "steps", 10_000, 400, "a round of CartPole x64, the others in proportion")
    add_stock(parser, "openenv and gymnasium")
    parser.add_argument("--without-curve", action="store_true", help="measure the targets only")
    add_count(parser, "curve-rounds", 1000, 5, "of each point")
    parser.add_argument(
        "--curve-sizes",
        type=count(4096),
        nargs="+",
        default=list(SIZES),
        metavar="N",
        help="numbers of sub-environments (default: %(default)s)",
    )
    add_output(parser, "results/vector.json, results/vector.png")


def play(envs: Any, workload: VectorWorkload) -> Played:
    """Play a round on a ``VectorEnv`` as a training loop would."""
    rows = [np.array(row) for row in workload.actions()]
    episodes, score = 0, 0.0
    obs, _ = envs.reset(seed=workload.seed) if workload.seed is not None else envs.reset()
    started = time.perf_counter()
    for actions in rows:
        obs, rewards, terminated, truncated, _ = envs.step(actions)
        score += float(rewards.sum())
        episodes += int(np.count_nonzero(terminated | truncated))
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, score, digest(obs))


def digest(obs: Any) -> int:
    return crc32(np.ascontiguousarray(obs).tobytes())


def sync(env_id: str, num_envs: int) -> AbstractContextManager[Player]:
    return made(gym.make_vec, play, id=env_id, num_envs=num_envs, vectorization_mode="sync")


def async_(env_id: str, num_envs: int) -> AbstractContextManager[Player]:
    """Its processes are forked from a clean one: ours hold sockets, and spawned ones start late."""
    multiprocessing.set_forkserver_preload(["gymnasium", "gymnasium.vector"])
    options = {"context": "forkserver", "shared_memory": True}
    mode: dict[str, Any] = {"vectorization_mode": "async", "vector_kwargs": options}
    return made(gym.make_vec, play, id=env_id, num_envs=num_envs, **mode)


def native(num_envs: int) -> AbstractContextManager[Player]:
    mode = "vector_entry_point"
    return made(gym.make_vec, play, id=ENV_ID, num_envs=num_envs, vectorization_mode=mode)


def embedded(num_envs: int, **options: Any) -> AbstractContextManager[Player]:
    """Our environments: CartPole, or those that Gymnasium, or a module, knows as ``env_id``."""
    name = "openenv/gymnasium-v0" if "env_id" in options else OURS
    options = {"vectorization": "sync", **options}
    return made(gym.make_vec, play, id=name, num_envs=num_envs, **options)


def ws(num_envs: int, vectorization: str = "sync", **more: Any) -> AbstractContextManager[Player]:
    options = {"num_envs": num_envs, "vectorization": vectorization, **more}
    return served(ENV_ID, [], gym.make_vec, play, id=OURS, **options)


def raw_tcp(num_envs: int) -> AbstractContextManager[Player]:
    return ping_pong(tcp_pair, websocket_sizes(num_envs, "native"))


def envpool_cartpole(num_envs: int, **kwargs: Any) -> Any:
    """Return EnvPool's CartPole, a ``gymnasium.vector.VectorEnv`` that steps in C++ threads."""
    import envpool

    return envpool.make("CartPole-v1", env_type="gymnasium", num_envs=num_envs, **kwargs)


@contextmanager
def needing(
    package: str, open_: Callable[..., AbstractContextManager[Player]], *arguments: Any, **more: Any
) -> Iterator[Player]:
    """What is left out where a package is not installed, or cannot be served."""
    if importlib.util.find_spec(package) is None:
        raise SkippedCase(f"{package} is not installed (pip install {package})")
    importlib.import_module(package)  # it registers its environments
    with ExitStack() as stack:
        try:
            player = stack.enter_context(open_(*arguments, **more))
        except OpenEnvGymError as exc:
            reason = str(exc).partition("\n")[0]
            raise SkippedCase(f"openenv_gym cannot serve it: {reason}") from exc
        yield player


def all_groups(stock_python: Path | None, steps: int) -> list[Group]:
    """Return the groups in the order of the tables; without a stock Python there is no stock.

    Args:
        stock_python: Has OpenEnv.
        steps: A round of the first group; the others are in proportion.
    """
    here, cores = "SyncVectorEnv, in process", "a shard for each core"
    # One pool has threads of its own; the seed is an argument, its resets take none.
    pool = {"env_id": ENVPOOL, "seed": 0, "shards": 1, "vectorization": "auto"}
    frames, few = "AsyncVectorEnv, shared memory", max(SLOW, steps // 4)
    cartpole64 = [
        case("limit", "sync", here, sync, ENV_ID, 64),
        case("peer", "async", "AsyncVectorEnv", async_, ENV_ID, 64, share=SLOW),
        case("ours", "embedded", f"embedded, {cores}", embedded, 64),
        case("ours", "embedded_1", "embedded, one shard", embedded, 64, shards=1),
        case("ours", "ws", f"WebSocket over TCP, {cores}", ws, 64),
        case("ours", "ws_1", "WebSocket over TCP, one shard", ws, 64, shards=1),
        *_stock_cases(stock_python, 64),
    ]
    native256 = [
        case("limit", "native", "its vector form, in process", native, 256),
        case("limit", "raw_tcp", "raw TCP ping-pong", raw_tcp, 256),
        case("ours", "embedded", "embedded", embedded, 256, vectorization="native"),
        case("ours", "ws", "WebSocket over TCP", ws, 256, "native"),
    ]
    in_pool = (needing, "envpool", made, envpool_cartpole, play)
    envpool64 = [
        case("limit", "in_process", "EnvPool, in process", *in_pool, num_envs=64, seed=0),
        case("ours", "embedded", "embedded", needing, "envpool", embedded, 64, **pool),
    ]
    of_atari = (needing, "ale_py", embedded, 8)
    breakout8 = [
        case("limit", "sync", here, needing, "ale_py", sync, BREAKOUT, 8),
        case("peer", "async", frames, needing, "ale_py", async_, BREAKOUT, 8),
        case("ours", "embedded", f"embedded, {cores}", *of_atari, env_id=BREAKOUT),
    ]
    cartpole1 = [
        case("limit", "sync", here, sync, ENV_ID, 1),
        case("peer", "async", "AsyncVectorEnv", async_, ENV_ID, 1),
        case("ours", "embedded", "embedded", embedded, 1),
        *_stock_cases(stock_python, 1),
    ]
    return [
        _group("cartpole64", "CartPole x64", 64, steps, cartpole64),
        _group("native256", "CartPole x256, vector form", 256, steps * 2, native256),
        _group("envpool64", "EnvPool CartPole x64", 64, steps * 4, envpool64, is_seeded=False),
        _group("breakout8", "Breakout x8, 210 x 160 x 3", 8, few, breakout8, choices=4),
        _group("cartpole1", "CartPole x1", 1, steps * 4, cartpole1),
    ]


def _group(
    name: str, label: str, num_envs: int, steps: int, cases: Sequence[Case], **more: Any
) -> Group:
    return Group(name=name, label=label, num_envs=num_envs, steps=steps, cases=cases, **more)


def _stock_cases(python: Path | None, num_envs: int) -> list[Case]:
    if python is None:
        return []

    def last(values: list[float]) -> int:
        return digest(np.array(values, np.float32))

    label = f"stock OpenEnv, {num_envs} session{'s' if num_envs > 1 else ''} awaited"
    where = (stock, python, "cartpole", "vector", num_envs, last)
    return [case("peer", "stock", label, *where, share=SLOW)]


class Point(NamedTuple):
    """What was measured with one number of sub-environments, by their form."""

    num_envs: int
    results: dict[str, Result]
    sizes: dict[str, MessageSizes]  # a step of all of them, on the wire

    def rates(self, line: Line) -> list[float]:
        """Return the steps a second of each round."""
        return [1e6 / time_us for time_us in self.results[line.form].times_us[line.case]]

    def bytes_per_step(self, form: str) -> float:
        return sum(self.sizes[form]) / self.num_envs


def measure_curve(sizes: Sequence[int], rounds: int, env_steps: int) -> list[Point]:
    """Measure each number of ``sizes``, with about ``env_steps`` steps a round."""
    with ServerProcess(ENV_ID) as server:
        points = []
        for num in sizes:
            groups = _curve_groups(num, env_steps, server.base_url)
            results = {form: measure(group, rounds, say) for form, group in groups.items()}
            points.append(Point(num, results, {form: websocket_sizes(num, form) for form in FORMS}))
        return points


def _curve_groups(num: int, env_steps: int, url: str) -> dict[str, Group]:
    steps = min(max(env_steps // num, _FEWEST_STEPS), _MOST_STEPS)
    form = {"vectorization": "native"}
    one_by_one = [
        case("limit", "in_process", "in process", sync, ENV_ID, num),
        case("ours", "embedded", "embedded", embedded, num),
        case("ours", "ws", "WebSocket over TCP", embedded, num, base_url=url),
    ]
    arrays = [
        case("limit", "in_process", "in process", native, num),
        case("limit", "raw_tcp", "raw TCP", raw_tcp, num),
        case("ours", "embedded", "embedded", embedded, num, **form),
        case("ours", "ws", "WebSocket", embedded, num, base_url=url, **form),
    ]
    label, few = f"curve, CartPole x{num}", min(4 * steps, _MOST_STEPS)
    return {
        "sync": _group(f"sync{num}", label, num, steps, one_by_one),
        "native": _group(f"native{num}", f"{label}, vector form", num, few, arrays),
    }


def run(options: argparse.Namespace) -> None:
    run = Run("vector", options, (*PACKAGES, "ale-py", "envpool"))
    results = [
        measure(group, options.rounds, say) for group in all_groups(run.python, options.steps)
    ]
    times = {
        f"{result.group.name}.{name}": values
        for result in results
        for name, values in result.times_us.items()
    }
    sizes = [] if options.without_curve else options.curve_sizes
    env_steps = ENV_STEPS * options.steps
    curve = measure_curve(sizes, options.curve_rounds, env_steps) if sizes else []
    ratios, ratio_table = compared(RATIOS, times)
    data = {
        "rounds": options.rounds,
        "groups": [_group_json(result) for result in results],
        "ratios": ratios,
        "curve": {"rounds": options.curve_rounds, "points": [_point_json(one) for one in curve]},
    }
    about, tables, picture = f"{options.rounds} rounds.", [rate_table(results), ratio_table], ""
    if curve:
        about = f"{options.rounds} rounds, {options.curve_rounds} of each point of the curve."
        tables.append(curve_table(curve))
        picture = "![steps a second and bytes a step](results/vector.png)"
    skipped = [
        f"{result.group.name}.{name} is left out: {reason}."
        for result in results
        for name, reason in result.skipped.items()
    ]
    run.publish(data, tables, about, skipped, picture)
    if curve:
        draw_curve(curve, LINES, FORMS, run.footer, run.folder / "results/vector.png")


def _group_json(result: Result) -> dict[str, Any]:
    group = result.group
    head = {"name": group.name, "label": group.label, "num_envs": group.num_envs}
    cases = cases_json(result, "us_per_env_step", digits=4)
    return {**head, "cases": cases, "skipped": result.skipped}


def _point_json(point: Point) -> dict[str, Any]:
    lines = [
        {
            "form": line.form,
            "case": line.case,
            "label": line.label,
            **summary("env_steps_per_s", point.rates(line), digits=1),
        }
        for line in LINES
    ]
    sizes = {form: sizes._asdict() for form, sizes in point.sizes.items()}
    return {"num_envs": point.num_envs, "bytes": sizes, "lines": lines}


def rate_table(results: Sequence[Result]) -> Table:
    rows = []
    for result in results:
        for one in result.group.cases:
            texts = [f"{result.group.label}: {one.label}", f"{result.group.name}.{one.name}"]
            if one.name in result.skipped:
                rows.append([*texts, "left out", "", "", ""])
                continue
            median, low, high = spread(result.times_us[one.name])
            figures = [1e6 / median, 1e6 / high, 1e6 / low, median * result.group.num_envs]
            rows.append([*texts, *(f"{figure:,.0f}" for figure in figures)])
    heads = ["steps a second of", "name", "median", "min", "max", "µs, all of them"]
    return Table(heads=heads, rows=rows, texts=2)


def curve_table(curve: Sequence[Point]) -> Table:
    """Medians of steps a second, and bytes of a step of one sub-environment."""
    heads = ["CartPole, steps/s", *(f"x{point.num_envs}" for point in curve)]
    rows = [
        [line.label, *(f"{spread(point.rates(line))[0]:,.0f}" for point in curve)] for line in LINES
    ]
    for form, label in FORMS.items():
        rows.append([f"bytes, {label}", *(f"{one.bytes_per_step(form):.1f}" for one in curve)])
    return Table(heads=heads, rows=rows)
