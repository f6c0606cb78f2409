"""The scheme ``dm_control:`` beside dm_control itself, in a venv that has it.

The first test makes ``.venv-dm-control``: 600 MB, in a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.children import ROOT
from openenv_gym.adapters import dm_control_env
from openenv_gym.errors import EnvStartError
from openenv_gym.launchers import ServerProcess
from tests.support.dm_control_walk import actions, written
from tests.venvs import DM_CONTROL, made

# The first test installs half a gigabyte.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
NAME = "dm_control:cartpole-swingup"


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter with dm_control, and a MuJoCo that it works with."""
    return str(made(DM_CONTROL, "dm_control"))


def run(python: str, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [python, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def facts(python: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(python, "-m", "tests.support.dm_control_facts"))
    return found


@pytest.fixture(scope="module")
def server(python: str):
    with ServerProcess(NAME, server_python=python) as server:
        yield server


def test_an_episode_is_that_of_dm_control_to_the_bit(facts):
    assert len(facts["own"]) == 121
    assert facts["first"] == facts["own"]


def test_a_seed_decides_all_that_follows(facts):
    assert facts["again"] == facts["first"]


def test_a_model_that_is_drawn_at_random_is_that_of_the_seed(facts):
    assert facts["lqr"] == facts["lqr_own"]


def test_a_time_limit_truncates(facts):
    assert facts["limited"] == facts["limited_own"]
    assert facts["limited"][-1][2:] == [False, True]
    assert len(facts["limited"]) == 51  # of 0.01 s each, and the reset


def test_a_reset_without_a_seed_goes_on_with_the_generator(facts):
    assert facts["second"]


def test_seeds_of_gymnasium_may_be_greater_than_those_of_numpy(facts):
    assert facts["great"]


def test_the_spaces_are_those_of_the_specs(facts):
    assert facts["spaces"] == [
        "Dict('position': Box(-inf, inf, (3,), float64), 'velocity': Box(-inf, inf, (2,), "
        "float64))",
        "Box(-1.0, 1.0, (1,), float64)",
    ]


def test_a_flat_observation_has_the_parts_in_order(facts):
    assert (facts["flat"], facts["flat_shape"]) == (True, [24])


def test_gymnasiums_checker_passes(facts):
    assert facts["checked"]


def test_the_names_are_those_of_the_suite(facts):
    assert {"cartpole-swingup", "ball_in_cup-catch", "lqr-lqr_2_1"} <= set(facts["names"])


@pytest.mark.long
def test_every_task_is_that_of_dm_control_to_the_bit(python):
    assert json.loads(run(python, "-m", "tests.support.dm_control_facts", "all-tasks")) == []


def test_each_mistake_has_its_sentence(facts):
    task, domain, observation, mode = facts["errors"]
    assert task[0] == domain[0] == "UnknownEnvironmentError"
    assert task[1].endswith("did you mean cartpole-swingup?")
    assert "the domain has cartpole-balance, " in task[1]
    assert "there are the domains acrobot, " in domain[1]
    assert observation == [
        "InvalidRequestError",
        "observation: expected one of dict, flat, pixels, all, got 'picture'",
    ]
    assert mode[0] == "UnsupportedRenderModeError"


def test_pictures_are_rendered_and_observed(facts):
    if facts["pictures"] is None:
        pytest.skip("there is no OpenGL here that draws without a screen")
    assert facts["pictures"] == {
        "frame": [[32, 48, 3], "uint8", True],
        "observed": True,
        "keys": ["position", "velocity", "pixels"],
        "only": "Box(0, 255, (32, 48, 3), uint8)",
        "is_same": True,
    }


@pytest.mark.parametrize(("backend", "said"), [("disable", "No OpenGL"), ("nothing", "nothing")])
def test_what_cannot_be_drawn_says_what_to_set(python, backend, said):
    program = (
        "from openenv_gym.adapters.dm_control_env import make\n"
        "try: make('cartpole-swingup', observation='pixels')\n"
        "except Exception as exc: print(type(exc).__name__, exc)\n"
    )
    shown = run(python, "-c", program, MUJOCO_GL=backend)
    assert "EnvStartError" in shown
    assert said in shown
    assert "MUJOCO_GL" in shown


@pytest.mark.parametrize("codec", ["binary", pytest.param("json", marks=pytest.mark.long)])
def test_it_is_served_to_the_bit(server, facts, codec):
    env = gym.make("openenv/gymnasium-v0", env_id=NAME, base_url=server.base_url, codec=codec)
    space: Any = env.action_space
    found = [written(env.reset(seed=3)[0], 0.0, False, False)]
    for action in actions(space.low, space.high, 3):
        observation, reward, terminated, truncated, _ = env.step(action)
        found.append(written(observation, float(reward), terminated, truncated))
    env.close()
    assert found == facts["own"]


def test_a_server_draws_it(server, facts):
    if facts["pictures"] is None:
        pytest.skip("there is no OpenGL here that draws without a screen")
    there = {"base_url": server.base_url, "render_mode": "rgb_array"}
    env = gym.make("openenv/gymnasium-v0", env_id=NAME, **there)
    env.reset(seed=0)
    frame: Any = env.render()
    assert (frame.shape, frame.dtype, np.unique(frame).size > 10) == ((240, 320, 3), np.uint8, True)
    env.close()


def test_a_vector_environment_of_it(server):
    envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=server.base_url)
    observation, _ = envs.reset(seed=3)
    assert observation["position"].shape == (2, 3)
    assert not np.array_equal(*observation["position"])
    envs.close()


def test_a_dm_control_that_is_missing_is_said_to_be():
    if "dm_control" in sys.modules:
        pytest.skip("dm_control is there")
    with pytest.raises(EnvStartError, match=r"pip install 'openenv-gym\[dm-control\]'"):
        dm_control_env.make("cartpole-swingup")


def test_the_scheme_is_declared_where_the_package_is_installed(python):
    shown = run(python, "-m", "openenv_gym.cli", "list")
    assert "  dm_control:cartpole-swingup " in shown
