"""``openenv-gym init``: the folder that it makes does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openenv_gym.cli import main
from tests.venvs import VENVS, made

MINE = """
from typing import Any

import gymnasium as gym


class Mine(gym.Env[Any, Any]):
    observation_space = gym.spaces.Discrete(5)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, size: int = 3) -> None:
        self.size = size

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return int(self.np_random.integers(5)), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return action, -1.5, self.steps == self.size, False, {}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of an environment of one's own, in a file."""
    here = tmp_path_factory.mktemp("init")
    (here / "mine.py").write_text(MINE)
    made_folder = here / "mine_env"
    target = f"{here}/mine.py:Mine"
    assert main(["init", str(made_folder), "--from", target, '--kwargs={"size": 4}']) == 0
    return made_folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(folder.parent)}
    return subprocess.run(
        command, cwd=folder.parent, env=env, capture_output=True, text=True, check=False
    )


def test_its_own_tests_pass(folder: Path):
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mine_env/tests")
    done = run(folder, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_it_has_what_openenv_wants(folder: Path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["validate", str(folder)])
    said = capsys.readouterr().out
    assert "passed   folder.manifest" in said
    assert "passed   folder.push" in said
    manifest = (folder / "openenv.yaml").read_text()
    assert "range: [-2.0, 0.0]" in manifest
    assert 'KWARGS: dict[str, object] = {"size": 4}' in (folder / "server/app.py").read_text()
    assert len((folder / "server/app.py").read_text().splitlines()) <= 40


@pytest.mark.long
@pytest.mark.parametrize("target", ["CartPole-v1", "openspiel:chess", "FrozenLake-v1", "mine"])
def test_openenv_and_mypy_take_it(target: str, folder: Path, tmp_path: Path):
    if target != "mine":
        folder = tmp_path / "some_env"
        assert main(["init", str(folder), "--from", target]) == 0
    checked = run(folder, sys.executable, "-m", "mypy", "--strict", folder.name)
    assert checked.returncode == 0, checked.stdout
    openenv = made(VENVS["0.10"], "OpenEnv 0.10").parent / "openenv"
    validated = run(folder, str(openenv), "validate", folder.name)
    assert validated.returncode == 0, validated.stdout
    assert "FAIL" not in validated.stdout
    tests = run(folder, sys.executable, "-m", "pytest", "-q", f"{folder.name}/tests")
    assert tests.returncode == 0, tests.stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("full", "expected a new or an empty folder"),
        ("no package", "expected a folder whose name can be that of a package"),
        ("openenv_gym", "expected a folder whose name can be that of a package"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_error(name: str, says: str, tmp_path: Path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert main(["init", str(tmp_path / name), "--from", "CartPole-v1"]) == 1
    assert says in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["full"]
