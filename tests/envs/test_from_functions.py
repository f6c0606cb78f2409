"""Functions and classes that another process could not import, in embedded workers."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.vector import SyncVectorEnv

from openenv_gym import (
    Action,
    Environment,
    FaultPolicy,
    Observation,
    RemoteEnv,
    RemoteVectorEnv,
    State,
)
from openenv_gym.client import Connection
from openenv_gym.errors import (
    EnvStartError,
    InvalidRequestError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)
from openenv_gym.launchers.embedded import EMBEDDED
from tests.support.rollouts import assert_same
from tests.support.waiting import wait_until


def counting(start: int = 0, length: int = 5, kill_at: int | None = None) -> type[gym.Env]:
    """A class that no module has; its environments count from ``start``."""

    class Counting(gym.Env):
        metadata = {"render_modes": ["ansi"]}
        observation_space = gym.spaces.Box(-100, 100, (1,), np.float32)
        action_space = gym.spaces.Discrete(3)

        def __init__(self, step: int = 1, render_mode: str | None = None) -> None:
            self.by, self.render_mode, self.at = step, render_mode, start

        def _told(self):
            return np.full(1, self.at, np.float32), {"pid": os.getpid(), "noise": self.noise}

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.at, self.noise = start, self.np_random.random()
            return self._told()

        def step(self, action):
            self.at += self.by
            if action == 2:
                raise ValueError("told to raise")
            if self.at == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return *self._told()[:1], float(action), self.at >= start + length, False, {}

        def render(self):
            return f"at {self.at}"

    return Counting


@pytest.fixture
def closing():
    """Closes environments at the end, also of a test that fails."""
    made: list[Any] = []

    def note(env: Any) -> Any:
        made.append(env)
        return env

    yield note
    for env in made:
        env.close()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_lambdas_of_local_classes_are_those_in_process(mode: str, closing: Callable):
    kinds = [counting(start) for start in (0, 10, 20)]
    functions = [lambda kind=kind: kind() for kind in kinds]
    local = closing(SyncVectorEnv(functions, autoreset_mode=mode))
    remote = closing(RemoteVectorEnv.from_functions(functions, autoreset_mode=mode, shards=2))
    hidden = ("pid", "_pid")

    def seen(result: tuple) -> tuple:
        info = {k: v for k, v in result[-1].items() if k not in (*hidden, "final_info")}
        return *result[:-1], info

    assert_same(seen(local.reset(seed=3)), seen(remote.reset(seed=3)))
    for _ in range(4 if mode == "Disabled" else 12):
        actions = np.array([0, 1, 0])
        assert_same(seen(local.step(actions)), seen(remote.step(actions)))


def test_a_function_of_one_environment_takes_arguments(closing: Callable):
    env = closing(RemoteEnv.from_function(counting(), step=3, render_mode="ansi"))
    env.reset(seed=1)
    assert env.step(0)[0].tolist() == [3]
    assert (env.render(), env.render_mode) == ("at 3", "ansi")
    assert str(env) == "<RemoteEnv Counting>"


def test_a_function_may_set_the_render_mode_itself(closing: Callable):
    kind = counting()
    envs = closing(RemoteVectorEnv.from_functions([lambda: kind(render_mode="ansi")] * 2))
    envs.reset()
    assert (envs.render_mode, envs.render()) == ("ansi", ("at 0", "at 0"))


def test_a_function_that_takes_no_render_mode_says_so():
    def make_env() -> gym.Env:
        return counting()()

    with pytest.raises(UnsupportedRenderModeError, match="make_env takes none, got 'ansi'"):
        RemoteEnv.from_function(make_env, render_mode="ansi")


def test_a_time_limit(closing: Callable):
    env = closing(RemoteEnv.from_function(counting(), max_episode_steps=2))
    env.reset()
    assert [env.step(0)[3] for _ in range(2)] == [False, True]


def test_a_typed_environment_of_the_script(closing: Callable):
    class Word(Action):
        word: str

    class Said(Observation):
        length: int

    class Echo(Environment[Word, Said, State]):
        def reset(self, seed=None, episode_id=None, **kwargs) -> Said:
            return Said(length=0)

        def step(self, action: Word, timeout_s=None, **kwargs) -> Said:
            return Said(length=len(action.word), reward=1.0)

        @property
        def state(self):
            return State()

    env = closing(RemoteEnv.from_function(Echo))
    env.reset()
    assert env.step("four")[:2] == (4, 1.0)


def test_a_step_is_one_request_to_each_shard(closing: Callable, monkeypatch: pytest.MonkeyPatch):
    begun: list[str] = []
    begin = Connection.begin

    def counted(self: Connection, request: Any) -> None:
        begun.append(type(request).__name__)
        begin(self, request)

    envs = closing(RemoteVectorEnv.from_functions([counting()] * 64, shards=2))
    envs.reset()
    monkeypatch.setattr(Connection, "begin", counted)
    envs.step(np.zeros(64, np.int64))
    assert begun == ["Step", "Step"]


def test_a_killed_worker_is_handed_the_functions_again(closing: Callable):
    kinds = [counting(0), counting(10), counting(20, kill_at=22)]
    policy = FaultPolicy(backoff_s=0)
    envs = closing(
        RemoteVectorEnv.from_functions(kinds, shards=3, on_fault=policy, autoreset_mode="NextStep")
    )
    before = envs.reset(seed=1)[1]["pid"]
    envs.step(np.zeros(3, np.int64))
    obs, _, _, truncated, infos = envs.step(np.zeros(3, np.int64))
    assert truncated.tolist() == [False, False, True]
    assert infos["openenv"]["fault"][2] == "worker_died"
    obs, _, _, _, infos = envs.step(np.zeros(3, np.int64))
    assert obs.ravel().tolist() == [3, 13, 20]
    assert infos["pid"][2] not in before


def test_one_that_raises_is_made_by_its_own_function(closing: Callable):
    kinds = [counting(0), counting(10), counting(20)]
    envs = closing(RemoteVectorEnv.from_functions(kinds, shards=1))
    envs.reset(seed=1)
    envs.step(np.zeros(3, np.int64))
    assert envs.step(np.array([0, 2, 0]))[3].tolist() == [False, True, False]
    assert envs.step(np.zeros(3, np.int64))[0].ravel().tolist() == [3, 10, 23]


def test_a_pickled_copy_has_the_functions(closing: Callable):
    envs = closing(RemoteVectorEnv.from_functions([counting(7)] * 2))
    copied = closing(pickle.loads(pickle.dumps(envs)))
    assert copied.reset()[0].ravel().tolist() == [7, 7]


def test_what_functions_share_is_sent_once():
    shared = np.zeros(1 << 20, np.uint8)
    kind = counting()

    def of(number: int) -> Callable[[], gym.Env]:
        return lambda: kind(step=int(shared[0]) + number)

    envs = RemoteVectorEnv.from_functions([of(number) for number in range(8)], shards=1)
    (shard,) = envs._shards
    assert len(shard.endpoint.handed) < 1.5 * shared.nbytes
    envs.reset()
    assert envs.step(np.zeros(8, np.int64))[0].ravel().tolist() == list(range(8))
    envs.close()


# What cannot work says why.


def other_space() -> gym.Env:
    env = counting()()
    env.observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    return env


@pytest.mark.parametrize("shards", [1, 3])
def test_other_spaces_are_named(shards: int):
    with pytest.raises(RuntimeError, match=r"sub-environment 2.*other_space.*\(2,\)"):
        RemoteVectorEnv.from_functions([counting()] * 2 + [other_space], shards=shards)


@pytest.mark.parametrize("shards", [1, 2])
def test_spaces_are_the_same_though_one_has_labels(closing: Callable, shards: int):
    functions = [partial(gym.make, "CartPole-v1"), CartPoleEnv]
    assert closing(RemoteVectorEnv.from_functions(functions, shards=shards)).num_envs == 2


def test_a_lock_is_named_with_its_function():
    lock, kind = threading.Lock(), counting()

    def helper() -> gym.Env:
        with lock:
            return kind()

    def make_env() -> gym.Env:
        return helper()

    with pytest.raises(InvalidRequestError) as caught:
        RemoteVectorEnv.from_functions([kind, make_env])
    said = str(caught.value)
    assert "got make_env (" in said
    assert f"{__file__}, line {make_env.__code__.co_firstlineno}" in said
    assert "its variable 'helper' and its variable 'lock', a lock" in said


@pytest.mark.parametrize(
    ("value", "kind"),
    [((each for each in ()), "generator"), (open(os.devnull, "w"), "TextIOWrapper")],  # noqa: SIM115
    ids=["generator", "file"],
)
def test_what_cannot_be_sent_is_named(value: Any, kind: str):
    with pytest.raises(InvalidRequestError, match=f"its argument 'step', a {kind}"):
        RemoteEnv.from_function(partial(counting(), step=value))


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self):
        return importlib.import_module, ("no_such_module_here",)


def test_what_cannot_be_read_in_the_worker_is_named():
    with pytest.raises(EnvStartError, match=r"^_?counts was sent to the worker") as caught:

        def counts(what: Unreadable = Unreadable()) -> gym.Env:  # noqa: B008
            return counting()()

        RemoteVectorEnv.from_functions([counting(), counts], shards=1)
    assert isinstance(caught.value, ModuleNotFoundError)
    assert "no_such_module_here" in str(caught.value)


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        ([], "at least one function"),
        (counting, r"expected a list of functions .* as \[make_env\] \* 8, got a function"),
        ([None], "got a NoneType at place 0"),
        ([counting(), counting()()], "got a Counting at place 1; each needs an environment of its"),
    ],
)
def test_what_is_no_function_is_refused(functions: list, said: str):
    with pytest.raises(InvalidRequestError, match=said):
        RemoteVectorEnv.from_functions(functions)


def make_vector_env() -> Any:
    return SyncVectorEnv([counting()] * 2)


def test_a_function_of_a_vector_env_is_told_what_to_give():
    with pytest.raises(EnvStartError, match="give the functions of its sub-environments"):
        RemoteVectorEnv.from_functions([make_vector_env])


def test_a_function_of_no_environment_is_named():
    with pytest.raises(EnvStartError, match="<lambda> makes an object of type int"):
        RemoteVectorEnv.from_functions([lambda: 7] * 2)


def test_a_class_of_no_environment_is_named():
    with pytest.raises(UnknownEnvironmentError, match="Unreadable is a class without reset"):
        RemoteEnv.from_function(Unreadable)


def test_an_exception_of_the_function_is_of_its_class():
    def make_env() -> gym.Env:
        raise FileNotFoundError("no map")

    with pytest.raises(EnvStartError, match="no map") as caught:
        RemoteEnv.from_function(make_env)
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"base_url": "http://127.0.0.1:1"}, "base_url: functions run in worker processes"),
        ({"num_envs": 3}, "num_envs: expected nothing"),
        ({"vectorization": "native"}, "vectorization: expected nothing"),
        ({"codec": "json"}, "codec='json' needs a server"),
        ({"shards": 0}, "shards: expected a number from 1"),
    ],
)
def test_options_that_make_no_sense(arguments: dict, said: str):
    with pytest.raises(InvalidRequestError, match=said):
        RemoteVectorEnv.from_functions([counting()] * 2, **arguments)


# Modules that another process does not find, and ids that only this process has.

SOURCE = """
import gymnasium as gym, numpy as np
STEP = 4
class Strange(gym.Env):
    observation_space = gym.spaces.Box(-100, 100, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full(1, STEP, np.float32), {}
    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}
