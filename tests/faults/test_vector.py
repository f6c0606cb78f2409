"""A fault of some sub-environments: their episodes end and begin anew, the others do not notice."""

from __future__ import annotations

import contextlib
import pickle
import time
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.vector import AutoresetMode

from openenv_gym.conformance import same
from openenv_gym.errors import (
    ConnectionLostError,
    EnvCrashLoopError,
    InvalidActionError,
    RemoteEnvError,
    ResetNeededError,
)
from openenv_gym.launchers import ServerProcess
from openenv_gym.recovery import FaultPolicy, seed_after_fault
from tests.faults.conftest import FAULTY
from tests.faults.envs import Faulty
from tests.faults.kinds import FAULT
from tests.support.family import embedded_workers, has_ended, workers_of
from tests.support.pairs import in_pairs
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)  # some start an interpreter for each of many faults

NUM_ENVS, SHARDS, STEPS = 4, 2, 12
PATIENCE_S, HURRY_S = 60, 3  # until it has begun, since interpreters start; and from then on
PATIENT = FaultPolicy(restarts=1000, max_backoff_s=0)
LOCAL = {Faulty.RAISE, Faulty.NO_VALUE}  # faults that the worker keeps to one sub-environment
EVERY = [Faulty.RAISE, Faulty.EXIT, Faulty.SEGV, Faulty.ABRT, Faulty.KILL, Faulty.NO_VALUE]


WHERE = ("embedded", "binary")


@pytest.fixture(params=WHERE)
def where(request: pytest.FixtureRequest, serve: Any) -> dict[str, Any]:
    if request.param == "embedded":
        return {"env_id": FAULTY}
    return {"env_id": FAULTY, "base_url": serve(FAULTY).base_url}


def make(where: dict[str, Any], mode: AutoresetMode = AutoresetMode.NEXT_STEP, **more: Any) -> Any:
    arguments = {"num_envs": NUM_ENVS, "shards": SHARDS, "on_fault": PATIENT, **where, **more}
    return gym.make_vec("openenv/gymnasium-v0", autoreset_mode=mode, **arguments)


def hurry(envs: Any, shards: int = 1) -> None:
    """Wait less long for replies of the first shards, which will hang, from now on."""
    for shard in envs._shards[:shards]:
        shard.connection.timeout_s = HURRY_S


def run(
    envs: Any, mode: AutoresetMode, faults: dict[tuple[int, int], int], steps: int = STEPS
) -> list[Any]:
    """What comes of the same seed and actions, with faults by step and sub-environment."""
    rng = np.random.default_rng(0)
    seen: list[Any] = [envs.reset(seed=7)]
    for number in range(steps):
        actions = rng.choice([0, 1, Faulty.END], NUM_ENVS, p=[0.5, 0.4, 0.1])
        if number == 0:
            actions[:] = 1
        for (step, env), action in faults.items():
            if step == number:
                actions[env] = action
        seen.append(envs.step(actions))
        ended = seen[-1][2] | seen[-1][3]
        if mode is AutoresetMode.DISABLED and ended.any():
            seen.append(envs.reset(options={"reset_mask": ended}))
    envs.close()
    return seen


def column(result: Any, number: int) -> list[Any]:
    """What one sub-environment says in a result, its infos too."""
    info = {
        key: value[number]
        for key, value in result[-1].items()
        if not isinstance(value, dict) and key[0] != "_" and result[-1][f"_{key}"][number]
    }
    return [*(part[number] for part in result[:-1]), info]


