"""Servers of tools over MCP: one action is a tool with the arguments that it requires."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs
from gymnasium.utils.env_checker import check_env

from openenv_gym import inspect
from openenv_gym.errors import SpaceError
from openenv_gym.spaces.unicode_text import UnicodeText
from tests.envs.test_foreign_servers import FREE, INTEGER, TEXT, array, made
from tests.support.plain_server import Plain, action_schema, observation_schema, observed, serving

pytestmark = pytest.mark.single_env

needs_one_of = pytest.mark.skipif(not hasattr(gs, "OneOf"), reason="Gymnasium has OneOf since 1.0")

CALL = action_schema(
    "tool_name",
    type={"const": "call_tool", "default": "call_tool", "type": "string"},
    tool_name=TEXT,
    arguments=FREE,
)
ANSWER = observation_schema("tool_name", tool_name=TEXT, result={}, error={"default": None})
DIGIT = {**INTEGER, "minimum": 0, "maximum": 9}


def tool(name: str, *required: str, key: str = "input_schema", **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"name": name, "description": "", key: schema}


SEARCH = tool("search", "query", query=TEXT, limit={"anyOf": [INTEGER, {"type": "null"}]})
ADD = tool("add", "a", "b", key="inputSchema", a=DIGIT, b={"$ref": "#/$defs/B"})
ADD["inputSchema"]["$defs"] = {"B": DIGIT}
SUBMIT = tool("submit")
EDIT = tool("edit", "edits", edits=array(FREE))
COUNT = tool("count", "to", to=INTEGER)


def toolbox(*tools: dict[str, Any], needs_reset: bool = False, observation: Any = None) -> Plain:
    """A server that lists ``tools`` at a step, and says what it was called with."""
    began: list[bool] = []

    def reset(data: dict[str, Any], number: int) -> dict[str, Any]:
        began.append(True)
        return observed()

    def step(data: dict[str, Any], number: int) -> dict[str, Any]:
        if data == {"type": "list_tools"}:
            if needs_reset and not began:
                raise RuntimeError("reset first")
            return observed(tools=list(tools))
        said = {"data": [data["tool_name"], data["arguments"]], "content": []}
        return observed(tool_name=data["tool_name"], result=said, error=None)

    return Plain(action=CALL, observation=observation or ANSWER, reset=reset, step=step)


@needs_one_of
def test_one_of_several_tools_with_what_it_requires():
    server = toolbox(SEARCH, ADD, SUBMIT)
    with made(server) as env:
        assert env.action_space == gs.OneOf(
            [
                gs.Dict({"query": UnicodeText()}),
                gs.Dict({"a": gs.Discrete(10), "b": gs.Discrete(10)}),
                gs.Dict({}),
            ]
        )
        assert env.observation_space == UnicodeText()
        assert env.reset() == ("", {"missing": ["result"]})
        obs, _, _, _, info = env.step((0, {"query": "ä"}))
        assert obs == '["search", {"query": "ä"}]'
        assert info["result"]["data"] == ["search", {"query": "ä"}]  # whole
        env.step((1, {"a": 3, "b": np.int64(4)}))
        env.step((2, {}))
        env.action_space.seed(0)
        for _ in range(9):
            env.step(env.action_space.sample())
    calls = server.said("step")
    assert calls[1:4] == [
        {"type": "call_tool", "tool_name": "search", "arguments": {"query": "ä"}},
        {"type": "call_tool", "tool_name": "add", "arguments": {"a": 3, "b": 4}},
        {"type": "call_tool", "tool_name": "submit", "arguments": {}},
    ]
    assert [message["type"] for message in server.received[:3]] == ["step", "close", "reset"]


@needs_one_of
def test_check_env_passes_on_a_server_of_tools():
    with made(toolbox(ADD, SUBMIT)) as env, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Dict action space.*")
        check_env(env.unwrapped)


def test_a_tool_that_is_named_or_alone_is_its_arguments():
    for keywords, tools in (({"fixed_action": {"tool_name": "add"}}, [SEARCH, ADD]), ({}, [ADD])):
        with made(toolbox(*tools), **keywords) as env:
            assert env.action_space == gs.Dict({"a": gs.Discrete(10), "b": gs.Discrete(10)})
            env.reset()
            assert env.step({"a": 1, "b": 2})[0] == '["add", {"a": 1, "b": 2}]'


def test_the_only_argument_is_the_action():
    server = toolbox(SEARCH, ADD)
    with made(server, fixed_action={"tool_name": "search", "arguments": {"limit": 5}}) as env:
        assert env.action_space == UnicodeText()
        env.reset()
        env.step("ß")
    with made(server, fixed_action={"tool_name": "add", "arguments": {"a": 7}}) as env:
        assert env.action_space == gs.Discrete(10)
        env.reset()
        env.step(8)
    calls = [call["arguments"] for call in server.said("step") if "arguments" in call]
    assert calls == [{"limit": 5, "query": "ß"}, {"a": 7, "b": 8}]


def test_a_tool_that_requires_nothing():
    with made(toolbox(SUBMIT)) as env:
        assert env.action_space == gs.Discrete(1)
        env.reset()
        assert env.step(0)[0] == '["submit", {}]'
    limited = tool("look", limit=DIGIT)
    with made(toolbox(limited)) as env:
        assert env.action_space == gs.Discrete(10)
        env.reset()
        assert env.step(4)[0] == '["look", {"limit": 4}]'
    many = tool("look", limit=DIGIT, where=TEXT)
    refused = pytest.raises(SpaceError, match=r"look\(; limit, where\) requires none .*action_key=")
    with refused, made(toolbox(many)):
        pass
    fixed = {"tool_name": "look", "arguments": {"where": "here"}}
    with made(toolbox(many), fixed_action=fixed) as env:
        env.reset()
        assert env.step(4)[0] == '["look", {"where": "here", "limit": 4}]'


def test_an_argument_that_is_named_has_the_space_of_its_tool():
    server = toolbox(SEARCH, ADD)
    fixed = {"tool_name": "add", "arguments": {"a": 7}}
    with made(server, fixed_action=fixed, action_key="arguments.b") as env:
        assert env.action_space == gs.Discrete(10)
    fixed = {"tool_name": "search", "arguments": {"query": "x"}}
    told = pytest.warns(UserWarning, match=r"arguments\.limit: its minimum and maximum")
    with told, made(server, fixed_action=fixed, action_key="arguments.limit") as env:
        assert env.action_space.shape == () and env.action_space.dtype == np.int64  # not null
    refused = pytest.raises(SpaceError, match=r"required argument of add\(a, b\), got none for a; ")
    with refused, made(server, fixed_action={"tool_name": "add"}, action_key="arguments.b"):
        pass


def test_what_the_caller_says_of_the_action_needs_no_list():
    server = toolbox()
    with made(
        server,
        fixed_action={"tool_name": "say", "arguments": {"loud": True}},
        action_key="arguments.text",
        action_space=UnicodeText(99),
    ) as env:
        env.reset()
        env.step("schön")
    assert server.said("step") == [
        {"type": "call_tool", "tool_name": "say", "arguments": {"loud": True, "text": "schön"}}
    ]


@needs_one_of
def test_a_tool_that_no_space_can_hold_is_left_out_and_told():
    told = pytest.warns(UserWarning, match=r"the tool edit\(edits\) is left out: .*fixed_action=")
    with told, made(toolbox(ADD, EDIT)) as env:
        assert "a" in str(env.action_space)
    with (
        pytest.raises(SpaceError, match=r"^\$\.action: the tool edit\(edits\) is left out: "),
        made(toolbox(EDIT)),
    ):
        pass
    told = pytest.warns(UserWarning, match=r"arguments\.to: its minimum .* for the tool count, ")
    with told, made(toolbox(COUNT)):
        pass
    unsaid = {"name": "mystery", "input_schema": {}}
    with (
        pytest.raises(SpaceError, match=r"mystery\(\) is left out: its server does not say which"),
        made(toolbox(unsaid)),
    ):
        pass


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"fixed_action": {"tool_name": "ad"}}, r"among the tools .*, search\(query; limit\), add\(a"),
    ({"fixed_action": {"arguments": {"a": 1}}}, r"^fixed_action: expected the 'tool_name' .*add"),
    ({"fixed_action": {"tool_name": "add", "x": 1}}, r"fixed_action= with fields .* got x$"),
]


@pytest.mark.parametrize(("keywords", "said"), REFUSED, ids=str)
def test_what_makes_no_sense_lists_the_tools(keywords: dict[str, Any], said: str):
    with pytest.raises(SpaceError, match=said), made(toolbox(SEARCH, ADD), **keywords):
        pass


def test_a_server_that_lists_nothing_is_an_error_with_the_arguments_to_give():
    for server in (toolbox(), toolbox(ADD, needs_reset=True)):
        with (
            pytest.raises(SpaceError, match=r"tool_name: expected one of the tools; name one with "
                          r"fixed_action=\{'tool_name': \.\.\.\}, .* was asked for its tools: "),
            made(server),
        ):  # fmt: skip
            pass


@needs_one_of
def test_a_union_with_the_listing_of_tools_is_a_call():
    server = toolbox(ADD, SUBMIT)
    listing = {"properties": {"type": {"const": "list_tools"}}, "type": "object"}
    server.action = {"oneOf": [listing, CALL]}
    with made(server) as env:
        assert len(env.action_space.spaces) == 2


@pytest.mark.parametrize(
    ("result", "text"),
    [("said", "said"),
     ({"data": "x", "content": []}, "x"),
     ({"data": None, "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "ö"}]},
      "a\nö"),
     ({"data": {"n": 1}, "content": []}, '{"n": 1}'),
     ([1, 2], "[1, 2]"),
     (None, "")],
    ids=str,
)  # fmt: skip
def test_what_a_tool_returns_is_observed_as_text(result: Any, text: str):
    server = toolbox(ADD)
    server.step = lambda data, number: (
        observed(tools=[ADD])
        if "arguments" not in data
        else observed(tool_name="add", result=result, error={"message": "no"})
    )
    with made(server) as env:
        env.reset()
        obs, _, _, _, info = env.step({"a": 1, "b": 2})
        assert (obs, info["result"], info["error"]) == (text, result, {"message": "no"})


def test_an_observation_of_its_own_is_read_as_any_other():
    server = toolbox(ADD, observation=observation_schema("n", n=DIGIT))
    with made(server) as env:
        assert env.observation_space == gs.Discrete(10)


@needs_one_of
def test_inspect_tells_the_tools():
    with serving(toolbox(SEARCH, SUBMIT)) as url:
        reasons = inspect(url).inference.reasons
    shown = "0: search(query; limit), 1: submit()"
    assert f"$.action: one of the tools with what it requires, {shown}" in reasons


def test_copies_need_no_free_session_to_know_the_tools():
    with serving(toolbox(ADD)) as url:
        first = gym.make("openenv/remote-v0", base_url=url)
        first.reset()
        second = gym.make("openenv/remote-v0", base_url=url)  # while the only session is taken
        assert second.action_space == first.action_space
        first.close()
