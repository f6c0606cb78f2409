"""The groups of ``vector``: the environments, and the ways to step many of each."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.children import Child
from benchmarks.errors import BenchmarkError
from benchmarks.rounds import Kind
from benchmarks.vector_envs import ENVPOOL_CARTPOLE, envpool_cartpole
from benchmarks.vector_limits import raw_tcp
from benchmarks.vector_rounds import (
    Group,
    SkippedCase,
    VectorCase,
    VectorPlayed,
    VectorPlayer,
    digest,
    play,
)
from benchmarks.vector_workload import VectorWorkload
from benchmarks.workload import ENV_ID
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.launchers import ServerProcess

OURS = f"openenv/{ENV_ID}"
BREAKOUT = "ALE/Breakout-v5"
SLOW = 10
"""For how many steps of the others a slow peer plays one."""

Open = Callable[[], AbstractContextManager[VectorPlayer]]


@contextmanager
def made(make: Callable[[], Any]) -> Iterator[VectorPlayer]:
    envs = make()
    try:
        yield lambda workload: play(envs, workload)
    finally:
        envs.close()


def sync(env_id: str, num_envs: int) -> AbstractContextManager[VectorPlayer]:
    return made(lambda: gym.make_vec(env_id, num_envs=num_envs, vectorization_mode="sync"))


def async_(env_id: str, num_envs: int) -> AbstractContextManager[VectorPlayer]:
    """Its processes are forked from a clean one: ours hold sockets, and spawned ones start late."""
    multiprocessing.set_forkserver_preload(["gymnasium", "gymnasium.vector"])
    options = {"context": "forkserver", "shared_memory": True}
    make = gym.make_vec
    return made(
        lambda: make(env_id, num_envs=num_envs, vectorization_mode="async", vector_kwargs=options)
    )


def native(num_envs: int) -> AbstractContextManager[VectorPlayer]:
    mode = "vector_entry_point"
    return made(lambda: gym.make_vec(ENV_ID, num_envs=num_envs, vectorization_mode=mode))


def embedded(
    num_envs: int, vectorization: str = "sync", *, made_of: str | None = None, **options: Any
) -> AbstractContextManager[VectorPlayer]:
    """Our environments: CartPole, or those that Gymnasium, or a module, knows as ``made_of``."""
    options = {"num_envs": num_envs, "vectorization": vectorization, **options}
    if made_of is None:
        return made(lambda: gym.make_vec(OURS, **options))
    return made(lambda: gym.make_vec("openenv/gymnasium-v0", env_id=made_of, **options))


@contextmanager
def served(
    num_envs: int, vectorization: str = "sync", shards: int | None = None
) -> Iterator[VectorPlayer]:
    """``openenv-gym serve`` in a process of its own, and our client here."""
    with ExitStack() as stack:
        url = stack.enter_context(ServerProcess(ENV_ID)).base_url
        case = embedded(num_envs, vectorization, base_url=url, shards=shards)
        yield stack.enter_context(case)


@contextmanager
def stock(python: Path, num_envs: int) -> Iterator[VectorPlayer]:
    """A stock server with a session for each sub-environment, and their clients in one process."""
    module = [str(python), "-m", "benchmarks.vector_stock"]
    with Child("the stock server", [*module, "server", "cartpole", str(num_envs)]) as server:
        command = [*module, "player", "cartpole", str(num_envs), server.line()]
        with Child("the stock client", command) as client:

            def play_there(workload: VectorWorkload) -> VectorPlayed:
                answer = client.ask(json.dumps(workload))
                try:
                    seconds, episodes, score, last = json.loads(answer)
                except ValueError as exc:
                    raise BenchmarkError(f"the stock client said {answer!r:.200}") from exc
                last_sum = digest(np.array(last, np.float32))
                return VectorPlayed(seconds, episodes, score, last_sum)

            yield play_there


@contextmanager
def envpool_here(num_envs: int) -> Iterator[VectorPlayer]:
    _need("envpool")
    with made(lambda: envpool_cartpole(num_envs, seed=0)) as player:
        yield player


@contextmanager
def envpool_embedded(num_envs: int) -> Iterator[VectorPlayer]:
    _need("envpool")
    with ExitStack() as stack:
        try:
            # One pool has threads of its own; the seed is an argument, its resets take none.
            options = {"made_of": ENVPOOL_CARTPOLE, "seed": 0, "shards": 1}
            player = stack.enter_context(embedded(num_envs, "auto", **options))
        except OpenEnvGymError as exc:
            reason = str(exc).partition("\n")[0]
            raise SkippedCase(f"openenv_gym cannot serve it: {reason}") from exc
        yield player


def _need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise SkippedCase(f"{package} is not installed (pip install {package})")


@contextmanager
def needing(package: str, open_: Open) -> Iterator[VectorPlayer]:
    _need(package)
    importlib.import_module(package)  # it registers its environments
    with open_() as player:
        yield player


def all_groups(stock_python: Path | None, steps: int) -> list[Group]:
    """Return the groups in the order of the tables; without a stock Python there is no stock.

    Args:
        stock_python: Has OpenEnv.
        steps: A round of the first group; the others are in proportion.
    """
    return [
        _cartpole64(stock_python, steps),
        _native256(steps * 2),
        _envpool64(steps * 4),
        _breakout8(max(SLOW, steps // 4)),
        _cartpole1(stock_python, steps * 4),
    ]


def _cartpole64(stock_python: Path | None, steps: int) -> Group:
    num = 64
    cases = [
        case("limit", "sync", "SyncVectorEnv, in process", lambda: sync(ENV_ID, num)),
        case("peer", "async", "AsyncVectorEnv", lambda: async_(ENV_ID, num), SLOW),
        case("ours", "embedded", "embedded, a shard for each core", lambda: embedded(num)),
        case("ours", "embedded_1", "embedded, one shard", lambda: embedded(num, shards=1)),
        case("ours", "ws", "WebSocket over TCP, a shard for each core", lambda: served(num)),
        case("ours", "ws_1", "WebSocket over TCP, one shard", lambda: served(num, shards=1)),
        *_stock_cases(stock_python, num),
    ]
    return Group(name="cartpole64", label="CartPole x64", num_envs=num, steps=steps, cases=cases)


def _native256(steps: int) -> Group:
    num, mode = 256, "native"
    cases = [
        case("limit", "native", "its vector form, in process", lambda: native(num)),
        case("limit", "raw_tcp", "raw TCP ping-pong", lambda: raw_tcp(num, mode)),
        case("ours", "embedded", "embedded", lambda: embedded(num, mode)),
        case("ours", "ws", "WebSocket over TCP", lambda: served(num, mode)),
    ]
    label = "CartPole x256, vector form"
    return Group(name="native256", label=label, num_envs=num, steps=steps, cases=cases)


def _envpool64(steps: int) -> Group:
    num = 64
    return Group(
        name="envpool64",
        label="EnvPool CartPole x64",
        num_envs=num,
        steps=steps,
        cases=[
            case("limit", "in_process", "EnvPool, in process", lambda: envpool_here(num)),
            case("ours", "embedded", "embedded", lambda: envpool_embedded(num)),
        ],
        is_seeded=False,
    )


def _breakout8(steps: int) -> Group:
    num, env_id = 8, f"ale_py:{BREAKOUT}"

    def atari(open_: Open) -> Open:
        return lambda: needing("ale_py", open_)

    cases = [
        case("limit", "sync", "SyncVectorEnv, in process", atari(lambda: sync(env_id, num))),
        case("peer", "async", "AsyncVectorEnv, shared memory", atari(lambda: async_(env_id, num))),
        case(
            "ours",
            "embedded",
            "embedded, a shard for each core",
            atari(lambda: embedded(num, made_of=env_id)),
        ),
    ]
    label = "Breakout x8, 210 x 160 x 3"
    return Group(name="breakout8", label=label, num_envs=num, steps=steps, cases=cases, choices=4)


def _cartpole1(stock_python: Path | None, steps: int) -> Group:
    cases = [
        case("limit", "sync", "SyncVectorEnv, in process", lambda: sync(ENV_ID, 1)),
        case("peer", "async", "AsyncVectorEnv", lambda: async_(ENV_ID, 1)),
        case("ours", "embedded", "embedded", lambda: embedded(1)),
        *_stock_cases(stock_python, 1),
    ]
    return Group(name="cartpole1", label="CartPole x1", num_envs=1, steps=steps, cases=cases)


def _stock_cases(python: Path | None, num_envs: int) -> list[VectorCase]:
    if python is None:
        return []
    label = f"stock OpenEnv, {num_envs} session{'s' if num_envs > 1 else ''} awaited"
    return [case("peer", "stock", label, lambda: stock(python, num_envs), SLOW)]


def case(kind: Kind, name: str, label: str, open_: Open, share: int = 1) -> VectorCase:
    return VectorCase(name=name, label=label, kind=kind, open=open_, share=share)