@in_pairs(
    indirect=["where"],
    where=WHERE,
    action=EVERY,
    mode=[AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP],
)
def test_bystanders_play_as_without_the_fault(action: int, mode: AutoresetMode, where: Any):
    free = run(make(where, mode), mode, {})
    struck = run(make(where, mode), mode, {(5, 1): action})
    hurt = {1} if action in LOCAL else {0, 1}  # a worker has two
    flagged = set()
    for number, (expected, actual) in enumerate(zip(free, struck, strict=True)):
        for env in set(range(NUM_ENVS)) - hurt:
            assert same(column(expected, env), column(actual, env)), (number, env)
        for info in (actual[-1], actual[-1].get("final_info", {})):
            where_said = info.get("openenv", {}).get("_fault", np.zeros(NUM_ENVS, bool))
            flagged |= {(number, env) for env in np.flatnonzero(where_said).tolist()}
    assert flagged == {(6, env) for env in hurt}  # the first entry is the reset


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("at", [4, 5])  # amid an episode, and in its last step
def test_an_observation_that_fits_into_no_batch_is_a_fault_of_its_own(at: int, mode: AutoresetMode):
    plan = {f"1/0/{at}": {"kind": "bad_observation", "how": "shape"}}
    where = {"env_id": FAULT, "plan": plan, "first_seed": 7, "episode_steps": 5}
    envs = make(where, mode)
    envs.reset(seed=7)
    for step in range(1, at + 1):
        *_, terminated, truncated, _ = envs.step(np.zeros(4, np.int64))
        assert truncated.tolist() == [False, step == at, False, False]
    assert terminated.tolist() == [at == 5, False, at == 5, at == 5]
    envs.close()


def test_next_step_truncates_and_resets_in_the_next_step(where: Any):
    envs = make(where)
    envs.reset(seed=7)
    last = envs.step(np.ones(4, np.int64))[0]
    before = last.copy()
    last[:] = 99
    obs, rewards, terminated, truncated, info = envs.step(np.array([1, 1, Faulty.KILL, 1]))
    assert same(obs[2:], before[2:]) and rewards.tolist() == [1, 1, 0, 0]
    assert not terminated.any() and truncated.tolist() == [False, False, True, True]
    said = info["openenv"]
    assert said["fault"].tolist() == [None, None, "worker_died", "worker_died"]
    assert said["signal"].tolist() == [None, None, 9, 9] and said["_signal"].tolist() == [
        *(False, False, True, True)
    ]
    obs, rewards, terminated, truncated, info = envs.step(np.ones(4, np.int64))
    seeds = [seed_after_fault(7, number, 1) for number in (2, 3)]
    assert rewards.tolist() == [1, 1, 0, 0] and not (terminated | truncated).any()
    assert info["openenv"]["seed"].tolist() == [None, None, *seeds]
    assert info["openenv"]["incarnation"].tolist() == [None, None, 1, 1]
    local = [Faulty(), Faulty()]
    for place, (env, seed) in enumerate(zip(local, seeds, strict=True)):
        assert same(obs[2 + place], env.reset(seed=seed)[0])
    obs, *_, info = envs.step(np.ones(4, np.int64))
    assert same(obs[3], local[1].step(1)[0]) and "openenv" not in info
    envs.close()


def test_same_step_has_the_fault_in_the_final_info(where: Any):
    envs = make(where, AutoresetMode.SAME_STEP)
    envs.reset(seed=7)
    before = envs.step(np.ones(4, np.int64))[0].copy()
    for number, actions in enumerate(([Faulty.RAISE, 1, 1, 1], [1, 1, 1, Faulty.EXIT])):
        hurt = [[0], [2, 3]][number]
        obs, rewards, terminated, truncated, info = envs.step(np.array(actions))
        assert np.flatnonzero(truncated).tolist() == hurt and not terminated.any()
        assert np.flatnonzero(rewards == 0).tolist() == hurt
        for env in hurt:
            assert same(info["final_obs"][env], before[env])
            seed = info["openenv"]["seed"][env]
            assert seed == seed_after_fault(7, env, 1)
            assert same(obs[env], Faulty().reset(seed=seed)[0])
        said = info["final_info"]["openenv"]
        assert np.flatnonzero(said["_fault"]).tolist() == hurt
        kind, code = [("env_raised", None), ("worker_died", 7)][number]
        assert {(said["fault"][env], said["exitcode"][env]) for env in hurt} == {(kind, code)}
        before = obs.copy()
    assert "told to raise" not in str(envs.step(np.ones(4, np.int64))[-1])
    envs.close()


