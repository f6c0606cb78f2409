"""``package.module:Class``: what classes and functions make, and what each wrong name is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym import Action, Environment, Observation, State
from openenv_gym.errors import (
    EnvStartError,
    InvalidRequestError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)
from openenv_gym.protocol import Open
from openenv_gym.workers.built_env import build

HERE = __name__


class Count(gym.Env[Any, Any]):
    """Counts its steps."""

    metadata = {"render_modes": None}
    observation_space = gym.spaces.Box(0, 100, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    class Twice(gym.Wrapper[Any, Any, Any, Any]):
        """Rewards twice."""

        def step(self, action):
            obs, reward, *rest = super().step(action)
            return obs, 2 * float(reward), *rest

    def __init__(self, start: int = 0) -> None:
        self.count = start

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.array([self.count], np.float32), {}

    def step(self, action):
        self.count += 1
        return np.array([self.count], np.float32), 1.0, False, False, {}


class Move(Action):
    by: int = 0


class Seen(Observation):
    total: int = 0


class Tutorial(Environment):
    """What a first environment looks like: no seed, and a bare ``Action``."""

    total = 0

    def reset(self) -> Seen:
        self.total = 0
        return Seen()

    def step(self, action: Action) -> Observation:
        self.total += action.by
        return Seen(total=self.total, reward=1.0)

    @property
    def state(self) -> State:
        return State()


class NoSpaces(Count):
    action_space = None


def twice(start: int = 0) -> gym.Env[Any, Any]:
    return Count.Twice(Count(start))


def twice_cart_pole() -> gym.Env[Any, Any]:
    return Count.Twice(gym.make("CartPole-v1"))


def three() -> int:
    return 3


def several(num_envs: int = 2) -> Any:
    return gym.vector.SyncVectorEnv([Count] * num_envs)


one_object = Count()


@pytest.mark.parametrize("name", [f"{HERE}:Count", f"environment:{HERE}:Count"])
def test_a_class_of_gymnasium_gets_the_arguments(name):
    env = build(Open(name, {"start": 4}, max_episode_steps=2)).env
    assert env.reset()[0].tolist() == [4]
    assert env.step(0)[1:4] == (1.0, False, False)
    assert env.step(0)[1:4] == (1.0, False, True)


def test_a_function_is_called_and_a_name_may_have_dots():
    env = build(Open(f"{HERE}:twice", {"start": 4})).env
    assert (env.reset()[0].tolist(), env.step(0)[1]) == ([4], 2.0)
    with pytest.raises(TypeError, match="env"):
        build(Open(f"{HERE}:Count.Twice"))  # a wrapper needs one to wrap


def test_what_a_function_wraps_is_wrapped_in_a_batched_session():
    built = build(Open(f"{HERE}:twice_cart_pole", num_envs=2))
    built.env.reset(seed=1)
    assert built.env.step(np.array([0, 1]))[1].tolist() == [2.0, 2.0]
    assert not built.description.has_vector_form
    built.env.close()


def test_a_class_of_openenv_has_models_or_spaces_as_asked():
    name = f"{HERE}:Tutorial"
    assert build(Open(name)).description.view == "model"
    built = build(Open(name, needs_spaces=True))
    assert built.description.action["type"] == "Box"
    assert built.env.reset(seed=1)[0] == 0
    assert built.env.step(np.array(3))[:2] == (3, 1.0)


def test_an_id_of_a_module_goes_before_what_the_module_has():
    gym.register("Tutorial", "gymnasium.envs.classic_control:CartPoleEnv")
    try:
        assert build(Open(f"{HERE}:Tutorial")).description.view == "gymnasium"
        assert build(Open(f"environment:{HERE}:Tutorial")).description.view == "model"
    finally:
        del gym.registry["Tutorial"]


def test_a_mode_that_a_class_does_not_have_is_refused_before_it_is_made():
    with pytest.raises(UnsupportedRenderModeError, match=r"one of none at all for .*Count"):
        build(Open(f"{HERE}:Count", render_mode="rgb_array"))
    with pytest.raises(UnsupportedRenderModeError, match=r"twice takes none, got 'rgb_array'"):
        build(Open(f"{HERE}:twice", render_mode="rgb_array"))


WRONG = {
    "nowhere:Thing": "nowhere:Thing: there is no module named 'nowhere' in the folder ",
    "environment:nowhere": "expected environment:package.module:Class, got environment:nowhere",
    f"{HERE}:": "names nothing in the module .*; it has Count, Tutorial",
    f"{HERE}:Cuont": r"has no 'Cuont', and registers no such id; did you mean .*:Count\?",
    f"{HERE}:xyz": "has no 'xyz', and registers no such id; it has Count, ",
    f"{HERE}:Count.Thrice": "Count has no 'Thrice'",
    f"{HERE}:Cuont-v0": "`Cuont` doesn't exist",
    f"{HERE}:a b": "expected the id of an environment, as CartPole-v1, got 'a b'",
    f"{HERE}.Cuont": r"has no 'Cuont', and registers no such id; did you mean .*:Count\?",
    HERE: "has several environments: Count, Tutorial, NoSpaces; name a class or a function in it",
    "json": "the module json has no class of an environment; name .* as json:Class",
    "environment:json": "environment:json: the module json has no class of an environment",
    "json.py": "json.py: there is no file /.*/json.py",
    "json.py::Thing": "it has a colon too many; expected json.py:Class",
    "./json:Thing": r"'\./json' is no name of a module; .*, or folder/file\.py:Class",
    "tests:adapters": "tests.adapters is a module; name a class or a function in it",
    "thing.py:Thing": "thing.py:Thing: there is no file /.*/thing.py",
    "my-env:Thing": "'my-env' is no name of a module; expected package.module:Class",
    f"environment:{HERE}:Count:x": "has a colon too many",
    f"{HERE}:HERE": "is of type str; expected a gymnasium.Env or an OpenEnv Environment",
    f"{HERE}:one_object": "is one object, .*; name its class, Count, or a function",
    f"{HERE}:Move": "is a class without reset and step; expected a gymnasium.Env",
    f"{HERE}:three": "makes an object of type int; expected a gymnasium.Env",
    f"{HERE}:several": "a VectorEnv; .* as vector:.*:several",
    f"{HERE}:NoSpaces": "expected a Space as the action_space of NoSpaces, got None",
    f"vector:{HERE}:xyz": "has no 'xyz'; it has Count",
}


@pytest.mark.parametrize("name", WRONG, ids=lambda name: name.replace(HERE, "here"))
def test_each_wrong_name_has_a_sentence_of_its_own(name):
    with pytest.raises((UnknownEnvironmentError, EnvStartError), match=WRONG[name]):
        build(Open(name))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_thing", "imports 'no_such_thing', which is not installed for"),
        ("1 / 0", r"it raised ZeroDivisionError: division by zero \(.*, line 1\)"),
        ("def f(:", "it raised SyntaxError: invalid syntax"),
        ("import sys; sys.exit(3)", "it raised SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported(source, says, tmp_path: Path, monkeypatch):
    (tmp_path / "module_of_a_test.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvStartError, match=says):
        build(Open("module_of_a_test:Thing"))


def test_models_are_for_typed_environments():
    for name in ("CartPole-v1", f"{HERE}:Count"):
        with pytest.raises(InvalidRequestError, match="made of its spaces; expected no"):
            build(Open(name, models={"action": f"{HERE}:Move"}))
    with pytest.raises(EnvStartError, match="expected a pydantic class as the action model"):
        build(Open(f"{HERE}:Tutorial", models={"action": f"{HERE}:three"}))


def test_a_module_may_be_called_as_a_scheme_is(tmp_path: Path, monkeypatch):
    (tmp_path / "environment.py").write_text(f"from {HERE} import Count as Mine")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "environment", raising=False)
    assert build(Open("environment:Mine")).env.reset()[0].tolist() == [0]
    monkeypatch.delitem(sys.modules, "environment", raising=False)


def test_a_file_in_the_way_of_another_module_is_named(tmp_path: Path, monkeypatch):
    (tmp_path / "json.py").write_text("class Mine: ...")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvStartError, match=r"imported as json, from .*__init__\.py; rename /.*"):
        build(Open(f"{tmp_path}/json.py:Mine"))


# --- the ways in which somebody may write it ------------------------------------------------------

SPELLINGS = [
    "my_env.py:MyEnv",
    "./my_env.py:MyEnv",
    "{folder}/my_env.py:MyEnv",
    "pkg/my_env.py:MyEnv",
    "./pkg/my_env:MyEnv",
    "my_env:MyEnv",
    "my_env.MyEnv",
    "pkg.my_env.MyEnv",
    "environment:my_env:MyEnv",
    "environment:my_env.py:MyEnv",
    "my_env.py",
    "my_env",
    "my_env:make",
    "my_env.py:My-v0",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    (tmp_path / "pkg").mkdir()
    for place in (tmp_path, tmp_path / "pkg"):
        source = f"""
