"""A client without FastAPI, uvicorn and OpenSpiel trains on servers, and says what needs them.

The first test makes ``.venv-slim`` as README.md describes it: 120 MB, in half a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.children import ROOT
from openenv_gym.launchers import ServerProcess
from tests.venvs import CLIENT, SLIM, made

PROGRAM = "tests.support.slim_client"
NEED_OPENSPIEL = (
    "OpenSpiel could not be imported (No module named 'pyspiel'). "
    "Install it: pip install open_spiel"
)
NEED_SERVER = (
    "to serve environments, fastapi and uvicorn must be installed here: pip install fastapi uvicorn"
)

pytestmark = pytest.mark.timeout(900)  # the first test installs


@pytest.fixture(scope="module")
def python() -> Path:
    """An interpreter with what a client needs, and no more."""
    return made(SLIM, "a slim client")


def run(python: Path | str, *arguments: str) -> str:
    done = subprocess.run(
        [python, *arguments],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_that_serves_or_simulates_is_installed(python: Path):
    names = json.loads(run(python, "-m", "pip", "list", "--format=json"))
    installed = {each["name"].lower().replace("_", "-") for each in names}
    assert installed >= {"openenv-gym", *CLIENT}
    assert installed.isdisjoint({"fastapi", "starlette", "uvicorn", "open-spiel", "scipy"})


def test_a_slim_client_is_told_what_a_full_one_is(
    python: Path, serve: Callable[..., ServerProcess]
):
    urls = [serve(served).base_url for served in ("CartPole-v1", "openspiel:catch")]
    command = ("-m", PROGRAM, *urls)
    slim = run(python, *command).splitlines()
    assert slim == run(sys.executable, *command).splitlines()
    assert (len(slim) > 100, slim[-1]) == (True, "loaded: []")


def test_one_sentence_says_what_is_missing(python: Path):
    *games, server = run(python, "-m", PROGRAM).splitlines()
    assert games == [NEED_OPENSPIEL] * 4
    assert server == NEED_SERVER


def test_the_command_says_it_too(python: Path):
    command = [python.with_name("openenv-gym"), "serve", "CartPole-v1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"openenv-gym: {NEED_SERVER}\n")


def test_what_needs_neither_is_embedded_here_too(python: Path):
    program = (
        "import gymnasium as gym, openenv_gym\n"
        "print(gym.make('openenv/CartPole-v1').reset(seed=1)[0].shape)"
    )
    assert run(python, "-c", program) == "(4,)\n"


def test_commands_of_a_client_need_no_server(python: Path):
    assert "CartPole-v1" in run(python.with_name("openenv-gym"), "list")
