"""Many sub-environments in one message: beside Gymnasium's vector environments and stock OpenEnv.

The cases of each environment play the same seeded episodes in turns. The targets are those of the
project. A figure counts the steps of all sub-environments.
"""

import argparse
import importlib
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks import report
from benchmarks.raw_sockets import ping_pong, tcp_pair, websocket_sizes
from benchmarks.rounds import Group, Opened, Player, Ratio, Result, SkippedCase, case, measure
from benchmarks.ways import digest, made, served, stock_cases
from benchmarks.workload import ENV_ID, Played, VectorWorkload
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.launchers import ServerProcess

OURS = f"openenv/{ENV_ID}"
BREAKOUT = "ale_py:ALE/Breakout-v5"
NATIVE = "vector_entry_point"  # Gymnasium's name for the vector form that an environment has
ENVPOOL = "vector:benchmarks.vector:envpool_cartpole"
SLOW = 10  # for how many steps of the others a slow peer plays one
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

STOCK = "openenv and gymnasium"
OPTIONS = {
    "rounds": (9, "of all cases"),
    "steps": (400, "a round of CartPole x64, the others in proportion"),
    "without-curve": (False, "measure the targets only"),
    "curve-rounds": (5, "of each point"),
    "curve-sizes": ((1, 4, 16, 64, 256, 1024), "numbers of sub-environments"),
}


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


def theirs(env_id: str, num_envs: int, mode: str = "sync", **options: Any) -> Opened:
    """A vector environment of Gymnasium."""
    options |= {"id": env_id, "num_envs": num_envs, "vectorization_mode": mode}
    return made(gym.make_vec, play, **options)


def async_(env_id: str, num_envs: int) -> Opened:
    """Its processes are forked from a clean one: ours hold sockets, and spawned ones start late."""
    multiprocessing.set_forkserver_preload(["gymnasium", "gymnasium.vector"])
    options = {"context": "forkserver", "shared_memory": True}
    return theirs(env_id, num_envs, "async", vector_kwargs=options)


def embedded(num_envs: int, **options: Any) -> Opened:
    """Our environments: CartPole, or those that Gymnasium, or a module, knows as ``env_id``."""
    name = "openenv/gymnasium-v0" if "env_id" in options else OURS
    options = {"vectorization": "sync", **options}
    return made(gym.make_vec, play, id=name, num_envs=num_envs, **options)


def ws(num_envs: int, vectorization: str = "sync", **more: Any) -> Opened:
    options = {"num_envs": num_envs, "vectorization": vectorization, **more}
    return served(ENV_ID, [], gym.make_vec, play, id=OURS, **options)


def envpool_cartpole(num_envs: int, **kwargs: Any) -> Any:
    """Return EnvPool's CartPole, a ``gymnasium.vector.VectorEnv`` that steps in C++ threads."""
    import envpool

    return envpool.make("CartPole-v1", env_type="gymnasium", num_envs=num_envs, **kwargs)


