"""The deployable servers, each under uvicorn in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest

import openenv_gym  # noqa: F401  # registers the ids

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 30.0


@contextmanager
def served(name: str, **variables: str) -> Iterator[str]:
    """Run the app in the folder ``name`` as its container does, and yield its URL.

    It serves then: clients wait ten seconds for an answer, and it may take longer to start.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        command = [sys.executable, "-m", "uvicorn", "app:app", f"--fd={listener.fileno()}"]
        server = subprocess.Popen(
            [*command, f"--app-dir={ROOT / 'servers' / name}", "--log-level=warning"],
            pass_fds=[listener.fileno()],
            cwd=ROOT,
            env={**os.environ, **variables},
        )
    try:
        httpx.get(f"http://{host}:{port}/health", timeout=100.0)
        yield f"http://{host}:{port}"
    finally:
        server.terminate()
        server.wait(STOP_TIMEOUT_S)


def play(env: gym.Env, actions: list[int]) -> tuple[Any, float, bool]:
    """Return the last observation, the sum of the rewards, and whether the episode ended.

    Those of the actions that come after the end are not played.
    """
    observation, _ = env.reset(seed=7)
    total, ended = 0.0, False
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        total += float(reward)
        if ended := terminated or truncated:
            break
    env.close()
    return observation, total, ended


def test_openspiel_serves_catch() -> None:
    with served("openspiel") as base_url:
        health = httpx.get(f"{base_url}/health", timeout=30.0)
        remote = play(gym.make("openenv/catch-v0", base_url=base_url), [1] * 9)
    local = play(gym.make("openenv/catch-v0"), [1] * 9)

    assert health.json() == {"status": "healthy"}
    assert remote[1] in (-1.0, 1.0)
    assert remote[2]
    assert np.array_equal(remote[0], local[0])
    assert remote[1:] == local[1:]


def test_openspiel_takes_its_game_seat_and_opponent_from_variables() -> None:
    variables = {
        "OPENSPIEL_GAME": "tic_tac_toe",
        "OPENSPIEL_AGENT_PLAYER": "1",
        "OPENSPIEL_OPPONENT_POLICY": "last",
        "MAX_CONCURRENT_ENVS": "",
    }
    with served("openspiel", **variables) as base_url:
        env = gym.make("openenv/tic_tac_toe-v0", base_url=base_url)
        _, info = env.reset()
        # The opponent takes the fields from the last one down, and the agent leaves it the row.
        steps = [env.step(action) for action in (0, 1)]
        state = httpx.get(f"{base_url}/state", timeout=30.0).json()
        env.close()

    assert info["opponent_last_action"] == 8
    assert [step[1] for step in steps] == [0.0, -1.0]
    assert [step[2] for step in steps] == [False, True]
    assert (state["game_name"], state["agent_player"]) == ("tic_tac_toe", 1)


def test_gymnasium_serves_cartpole() -> None:
    push_right = [1] * 12  # it falls within these
    with served("gymnasium") as base_url:
        remote = play(gym.make("openenv/CartPole-v1", base_url=base_url), push_right)
    local = play(gym.make("CartPole-v1"), push_right)

    assert remote[2]
    assert np.array_equal(remote[0], local[0])
    assert remote[1:] == local[1:]


def test_gymnasium_takes_its_id_and_arguments_from_variables() -> None:
    variables = {
        "GYMNASIUM_ENV_ID": "FrozenLake-v1",
        "GYMNASIUM_ENV_KWARGS": '{"is_slippery": false}',
    }
    with served("gymnasium", **variables) as base_url:
        env = gym.make("openenv/gymnasium-v0", env_id="FrozenLake-v1", base_url=base_url)
        observation, total, ended = play(env, [1, 1, 2, 2, 1, 2])  # round the holes to the goal

    assert (observation, total, ended) == (15, 1.0, True)


def test_openspiel_has_companions_for_the_rest() -> None:
    variables = {
        "OPENSPIEL_GAME": "kuhn_poker",
        "OPENSPIEL_GAME_PARAMS": '{"players": 3}',
        "OPENSPIEL_AGENT_PLAYER": "random",
        "OPENSPIEL_OPPONENT_POLICY": "first,last,middle",
        "OPENSPIEL_OBSERVATION": "string",
        "OPENSPIEL_ILLEGAL_ACTION": "random",
        "OPENSPIEL_MAX_STEPS": "1",
    }
    with served("openspiel", **variables) as base_url:
        env = gym.make("openenv/remote-v0", base_url=base_url)
        observation, info = env.reset(seed=0)
        *_, terminated, truncated, _ = env.step(0)
        state = httpx.get(f"{base_url}/state", timeout=30.0).json()
        env.close()

    assert isinstance(observation, str) and info["current_player"] in (0, 1, 2)
    assert terminated or truncated
    assert state["game_params"] == {"players": 3}
    assert (state["agent_player"], state["opponent_policy"]) == (
        "random",
        ["first", "last", "middle"],
    )


@pytest.mark.parametrize(
    ("name", "variable", "value", "complaint"),
    [
        ("openspiel", "OPENSPIEL_GAME", "catsh", "Did you mean 'catch'?"),
        ("openspiel", "OPENSPIEL_AGENT_PLAYER", "first", "OPENSPIEL_AGENT_PLAYER: expected"),
        ("openspiel", "OPENSPIEL_GAME_PARAMS", "[1]", "OPENSPIEL_GAME_PARAMS: expected"),
        ("openspiel", "OPENSPIEL_OPPONENT_POLICY", "mtcs", "Did you mean 'mcts'?"),
        ("openspiel", "MAX_CONCURRENT_ENVS", "all", "MAX_CONCURRENT_ENVS: expected"),
        ("gymnasium", "GYMNASIUM_ENV_ID", "CartPol-v1", "Did you mean: `CartPole`?"),
        ("gymnasium", "GYMNASIUM_ENV_KWARGS", '["fast"]', "GYMNASIUM_ENV_KWARGS: expected"),
    ],
)
@pytest.mark.sample(3)
def test_a_wrong_variable_is_named_at_start(
    name: str, variable: str, value: str, complaint: str
) -> None:
    started = subprocess.run(
        [sys.executable, "-c", f"import servers.{name}.app"],
        cwd=ROOT,
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 1
    assert complaint in started.stderr


@pytest.mark.parametrize("folder", ["servers/openspiel", "servers/gymnasium"])
def test_an_app_is_short(folder: str) -> None:
    assert len((ROOT / folder / "app.py").read_text(encoding="utf-8").splitlines()) <= 40
