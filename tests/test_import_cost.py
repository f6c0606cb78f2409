"""What the trainer's process does not load: a server, a simulator, a learning library."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterable

import pytest

TRAINING = {"stable_baselines3", "torch"}
SERVING = {"fastapi", "starlette", "uvicorn"}
SIMULATING = {"open_spiel", "pyspiel"}
MODELS = {"pydantic"}
"""For the JSON border only."""

BARE_IMPORT = "import openenv_gym"

EMBEDDED_EPISODE = """
import gymnasium, openenv_gym
env = gymnasium.make("openenv/catch-v0")
env.reset(seed=0)
env.step(env.action_space.sample())
env.close()
"""

UNREACHABLE_SERVER = """
import gymnasium, openenv_gym
from openenv_gym.errors import UnreachableError
try:
    gymnasium.make("openenv/catch-v0", base_url={url!r}).reset()
except UnreachableError:
    pass
else:
    raise AssertionError("nothing listens there, and yet it answered")
"""


def loaded_by(program: str, among: Iterable[str]) -> list[str]:
    """Runs a program in a fresh interpreter; returns those of the packages that it loaded."""
    report = "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program + report],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(set(among) & set(json.loads(done.stdout.splitlines()[-1])))


@pytest.fixture
def deaf_url():
    """The URL of a port that is taken, so that nobody else answers there, but does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_the_probe_sees_what_is_loaded():
    assert loaded_by("import wave", among={"wave", "torch"}) == ["wave"]


@pytest.mark.single_env
def test_a_bare_import_is_cheap():
    assert loaded_by(BARE_IMPORT, among=SERVING | SIMULATING | TRAINING | MODELS | {"httpx"}) == []


@pytest.mark.single_env
def test_faults_on_purpose_are_loaded_by_who_asks_for_them_and_load_no_server():
    assert loaded_by(BARE_IMPORT, among={"openenv_gym.testing"}) == []
    others = SERVING | SIMULATING | TRAINING | {"openenv_gym.testing"}
    assert loaded_by("import openenv_gym.testing", among=others) == ["openenv_gym.testing"]


@pytest.mark.single_env
def test_an_embedded_env_loads_neither_server_nor_simulator():
    assert loaded_by(EMBEDDED_EPISODE, among=SERVING | SIMULATING | TRAINING | MODELS) == []


@pytest.mark.single_env
def test_a_remote_env_loads_neither_server_nor_simulator(deaf_url):
    program = UNREACHABLE_SERVER.format(url=deaf_url)
    assert loaded_by(program, among=SERVING | SIMULATING | TRAINING) == []


@pytest.mark.parametrize("environment", ["CartPole-v1", "openspiel:catch", "pettingzoo:x"])
def test_what_forked_workers_share_is_little(environment: str):
    program = (
        "import importlib, openenv_gym.workers.worker\n"
        "from openenv_gym.workers.built_env import modules_to_preload\n"
        f"for name in modules_to_preload({environment!r}): importlib.import_module(name)\n"
    )
    others = {"asyncio", "pettingzoo", "pygame"}
    assert loaded_by(program, among=SERVING | TRAINING | MODELS | others) == []


def test_a_server_loads_no_package_for_its_agents():
    program = "from openenv_gym import create_app\ncreate_app('CartPole-v1')\n"
    assert loaded_by(program, {"mcp", "PIL", "jsonschema"}) == []