@contextmanager
def needing(
    package: str, open_: Callable[..., Opened], *arguments: Any, **more: Any
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
    here, cores, few = "SyncVectorEnv, in process", "a shard for each core", max(SLOW, steps // 4)
    # One pool has threads of its own; the seed is an argument, its resets take none.
    pool = {"env_id": ENVPOOL, "seed": 0, "shards": 1, "vectorization": "auto"}
    sizes = websocket_sizes(256, "native")
    in_pool, atari = (needing, "envpool"), (needing, "ale_py")
    cartpole64 = [
        case("limit", "sync", here, theirs, ENV_ID, 64),
        case("peer", "async", "AsyncVectorEnv", async_, ENV_ID, 64, share=SLOW),
        case("ours", "embedded", f"embedded, {cores}", embedded, 64),
        case("ours", "embedded_1", "embedded, one shard", embedded, 64, shards=1),
        case("ours", "ws", f"WebSocket over TCP, {cores}", ws, 64),
        case("ours", "ws_1", "WebSocket over TCP, one shard", ws, 64, shards=1),
        *stock_cases(stock_python, "cartpole", 64, SLOW),
    ]
    native256 = [
        case("limit", "native", "its vector form, in process", theirs, ENV_ID, 256, NATIVE),
        case("limit", "raw_tcp", "raw TCP ping-pong", ping_pong, tcp_pair, sizes),
        case("ours", "embedded", "embedded", embedded, 256, vectorization="native"),
        case("ours", "ws", "WebSocket over TCP", ws, 256, "native"),
    ]
    local = (*in_pool, made, envpool_cartpole, play)
    envpool64 = [
        case("limit", "in_process", "EnvPool, in process", *local, num_envs=64, seed=0),
        case("ours", "embedded", "embedded", *in_pool, embedded, 64, **pool),
    ]
    breakout8 = [
        case("limit", "sync", here, *atari, theirs, BREAKOUT, 8),
        case("peer", "async", "AsyncVectorEnv, shared memory", *atari, async_, BREAKOUT, 8),
        case("ours", "embedded", f"embedded, {cores}", *atari, embedded, 8, env_id=BREAKOUT),
    ]
    cartpole1 = [
        case("limit", "sync", here, theirs, ENV_ID, 1),
        case("peer", "async", "AsyncVectorEnv", async_, ENV_ID, 1),
        case("ours", "embedded", "embedded", embedded, 1),
        *stock_cases(stock_python, "cartpole", 1, SLOW),
    ]
    return [
        Group(cartpole64, steps, "CartPole x64", "cartpole64", 64),
        Group(native256, steps * 2, "CartPole x256, vector form", "native256", 256),
        Group(envpool64, steps * 4, "EnvPool CartPole x64", "envpool64", 64, is_seeded=False),
        Group(breakout8, few, "Breakout x8, 210 x 160 x 3", "breakout8", 8, choices=4),
        Group(cartpole1, steps * 4, "CartPole x1", "cartpole1", 1),
    ]


def curve_groups(num: int, env_steps: int, url: str) -> list[Group]:
    """Return the groups of CartPole with ``num`` sub-environments, both of its forms.

    A round has about ``env_steps`` steps; ``url`` is that of a server of ours.
    """
    steps = min(max(env_steps // num, _FEWEST_STEPS), _MOST_STEPS)
    form, label, few = {"vectorization": "native"}, f"CartPole x{num}", min(4 * steps, _MOST_STEPS)
    sizes = websocket_sizes(num, "native")
    one_by_one = [
        case("limit", "in_process", "SyncVectorEnv, in process", theirs, ENV_ID, num),
        case("ours", "embedded", "embedded", embedded, num),
        case("ours", "ws", "WebSocket over TCP", embedded, num, base_url=url),
    ]
    arrays = [
        case("limit", "in_process", "its vector form, in process", theirs, ENV_ID, num, NATIVE),
        case("limit", "raw_tcp", "raw TCP, as many bytes", ping_pong, tcp_pair, sizes),
        case("ours", "embedded", "embedded", embedded, num, **form),
        case("ours", "ws", "WebSocket over TCP", embedded, num, base_url=url, **form),
    ]
    return [
        Group(one_by_one, steps, label, f"sync{num}", num),
        Group(arrays, few, f"{label}, vector form", f"native{num}", num),
    ]


def run(options: argparse.Namespace) -> None:
    run = report.Run("vector", options, (*report.PACKAGES, "ale-py", "envpool"))
    groups = all_groups(run.python, options.steps)
    results = [measure(group, options.rounds) for group in groups]
    times, curve = {}, []
    for result in results:
        times |= {f"{result.group.name}.{name}": us for name, us in result.times_us.items()}
    about, sizes = f"{options.rounds} rounds", [] if options.without_curve else options.curve_sizes
    if sizes:
        about += f", {options.curve_rounds} of each point of the curve"
        with ServerProcess(ENV_ID) as server:
            for num in sizes:
                for group in curve_groups(num, ENV_STEPS * options.steps, server.base_url):
                    curve.append(measure(group, options.curve_rounds))
    nbytes = {
        f"{form}{num}": websocket_sizes(num, form) for num in sizes for form in ("sync", "native")
    }
    ratios, ratio_table = report.compared(RATIOS, times)
    data = {
        "rounds": options.rounds,
        "groups": [_group_json(result) for result in results],
        "ratios": ratios,
        "curve": [_group_json(result) for result in curve],
        "bytes": {name: sizes._asdict() for name, sizes in nbytes.items()},
    }
    skipped = [
        f"{result.group.name}.{name} is left out: {reason}."
        for result in results
        for name, reason in result.skipped.items()
    ]
    rows = [[name, str(one.request), str(one.reply)] for name, one in nbytes.items()]
    size_table = report.Table(["bytes of a step on a WebSocket", "request", "reply"], rows)
    tables = [rate_table(results), ratio_table, rate_table(curve), size_table]
    run.publish(data, tables, f"{about}.", skipped)


def _group_json(result: Result) -> dict[str, Any]:
    group = result.group
    head = {"name": group.name, "label": group.label, "num_envs": group.num_envs}
    cases = report.cases_json(result, "us_per_env_step", digits=4)
    return {**head, "cases": cases, "skipped": result.skipped}


def rate_table(results: Sequence[Result]) -> report.Table:
    rows = []
    for group, times, skipped in results:
        for one in group.cases:
            texts = [f"{group.label}: {one.label}", f"{group.name}.{one.name}"]
            if one.name in skipped:
                rows.append([*texts, "left out", "", "", ""])
                continue
            median, low, high = report.spread(times[one.name])
            figures = [1e6 / median, 1e6 / high, 1e6 / low, median * group.num_envs]
            rows.append([*texts, *(f"{figure:,.0f}" for figure in figures)])
    heads = ["steps a second of", "name", "median", "min", "max", "µs, all of them"]
    return report.Table(heads, rows, texts=2)
