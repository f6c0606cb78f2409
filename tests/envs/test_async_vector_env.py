"""``openenv_gym.AsyncVectorEnv`` in place of Gymnasium's."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import vector
from gymnasium.error import AlreadyPendingCallError, ClosedEnvironmentError, NoAsyncCallError

from openenv_gym import AsyncVectorEnv
from openenv_gym.errors import InvalidRequestError
from tests.support.rollouts import assert_same


def cartpole() -> gym.Env:
    return gym.make("CartPole-v1")


class Slow(gym.Env):
    """A step takes as many seconds as its action says."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Box(0, 1, (), np.float32)
    level = 3

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        time.sleep(float(action))
        return np.zeros(1, np.float32), 0.0, False, False, {}

    def add(self, number: int, *, to: int = 0) -> int:
        return self.level + number + to


@pytest.fixture
def make() -> Iterator[Callable[..., AsyncVectorEnv]]:
    made: list[AsyncVectorEnv] = []

    def one(functions: Any, *arguments: Any, **keywords: Any) -> AsyncVectorEnv:
        made.append(AsyncVectorEnv(functions, *arguments, **keywords))
        return made[-1]

    yield one
    for envs in made:
        envs.close(terminate=True)


def test_the_signature_is_gymnasiums():
    theirs = inspect.signature(vector.AsyncVectorEnv).parameters
    ours = list(inspect.signature(AsyncVectorEnv).parameters.values())
    assert ours[-1].kind is inspect.Parameter.VAR_KEYWORD
    known = {one.name: one.default for one in ours[:-1]}
    assert list(known)[: len(theirs)] == list(theirs)
    assert {name: known[name] for name in theirs} == {k: v.default for k, v in theirs.items()}


@pytest.mark.parametrize("name", ["reset_async", "reset_wait", "step_wait", "call_wait"])
def test_the_methods_take_what_gymnasiums_take(name: str):
    def names(kind: Any) -> list[str]:
        return list(inspect.signature(getattr(kind, name)).parameters)

    assert names(AsyncVectorEnv) == names(vector.AsyncVectorEnv)


@pytest.mark.parametrize("mode", list(vector.AutoresetMode))
def test_it_plays_as_gymnasiums(make: Callable, mode: Any):
    local = vector.SyncVectorEnv([cartpole] * 3, autoreset_mode=mode)
    remote = make([cartpole] * 3, True, True, None, True, None, "same", mode)
    assert_same(local.reset(seed=4), remote.reset(seed=4))
    for number in range(9 if mode is vector.AutoresetMode.DISABLED else 30):
        actions = np.full(3, number % 2 if number < 6 else 1)
        expected = local.step(actions)
        remote.step_async(actions)
        assert_same(expected, remote.step_wait())
    assert remote.metadata["autoreset_mode"] is remote.autoreset_mode is mode


def test_a_reset_is_asked_for_and_waited_for(make: Callable):
    envs = make([cartpole] * 2)
    envs.reset_async(seed=3)
    obs, _ = envs.reset_wait(timeout=20)
    assert_same(obs, envs.reset(seed=3)[0])


def test_a_reset_of_some(make: Callable):
    envs = make([cartpole] * 2, autoreset_mode="Disabled")
    first = envs.reset(seed=3)[0]
    second = envs.step(np.zeros(2, np.int64))[0]
    envs.reset_async([3, None], {"reset_mask": np.array([True, False])})
    obs, _ = envs.reset_wait()
    assert_same(obs, np.stack([first[0], second[1]]))


def test_calls_and_attributes(make: Callable):
    envs = make([Slow] * 3)
    envs.call_async("add", 1, to=2)
    assert envs.call_wait() == (6, 6, 6)
    envs.set_attr("level", [1, 2, 3])
    assert envs.get_attr("level") == envs.call("level") == (1, 2, 3)
    envs.set_attr("new", 7)  # which no sub-environment has had
    assert envs.get_attr("new") == (7, 7, 7)


def test_the_seeds_of_all(make: Callable):
    envs = make([cartpole] * 2)
    envs.reset(seed=5)
    assert envs.np_random_seed == (5, 6)


PENDING = {"reset": (), "step": (np.zeros(2, np.float32),), "call": ("add", 1)}


