"""Each kind does what it says, in a real worker process; and who an instance is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from openenv_gym.client import Connection, StreamTransport
from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    InvalidRequestError,
    RemoteEnvError,
    RequestTimeoutError,
)
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import BinaryMessages, ClientSession, Close, Open, Reset, Step
from openenv_gym.recovery import seed_after_fault
from openenv_gym.testing import FaultEnv, FaultLedger, FiredFault, PlannedFaultError
from openenv_gym.workers.process import WorkerProcess
from tests.support.waiting import wait_until

FAULT = "openenv_gym.testing:Fault-v0"
WAIT_S = 20.0
HURRY_S = 1.0  # for a step that hangs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, of the worker too, where this comes before it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess()
    yield process
    process.stop(timeout_s=0)


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    """Opens sessions with the arguments of the environment, and forgets them after the test."""
    connections = []

    def open_session(worker: WorkerProcess, timeout_s: float = WAIT_S, **kwargs: Any) -> Connection:
        transport = StreamTransport(worker.connect(), "the worker")
        connection = Connection(ClientSession(BinaryMessages()), transport, timeout_s=timeout_s)
        connections.append(connection)
        connection.request(Open(FAULT, kwargs))
        return connection

    yield open_session
    for connection in connections:
        connection.abandon()


@pytest.fixture
def at_step_two(worker, connect) -> Callable[..., Connection]:
    """Opens sessions whose next step is the one with the fault."""

    def open_session(fault: Any, **kwargs: Any) -> Connection:
        connection = connect(worker, plan={"0/0/2": fault}, **kwargs)
        connection.request(Reset(0))
        connection.request(Step(0))
        return connection

    return open_session


# What the process that a worker is ends as; a negative number is a signal.
ENDS = [
    ("abort", -signal.SIGABRT),
    ("segfault", -signal.SIGSEGV),
    ("kill", -signal.SIGKILL),
    ({"kind": "kill", "signal": int(signal.SIGBUS)}, -signal.SIGBUS),
    ("exit", 7),
    ({"kind": "exit", "code": 137}, 137),
    ({"kind": "sys_exit", "code": 3}, 3),
    # The interpreter ends itself by the signal that KeyboardInterrupt is for.
    ("interrupt", -signal.SIGINT),
]


@pytest.mark.parametrize(("fault", "code"), ENDS, ids=str)
@pytest.mark.sample(4)
def test_a_worker_ends_as_planned(folder, worker, fault, code, at_step_two):
    connection = at_step_two(fault)
    with pytest.raises(ConnectionLostError):
        connection.request(Step(0))
    assert worker.wait(WAIT_S) == code
    assert os.listdir(folder) == []  # where a core file would be


def test_what_it_raises_is_told_and_the_session_goes_on(worker, at_step_two):
    connection = at_step_two({"kind": "raise", "message": "of my own"})
    with pytest.raises(RemoteEnvError, match="PlannedFaultError in step: of my own"):
        connection.request(Step(0))
    assert connection.request(Step(0)).terminated is False
    connection.close()


@pytest.mark.parametrize("kind", ["sleep", "spin", "hold_gil"])
def test_a_fault_that_takes_a_while_ends_and_the_step_is_as_without(worker, kind, at_step_two):
    plain = at_step_two({"kind": "sleep", "seconds": 0})
    slow = at_step_two({"kind": kind, "seconds": 0.25})
    began = time.monotonic()
    result = slow.request(Step(0))
    assert time.monotonic() - began >= 0.25
    np.testing.assert_array_equal(result.obs, plain.request(Step(0)).obs)
    slow.close(), plain.close()


@pytest.mark.parametrize("kind", ["sleep", "spin", "hold_gil"])
@pytest.mark.sample(1)
def test_without_a_time_it_takes_for_ever(worker, kind, at_step_two):
    connection = at_step_two(kind)
    connection.timeout_s = HURRY_S
    with pytest.raises(RequestTimeoutError):
        connection.request(Step(0))
    assert worker.exit_code is None
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(WAIT_S) == -signal.SIGTERM


def test_a_worker_that_ignores_sigterm_is_ended_by_sigkill_alone(worker, at_step_two):
    connection = at_step_two({"kind": "spin", "ignore_sigterm": True})
    connection.timeout_s = HURRY_S
    with pytest.raises(RequestTimeoutError):
        connection.request(Step(0))
    wait_until(lambda: ignores(worker.pid, signal.SIGTERM))
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(0.5) is None
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait(WAIT_S) == -signal.SIGKILL


def ignores(pid: int, number: signal.Signals) -> bool:
    """Whether a process ignores a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    ignored = re.search(r"^SigIgn:\s*(\w+)$", status, re.MULTILINE)
    assert ignored is not None
    return bool(int(ignored[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize(("kind", "is_held"), [("hold_gil", True), ("sleep", False)])
def test_the_gil_is_held_or_not(kind: str, is_held: bool):
    """Another thread of the process counts; held, the GIL leaves it no turn."""
    env = FaultEnv({"0/0/*": {"kind": kind, "seconds": 0.5}})
    env.reset()
    done, turns = threading.Event(), []

    def count() -> None:
        while not done.wait(0.01):
            turns.append(time.monotonic())

    def longest_wait() -> float:
        """How long it waits for a turn at most, from before a step until after it."""
        last = len(turns) - 1
        env.step(0)
        known = len(turns)
        wait_until(lambda: len(turns) > known)
        return max(after - before for before, after in pairwise(turns[last:]))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        wait_until(lambda: len(turns) > 0)
        if is_held:
            assert longest_wait() > 0.4
        else:  # a machine that is busy may hold all of this process up for a while, but not always
            wait_until(lambda: longest_wait() < 0.4)
    finally:
        done.set()
        thread.join()
    env.close()


def test_memory_is_taken_and_kept(worker, at_step_two):
    process = psutil.Process(worker.pid)
    connection = at_step_two({"kind": "allocate", "megabytes": 64})
    before = process.memory_info().rss
    connection.request(Step(0))
    assert 60 << 20 < process.memory_info().rss - before < 80 << 20
    connection.close()


def test_memory_beyond_a_limit_of_the_process_is_a_memory_error(worker, at_step_two):
    # The limit is set from outside, as a server would do it for its workers.
    connection = at_step_two({"kind": "allocate", "megabytes": 512})
    used = psutil.Process(worker.pid).memory_info().vms
    psutil.Process(worker.pid).rlimit(psutil.RLIMIT_AS, (used + (64 << 20), psutil.RLIM_INFINITY))
    with pytest.raises(RemoteEnvError, match="MemoryError"):
        connection.request(Step(0))
    connection.close()


def test_more_memory_than_anybody_means_is_refused():
    env = FaultEnv({"0/0/1": {"kind": "allocate", "megabytes": 1 << 20}})
    env.reset()
    with pytest.raises(InvalidRequestError, match="at most 1024 megabytes in all, got 1048576"):
        env.step(0)
    env.close()


@pytest.mark.parametrize("how", ["shape", "dtype", "nan", "range"])
@pytest.mark.parametrize("when", ["2", "reset"])
def test_a_bad_observation_is_not_in_the_space(how: str, when: str):
    env = FaultEnv({f"0/0/{when}": {"kind": "bad_observation", "how": how}})
    observations = [env.reset(seed=0)[0], *[env.step(0)[0] for _ in range(3)]]
    bad = 0 if when == "reset" else 2
    inside = [observation in env.observation_space for observation in observations]
    assert inside == [number != bad for number in range(4)]
    env.close()


def test_faults_of_the_constructor_of_resets_and_of_close(worker, connect):
    with pytest.raises(EnvStartError, match="PlannedFaultError in open"):
        connect(worker, plan={"*/*/init": "raise"})
    for when in ("reset", "reset:1"):
        connection = connect(worker, plan={f"0/0/{when}": "raise"})
        with pytest.raises(RemoteEnvError, match="PlannedFaultError in reset"):
            connection.request(Reset(0))
        connection.request(Reset(0))
        connection.close()
    connection = connect(worker, plan={"0/0/reset:2": "raise", "0/0/close": "raise"})
    connection.request(Reset(0))
    with pytest.raises(RemoteEnvError, match="PlannedFaultError in reset"):
        connection.request(Reset(0))
    with pytest.raises(RemoteEnvError, match="PlannedFaultError in close"):
        connection.request(Close())


def test_last_words_are_on_stderr_before_the_end():
    program = (
        "from openenv_gym.testing import FaultEnv\n"
        "env = FaultEnv({'0/0/1': {'kind': 'abort', 'stderr': 'my last words'}})\n"
        "env.reset(); env.step(0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGABRT, b"my last words")


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_it_is_served_with_a_plan_from_the_command_line(codec: str, tmp_path):
    kwargs = f'{{"plan": {{"0/0/2": "abort"}}, "ledger": "{tmp_path}"}}'
    with ServerProcess(FAULT, "--kwargs", kwargs) as server:
        env = gym.make("openenv/remote-v0", base_url=server.base_url, codec=codec).unwrapped
        assert env.reset(seed=0)[1] == {"env": 0, "incarnation": 0}
        env.step(0)
    assert FaultLedger(tmp_path).fired() == []
    env.close()


def test_check_env_passes_without_a_plan():
    check_env(gym.make(FAULT).unwrapped)


def test_it_is_described_by_plain_data():
    spec = EnvSpec.from_json(gym.make(FAULT, plan={"0/0/1": "raise"}).spec.to_json())
    env = gym.make(spec)
    env.reset()
    with pytest.raises(PlannedFaultError):
        env.step(0)


def trajectory(env: gym.Env, steps: int = 50) -> list[Any]:
    seen = [env.reset(seed=5)]
    for step in range(steps):
        result = env.step(step % 2)
        seen.append(result)
        if result[2]:
            seen.append(env.reset())
    env.close()
    return seen


def test_without_faults_it_is_the_same_in_every_process():
    here, again = trajectory(FaultEnv()), trajectory(FaultEnv())
    there = trajectory(gym.make("openenv/gymnasium-v0", env_id=FAULT))
    np.testing.assert_equal(again, here)
    np.testing.assert_equal(there, here)


def test_until_its_fault_and_in_the_others_it_is_as_without_a_plan():
    env = FaultEnv({"0/0/9": "raise", "1/0/2": "raise"})
    plain = FaultEnv()
    np.testing.assert_equal(env.reset(seed=1), plain.reset(seed=1))
    for _ in range(8):
        np.testing.assert_equal(env.step(1), plain.step(1))
    with pytest.raises(PlannedFaultError):
        env.step(1)
    np.testing.assert_equal(env.step(1), plain.step(1))  # the failed step moved nothing
    assert env.steps == 10


def test_another_environment_can_fail_too():
    env = FaultEnv({"0/0/3": "raise"}, of="CartPole-v1", render_mode="rgb_array")
    plain = gym.make("CartPole-v1")
    np.testing.assert_equal(env.reset(seed=1)[0], plain.reset(seed=1)[0])
    for _ in range(2):
        np.testing.assert_equal(env.step(1), plain.step(1))
    with pytest.raises(PlannedFaultError):
        env.step(1)
    env.close(), plain.close()


def test_its_reward_can_be_learnt():
    env = FaultEnv()
    obs, _ = env.reset(seed=0)
    total, terminated = 0.0, False
    while not terminated:
        obs, reward, terminated, truncated, _ = env.step(int(obs[0] >= 0.5))
        total += reward
        assert not truncated
    assert total == 20.0


# Who an instance is.


def who(env: gym.Env, seed: int | None = None) -> tuple[int, int]:
    info = env.reset(seed=seed)[1]
    return info["env"], info["incarnation"]


def test_the_first_seed_tells_the_sub_environment(tmp_path):
    envs = [FaultEnv(first_seed=100, ledger=tmp_path) for _ in range(3)]
    assert [who(envs[i], 100 + i) for i in (2, 0, 1)] == [(2, 0), (0, 0), (1, 0)]
    assert who(envs[0], 7) == (0, 0)  # later seeds change nothing
    for env in envs:
        env.close()


def test_the_seed_after_a_fault_tells_sub_environment_and_incarnation(tmp_path):
    for env, incarnation in ((0, 1), (3, 0), (3, 2), (90, 40)):
        seed = 7 + env if incarnation == 0 else seed_after_fault(7, env, incarnation)
        assert who(FaultEnv(first_seed=7), seed) == (env, incarnation)
    assert who(FaultEnv(first_seed=7), 6) == (0, 0)  # a seed of nobody
    with_ledger = FaultEnv(first_seed=7, ledger=tmp_path)
    assert who(with_ledger, seed_after_fault(7, 3, 2)) == (3, 0)  # the ledger counts
    with_ledger.close()


@pytest.mark.parametrize("kind", ["raise", "abort"])
def test_each_incarnation_has_its_own_faults(kind: str):
    plan = {"0/0/3": kind, "0/1/2": kind, "0/2/30": kind}
    env = gym.make("openenv/gymnasium-v0", env_id=FAULT, plan=plan, first_seed=5)
    env.reset(seed=5)
    faults = []
    for step in range(1, 31):
        *_, terminated, truncated, info = env.step(0)
        if truncated:
            faults.append((step, info["openenv"]["incarnation"]))
        if terminated or truncated:
            env.reset()
    assert faults == [(3, 0), (5, 1)]
    env.close()


def test_without_a_ledger_each_instance_is_the_first(tmp_path):
    assert [who(FaultEnv(env=4)) for _ in range(2)] == [(4, 0), (4, 0)]


def test_who_comes_takes_the_place_of_who_went(tmp_path):
    envs = [FaultEnv(ledger=tmp_path) for _ in range(3)]
    assert [who(env) for env in envs] == [(0, 0), (1, 0), (2, 0)]
    envs[1].close()
    successor = FaultEnv(ledger=tmp_path)
    assert who(successor, seed=12345) == (1, 1)
    envs[0].close(), envs[2].close(), successor.close()


def test_who_is_never_reset_is_nobody(tmp_path):
    for _ in range(2):
        FaultEnv(ledger=tmp_path).close()
    env = FaultEnv(ledger=tmp_path)
    assert who(env) == (0, 0)
    env.close()
    ledger = FaultLedger(tmp_path)
    assert [ledger.incarnations(number) for number in (0, 1)] == [1, 0]


@pytest.mark.parametrize("kind", ["abort", "kill", "exit"])
@pytest.mark.sample(1)
def test_the_kernel_makes_room_for_the_successor_of_a_dead_process(kind: str, tmp_path, connect):
    bystander = FaultEnv(ledger=tmp_path)
    assert who(bystander) == (0, 0)
    plan = {"1/0/2": kind, "1/1/1": kind}
    for incarnation in range(3):
        worker = WorkerProcess()
        connection = connect(worker, plan=plan, ledger=str(tmp_path))
        info = connection.request(Reset(None)).info
        assert info == {"env": 1, "incarnation": incarnation}
        if incarnation < 2:
            with pytest.raises(ConnectionLostError):
                for _ in range(2 - incarnation):
                    connection.request(Step(0))
            worker.wait(WAIT_S)
        worker.stop()
    bystander.close()
    assert FaultLedger(tmp_path).fired() == [
        FiredFault(env=1, incarnation=0, when="2", kind=kind),
        FiredFault(env=1, incarnation=1, when="1", kind=kind),
    ]


def test_a_constructor_fails_as_the_incarnation_that_it_would_become(tmp_path):
    plan = {"0/1/init": "raise"}
    FaultEnv(plan, ledger=tmp_path).close()
    env = FaultEnv(plan, ledger=tmp_path)
    env.reset()
    env.close()
    for _ in range(2):
        with pytest.raises(PlannedFaultError):
            FaultEnv(plan, ledger=tmp_path)


def test_an_unseeded_run_repeats_itself(tmp_path):
    first, second = (FaultEnv(env=1, ledger=tmp_path / name) for name in "ab")
    np.testing.assert_equal(first.reset(), second.reset())
    first.close(), second.close()


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # a fork with threads
def test_gymnasiums_own_vector_environment_is_numbered_by_seeds(context: str, tmp_path):
    def one() -> gym.Env:
        import openenv_gym.testing  # noqa: F401 - registers it

        return gym.make("Fault-v0", first_seed=10, ledger=str(tmp_path))

    envs = gym.vector.AsyncVectorEnv([one] * 3, context=context)
    _, info = envs.reset(seed=10)
    assert info["env"].tolist() == [0, 1, 2]
    assert info["incarnation"].tolist() == [0, 0, 0]
    envs.close()


def test_batched_sub_environments_are_numbered_by_seeds(tmp_path):
    kwargs = {"env_id": FAULT, "first_seed": 10, "ledger": str(tmp_path)}
    envs = gym.make_vec("openenv/gymnasium-v0", num_envs=4, shards=2, **kwargs)
    _, info = envs.reset(seed=10)
    assert info["env"].tolist() == [0, 1, 2, 3]
    envs.close()


# What makes no sense.

BAD_PLANS = [
    ({"0/0": "raise"}, "expected keys like '0/0/3'.*got '0/0'"),
    ({"0/0/0": "raise"}, "expected keys like '0/0/3'.*got '0/0/0'"),
    ({(0, 0, 3): "raise"}, r"expected keys like '0/0/3'.*got \(0, 0, 3\)"),
    (["raise"], "expected a dict like .*got list"),
    ({"0/0/1": "segfalt"}, "got 'segfalt'; did you mean 'segfault'"),
    ({"0/0/1": {"seconds": 1}}, r"plan\['0/0/1'\]: expected a kind of fault or a dict"),
    ({"0/0/1": {"kind": "exit", "seconds": 1}}, "exit takes code, stderr, ignore_sigterm, got 'se"),
    (
        {"0/0/1": {"kind": "bad_observation", "how": "size"}},
        "how: expected one of shape, dtype, nan",
    ),
]


@pytest.mark.parametrize(("plan", "message"), BAD_PLANS, ids=lambda value: str(value)[:20])
def test_a_plan_that_cannot_be_read_is_refused(plan, message):
    with pytest.raises(InvalidRequestError, match=message):
        FaultEnv(plan)


def test_other_arguments_that_make_no_sense_are_refused():
    with pytest.raises(InvalidRequestError, match="episode_steps: expected from 1, got 0"):
        FaultEnv(episode_steps=0)
    with pytest.raises(InvalidRequestError, match="'plna' would be for an environment named with"):
        FaultEnv(plna={})


def test_of_two_keys_with_one_star_that_of_the_sub_environment_goes_first():
    env = FaultEnv({"0/*/1": "raise", "*/0/1": "bad_observation"})
    env.reset()
    with pytest.raises(PlannedFaultError):
        env.step(0)


def test_exact_keys_go_before_stars():
    env = FaultEnv({"*/*/1": "abort", "0/*/1": "exit", "0/0/1": "raise", "*/*/*": "segfault"})
    env.reset()
    with pytest.raises(PlannedFaultError):
        env.step(0)
