"""docs/adapters.md: its package is built, installed and used in every way, and its blocks run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from openenv_gym.conformance.parity import play_parity
from openenv_gym.launchers import ServerProcess

PAGE = Path(__file__).parents[2] / "docs/adapters.md"
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
(PROJECT,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
(ADAPTER,) = [block for block in PYTHON if "# walk_adapter.py" in block]
PROGRAMS = [block for block in PYTHON if block is not ADAPTER]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the package of the page."""
    if find_spec("setuptools") is None:
        pytest.skip("the package is built with setuptools, which is not installed")
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "walk_adapter.py").write_text(ADAPTER)
    (source / "pyproject.toml").write_text(PROJECT)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(site)]
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    subprocess.run([*pip, *options, str(source)], check=True)
    return site


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.fixture(scope="module")
def server(site: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        with ServerProcess("walk:3") as server:
            yield server


def local_env(installed: Path) -> gym.Env[int, int]:
    import walk_adapter

    made: gym.Env[int, int] = walk_adapter.make("3")
    return made


def test_the_adapter_needs_nothing_of_this_package():
    assert "openenv" not in ADAPTER


@pytest.mark.filterwarnings("ignore:.*spec")
def test_its_environment_passes_gymnasiums_checker(installed):
    check_env(local_env(installed), skip_render_check=True)


@pytest.mark.parametrize("codec", [None, "binary", "json"])
def test_it_is_the_same_embedded_and_on_a_server(installed, server, codec):
    there = {} if codec is None else {"base_url": server.base_url, "codec": codec}
    env = gym.make("openenv/gymnasium-v0", env_id="walk:3", **there)
    play_parity(local_env(installed), env, seeds=[0, 1], steps=30)
    env.close()


def test_a_client_that_lacks_the_package_plays_on_the_server(server):
    env = gym.make("openenv/remote-v0", base_url=server.base_url)
    assert env.reset(seed=0)[0] == 0
    assert env.step(1)[:2] == (1, -1.0)
    env.close()


@pytest.mark.parametrize("is_served", [False, True])
def test_a_vector_environment_of_it(installed, server, is_served):
    there = {"base_url": server.base_url} if is_served else {}
    envs = gym.make_vec("openenv/gymnasium-v0", num_envs=3, env_id="walk:3", **there)
    envs.reset(seed=0)
    assert envs.step(np.array([0, 1, 1]))[0].tolist() == [0, 1, 1]
    envs.close()


def test_the_list_has_its_names(site):
    command = [sys.executable, "-m", "openenv_gym.cli", "list"]
    path = {"PYTHONPATH": str(site)}
    shown = subprocess.run(command, env={**os.environ, **path}, capture_output=True, check=True)
    rows = [line.split() for line in shown.stdout.decode().splitlines()]
    assert ["walk:3", "by", "walk-simulator", "1.2"] in rows
    assert ["walk:10", "by", "walk-simulator", "1.2"] in rows


def test_the_blocks_run_and_print_what_they_say(site):
    program = "".join(PROGRAMS)
    folders = os.pathsep.join([str(site), str(PAGE.parents[1])])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"print\(.*\)  # (.+)", program)