@pytest.mark.parametrize("pending", PENDING)
def test_nothing_else_is_begun_while_a_call_is_pending(make: Callable, pending: str):
    envs = make([Slow] * 2)
    envs.reset()
    getattr(envs, f"{pending}_async")(*PENDING[pending])
    for call, arguments in PENDING.items():
        with pytest.raises(AlreadyPendingCallError, match=f"a pending call to `{pending}`"):
            getattr(envs, f"{call}_async")(*arguments)
        if call != pending:
            with pytest.raises(NoAsyncCallError, match=f"`{call}_wait` without"):
                getattr(envs, f"{call}_wait")()
    for refused in (envs.reset, lambda: envs.set_attr("level", 1), lambda: envs.get_attr("level")):
        with pytest.raises(AlreadyPendingCallError):
            refused()
    getattr(envs, f"{pending}_wait")()
    assert envs.step(np.zeros(2, np.float32))[0].shape == (2, 1)


def test_a_wait_without_a_call(make: Callable):
    envs = make([Slow])
    for call in PENDING:
        with pytest.raises(NoAsyncCallError) as caught:
            getattr(envs, f"{call}_wait")()
        assert caught.value.name == call


def test_what_comes_too_late_is_no_answer_to_another_call(make: Callable):
    envs = make([Slow] * 2, shards=2)
    envs.reset()
    envs.step_async(np.array([0.0, 0.5], np.float32))
    with pytest.raises(multiprocessing.TimeoutError, match=r"after 0\.05 second"):
        envs.step_wait(timeout=0.05)
    assert envs.reset(seed=1)[0].tolist() == [[0], [0]]
    assert envs.step(np.zeros(2, np.float32))[1].tolist() == [0, 0]


def test_a_timeout_can_be_pickled(make: Callable):
    envs = make([Slow])
    envs.reset()
    envs.step_async(np.array([0.3], np.float32))
    with pytest.raises(TimeoutError) as caught:
        envs.step_wait(timeout=0)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_after_close_nothing_works(make: Callable):
    envs = make([Slow])
    envs.close()
    envs.close()
    calls = (envs.reset, envs.reset_async, envs.reset_wait, lambda: envs.step([0]))
    others = (envs.step_wait, envs.call_wait, lambda: envs.call("add", 1))
    for call in (*calls, *others, lambda: envs.set_attr("level", 1)):
        with pytest.raises(ClosedEnvironmentError, match="after a call to `close"):
            call()


@pytest.mark.parametrize("arguments", [{}, {"timeout": 0}, {"terminate": True}])
def test_a_close_while_a_call_is_pending_warns(make: Callable, arguments: dict):
    envs = make([Slow])
    envs.reset()
    envs.step_async(np.array([0.2], np.float32))
    with pytest.warns(UserWarning, match="while waiting for a pending call to `step`"):
        envs.close(**arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"context": "thread"}, "context: expected one of None, 'spawn'"),
        ({"worker": print}, "worker: expected None"),
        ({"observation_mode": "different"}, "observation_mode: expected 'same'"),
        ({"observation_mode": (Slow.observation_space,) * 2}, "observation_mode: expected 'same'"),
        ({"max_concurrency": 0}, "max_concurrency: expected a number from 1"),
        ({"autoreset_mode": "sometimes"}, "sometimes"),
    ],
)
def test_what_is_not_honoured_is_refused_by_name(arguments: dict, said: str):
    with pytest.raises(ValueError, match=said):
        AsyncVectorEnv([Slow], **arguments)


def test_no_function_is_refused():
    with pytest.raises(InvalidRequestError, match="at least one function"):
        AsyncVectorEnv([])


@pytest.mark.parametrize("method", ["spawn", "forkserver", None])
def test_start_methods_and_flags_are_taken(make: Callable, method: str | None):
    envs = make([Slow], shared_memory=False, copy=False, daemon=False, context=method)
    envs.reset()
    assert (envs.shared_memory, envs.copy, envs.daemon, envs.context) == (*[False] * 3, method)


@pytest.mark.parametrize(("most", "workers"), [(1, 1), (3, 3), (9, 4)])
def test_no_more_than_max_concurrency_step_at_once(make: Callable, most: int, workers: int):
    envs = make([Slow] * 4, max_concurrency=most, shards=4)
    assert len(envs._shards) == workers


def test_a_copy_has_the_functions(make: Callable):
    envs = make([partial(Slow)] * 2, daemon=False)
    copied = copy.deepcopy(envs)
    assert (type(copied), copied.daemon, copied.num_envs) == (AsyncVectorEnv, False, 2)
    assert copied.reset()[0].tolist() == [[0], [0]]
    copied.close()
