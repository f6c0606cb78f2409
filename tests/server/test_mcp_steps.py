"""Tools that are listed and called in steps over ``/ws``, as OpenEnv's older MCP client does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from openenv_gym import Action, Environment, Observation, State, create_app
from tests.support.uvicorn_thread import serving


class Move(Action):
    by: int


class Seen(Observation):
    at: int = 0


class Walk(Environment[Move, Seen, State]):
    """Goes where it is told, and ends at 3."""

    def __init__(self) -> None:
        self.at = 0

    def reset(self, seed: int | None = None, episode_id: str | None = None) -> Seen:
        self.at = 0
        return Seen(at=0)

    def step(self, action: Move) -> Seen:
        self.at += action.by
        return Seen(at=self.at, reward=1.0, done=self.at >= 3)

    @property
    def state(self) -> State:
        return State(step_count=self.at)


def step(**data: Any) -> dict[str, Any]:
    return {"type": "step", "data": data}


LIST = step(type="list_tools")


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return step(type="call_tool", tool_name=name, arguments=arguments)


def talk(url: str, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What a server answers to these messages of one session."""
    with connect(url.replace("http", "ws") + "/ws") as socket:
        answers = []
        for message in messages:
            socket.send(json.dumps(message))
            answers.append(json.loads(socket.recv())["data"])
        return answers


@pytest.fixture(scope="module")
def walk():
    with serving(create_app(Walk)) as url:
        yield url


def test_tools_are_listed_before_a_reset(walk: str):
    (answer,) = talk(walk, LIST)
    tools = answer["observation"]["tools"]
    assert [tool["name"] for tool in tools] == ["reset", "step", "state"]
    assert tools[1]["input_schema"]["required"] == ["by"]
    assert (answer["reward"], answer["done"]) == (None, False)


def test_a_tool_plays_in_the_session_of_the_connection(walk: str):
    first, began, went, ended, after, anew = talk(
        walk,
        step(by=1),
        call("reset"),
        call("step", by=2),
        step(by=1),
        call("step", by=1),
        {"type": "reset"},
    )
    assert first["code"] == "RESET_NEEDED"
    assert began["observation"]["result"]["data"]["observation"]["at"] == 0
    assert (went["reward"], went["done"]) == (1.0, False)
    assert went["observation"]["result"]["data"]["observation"]["at"] == 2
    assert (ended["observation"]["at"], ended["done"]) == (3, True)
    error = after["observation"]["error"]
    assert error["error_type"] == "execution_error" and "reset" in error["message"]
    assert anew["observation"]["at"] == 0


@pytest.mark.parametrize(
    ("message", "kind"),
    [(call("step", by="far"), "invalid_args"),
     (call("fly"), "tool_not_found"),
     (step(type="call_tool", tool_name="step", arguments=[1]), "invalid_args")],
    ids=str,
)  # fmt: skip
def test_what_a_tool_refuses_is_an_error_of_the_observation(walk: str, message: Any, kind: str):
    _, answer = talk(walk, {"type": "reset"}, message)
    assert answer["observation"]["error"]["error_type"] == kind


def test_other_actions_that_are_refused_stay_refused(walk: str):
    _, answer = talk(walk, {"type": "reset"}, step(by="far"))
    assert answer["code"] == "INVALID_ACTION"


def test_a_gymnasium_environment_in_a_worker_lists_its_tools(serve):
    tools, began, went = talk(
        serve("CartPole-v1").base_url, LIST, call("reset", seed=3), call("step", action=1)
    )
    assert [one["name"] for one in tools["observation"]["tools"]][:2] == ["reset", "step"]
    assert (began["done"], went["reward"]) == (False, 1.0)