@pytest.mark.parametrize("factory", ["same_step", "cartpoles"])
@pytest.mark.sample(1)
def test_a_vector_form_that_batches_infos_itself(factory: str):
    with ServerProcess(f"vector:tests.support.envs:{factory}") as it:
        envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=it.base_url)
        envs.reset(seed=7)
        last, rewards, *_ = envs.step(np.zeros(2, np.int64))
        workers = workers_of(it.pid)
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):  # it told what is served, and is gone
                worker.kill()
        wait_until(lambda: all(map(has_ended, workers)))
        _, faulted, _, truncated, info = envs.step(np.zeros(2, np.int64))
        assert truncated.all() and faulted.dtype == rewards.dtype
        if factory == "same_step":
            assert same(list(info["final_obs"]), list(last)) and info["_final_obs"].all()
            said = info["final_info"]["openenv"]
            assert info["began"].tolist() == [1, 1]
        else:
            said = info["openenv"]
            _, begun, *_, info = envs.step(np.zeros(2, np.int64))
            assert begun.dtype == rewards.dtype
        assert said["signal"].tolist() == [9, 9]
        assert info["openenv"]["incarnation"].tolist() == [1, 1]
        envs.close()


@pytest.mark.parametrize("action", [Faulty.RAISE, Faulty.KILL])
def test_disabled_leaves_the_reset_to_the_caller(action: int, where: Any):
    envs = make(where, AutoresetMode.DISABLED)
    envs.reset(seed=7)
    envs.step(np.ones(4, np.int64))
    *_, truncated, _ = envs.step(np.array([action, 1, 1, 1]))
    assert truncated.tolist() == [True, action == Faulty.KILL, False, False]
    with pytest.raises(ResetNeededError, match="reset_mask"):
        envs.step(np.ones(4, np.int64))
    obs, info = envs.reset(options={"reset_mask": truncated})
    assert info["openenv"]["incarnation"][0] == 1
    assert obs[:, 0].tolist() == [0, 0 if action == Faulty.KILL else 2, 2, 2]
    assert envs.step(np.ones(4, np.int64))[0][:, 0].tolist() == (obs[:, 0] + 1).tolist()
    envs.close()


