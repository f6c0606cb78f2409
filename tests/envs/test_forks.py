"""Forks and start methods: a child writes nothing to the sockets of its parent, and has its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from openenv_gym.testing import FaultProxy
from tests.support.pairs import in_pairs
from tests.support.rollouts import same
from tests.support.waiting import wait_until

CARTPOLE = "CartPole-v1"
STEPS = 1000

# Plays, forks in the midst of an episode, and plays on; says when it waits to be looked at.
TRAINER = textwrap.dedent(
    """
    import gc, hashlib, os, sys
    import gymnasium as gym, numpy as np, openenv_gym

    url, codec, form, how = sys.argv[1:]
    where = {"base_url": url, "codec": codec}
    if form == "one":
        env = gym.make("openenv/CartPole-v1", **where)
        action = [np.int64(0), np.int64(1)]
    else:
        env = gym.make_vec("openenv/remote-v0", num_envs=3, vectorization="sync", **where)
        action = [np.array([0, 1, 0]), np.array([1, 0, 1])]

    def pause(word):
        print(word, flush=True)
        sys.stdin.readline()

    def play(steps):
        seen = hashlib.sha256()
        for i in range(steps):
            obs, reward, terminated, truncated, _ = env.step(action[i % 2])
            for part in (obs, reward, terminated, truncated):
                seen.update(np.asarray(part).tobytes())
            if form == "one" and (terminated or truncated):
                seen.update(env.reset()[0].tobytes())
        return seen.hexdigest()

    env.reset(seed=5)
    play(7)
    pause("forks")
    pid = os.fork() if how != "no fork" else os.spawnlp(os.P_NOWAIT, "true", "true")
    if pid == 0:
        if how == "close":
            env.close()
        elif how == "collect":
            del env
            gc.collect()
        elif how == "exit":
            sys.exit(0)
        elif how == "use":
            first = env.reset(seed=9)[0].tolist()
            env.step(action[0])
            assert env.reset(seed=9)[0].tolist() == first
            env.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    pause("goes on")
    print(play(int(sys.stdin.readline())), flush=True)
    env.close()
    """
)


def played(url: str, codec: str, form: str, how: str, look: Callable[[], Any]) -> list[Any]:
    """What ``look`` saw before the fork and after the child's end, and the digest of the rest."""
    command = [sys.executable, "-c", TRAINER, url, codec, form, how]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as trainer:
        seen: list[Any] = []
        for word in ("forks", "goes on"):
            assert trainer.stdout.readline() == f"{word}\n"
            seen.append(look())
            trainer.stdin.write("\n")
        trainer.stdin.write(f"{STEPS}\n")
        seen.append(trainer.stdout.readline())
    assert trainer.returncode == 0
    return seen


@pytest.fixture(scope="module")
def without_a_fork(serve) -> Callable[[str, str], str]:
    """The digest of the same steps where the process did not fork."""
    known: dict[tuple[str, str], str] = {}

    def digest(codec: str, form: str) -> str:
        if (codec, form) not in known:
            url = serve(CARTPOLE).base_url
            known[codec, form] = played(url, codec, form, "no fork", lambda: None)[-1]
        return known[codec, form]

    return digest


