"""The deployable servers, each under uvicorn in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest

import openenv_gym  # noqa: F401  # registers the ids
from tests.support.logged_server import running
from tests.support.preloaded import Preloaded

ROOT = Path(__file__).parents[2]


@pytest.fixture
def served(preloaded: Preloaded, tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """Runs the app in a folder as its container does, and gives its URL."""

    @contextmanager
    def serve(name: str, **variables: str) -> Iterator[str]:
        command = [sys.executable, str(ROOT / "servers" / name / "app.py"), "--port=0"]
        with running(preloaded, command, tmp_path / name, **variables) as server:
            yield server.base_url

    return serve


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


def test_openspiel_serves_catch(served) -> None:
    with served("openspiel") as base_url:
        health = httpx.get(f"{base_url}/health", timeout=30.0)
        remote = play(gym.make("openenv/catch-v0", base_url=base_url), [1] * 9)
    local = play(gym.make("openenv/catch-v0"), [1] * 9)

    assert health.json() == {"status": "healthy"}
    assert remote[1] in (-1.0, 1.0)
    assert remote[2]
    assert np.array_equal(remote[0], local[0])
    assert remote[1:] == local[1:]


def test_openspiel_takes_its_game_seat_and_opponent_from_variables(served) -> None:
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


def test_gymnasium_serves_cartpole(served) -> None:
    push_right = [1] * 12  # it falls within these
    with served("gymnasium") as base_url:
        remote = play(gym.make("openenv/CartPole-v1", base_url=base_url), push_right)
    local = play(gym.make("CartPole-v1"), push_right)

    assert remote[2]
    assert np.array_equal(remote[0], local[0])
    assert remote[1:] == local[1:]


def test_gymnasium_takes_its_id_and_arguments_from_variables(served) -> None:
    variables = {
        "GYMNASIUM_ENV_ID": "FrozenLake-v1",
        "GYMNASIUM_ENV_KWARGS": '{"is_slippery": false}',
    }
    with served("gymnasium", **variables) as base_url:
        env = gym.make("openenv/gymnasium-v0", env_id="FrozenLake-v1", base_url=base_url)
        observation, total, ended = play(env, [1, 1, 2, 2, 1, 2])  # round the holes to the goal

    assert (observation, total, ended) == (15, 1.0, True)


def test_openspiel_has_companions_for_the_rest(served) -> None:
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


# --- containers, without an engine: what their Dockerfiles say is done here

DOCKERFILES = ("servers/gymnasium", "servers/openspiel", "examples/own_environment")


class Image:
    """What a Dockerfile says."""

    def __init__(self, folder: str) -> None:
        self.path = ROOT / folder / "Dockerfile"
        text = re.sub(r"\\\n\s*", "", self.path.read_text(encoding="utf-8"))
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.steps = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]

    def all(self, word: str) -> list[str]:
        return [rest for said, rest in self.steps if said == word]

    @property
    def command(self) -> list[str]:
        """What a container runs, by this interpreter."""
        (command,) = map(json.loads, self.all("ENTRYPOINT"))
        if command[0] == "python":
            return [sys.executable, *command[1:]]
        assert command[0] == "openenv-gym"
        return [sys.executable, "-m", "openenv_gym.cli", *command[1:]]

    @property
    def variables(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for line in self.all("ENV") for pair in line.split())

    def lay_out(self, folder: Path) -> Path:
        """Copy what the image has beside the package."""
        for line in self.all("COPY"):
            *sources, target = line.split()
            if target.startswith("./package"):
                continue
            for source in map(ROOT.joinpath, sources):
                where = folder / target
                if source.is_dir():
                    shutil.copytree(source, where)
                else:
                    where.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, where)
        return folder


@pytest.mark.parametrize("folder", DOCKERFILES)
def test_an_image_has_what_it_copies_and_is_nobodys_root(folder: str) -> None:
    image = Image(folder)
    ignored = Path(f"{image.path}.dockerignore").read_text(encoding="utf-8").split()
    for line in image.all("COPY"):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored
    words = [word for word, _ in image.steps]
    assert image.all("USER") == ["10001"]
    assert "--uid 10001" in " ".join(image.all("RUN"))
    assert words.index("USER") < words.index("ENTRYPOINT") and words[-1] == "ENTRYPOINT"
    assert "TOKEN" not in " ".join(image.all("ENV") + image.all("ARG"))


@pytest.mark.parametrize("folder", DOCKERFILES)
@pytest.mark.sample(2)
def test_a_container_wants_a_token_from_outside_and_is_healthy(
    folder: str, preloaded: Preloaded, tmp_path: Path
) -> None:
    image, log = Image(folder), tmp_path / "log"
    place = image.lay_out(tmp_path / "srv")
    variables = image.variables
    with log.open("wb") as out:
        environ = {**os.environ, **variables}
        fds = {"stdout": out.fileno(), "stderr": out.fileno()}
        refused = preloaded.popen(in_folder(image.command, place), env=environ, cwd=place, **fds)
        assert refused.wait(60) == 2
    assert "0.0.0.0 is open to the network: give --token" in log.read_text(encoding="utf-8")

    command = [*in_folder(image.command, place), "--host=127.0.0.1", "--port=0"]
    variables["OPENENV_GYM_TOKEN"] = "from-outside"
    with running(preloaded, command, log, place, **variables) as server:
        assert httpx.get(f"{server.base_url}/schema", timeout=60).status_code == 401
        env = gym.make("openenv/remote-v0", base_url=server.base_url, token="from-outside")
        env.reset(seed=1)
        env.close()
        (check,) = image.all("HEALTHCHECK")
        _, code, script = json.loads(check.partition("CMD ")[2])
        assert code == "-c"
        own = script.replace("http://127.0.0.1:8000", server.base_url)
        subprocess.run([sys.executable, "-c", own], check=True)


def in_folder(command: list[str], folder: Path) -> list[str]:
    """The command with the path of the file that it runs, as the test's interpreter wants it."""
    return [str(folder / one) if one.endswith(".py") else one for one in command]