import gymnasium as gym
from {HERE} import Count
class MyEnv(Count):
    metadata = {{"render_modes": []}}
def make(start): return MyEnv(start)
gym.register("My-v0", MyEnv)
"""
        (place / "my_env.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in ("my_env", "pkg.my_env", "pkg"):
        sys.modules.pop(name, None)
    gym.registry.pop("My-v0", None)


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_class_is_found_in_whichever_way_it_is_written(name, folder: Path):
    built = build(Open(name.replace("{folder}", str(folder)), {"start": 7}))
    assert built.env.reset()[0].tolist() == [7]
    assert type(built.env.unwrapped).__name__ == "MyEnv"


def test_the_folder_of_a_file_goes_before_others(folder: Path, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    (other / "my_env.py").write_text("raise RuntimeError('another one')")
    monkeypatch.setattr(sys, "path", [str(other), *sys.path])
    assert type(build(Open("my_env.py:MyEnv")).env).__name__ == "MyEnv"
    assert sys.path[:2] == [str(folder), str(other)]


def test_a_file_of_a_package_is_imported_as_a_part_of_it(folder: Path):
    (folder / "pkg" / "__init__.py").touch()
    (folder / "pkg" / "parts.py").write_text(f"from {HERE} import Count")
    (folder / "pkg" / "my_env.py").write_text("from .parts import Count\nclass One(Count): ...")
    built = build(Open("pkg/my_env.py:One"))
    assert type(built.env).__module__ == "pkg.my_env"


def test_a_script_that_would_begin_itself_again_is_stopped(folder: Path):
    script = folder / "train.py"
    script.write_text(
        "import gymnasium as gym, openenv_gym\nfrom my_env import MyEnv\nclass Mine(MyEnv): ...\n"
        "env = gym.make('openenv/gymnasium-v0', env_id='train.py:Mine')"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'put what is to run in the script alone under if __name__ == "__main__":' in done.stderr


def test_games_of_atari_need_no_module():
    program = (
        "from openenv_gym.protocol import Open\nfrom openenv_gym.workers.built_env import build\n"
        "print(build(Open('ALE/Pong-v5')).description.environment)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "ALE/Pong-v5\n"