def test_a_worker_that_dies_in_a_reset_of_some_ends_the_episodes_of_its_others():
    plan = {"0/0/reset:2": "kill"}
    world = {"env_id": FAULT, "first_seed": 7, "shards": 2, "num_envs": 4, "plan": plan}
    envs = make(world, AutoresetMode.DISABLED)
    envs.reset(seed=7)
    before = envs.step(np.zeros(4, np.int64))[0].copy()
    only_first = np.array([True, False, False, False])
    assert same(envs.reset(options={"reset_mask": only_first})[0], before)
    obs, rewards, _, truncated, info = envs.step(np.zeros(4, np.int64))
    assert truncated.tolist() == [True, True, False, False]
    assert rewards[:2].tolist() == [0, 0] and same(obs[:2], before[:2])
    assert info["openenv"]["fault"].tolist() == ["worker_died", "worker_died", None, None]
    assert not np.array_equal(obs[2:], before[2:])
    obs, info = envs.reset(options={"reset_mask": truncated})
    seeds = [seed_after_fault(7, number, 1) for number in range(2)]
    assert info["openenv"]["seed"].tolist() == [*seeds, None, None]
    *_, truncated, info = envs.step(np.zeros(4, np.int64))
    assert not truncated.any() and "openenv" not in info
    envs.close()


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(
    "where", ["embedded", pytest.param("binary", marks=pytest.mark.long)], indirect=True
)
@pytest.mark.sample(1)
def test_two_runs_with_the_same_faults_are_the_same(where: Any, mode: AutoresetMode):
    faults = {(2, 0): Faulty.RAISE, (2, 3): Faulty.KILL, (4, 1): Faulty.EXIT, (6, 1): Faulty.RAISE,
              (6, 0): Faulty.RAISE, (8, 2): Faulty.NO_VALUE, (9, 0): Faulty.ABRT}  # fmt: skip
    first, second = (run(make(where, mode), mode, faults, 16) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        for result in (one, other):
            for info in (result[-1], result[-1].get("final_info", {})):
                for key in ("remote_traceback", "stderr_tail"):  # with addresses in them
                    info.get("openenv", {}).pop(key, None)
        assert same(one, other)


def test_the_rewards_of_a_step_with_a_fault_are_of_the_same_dtype():
    envs = make({"env_id": FAULTY, "num_envs": 2, "shards": 1})
    envs.reset(seed=7)
    expected = envs.step(np.ones(2, np.int64))[1].dtype
    _, rewards, _, truncated, _ = envs.step(np.array([Faulty.EXIT, 1]))
    assert truncated.all() and rewards.dtype == expected
    envs.close()


def test_where_all_have_ended_a_fault_in_a_reset_of_some_ends_nothing():
    plan = {"0/0/reset:2": "kill"}
    world = {"env_id": FAULT, "first_seed": 7, "shards": 1, "num_envs": 2, "plan": plan}
    envs = make({**world, "episode_steps": 1}, AutoresetMode.DISABLED)
    envs.reset(seed=7)
    assert envs.step(np.zeros(2, np.int64))[2].all()
    info = envs.reset(options={"reset_mask": np.array([True, False])})[1]
    assert info["openenv"]["incarnation"].tolist() == [1, 1]
    envs.close()


def test_a_budget_that_is_spent_leaves_the_sessions_of_others():
    policy = FaultPolicy(restarts=0)
    envs = make({"env_id": FAULTY, "num_envs": 2, "shards": 2, "on_fault": policy})
    envs.reset(seed=7)
    envs.step(np.ones(2, np.int64))
    envs.step(np.array([1, Faulty.EXIT]))
    with pytest.raises(EnvCrashLoopError, match="sub-environment 1 of"):
        envs.step(np.ones(2, np.int64))
    assert [shard.connection.is_broken for shard in envs._shards] == [False, True]
    envs.close()


def test_a_worker_that_takes_over_derives_seeds_from_that_of_the_caller():
    envs = make({"env_id": FAULTY, "num_envs": 1, "shards": 1}, AutoresetMode.SAME_STEP)
    envs.reset(seed=7)
    envs.step(np.ones(1, np.int64))
    for incarnation, action in enumerate((Faulty.EXIT, Faulty.RAISE, Faulty.RAISE), 1):
        info = envs.step(np.array([action]))[-1]
        assert info["openenv"]["seed"].tolist() == [seed_after_fault(7, 0, incarnation)]
        envs.step(np.ones(1, np.int64))
    envs.close()


def test_nothing_is_softened_before_the_first_step(where: Any):
    envs = make(where)
    envs.reset(seed=0)
    for action in (Faulty.RAISE, Faulty.KILL):
        with pytest.raises((RemoteEnvError, ConnectionLostError)):
            envs.step(np.array([0, 0, 0, action]))
        envs.reset(seed=0)
    with pytest.raises(RemoteEnvError, match="told to raise in reset"):
        envs.reset(options={"raise": True})
    envs.close()


@pytest.mark.parametrize("action", [Faulty.RAISE, Faulty.KILL])
def test_faults_are_raised_on_request(action: int, where: Any):
    envs = make(where, on_fault="raise")
    envs.reset(seed=0)
    envs.step(np.zeros(4, np.int64))
    with pytest.raises((RemoteEnvError, ConnectionLostError)):
        envs.step(np.array([0, 0, 0, action]))
    twin = pickle.loads(pickle.dumps(envs))
    assert not twin._policy.is_soft
    envs.reset()
    envs.step(np.zeros(4, np.int64))
    envs.close()
    twin.close()


def test_mistakes_are_never_truncations(where: Any):
    envs = make(where)
    envs.reset(seed=0)
    envs.step(np.zeros(4, np.int64))
    for actions in (np.full(4, 10), np.zeros(3, np.int64), "abcd"):
        with pytest.raises(InvalidActionError):
            envs.step(actions)
    assert envs.step(np.zeros(4, np.int64))[0][:, 0].tolist() == [2.0] * 4
    envs.close()


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("fails_with", [Faulty.RAISE, Faulty.KILL])
@pytest.mark.sample(2)
def test_the_budget_is_kept_exactly(fails_with: int, mode: AutoresetMode):
    # Many interpreters start one after another: none is forgotten before the last.
    policy = FaultPolicy(restarts=3, restarts_within_s=600, max_backoff_s=0)
    where = {"env_id": FAULTY, "fails_after": 1, "fails_with": fails_with}
    envs = make(where, mode, on_fault=policy)
    envs.reset(seed=11)
    faults = 0
    with pytest.raises(EnvCrashLoopError, match=r"sub-environment \d of .*again after 3 restarts"):
        for _ in range(100):
            faults += int(envs.step(np.ones(4, np.int64))[3][0])
    assert faults == (4 if mode is AutoresetMode.NEXT_STEP else 3)
    envs.close()


RESETS_RAISE = {"env_id": FAULT, "first_seed": 7, "episode_steps": 3, "shards": 1}


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_restarts_that_a_worker_makes_in_a_reset_count_as_others_do(mode: AutoresetMode):
    plan = {"1/0/reset:2": "raise", "1/1/2": "kill", "0/1/reset": "raise"}
    envs = make({**RESETS_RAISE, "plan": plan}, mode, num_envs=2)
    envs.reset(seed=7)
    told, faults = [], []
    for _ in range(7):
        info = envs.step(np.zeros(2, np.int64))[-1]
        for said in (info.get("openenv", {}), info.get("final_info", {}).get("openenv", {})):
            incarnations = said.get("incarnation", [])
            (faults if "fault" in said else told).append(list(incarnations))
            for number, seed in enumerate(said.get("seed", [])):
                if seed is not None:
                    assert seed == seed_after_fault(7, number, incarnations[number])
    assert [each for each in faults if each] == [[0, 1]]
    # The first reset of the worker that is made then raises, and is made again there.
    assert [each for each in told if each] == [[None, 1], [2, 2]]
    envs.close()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_resets_that_raise_use_up_the_budget(mode: AutoresetMode):
    policy = FaultPolicy(restarts=3, max_backoff_s=0)
    plan = {"1/*/reset:2": "raise"}
    envs = make({**RESETS_RAISE, "plan": plan}, mode, num_envs=2, on_fault=policy)
    envs.reset(seed=7)
    told = 0
    with pytest.raises(EnvCrashLoopError, match=r"sub-environment 1 of .*again after 3 restarts"):
        for _ in range(40):
            *_, terminated, truncated, info = envs.step(np.zeros(2, np.int64))
            assert not truncated.any()
            if mode is AutoresetMode.DISABLED and terminated.any():
                info = envs.reset(options={"reset_mask": terminated})[1]
            told += "openenv" in info
    assert told == 3
    envs.close()


def test_a_hang_is_a_fault_of_its_shard():
    envs = make({"env_id": FAULTY}, timeout_s=PATIENCE_S)
    envs.reset(seed=0)
    envs.step(np.zeros(4, np.int64))
    hurry(envs)
    pids = {worker.pid for worker in embedded_workers(2)}
    *_, truncated, info = envs.step(np.array([0, Faulty.HANG, 0, 0]))
    assert truncated.tolist() == [True, True, False, False]
    assert info["openenv"]["fault"].tolist() == ["step_timeout", "step_timeout", None, None]
    assert envs.step(np.zeros(4, np.int64))[0][:, 0].tolist() == [0, 0, 3, 3]
    envs.close()
    gone = {pid for pid in pids if not psutil.pid_exists(pid)}
    assert len(gone) == 1


def zombies() -> set[int]:
    """Children that have ended and were not seen off."""
    children = psutil.Process().children()
    return {child.pid for child in children if child.status() == psutil.STATUS_ZOMBIE}


def test_all_that_hang_are_waited_for_at_the_same_time():
    before = zombies()
    envs = make({"env_id": FAULTY}, num_envs=8, shards=8, timeout_s=PATIENCE_S)
    envs.reset(seed=0)
    envs.step(np.zeros(8, np.int64))
    hurry(envs, 8)
    began_s = time.monotonic()
    *_, truncated, info = envs.step(np.full(8, Faulty.HANG))
    assert time.monotonic() - began_s < 8 * HURRY_S  # which is what one after another takes
    assert truncated.all() and info["openenv"]["fault"].tolist() == ["step_timeout"] * 8
    envs.close()
    assert zombies() <= before


def in_play(where: dict[str, Any], **more: Any) -> Any:
    """After a step by ``send`` and ``recv``."""
    envs = make(where, **more)
    envs.async_reset(seed=7)
    envs.recv(count=4)
    envs.send(np.ones(4, np.int64), np.arange(4))
    envs.recv(count=4)
    return envs


def test_send_and_recv(where: Any):
    envs = in_play(where)
    envs.send(np.array([Faulty.KILL, 1]), [0, 1])
    *_, truncated, info = envs.recv()
    assert truncated.tolist() == [True, True] and info["env_id"].tolist() == [0, 1]
    assert info["openenv"]["signal"].tolist() == [9, 9]
    envs.send(np.ones(4, np.int64), np.arange(4))
    obs, rewards, _, truncated, info = envs.recv(count=4)
    assert obs[:, 0].tolist() == [0, 0, 2, 2] and rewards.tolist() == [0, 0, 1, 1]
    assert not truncated.any() and info["env_id"].tolist() == [0, 1, 2, 3]
    assert info["openenv"]["_seed"].tolist() == [True, True, False, False]
    envs.close()


def test_a_shard_that_hangs_is_not_waited_for_twice():
    envs = in_play({"env_id": FAULTY}, timeout_s=PATIENCE_S)
    hurry(envs)
    envs.send(np.array([Faulty.HANG, 1]), [0, 1])
    *_, truncated, info = envs.recv()
    assert truncated.tolist() == [True, True]
    assert info["openenv"]["fault"].tolist() == ["step_timeout"] * 2
    envs.send(np.ones(4, np.int64), np.arange(4))
    assert envs.recv(count=4)[0][:, 0].tolist() == [0, 0, 2, 2]
    envs.close()


@pytest.mark.long
def test_a_shard_that_hangs_is_told_of_though_the_others_answer():
    envs = in_play({"env_id": FAULTY}, timeout_s=PATIENCE_S)
    hurry(envs)
    envs.send(np.array([Faulty.HANG, 1, 1, 1]), np.arange(4))
    while True:  # as long as that takes
        *_, truncated, info = envs.recv()
        if truncated.any():
            break
        assert info["env_id"].tolist() == [2, 3]
        envs.send(np.ones(2, np.int64), [2, 3])
    said = dict(zip(info["env_id"].tolist(), info["openenv"]["fault"].tolist(), strict=True))
    assert said[0] == said[1] == "step_timeout" and said.get(2) is None
    envs.close()


def test_closing_ends_what_is_dead_already(where: Any):
    envs = make(where)
    envs.reset(seed=0)
    envs.step(np.zeros(4, np.int64))
    envs.step(np.full(4, Faulty.KILL))
    envs.close()
    envs.close()
