"""Functions, classes and ids of a script that runs, of ``python -c`` and of a notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.children import ROOT
from benchmarks.package_venv import InstallError, PackageVenv
from tests.venvs import CLIENT

CLASS = """
import os
import gymnasium as gym, numpy as np
import openenv_gym
from openenv_gym import RemoteEnv, RemoteVectorEnv

START = 5

class Counting(gym.Env):
    observation_space = gym.spaces.Box(-100, 100, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, by=1):
        self.by = by

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = START
        return np.full(1, self.at, np.float32), {"pid": os.getpid()}

    def step(self, action):
        self.at += self.by
        return np.full(1, self.at, np.float32), 1.0, False, False, {}

def first(env):
    obs, info = env.reset()
    env.close()
    assert np.all(info["pid"] != os.getpid())
    return obs.ravel().tolist()
"""

# Without `if __name__ == "__main__"`: no worker runs the script again.
SCRIPT = f"""{CLASS}
import openenv_gym
print(first(RemoteEnv.from_function(Counting)))
print(first(RemoteVectorEnv.from_functions([lambda by=by: Counting(by) for by in (1, 2, 3)])))
print(first(openenv_gym.AsyncVectorEnv([Counting] * 2)))
gym.register("Counting-v0", Counting)
gym.register("Named-v0", "__main__:Counting")
print(first(gym.make("openenv/gymnasium-v0", env_id="Counting-v0")))
print(first(gym.make_vec("openenv/gymnasium-v0", 2, env_id="Named-v0")))

class Word(openenv_gym.Action):
    word: str

class Said(openenv_gym.Observation):
    length: int

class Echo(openenv_gym.Environment):
    def reset(self, seed=None, episode_id=None, **kwargs) -> Said:
        return Said(length=0)
    def step(self, action: Word, timeout_s=None, **kwargs) -> Said:
        return Said(length=len(action.word))
    @property
    def state(self) -> openenv_gym.State:
        return openenv_gym.State()

env = RemoteEnv.from_function(Echo)
env.reset()
print(env.step("four")[0])
env.close()
"""
PRINTED = ["[5.0]", "[5.0, 5.0, 5.0]", "[5.0, 5.0]", "[5.0]", "[5.0, 5.0]", "4"]


def run(command: list, folder: Path) -> list[str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    environ = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "first_line",
    ["from __future__ import annotations", pytest.param("", marks=pytest.mark.long)],
    ids=["annotations are texts", "annotations are classes"],
)
def test_a_script(tmp_path: Path, first_line: str):
    (tmp_path / "script.py").write_text(f"{first_line}\n{SCRIPT}", encoding="utf-8")
    assert run([sys.executable, "script.py"], tmp_path) == PRINTED


@pytest.mark.long
def test_a_command_line(tmp_path: Path):
    script = f"{CLASS}\nprint(first(RemoteEnv.from_function(Counting)))"
    assert run([sys.executable, "-c", script], tmp_path) == ["[5.0]"]


SPAWNING = f"""{CLASS}
import multiprocessing

def play():
    print(first(RemoteVectorEnv.from_functions([lambda: Counting()])), flush=True)

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=play)
    child.start()
    child.join()
    raise SystemExit(child.exitcode)
"""


@pytest.mark.long
def test_a_script_in_a_spawned_child(tmp_path: Path):
    (tmp_path / "script.py").write_text(SPAWNING, encoding="utf-8")
    assert run([sys.executable, "script.py"], tmp_path) == ["[5.0]"]


NOTEBOOK = PackageVenv(
    folder=ROOT / ".venv-notebook",
    packages=(*CLIENT, "cloudpickle", "ipykernel", "nbclient"),
    alone=("--editable", str(ROOT)),
)
CELLS = [
    CLASS,
    "print(first(RemoteVectorEnv.from_functions([Counting] * 2, shards=1)))",
    "gym.register('Counting-v0', Counting)\n"
    "old = gym.make('openenv/gymnasium-v0', env_id='Counting-v0')",
    CLASS.replace("START = 5", "START = 6"),  # edited, and run again
    "print(first(RemoteVectorEnv.from_functions([Counting] * 2, shards=1)))",
    "gym.registry.pop('Counting-v0'); gym.register('Counting-v0', Counting)\n"
    "print(first(gym.make('openenv/gymnasium-v0', env_id='Counting-v0')))\n"
    "print(first(old))",
]
RUNNER = """
import json, sys
from nbclient import NotebookClient
import nbformat
cells = [nbformat.v4.new_code_cell(cell) for cell in json.loads(sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.outputs:
        print(output.get("text", output), end="")
"""


@pytest.mark.long
def test_a_notebook_whose_cells_are_edited(tmp_path: Path):
    try:
        python = NOTEBOOK.make()
    except InstallError as exc:
        pytest.skip(f"no venv with a notebook's kernel: {exc}")
    printed = run([python, "-Wignore", "-c", RUNNER, json.dumps(CELLS)], tmp_path)
    assert printed == ["[5.0, 5.0]", "[6.0, 6.0]", "[6.0]", "[5.0]"]