"""


@pytest.fixture
def strange(tmp_path: Path):
    """A module that was loaded by its path, as pytest and notebooks load some."""
    name = "strange_module_of_no_path"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture
def register():
    """Registers ids until the test ends."""
    given: list[str] = []

    def note(env_id: str, entry_point: Any, **arguments: Any) -> str:
        gym.registry.pop(env_id, None)
        gym.register(env_id, entry_point, **arguments)
        given.append(env_id)
        return env_id

    yield note
    for env_id in given:
        gym.registry.pop(env_id, None)


def first_obs(env: Any) -> list:
    first: list = env.reset()[0].ravel().tolist()
    env.close()
    return first


def test_a_class_of_a_module_without_a_path(strange: Any):
    import cloudpickle

    assert first_obs(RemoteEnv.from_function(strange.Strange)) == [4]
    assert strange.__name__ not in cloudpickle.list_registry_pickle_by_value()


@pytest.mark.parametrize("is_name", [True, False])
def test_an_id_of_a_module_without_a_path(strange: Any, register: Callable, is_name: bool):
    place = f"{strange.__name__}:Strange" if is_name else strange.Strange
    env_id = register("Strange-v0", place)
    assert first_obs(gym.make("openenv/gymnasium-v0", env_id=env_id)) == [4]
    envs = gym.make_vec("openenv/gymnasium-v0", 3, env_id=env_id, shards=2)
    assert first_obs(envs) == [4, 4, 4]


def test_an_id_that_was_registered_anew_is_the_new_one(register: Callable):
    env_id = register("Edited-v0", counting(1))
    old = gym.make("openenv/gymnasium-v0", env_id=env_id)
    register(env_id, counting(2))
    new = gym.make("openenv/gymnasium-v0", env_id=env_id)
    again = pickle.loads(pickle.dumps(old))
    assert [first_obs(each) for each in (new, old, again)] == [[2], [1], [1]]


def test_a_class_that_is_sent_again_changes_none_that_is_there(strange: Any, closing: Callable):
    old = closing(RemoteEnv.from_function(strange.Strange))
    strange.STEP = 5
    assert first_obs(RemoteEnv.from_function(strange.Strange)) == [5]
    assert old.reset()[0].tolist() == [4]


def test_an_id_has_its_arguments_wrappers_and_time_limit(register: Callable, closing: Callable):
    wrapper = gym.wrappers.TransformReward.wrapper_spec(func=lambda reward: reward + 100)
    env_id = register(
        "Wrapped-v0",
        counting(1),
        kwargs={"step": 2},
        max_episode_steps=2,
        additional_wrappers=(wrapper,),
    )
    env = closing(gym.make("openenv/gymnasium-v0", env_id=env_id))
    env.reset()
    assert [env.step(1)[:4] for _ in range(2)] == [(3, 101, False, False), (5, 101, False, True)]


def test_an_id_with_a_vector_form_uses_it(register: Callable, closing: Callable):
    def vector_form(num_envs: int) -> Any:
        return SyncVectorEnv([counting(50)] * num_envs)

    env_id = register("Form-v0", counting(1), vector_entry_point=vector_form)
    envs = closing(gym.make_vec("openenv/gymnasium-v0", 4, env_id=env_id))
    assert envs.reset()[0].ravel().tolist() == [50] * 4


def test_a_function_may_make_an_id_of_this_process(register: Callable):
    env_id = register("Inner-v0", counting(9))
    assert first_obs(RemoteVectorEnv.from_functions([lambda: gym.make(env_id)] * 2)) == [9, 9]


def test_another_id_that_cannot_be_sent_matters_only_where_it_is_made(register: Callable):
    lock = threading.Lock()
    broken = register("Broken-v0", lambda: lock)
    sound = register("Sound-v0", counting(3))
    assert first_obs(gym.make("openenv/gymnasium-v0", env_id=sound)) == [3]
    with pytest.raises(InvalidRequestError, match=r"Broken-v0.*'lock', a lock"):
        gym.make("openenv/gymnasium-v0", env_id=broken)
    with pytest.raises(EnvStartError, match=r"Broken-v0.*'lock', a lock"):
        RemoteEnv.from_function(lambda: gym.make(broken))


def test_a_name_in_main_is_told_what_to_do():
    with pytest.raises(
        UnknownEnvironmentError, match=r"RemoteEnv\.from_function, or register an id"
    ):
        gym.make("openenv/gymnasium-v0", env_id="__main__:MyEnv")


def test_a_worker_keeps_nothing_of_what_was_registered(register: Callable):
    env_id = register("Gone-v0", counting(3))
    gym.make("openenv/gymnasium-v0", env_id=env_id).close()
    del gym.registry[env_id]
    with pytest.raises(UnknownEnvironmentError, match="Gone"):
        gym.make("openenv/gymnasium-v0", env_id=env_id)


def test_sessions_that_were_handed_something_leave_no_descriptors():
    RemoteEnv.from_function(counting()).close()
    worker, here = psutil.Process(EMBEDDED.pid), psutil.Process()
    before = worker.num_fds(), here.num_fds()
    for _ in range(3):
        RemoteEnv.from_function(counting()).close()
    wait_until(lambda: worker.num_fds() <= before[0])
    assert here.num_fds() <= before[1]
