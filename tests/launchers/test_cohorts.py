"""An embedded worker is the process as it is when the environment is made."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from pathlib import Path

import gymnasium as gym
import numpy as np
import psutil
import pytest

from openenv_gym.workers.surroundings import Surroundings
from tests.support.waiting import wait_until

SOURCE = """
import os, gymnasium as gym, numpy as np
class Told(gym.Env):
    observation_space = gym.spaces.Box(-9, 9, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        python_path = os.environ.get("PYTHONPATH", "none")
        told = {"code": CODE, "mode": os.environ.get("MODE", ""), "python_path": python_path}
        return np.zeros(1, np.float32), {**told, "folder": os.getcwd(), "pid": os.getpid()}
    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}
if "Told-v0" not in gym.registry:
    gym.register("Told-v0", Told)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """Writes the module of the environment, and returns its name, which is another in each test."""
    name = f"told_{request.node.originalname}"
    monkeypatch.syspath_prepend(tmp_path)

    def write(code: str) -> str:
        (tmp_path / f"{name}.py").write_text(f"CODE = {code!r}\n{SOURCE}", encoding="utf-8")
        return name

    yield write
    sys.modules.pop(name, None)
    gym.registry.pop("Told-v0", None)


def told(name: str) -> dict:
    env = gym.make("openenv/gymnasium-v0", env_id=f"{name}:Told-v0")
    info = env.reset()[1]
    env.close()
    return info


def test_variables_path_and_folder_are_those_of_now(
    module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = module("first")
    assert told(name)["mode"] == ""
    monkeypatch.setenv("MODE", "fast")
    monkeypatch.chdir(tmp_path)
    info = told(name)
    assert (info["mode"], info["folder"]) == ("fast", str(tmp_path))
    assert info["python_path"] == os.environ.get("PYTHONPATH", "none")
    assert told(name)["pid"] == info["pid"]  # nothing has changed since
    envs = gym.make_vec("openenv/gymnasium-v0", 2, env_id=f"{name}:Told-v0", shards=2)
    monkeypatch.setenv("MODE", "slow")
    assert envs.reset()[1]["mode"].tolist() == ["fast", "fast"]
    envs.close()


def test_the_code_is_what_this_process_would_use(module, tmp_path: Path):
    name = module("first")
    assert told(name)["code"] == "first"
    here = importlib.import_module(name)
    module("second")
    assert told(name)["code"] == here.CODE == "first"  # it was edited, and not reloaded
    importlib.reload(here)
    info = told(name)
    assert info["code"] == here.CODE == "second"
    importlib.reload(here)
    assert told(name)["pid"] == info["pid"]
    sys.path.remove(str(tmp_path))  # which takes away no module that is loaded
    assert told(name)["code"] == "second"
    sys.path.insert(0, str(tmp_path))
    del sys.modules[name]  # whoever imports it now gets what is in the file
    module("third one")
    assert told(name)["code"] == "third one"


def test_a_vector_environment_has_one_version(module):
    """Also where a worker that it needs has loaded a version that its others cannot load."""
    name = module("first")
    told(name)  # in the first worker
    importlib.import_module(name)
    module("second")  # which a second worker would load
    envs = gym.make_vec("openenv/gymnasium-v0", 2, env_id=f"{name}:Told-v0", shards=2)
    assert envs.reset()[1]["code"].tolist() == ["second", "second"]
    envs.close()


def test_an_environment_stays_as_it_was_made(module, monkeypatch: pytest.MonkeyPatch):
    name = module("first")
    envs = gym.make_vec("openenv/gymnasium-v0", 2, env_id=f"{name}:Told-v0", shards=2)
    first = envs.reset()[1]
    envs.step(np.zeros(2, int))
    monkeypatch.setenv("MODE", "fast")
    assert told(name)["mode"] == "fast"
    assert envs.reset()[1]["pid"].tolist() == first["pid"].tolist()
    envs.step(np.zeros(2, int))
    worker = psutil.Process(first["pid"][1])
    worker.kill()
    envs.step(np.zeros(2, int))
    again = envs.reset()[1]
    assert again["pid"][1] != worker.pid and again["mode"].tolist() == ["", ""]
    envs.step(np.zeros(2, int))
    module("second")
    psutil.Process(again["pid"][1]).kill()
    with pytest.warns(RuntimeWarning, match=rf"a new worker, with {name} as edited since it"):
        envs.step(np.zeros(2, int))
        assert envs.reset()[1]["code"].tolist() == ["first", "second"]
    older = psutil.Process(first["pid"][0])
    envs.close()  # which were the last sessions of workers that are behind
    wait_until(lambda: not older.is_running() or older.status() == psutil.STATUS_ZOMBIE)


def test_the_folder_may_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    env = gym.make("openenv/CartPole-v1")
    assert env.reset(seed=1)[0].shape == (4,)
    env.close()


def test_variables_that_a_thread_changes_are_read(monkeypatch: pytest.MonkeyPatch):
    is_over = threading.Event()

    def change() -> None:
        while not is_over.is_set():
            os.environ["MODE"] = "fast"
            del os.environ["MODE"]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        found = {Surroundings.now().environ.get("MODE") for _ in range(3000)}
    finally:
        is_over.set()
        thread.join()
    assert found == {None, "fast"}
