"""One step of CartPole: beside its physical limits, its peers, and stock OpenEnv.

All cases play the same seeded episodes in turns. The targets are those of the project.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks import report
from benchmarks.children import Child
from benchmarks.raw_sockets import message_sizes, ping_pong, socket, tcp_pair
from benchmarks.rounds import Case, Group, Ratio, case, measure, say, take_turns
from benchmarks.ways import made, served, stock_cases
from benchmarks.workload import ENV_ID, Played, Workload

OURS = f"openenv/{ENV_ID}"
LIMIT = {"raw_unix": 2, "in_process": 1}
RATIOS = (
    Ratio(name="embedded_to_limit", over={"embedded": 1}, under=LIMIT, at_most=1.0),
    Ratio.faster("inline_faster_than_stock", "stock", "ws_inline", 3.0),
    Ratio.faster("process_faster_than_stock", "stock", "ws_process", 2.0),
    Ratio.faster("embedded_faster_than_stock", "stock", "embedded"),
    Ratio.faster("embedded_faster_than_async_vector", "async_vector", "embedded"),
    Ratio(name="cold_start", over={"cold.embedded": 1}, unit="s", at_most=1.0),
)

COLD = {
    "cold.in_process": ("gymnasium", ENV_ID),
    "cold.embedded": ("gymnasium, openenv_gym", OURS),
}
COLD_SCRIPT = """
import {}
env = gymnasium.make({!r})
env.reset(seed=0)
env.step(env.action_space.sample())
print("stepped", flush=True)
env.close()
"""

STOCK = "openenv and gymnasium"
OPTIONS = {
    "rounds": (21, "of all cases"),
    "steps": (2000, "a round"),
    "cold-runs": (9, "cold starts"),
}


def play(env: Any, workload: Workload) -> Played:
    """Play a round as a training loop would, with the actions that a ``Discrete`` samples."""
    actions, episodes, score = [np.int64(action) for action in workload.actions()], 0, 0.0
    obs, _ = env.reset(seed=workload.seed)
    started = time.perf_counter()
    for action in actions:
        obs, reward, terminated, truncated, _ = env.step(action)
        score += float(reward)
        if terminated or truncated:
            episodes += 1
            obs, _ = env.reset()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, score, tuple(obs.tolist()))


def play_vector(envs: Any, workload: Workload) -> Played:
    """Play the same round on one sub-environment, whose reset is a step of its own."""
    actions, episodes, score = [np.array([action]) for action in workload.actions()], 0, 0.0
    obs, _ = envs.reset(seed=workload.seed)
    started = time.perf_counter()
    for action in actions:
        obs, rewards, terminated, truncated, _ = envs.step(action)
        score += float(rewards[0])
        if terminated[0] or truncated[0]:
            episodes += 1
            obs, *_ = envs.step(action)
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, score, tuple(obs[0].tolist()))


def all_cases(stock_python: Path | None) -> list[Case]:
    """Return the cases in the order of the tables; without a stock Python there is no stock."""

    def ours(name: str, label: str, isolation: str, **options: Any) -> Case:
        server = (served, ENV_ID, [f"--isolation={isolation}"])
        return case("ours", name, label, *server, gym.make, play, id=OURS, **options)

    # Spawned, because a forked child would inherit the sockets of the other cases.
    options = {"vectorization_mode": "async", "vector_kwargs": {"context": "spawn"}}
    vector, spawned = (gym.make_vec, play_vector), {"id": ENV_ID, "num_envs": 1, **options}
    sizes, unix = message_sizes(), socket.socketpair
    cases = [
        case("limit", "in_process", "in process", made, gym.make, play, id=ENV_ID),
        case("limit", "raw_unix", "raw Unix socket ping-pong", ping_pong, unix, sizes),
        case("limit", "raw_tcp", "raw TCP ping-pong", ping_pong, tcp_pair, sizes),
        case("peer", "async_vector", "AsyncVectorEnv, one env", made, *vector, **spawned),
        case("ours", "embedded", "embedded", made, gym.make, play, id=OURS),
        ours("ws_inline", "WebSocket, inline", "inline"),
        ours("ws_thread", "WebSocket, thread", "thread"),
        ours("ws_process", "WebSocket, process", "process"),
        ours("ws_unix", "WebSocket on a Unix socket", "process", unix=True),
        ours("ws_json", "WebSocket, process, JSON", "process", codec="json"),
    ]
    return [*cases, *stock_cases(stock_python, "cartpole")]


def run(options: argparse.Namespace) -> None:
    run = report.Run("step", options)
    result = measure(Group(all_cases(run.python), options.steps, ENV_ID), options.rounds)
    cold_s, sizes = cold_starts(options.cold_runs), message_sizes()
    ratios, ratio_table = report.compared(RATIOS, result.times_us | cold_s)
    data = {
        "rounds": options.rounds,
        "steps_per_round": options.steps,
        "message_bytes": sizes._asdict(),
        "cases": report.cases_json(result, "us_per_step"),
        "ratios": ratios,
        "cold_start": {name: report.summary("seconds", s, digits=4) for name, s in cold_s.items()},
    }
    rows = [[name, *(f"{s:.2f}" for s in report.spread(runs))] for name, runs in cold_s.items()]
    heads = ["first step from a cold start", "median s", "min s", "max s"]
    cold_table = report.Table(heads, rows)
    tables = [report.times_table("one CartPole step", result), cold_table, ratio_table]
    about = f"{options.rounds} rounds of {options.steps} steps; cold starts: {options.cold_runs}."
    note = f"A request of the raw sockets has {sizes.request} bytes and a reply {sizes.reply}"
    run.publish(data, tables, about, [f"{note}, as ours have."])


def cold_starts(runs: int) -> dict[str, list[float]]:
    """Return the seconds from the start of a Python process to the end of its first step."""

    def start(name: str, number: int = 0) -> float:
        command = [sys.executable, "-c", COLD_SCRIPT.format(*COLD[name])]
        started = time.perf_counter()
        with Child(name, command) as child:
            child.line()
            return time.perf_counter() - started

    say("cold starts: warming the file cache")
    for name in COLD:
        start(name)
    return take_turns({name: partial(start, name) for name in COLD}, runs)
