"""A fault of a single environment is the end of an episode, and the next one begins anew."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym.conformance import same
from openenv_gym.errors import (
    ConcurrentCallError,
    ConnectionLostError,
    EnvCrashLoopError,
    InvalidActionError,
    InvalidRequestError,
    RemoteEnvError,
    ResetNeededError,
    UnknownEnvironmentError,
)
from openenv_gym.launchers import ServerProcess
from openenv_gym.launchers.embedded import EMBEDDED
from openenv_gym.recovery import FaultPolicy, seed_after_fault
from tests.faults.conftest import FAULTY
from tests.faults.envs import Faulty

pytestmark = pytest.mark.timeout(300)  # some start an interpreter for each of many faults

KINDS = {
    Faulty.RAISE: ("env_raised", None, None, True),
    Faulty.NO_VALUE: ("env_raised", None, None, True),
    Faulty.EXIT: ("worker_died", None, 7, None),
    Faulty.SEGV: ("worker_died", 11, None, None),
    Faulty.ABRT: ("worker_died", 6, None, None),
    Faulty.KILL: ("worker_died", 9, None, None),
}


def make(arguments: dict[str, Any], **more: Any) -> Any:
    return gym.make("openenv/gymnasium-v0", **arguments, **more).unwrapped


@pytest.mark.parametrize("action", KINDS)
@pytest.mark.sample(9)
def test_a_fault_is_a_truncation_and_the_next_reset_is_one_of_a_fresh_session(
    action: int, faulty: dict[str, Any]
):
    env = make(faulty)
    env.reset(seed=3)
    last = env.step(1)[0]
    before = last.copy()
    last[:] = 99  # what was returned is the caller's, and the fault does not see it
    obs, reward, terminated, truncated, info = env.step(action)
    kind, number, code, applied = KINDS[action]
    assert same((obs, reward, terminated, truncated), (before, 0.0, False, True))
    assert list(info) == ["openenv"]
    said = info["openenv"]
    assert [said[key] for key in ("fault", "signal", "exitcode", "action_applied")] == [
        *(kind, number, code, applied)
    ]
    assert said["incarnation"] == 0
    # Python says where it was when such a signal came; an embedded worker has others beside us.
    is_told = action in (Faulty.SEGV, Faulty.ABRT)
    assert ("Fatal Python error" in said["stderr_tail"]) >= is_told
    assert is_told or said["stderr_tail"] == "" or "base_url" not in faulty
    if kind == "env_raised" and faulty.get("codec") != "json" and action == Faulty.RAISE:
        assert 'raise ValueError(f"told to raise' in said["remote_traceback"]
    with pytest.raises(ResetNeededError, match="in a fault"):
        env.step(0)
    first, info = env.reset()
    seed = seed_after_fault(3, 0, 1)
    assert info == {"began": 1, "openenv": {"incarnation": 1, "seed": seed}}
    local = Faulty()
    assert same(first, local.reset(seed=seed)[0])
    assert same(env.step(1), local.step(1))
    assert env.reset()[1] == {"began": 1}
    env.close()


def test_a_hang_is_a_fault_and_its_worker_is_killed():
    env, bystander = make({"env_id": FAULTY}), make({"env_id": FAULTY})
    for each in (env, bystander):
        each.reset(seed=0)
        each.step(0)
    env._connection.timeout_s = 2  # from now on: it takes longer to start an interpreter
    pid = EMBEDDED.pid
    assert env.step(Faulty.HANG)[4]["openenv"]["fault"] == "step_timeout"
    lost = bystander.step(0)  # of the same worker
    assert lost[3] is True and lost[4]["openenv"]["signal"] == 9
    for each in (env, bystander):
        each.reset()
        assert each.step(0)[3] is False
    assert EMBEDDED.pid != pid
    env.close()
    bystander.close()


@pytest.mark.parametrize("action", [Faulty.RAISE, Faulty.KILL])
def test_nothing_is_softened_before_the_first_step(action: int, faulty: dict[str, Any]):
    env = make(faulty)
    with pytest.raises(RemoteEnvError, match="told to raise in reset"):
        env.reset(options={"raise": True})
    env.reset()
    with pytest.raises((RemoteEnvError, ConnectionLostError)):
        env.step(action)
    env.reset()
    env.step(0)
    assert env.step(action)[3] is True
    env.close()


@pytest.mark.parametrize("action", [Faulty.RAISE, Faulty.KILL])
def test_faults_are_raised_on_request(action: int, faulty: dict[str, Any]):
    env = make(faulty, on_fault="raise")
    env.reset(seed=0)
    env.step(0)
    with pytest.raises((RemoteEnvError, ConnectionLostError)):
        env.step(action)
    assert "openenv" not in env.reset()[1]
    env.step(0)
    env.close()


def test_mistakes_of_the_caller_are_never_truncations(faulty: dict[str, Any]):
    env = make(faulty)
    env.reset()
    env.step(0)
    for action in (10, -1, "0", None):
        with pytest.raises(InvalidActionError):
            env.step(action)
    connection = env._connection
    with connection._lock, pytest.raises(ConcurrentCallError):
        env.step(0)
    env.step(Faulty.END)
    with pytest.raises(ResetNeededError):
        env.step(0)
    env.close()
    with pytest.raises(ResetNeededError):
        env.step(0)
    assert env.reset()[1] == {"began": 1}  # a session after close() is no restart
    env.close()


def test_what_on_fault_means():
    for on_fault in ("ignore", None, 1):
        with pytest.raises(InvalidRequestError, match="on_fault: expected 'truncate', 'raise'"):
            make({"env_id": FAULTY}, on_fault=on_fault)
    for name, value in (
        *(("restarts", -1), ("restarts", 1.5), ("backoff_s", "1"), ("max_backoff_s", -0.1)),
        *(("restart_timeout_s", None), ("reconnect_timeout_s", float("nan"))),
    ):
        with pytest.raises(InvalidRequestError, match=f"{name}: expected"):
            FaultPolicy(**{name: value})
    policy = FaultPolicy(restarts=3)
    env = make({"env_id": FAULTY}, on_fault=policy)
    twin = pickle.loads(pickle.dumps(env))
    assert twin._policy == policy
    env.close()
    twin.close()


def rollout(env: Any, steps: int) -> list[Any]:
    """What an environment returns for one seed and the actions of one generator."""
    actions = np.random.default_rng(1).choice([0, 1, Faulty.RAISE, Faulty.EXIT, Faulty.END], steps)
    seen: list[Any] = [env.reset(seed=5), env.step(0)]
    for action in actions.tolist():
        seen.append(env.step(action))
        for key in ("remote_traceback", "stderr_tail"):  # addresses of objects; who else printed
            seen[-1][4].get("openenv", {}).pop(key, None)
        if seen[-1][2] or seen[-1][3]:
            seen.append(env.reset())
    env.close()
    return seen


def test_two_runs_with_the_same_faults_are_the_same(faulty: dict[str, Any]):
    policy = FaultPolicy(restarts=100, max_backoff_s=0)
    first, second = (rollout(make(faulty, on_fault=policy), 25) for _ in range(2))
    assert same(first, second)
    faults = sum("fault" in entry[-1].get("openenv", {}) for entry in first)
    assert faults == sum("incarnation" in entry[-1].get("openenv", {}) for entry in first) / 2 > 5


@pytest.mark.parametrize("fails_with", [Faulty.RAISE, Faulty.KILL])
def test_the_budget_is_kept_exactly(fails_with: int):
    # Each may start an interpreter, and none is forgotten before the last.
    policy = FaultPolicy(restarts=3, restarts_within_s=600, max_backoff_s=0)
    arguments = {"env_id": FAULTY, "fails_after": 1, "fails_with": fails_with}
    env = make(arguments, on_fault=policy)
    env.reset(seed=11)
    for incarnation in range(4):
        env.step(1)
        assert env.step(0)[4]["openenv"]["incarnation"] == incarnation
        if incarnation < 3:
            env.reset()
    number = "9" if fails_with == Faulty.KILL else "None"
    says = rf"again after 3 restarts within 600 s; seed {seed_after_fault(11, 0, 3)}, .*{number}"
    with pytest.raises(EnvCrashLoopError, match=says + r".*\[1, 0, 1, 0, 1, 0, 1, 0\]"):
        env.reset()
    env.close()


def test_a_reset_that_fails_is_made_again_within_the_budget(faulty: dict[str, Any]):
    env = make(faulty, on_fault=FaultPolicy(restarts=3, max_backoff_s=0))
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(EnvCrashLoopError, match=r"after 3 restarts .* to raise in reset"):
        env.reset(options={"raise": True})
    env.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_a_server_that_comes_back_is_waited_for(codec: str):
    with ServerProcess(FAULTY) as server:
        env = make({"env_id": FAULTY, "base_url": server.base_url, "codec": codec})
        env.reset(seed=0)
        env.step(0)
        port = server.base_url.rpartition(":")[2]
    _, reward, _, truncated, info = env.step(0)
    assert (reward, truncated, info["openenv"]["fault"]) == (0.0, True, "connection_lost")
    with ServerProcess(FAULTY, "--port", port):
        assert env.reset()[1]["openenv"]["incarnation"] == 1
        assert env.step(0)[3] is False
        env.close()


# A single environment notices it in the same lines in both codecs.
@pytest.mark.parametrize(
    ("codec", "is_vector"),
    [
        *(("binary", False), ("binary", True), ("json", True)),
        pytest.param("json", False, marks=pytest.mark.long),
    ],
)
@pytest.mark.sample(1)
def test_a_server_that_comes_back_with_another_environment_is_refused(codec: str, is_vector: bool):
    with ServerProcess(FAULTY) as server:
        where = {"base_url": server.base_url, "codec": codec}
        env: Any = (
            gym.make_vec("openenv/remote-v0", 2, **where) if is_vector else make_remote(where)
        )
        action = np.zeros(2, np.int64) if is_vector else 0
        env.reset(seed=0)
        env.step(action)
        port = server.base_url.rpartition(":")[2]
    assert np.all(env.step(action)[3])
    with ServerProcess("CartPole-v1", "--port", port):
        for _ in range(2):
            with pytest.raises(UnknownEnvironmentError, match=r"before, at .*; start the server"):
                env.step(action) if is_vector else env.reset()
    env.close()


def make_remote(where: dict[str, Any]) -> Any:
    return gym.make("openenv/remote-v0", **where).unwrapped


def test_a_server_that_stays_away_is_given_up():
    policy = FaultPolicy(reconnect_timeout_s=0.3)
    with ServerProcess(FAULTY) as server:
        env = make({"env_id": FAULTY, "base_url": server.base_url}, on_fault=policy)
        env.reset(seed=0)
        env.step(0)
    env.step(0)
    with pytest.raises(EnvCrashLoopError, match=r"could not be made anew within 0\.3 s"):
        env.reset()
    env.close()


def test_a_step_that_takes_too_long_on_a_server(serve: Callable[..., ServerProcess]):
    env = make({"env_id": FAULTY, "base_url": serve(FAULTY).base_url})
    env.reset(seed=0)
    env.step(0)
    env._connection.timeout_s = 2
    assert env.step(Faulty.HANG)[4]["openenv"]["fault"] == "step_timeout"
    env.reset()
    assert env.step(0)[3] is False
    env.close()
