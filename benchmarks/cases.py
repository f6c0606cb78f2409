"""The ways to step CartPole: what each case starts, and how it plays a round."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.raw_sockets import ping_pong, tcp_pair, unix_pair
from benchmarks.rounds import Case, Player
from benchmarks.ways import Served, case, made, stock_cases
from benchmarks.workload import ENV_ID, Played, Workload


def play(env: gym.Env[Any, Any], workload: Workload) -> Played:
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
    return Played(seconds, episodes, tuple(obs.tolist()), score)


def play_vector(envs: gym.vector.VectorEnv[Any, Any, Any], workload: Workload) -> Played:
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
    return Played(seconds, episodes, tuple(obs[0].tolist()), score)


@contextmanager
def async_vector() -> Iterator[Player]:
    # Spawned, because a forked child would inherit the sockets of the other cases.
    options = {"context": "spawn"}
    envs = gym.make_vec(ENV_ID, num_envs=1, vectorization_mode="async", vector_kwargs=options)
    try:
        yield lambda workload: play_vector(envs, workload)
    finally:
        envs.close()


SERVED = Served(environment=ENV_ID, env_id=f"openenv/{ENV_ID}", play=play)


def all_cases(stock_python: Path | None) -> list[Case]:
    """Return the cases in the order of the tables; without a stock Python there is no stock."""
    serve = SERVED.open
    cases = [
        case("limit", "in_process", "in process", lambda: made(lambda: gym.make(ENV_ID), play)),
        case("limit", "raw_unix", "raw Unix socket ping-pong", lambda: ping_pong(unix_pair())),
        case("limit", "raw_tcp", "raw TCP ping-pong", lambda: ping_pong(tcp_pair())),
        case("peer", "async_vector", "AsyncVectorEnv, one env", async_vector),
        case("ours", "embedded", "embedded", SERVED.embedded),
        case("ours", "ws_inline", "WebSocket, inline", lambda: serve("inline")),
        case("ours", "ws_thread", "WebSocket, thread", lambda: serve("thread")),
        case("ours", "ws_process", "WebSocket, process", lambda: serve("process")),
        case("ours", "ws_unix", "WebSocket on a Unix socket", lambda: serve("process", unix=True)),
        case("ours", "ws_json", "WebSocket, process, JSON", lambda: serve("process", "json")),
    ]
    return cases if stock_python is None else [*cases, *stock_cases(stock_python, "cartpole")]