def test_a_child_acts_on_each_object():
    program = textwrap.dedent("""
        import os
        from openenv_gym.forks import in_children
        class Thing: pass
        seen, things = [], [Thing() for _ in range(3)]
        of_things = in_children(seen.append)
        for thing in things:
            of_things.add(thing)
        pid = os.fork()
        if pid == 0:
            os._exit(len(seen))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), len(seen))
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"3 0\n"


@in_pairs(how=["close", "collect", "exit"], codec=["binary", "json"], form=["one", "several"])
@pytest.mark.sample(1)
def test_a_child_writes_nothing_to_its_parents_server(how, codec, form, serve, without_a_fork):
    with FaultProxy(serve(CARTPOLE).base_url) as proxy:
        before, after, digest = played(
            proxy.base_url, codec, form, how, lambda: (proxy.passed("to_server"), proxy.accepted)
        )
    assert before == after
    assert before[0] > 0
    assert digest == without_a_fork(codec, form)


@pytest.mark.parametrize(
    ("codec", "form"),
    [
        ("binary", "one"),
        ("json", "several"),
        pytest.param("binary", "several", marks=pytest.mark.long),
        pytest.param("json", "one", marks=pytest.mark.long),
    ],
)
@pytest.mark.sample(1)
def test_a_child_that_plays_has_sessions_of_its_own(codec, form, serve, without_a_fork):
    with FaultProxy(serve(CARTPOLE).base_url) as proxy:
        looks: list[int] = []
        # Of the parent; in JSON, those that step one after the other have one each.
        sessions = 3 if (codec, form) == ("json", "several") else 1

        def look() -> None:
            looks.append(proxy.accepted)
            # Those of the child, and of the request for the schema, end a moment after they do.
            wait_until(lambda: proxy.open_connections <= sessions)
            assert proxy.open_connections == sessions

        *_, digest = played(proxy.base_url, codec, form, "use", look)
    assert looks[1] > looks[0]
    assert digest == without_a_fork(codec, form)


# Forks while another thread of its waits for the reply to a step.
BUSY_TRAINER = textwrap.dedent(
    """
    import os, sys, threading, time
    import gymnasium as gym, numpy as np, openenv_gym
    from tests.support.hanging import Hanging

    url, form = sys.argv[1:]
    where = {"base_url": url} if url else {"env_id": "tests.support.hanging:Hanging-v0"}
    name = "openenv/remote-v0" if url else "openenv/gymnasium-v0"
    if form == "one":
        env = gym.make(name, **where)
        connection = lambda: env.unwrapped._connection
        slow, quick = Hanging.SLOW, 0
    else:
        env = gym.make_vec(name, num_envs=2, **where)
        connection = lambda: env.unwrapped._shards[0].connection
        slow, quick = np.full(2, Hanging.SLOW), np.zeros(2, np.int64)
    env.reset(seed=5)
    env.step(quick)
    seen = []
    stepping = threading.Thread(target=lambda: seen.append(env.step(slow)))
    stepping.start()
    while connection()._user is None:
        time.sleep(0.001)
    pid = os.fork()
    if pid == 0:
        assert not stepping.is_alive()
        if form == "several":  # whose batch is under way
            env.close()
        env.reset(seed=9)
        env.step(quick)
        env.close()
        os._exit(0)
    print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stepping.join()
    print("fault" if "openenv" in seen[0][-1] else "stepped")
    print("fault" if "openenv" in env.step(quick)[-1] else "stepped")
    env.close()
    """
)


@pytest.mark.parametrize(
    ("reach", "form"),
    [
        ("embedded", "several"),
        ("served", "one"),
        pytest.param("embedded", "one", marks=pytest.mark.long),
        pytest.param("served", "several", marks=pytest.mark.long),
    ],
)
@pytest.mark.sample(1)
def test_a_fork_while_another_thread_is_in_a_step(reach: str, form: str, serve):
    url = "" if reach == "embedded" else serve("tests.support.hanging:Hanging-v0").base_url
    command = [sys.executable, "-c", BUSY_TRAINER, url, form]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    assert out.stdout.split("\n") == ["child 0", "stepped", "stepped", ""]


def make(arguments: dict[str, Any]) -> gym.Env[Any, Any]:
    import openenv_gym  # noqa: F401  # registers the ids, in the child too

    return gym.make("openenv/CartPole-v1", **arguments)


def actions(steps: int) -> list[Any]:
    return list(np.random.default_rng(0).integers(0, 2, (steps, 2)))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.sample(1)
def test_async_vector_env_over_a_server(method: str, serve):
    served = partial(make, {"base_url": serve(CARTPOLE).base_url})
    parents = served()
    parents.reset(seed=1)
    local: VectorEnv[Any, Any, Any] = SyncVectorEnv([partial(gym.make, CARTPOLE)] * 2)
    remote = AsyncVectorEnv([served] * 2, context=method)
    assert same(local.reset(seed=3), remote.reset(seed=3))
    for action in actions(50):
        for expected, actual in zip(local.step(action)[:4], remote.step(action)[:4], strict=True):
            assert same(expected, actual)
    remote.close()
    assert parents.step(0)[1] == 1.0
    parents.close()


@pytest.mark.parametrize(
    ("method", "reach"),
    [
        ("fork", "served"),
        ("spawn", "embedded"),
        ("forkserver", "served"),
        pytest.param("fork", "embedded", marks=pytest.mark.long),
        pytest.param("spawn", "served", marks=pytest.mark.long),
        pytest.param("forkserver", "embedded", marks=pytest.mark.long),
    ],
)
@pytest.mark.sample(1)
def test_subproc_vec_env(method: str, reach: str, serve):
    where = {} if reach == "embedded" else {"base_url": serve(CARTPOLE).base_url}
    parents = make(where)
    parents.reset(seed=1)
    local = DummyVecEnv([partial(gym.make, CARTPOLE)] * 2)
    remote = SubprocVecEnv([partial(make, where)] * 2, start_method=method)
    local.seed(3), remote.seed(3)
    assert same(local.reset(), remote.reset())
    for action in actions(50):  # rewards are float32 in the one and float64 in the other
        for expected, actual in zip(local.step(action)[:3], remote.step(action)[:3], strict=True):
            assert np.array_equal(expected, actual)
    remote.close()
    assert parents.step(0)[1] == 1.0
    parents.close()
