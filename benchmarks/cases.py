"""The ways to step CartPole: what each case starts, and how it plays a round."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.children import Child
from benchmarks.errors import BenchmarkError
from benchmarks.raw_sockets import ping_pong, tcp_pair, unix_pair
from benchmarks.rounds import Case, Player
from benchmarks.workload import ENV_ID, Played, Workload
from openenv_gym.launchers import ServerProcess

REMOTE_ID = f"openenv/{ENV_ID}"


def play(env: gym.Env[Any, Any], workload: Workload) -> Played:
    """Play a round as a training loop would, with the actions that a ``Discrete`` samples."""
    actions, episodes = [np.int64(action) for action in workload.actions()], 0
    obs, _ = env.reset(seed=workload.seed)
    started = time.perf_counter()
    for action in actions:
        obs, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            episodes += 1
            obs, _ = env.reset()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(obs.tolist()))


def play_vector(envs: gym.vector.VectorEnv[Any, Any, Any], workload: Workload) -> Played:
    """Play the same round on one sub-environment, whose reset is a step of its own."""
    actions, episodes = [np.array([action]) for action in workload.actions()], 0
    obs, _ = envs.reset(seed=workload.seed)
    started = time.perf_counter()
    for action in actions:
        obs, _, terminated, truncated, _ = envs.step(action)
        if terminated[0] or truncated[0]:
            episodes += 1
            obs, *_ = envs.step(action)
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(obs[0].tolist()))


@contextmanager
def made(make: Callable[[], gym.Env[Any, Any]]) -> Iterator[Player]:
    env = make()
    try:
        yield lambda workload: play(env, workload)
    finally:
        env.close()


@contextmanager
def async_vector() -> Iterator[Player]:
    # Spawned, because a forked child would inherit the sockets of the other cases.
    options = {"context": "spawn"}
    envs = gym.make_vec(ENV_ID, num_envs=1, vectorization_mode="async", vector_kwargs=options)
    try:
        yield lambda workload: play_vector(envs, workload)
    finally:
        envs.close()


@contextmanager
def served(isolation: str, codec: str = "binary", *, unix: bool = False) -> Iterator[Player]:
    """``openenv-gym serve`` in a process of its own, and our client here."""
    arguments = [f"--isolation={isolation}"]
    with ExitStack() as stack:
        if unix:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="openenv-gym-"))
            arguments.append(f"--uds={folder}/socket")
        server = stack.enter_context(ServerProcess(ENV_ID, *arguments))
        remote: dict[str, Any] = {"base_url": server.base_url, "codec": codec}
        yield stack.enter_context(made(lambda: gym.make(REMOTE_ID, **remote)))


@contextmanager
def stock(python: Path, mode: str) -> Iterator[Player]:
    """Stock OpenEnv at both ends, each in a process under ``python``."""
    server_command = [str(python), "-m", "benchmarks.stock.server"]
    with Child("the stock server", server_command) as server:
        command = [str(python), "-m", "benchmarks.stock.player", mode, server.line()]
        with Child("the stock client", command) as client:

            def play_there(workload: Workload) -> Played:
                answer = client.ask(f"{workload.seed} {workload.steps}")
                try:
                    seconds, episodes, last = json.loads(answer)
                except ValueError as exc:
                    raise BenchmarkError(f"the stock client said {answer!r}") from exc
                return Played(seconds, episodes, tuple(last))

            yield play_there


def _case(
    kind: Any, name: str, label: str, open_: Callable[[], AbstractContextManager[Player]]
) -> Case:
    return Case(name=name, label=label, kind=kind, open=open_)


def all_cases(stock_python: Path | None) -> list[Case]:
    """Return the cases in the order of the tables; without a stock Python there is no stock."""
    cases = [
        _case("limit", "in_process", "in process", lambda: made(lambda: gym.make(ENV_ID))),
        _case("limit", "raw_unix", "raw Unix socket ping-pong", lambda: ping_pong(unix_pair())),
        _case("limit", "raw_tcp", "raw TCP ping-pong", lambda: ping_pong(tcp_pair())),
        _case("peer", "async_vector", "AsyncVectorEnv, one env", async_vector),
        _case("ours", "embedded", "embedded", lambda: made(lambda: gym.make(REMOTE_ID))),
        _case("ours", "ws_inline", "WebSocket, inline", lambda: served("inline")),
        _case("ours", "ws_thread", "WebSocket, thread", lambda: served("thread")),
        _case("ours", "ws_process", "WebSocket, process", lambda: served("process")),
        _case(
            "ours",
            "ws_unix",
            "WebSocket on a Unix socket",
            lambda: served("process", unix=True),
        ),
        _case("ours", "ws_json", "WebSocket, process, JSON", lambda: served("process", "json")),
    ]
    if stock_python is not None:
        python = stock_python
        cases += [
            _case("peer", "stock", "stock OpenEnv", lambda: stock(python, "sync")),
            _case("peer", "stock_async", "stock OpenEnv, awaited", lambda: stock(python, "async")),
        ]
    return cases
