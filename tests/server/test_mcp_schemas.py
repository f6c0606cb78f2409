"""The schemas of the tools, against every space: what they promise is what is sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from openenv_gym.codecs import json_codec
from openenv_gym.server.mcp import McpServer
from openenv_gym.server.mcp_schemas import legal_actions, loosened
from openenv_gym.server.service import Service
from openenv_gym.server.settings import ServerSettings
from openenv_gym.workers.built_env import builder_for
from tests.support.spaces import CATALOGUE, NAMES, samples
from tests.support.strategies import spaces, values

# Gymnasium's own `contains` casts what the JSON of a Graph is read into.
pytestmark = pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array")


class Mirror(gym.Env[Any, Any]):
    """Observes what it was told last; before that, what ``first`` is."""

    def __init__(self, space: gs.Space[Any], first: Any) -> None:
        self.action_space = self.observation_space = space
        self.first = first

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        return self.first, {"array": np.ones(3, np.float32), "nan": np.nan, "pair": (1, None)}

    def step(self, action: Any):
        return action, float("-inf"), False, False, {"big": 2**60}


def tools_of(server: McpServer) -> dict[str, Any]:
    return {tool["name"]: tool for tool in ask(server, "tools/list")["tools"]}


def ask(server: McpServer, method: str, **params: Any) -> Any:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = asyncio.run(server.receive(message, None)).answer
    return json.loads(json.dumps(answer, allow_nan=False))["result"]


def check(space: gs.Space[Any], first: Any, actions: list[Any]) -> None:
    builder = builder_for(lambda: Mirror(space, first), "mirror")
    served = ServerSettings(environment="mirror", builder=builder, isolation="inline")
    server = McpServer(Service(served))
    tools = tools_of(server)
    for tool in tools.values():
        Draft202012Validator.check_schema(tool["inputSchema"])
        Draft202012Validator.check_schema(tool["outputSchema"])
        assert tool["inputSchema"]["type"] == tool["outputSchema"]["type"] == "object"
    takes = Draft202012Validator(tools["step"]["inputSchema"])
    calls = [("reset", {}), ("state", {})]
    calls += [("step", {"action": json_codec(space).to_json(action)}) for action in actions]
    for name, arguments in calls:
        if name == "step":
            takes.validate(arguments)
        result = ask(server, "tools/call", name=name, arguments=arguments)
        assert not result["isError"], result
        Draft202012Validator(tools[name]["outputSchema"]).validate(result["structuredContent"])
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


@pytest.mark.parametrize("name", NAMES)
def test_actions_and_results_of_every_space_are_what_the_schemas_say(name: str):
    space = CATALOGUE[name]
    sampled = samples(space)
    check(space, sampled[0], sampled)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_actions_and_results_of_any_space_are_what_the_schemas_say(data: st.DataObject):
    space = data.draw(spaces(2))
    drawn = [data.draw(values(space)) for _ in range(3)]
    check(space, drawn[0], drawn)


@pytest.mark.parametrize(
    ("space", "first"),
    [
        (gs.Box(-1, 1, (2,), np.float32), np.array([np.nan, 5.0], np.float32)),
        (gs.Box(-1, 1, (2,), np.float32), [1, 2, 3]),
        (gs.Box(0, 255, (2, 2), np.uint8), np.full((3, 1), 300.5)),
        (gs.Discrete(3), 7),
        (gs.Text(2), "not in the alphabet!"),
        (gs.MultiBinary(2), np.array([3, -1])),
    ],
)
def test_a_result_beyond_its_space_does_not_keep_an_agent_from_playing(space, first):
    check(space, first, [])


def test_the_schema_of_a_result_keeps_names_and_shape_and_drops_limits():
    strict = {
        "type": "object",
        "additionalProperties": False,
        "required": ["minimum"],
        "properties": {
            "minimum": {"type": "integer", "minimum": 0, "title": "Named as a limit is"},
            "kind": {"const": "a"},
            "one": {"oneOf": [{"type": "null"}, {"type": "number", "maximum": 1}]},
        },
    }
    assert loosened(strict) == {
        "type": "object",
        "properties": {
            "minimum": {"type": ["number", "string"], "title": "Named as a limit is"},
            "kind": {"const": "a"},
            "one": {"anyOf": [{"type": "null"}, {"type": ["number", "string"]}]},
        },
    }


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ([1, 1], "0 push_left, 1 push_right"),
        ([0, 1], "1 push_right"),
        ([1, 0, 1], "0, 2"),  # one more than there are actions
    ],
)
def test_legal_actions_have_names_where_all_of_them_do(mask: list[int], said: str):
    served = ServerSettings(environment="CartPole-v1", isolation="inline")
    named = legal_actions(Service(served).description)
    data = {"observation": {"info": {"action_mask": mask}}, "done": False}
    assert named(data) == f"Legal actions: {said}"


def test_legal_actions_that_are_no_numbers_have_no_names():
    served = ServerSettings(environment="CartPole-v1", isolation="inline")
    named = legal_actions(Service(served).description)
    data = {"observation": {"legal_actions": ["left", -1, 7]}, "done": False}
    assert named(data) == "Legal actions: left, -1, 7"
