"""The echo environment of the five steps, over every way to serve it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from examples.own_environment.client import EchoClient
from examples.own_environment.main import served
from examples.own_environment.models import EchoAction, EchoObservation, EchoState
from openenv_gym.errors import InvalidActionError, ResetNeededError
from openenv_gym.launchers.subprocess import ServerProcess

ROOT = Path(__file__).parents[2]
APP = "examples.own_environment.app:app"
BY_NAME = "environment:examples.own_environment.environment:EchoEnvironment"


@pytest.fixture(scope="module", params=["uvicorn", "by name"])
def base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where it is served: the app under uvicorn, or the class by ``openenv-gym serve``."""
    if request.param == "uvicorn":
        with served(APP) as url:
            httpx.get(f"{url}/health", timeout=100.0)  # it serves then
            yield url
    else:
        with ServerProcess(BY_NAME) as server:
            yield server.base_url


@pytest.mark.sample(1)
def test_the_client_plays_an_episode(base_url: str) -> None:
    with EchoClient(base_url) as client:
        first = client.reset(episode_id="mine")
        second = client.step(EchoAction(message="hello"))
        third = client.step(EchoAction(message="bye"))
        state = client.state()

    assert first.observation == EchoObservation(echo="")
    assert (first.reward, first.done) == (None, False)
    assert second.observation == EchoObservation(echo="hello", reward=5.0)
    assert (second.reward, second.done) == (5.0, False)
    assert third.observation == EchoObservation(echo="bye", reward=3.0, done=True)
    assert (third.reward, third.done) == (3.0, True)
    assert state == EchoState(episode_id="mine", step_count=2, letters=8)


def test_each_client_has_an_episode_of_its_own(base_url: str) -> None:
    with EchoClient(base_url) as one, EchoClient(base_url) as other:
        one.reset()
        other.reset()
        one.step(EchoAction(message="hello"))
        states = [one.state(), other.state()]

    assert [state.letters for state in states] == [5, 0]
    assert states[0].episode_id != states[1].episode_id


def test_a_wrong_action_is_refused_and_the_session_lives_on(base_url: str) -> None:
    with EchoClient(base_url) as client:
        client.reset()
        with pytest.raises(InvalidActionError, match=r"\$\.action\.message: .*at least 1"):
            client.step(EchoAction.model_construct(message="", metadata={}))
        result = client.step(EchoAction(message="still here"))

    assert result.observation.echo == "still here"


def test_a_step_before_the_reset_is_refused_and_the_session_lives_on(base_url: str) -> None:
    with EchoClient(base_url) as client:
        with pytest.raises(ResetNeededError):
            client.step(EchoAction(message="hello"))
        client.reset()
        result = client.step(EchoAction(message="hello"))

    assert result.observation.echo == "hello"


def test_plain_http_plays_an_episode(base_url: str) -> None:
    with httpx.Client(base_url=base_url, timeout=30.0) as http:
        reset = http.post("/reset", headers={"X-OpenEnv-Session": "new"})
        session = {"X-OpenEnv-Session": reset.headers["X-OpenEnv-Session"]}
        step = http.post("/step", json={"action": {"message": "hello"}}, headers=session)
        state = http.get("/state", headers=session)

    assert reset.json()["observation"]["echo"] == ""
    assert step.json()["observation"]["echo"] == "hello"
    assert (step.json()["reward"], step.json()["done"]) == (5.0, False)
    assert (state.json()["step_count"], state.json()["letters"]) == (1, 5)


def test_the_server_tells_the_schemas_of_the_models(base_url: str) -> None:
    schemas = httpx.get(f"{base_url}/schema", timeout=30.0).json()

    assert schemas["action"] == EchoAction.model_json_schema()
    assert schemas["observation"] == EchoObservation.model_json_schema()
    assert schemas["state"] == EchoState.model_json_schema()


def test_the_program_plays() -> None:
    played = subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.own_environment.main"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (played.returncode, played.stderr) == (0, "")
    assert played.stdout.splitlines()[-1] == "13 letters in 3 steps"
