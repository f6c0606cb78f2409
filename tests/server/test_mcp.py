"""``/mcp``, driven by the client of the official SDK."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import gymnasium as gym
import jsonschema
import numpy as np
import pytest
from mcp import Client, MCPError
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol.events import A_SEED

SCRIPTED = "tests.support.envs:Scripted-v0"
SLOW = "tests.support.envs:Slow-v0"
LAMP = "tests.support.talking:Lamp-v0"
RIDDLE = "environment:tests.support.talking:Riddle"

T = TypeVar("T")


def talk(base_url: str, conversation: Callable[[Client], Awaitable[T]]) -> T:
    """What ``conversation`` returns, held with the server by a client that chooses the revision."""

    async def run() -> T:
        async with Client(f"{base_url}/mcp") as client:
            return await conversation(client)

    return asyncio.run(run())


def text(result: Any) -> str:
    return "\n".join(one.text for one in result.content)


def picture(result: Any) -> np.ndarray:
    (content,) = result.content
    assert content.mime_type == "image/png"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content.data))))


def test_an_agent_plays_cartpole_and_sees_the_numbers_of_gymnasium(serve):
    async def play(client: Client) -> list[Any]:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(listed) == ["reset", "step", "state", "render"]
        assert "0 push_left, 1 push_right" in listed["step"].description
        assert listed["step"].input_schema["required"] == ["action"]
        results = [(await client.call_tool("reset", {"seed": 7})).structured_content]
        while not results[-1]["done"]:
            result = await client.call_tool("step", {"action": len(results) % 2})
            assert json.loads(result.content[0].text) == result.structured_content
            results.append(result.structured_content)
        state = (await client.call_tool("state", {})).structured_content
        assert state["step_count"] == len(results) - 1
        drawn = picture(await client.call_tool("render", {}))
        assert drawn.shape == (400, 600, 3)
        assert drawn.std() > 0
        return results

    results = talk(serve("CartPole-v1").base_url, play)
    env = gym.make("CartPole-v1")
    assert results[0]["observation"]["obs"] == env.reset(seed=7)[0].tolist()
    for number, result in enumerate(results[1:], start=1):
        obs, reward, terminated, truncated, _ = env.step(number % 2)
        assert result["observation"]["obs"] == obs.tolist()
        assert (result["reward"], result["done"]) == (reward, terminated or truncated)
    env.close()


def test_the_step_takes_what_schema_says(serve):
    import httpx

    for name in ("CartPole-v1", "openspiel:tic_tac_toe", RIDDLE):
        url = serve(name).base_url

        async def list_tools(client: Client) -> Any:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

        schema = httpx.get(f"{url}/schema", timeout=60).json()["action"]
        assert talk(url, list_tools)["step"].input_schema == schema


def test_an_illegal_move_names_the_legal_ones_and_the_game_goes_on(serve):
    async def play(client: Client) -> None:
        first = await client.call_tool("reset", {"seed": 3})
        assert first.content[1].text == "Legal actions: 0, 1, 2, 3, 4, 5, 6, 7, 8"
        moved = await client.call_tool("step", {"action_id": 4})
        legal = moved.structured_content["observation"]["legal_actions"]
        assert 4 not in legal
        refused = await client.call_tool("step", {"action_id": 4})
        assert refused.is_error
        assert f"Legal are: {', '.join(map(str, legal))}." in text(refused)
        assert (await client.call_tool("state", {})).structured_content["step_count"] == 1
        assert not (await client.call_tool("step", {"action_id": legal[0]})).is_error
        assert picture(await client.call_tool("render", {})).shape[2] == 3

    talk(serve("openspiel:tic_tac_toe").base_url, play)


def test_frozen_lake_is_drawn_and_its_directions_have_names(serve):
    async def play(client: Client) -> None:
        step = (await client.list_tools()).tools[1]
        assert "0 left, 1 down, 2 right, 3 up" in step.description
        too_early = await client.call_tool("render", {})
        assert text(too_early) == "RESET_NEEDED: render before a reset; call the tool reset first"
        await client.call_tool("reset", {"seed": 0})
        before = picture(await client.call_tool("render", {}))
        await client.call_tool("step", {"action": 1})
        after = picture(await client.call_tool("render", {}))
        assert before.shape == after.shape
        assert (before != after).any()

    talk(serve("FrozenLake-v1", "--kwargs", '{"is_slippery": false}').base_url, play)


@pytest.mark.parametrize(
    ("environment", "arguments"),
    [
        (LAMP, ()),
        ("FrozenLake-v1", ("--kwargs", '{"render_mode": "ansi"}')),
    ],
)
@pytest.mark.sample(1)
def test_text_is_shown_as_text(serve, environment: str, arguments: tuple[str, ...]):
    async def play(client: Client) -> str:
        await client.call_tool("reset", {"seed": 0})
        return text(await client.call_tool("render", {}))

    shown = talk(serve(environment, *arguments).base_url, play)
    assert shown == "off" if environment == LAMP else "FHFH" in shown


def test_options_reach_the_environment_and_masks_name_legal_actions(serve):
    async def play(client: Client) -> tuple[str, str]:
        lit = await client.call_tool("reset", {"options": {"on": 1}})
        return lit.content[1].text, text(await client.call_tool("render", {}))

    assert talk(serve(LAMP).base_url, play) == ("Legal actions: 0", "on")


def test_a_typed_environment_of_ones_own(serve):
    async def play(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"reset", "step", "state"}
        assert "Fields of the action: kind, guess." in tools["step"].description
        first = await client.call_tool("reset", {"secret": 3, "episode_id": "mine"})
        assert first.structured_content["observation"]["warmth"] == "NaN"
        asked = await client.call_tool("step", {"kind": "ask"})
        assert asked.structured_content["observation"]["warmth"] == "-Infinity"
        refused = await client.call_tool("step", {"kind": "shout"})
        assert refused.is_error
        assert "$.action.kind: Input should be 'guess' or 'ask', got 'shout'" in text(refused)
        guess = {"kind": "guess", "guess": {"number": 3, "words": ["three", "漢"]}}
        won = (await client.call_tool("step", guess)).structured_content
        assert won["observation"]["guesses"] == [guess["guess"]]
        assert (won["observation"]["answer"], won["reward"], won["done"]) == ("yes", 1.0, True)
        state = (await client.call_tool("state", {})).structured_content
        assert state == {"episode_id": "mine", "step_count": 2, "secret": 3}
        unknown = await client.call_tool("reset", {"level": 3})
        assert unknown.is_error
        assert "level" in text(unknown)

    talk(serve(RIDDLE).base_url, play)


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("reset", {"seed": -1}, f"VALIDATION_ERROR: $.seed: {A_SEED}, got -1"),
        ("reset", {"sed": 1}, "VALIDATION_ERROR: reset: expected seed, options and episode_id"),
        ("step", {"action": "1"}, "INVALID_ACTION: $.action.action: expected an integer"),
        ("step", {"action": 2}, "INVALID_ACTION: $.action.action: expected one in Discrete(2)"),
        ("step", {"action": 1, "force": 3}, "INVALID_ACTION: $.action.force"),
        ("step", {}, "INVALID_ACTION: $.action.action: Field required, got nothing"),
        ("state", {"all": True}, "VALIDATION_ERROR: state: expected no arguments, got all"),
        ("render", {"mode": "human"}, "VALIDATION_ERROR: render: expected no arguments, got mode"),
    ],
)
def test_bad_arguments_are_told_to_the_agent_and_lose_nothing(serve, tool, arguments, says):
    async def play(client: Client) -> None:
        await client.call_tool("reset", {"seed": 1})
        await client.call_tool("step", {"action": 1})
        result = await client.call_tool(tool, arguments)
        assert result.is_error
        assert text(result).startswith(says)
        assert (await client.call_tool("state", {})).structured_content["step_count"] == 1

    talk(serve("CartPole-v1").base_url, play)


def test_out_of_turn(serve):
    async def play(client: Client) -> None:
        before = await client.call_tool("step", {"action": 6})
        assert text(before) == "RESET_NEEDED: step before a reset; call the tool reset first"
        state = (await client.call_tool("state", {})).structured_content
        assert (state["episode_id"], state["step_count"]) == (None, 0)
        await client.call_tool("reset", {})
        assert (await client.call_tool("step", {"action": 6})).structured_content["done"]
        after = await client.call_tool("step", {"action": 0})
        assert "RESET_NEEDED: step after the end of the episode" in text(after)

    talk(serve(SCRIPTED).base_url, play)


def test_numbers_that_json_does_not_have(serve):
    async def play(client: Client) -> Any:
        await client.call_tool("reset", {})
        return (await client.call_tool("step", {"action": 5})).structured_content

    result = talk(serve(SCRIPTED).base_url, play)
    assert (result["observation"]["obs"], result["reward"]) == (["NaN", "-Infinity"], "Infinity")


def test_what_the_environment_raises_and_a_worker_that_dies(serve):
    async def play(client: Client) -> None:
        await client.call_tool("reset", {})
        raised = await client.call_tool("step", {"action": 1})
        said = "EXECUTION_ERROR: the environment raised ValueError in step: told to raise"
        assert text(raised) == said
        assert not (await client.call_tool("step", {"action": 0})).is_error
        died = await client.call_tool("step", {"action": 2})
        assert text(died).startswith("CONNECTION_LOST: the worker process of this session ended")
        gone = await client.call_tool("step", {"action": 0})
        assert text(gone).startswith("RESET_NEEDED: the environment of this session is gone")
        assert not (await client.call_tool("reset", {})).is_error

    talk(serve(SCRIPTED).base_url, play)


def test_two_agents_at_once_play_an_episode_each_and_the_third_waits_for_a_free_one():
    async def play(base_url: str) -> None:
        url = f"{base_url}/mcp"
        async with Client(url) as third:
            async with Client(url) as first, Client(url) as second:
                a, b = await asyncio.gather(
                    first.call_tool("reset", {"seed": 1}), second.call_tool("reset", {"seed": 2})
                )
                assert a.structured_content != b.structured_content
                await first.call_tool("step", {"action": 1})
                counts = [
                    (await client.call_tool("state", {})).structured_content["step_count"]
                    for client in (first, second)
                ]
                assert counts == [1, 0]
                refused = await third.call_tool("reset", {"seed": 3})
                assert refused.is_error
                assert text(refused).startswith("CAPACITY_REACHED: expected a free session, got")
            # Both said goodbye, and a session ends with that.
            assert not (await third.call_tool("reset", {"seed": 3})).is_error

    with ServerProcess("CartPole-v1", "--max-sessions=2") as server:
        asyncio.run(play(server.base_url))


def test_a_call_that_is_cancelled_is_done_all_the_same_and_the_next_one_waits_for_it(serve):
    async def play(client: Client) -> None:
        await client.call_tool("reset", {})
        with pytest.raises(MCPError, match=r"[Tt]imed out"):
            # Of two seconds; it has to be sent before it is cancelled.
            await client.call_tool("step", {"action": 4}, read_timeout_seconds=0.5)
        assert (await client.call_tool("state", {})).structured_content["step_count"] == 1

    talk(serve(SLOW).base_url, play)


@pytest.mark.long
def test_a_goodbye_ends_a_step_that_hangs():
    async def play(base_url: str) -> None:
        url = f"{base_url}/mcp"
        async with Client(url) as client:
            await client.call_tool("reset", {})
            with pytest.raises(MCPError, match=r"[Tt]imed out"):
                await client.call_tool("step", {"action": 3}, read_timeout_seconds=0.5)
        async with Client(url) as client:
            assert not (await client.call_tool("reset", {})).is_error

    with ServerProcess(SCRIPTED, "--max-sessions=1") as server:
        asyncio.run(play(server.base_url))


def test_an_unknown_tool_is_an_error_of_the_protocol(serve):
    async def play(client: Client) -> None:
        with pytest.raises(MCPError, match="expected a tool among reset, step, state, render"):
            await client.call_tool("jump", {})
        with pytest.raises(MCPError, match="expected a method among initialize"):
            await client.list_prompts()

    talk(serve("CartPole-v1").base_url, play)


def test_a_client_of_the_revisions_with_a_handshake(serve):
    async def play(url: str) -> None:
        async with (
            streamable_http_client(url) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            hello = await session.initialize()
            assert hello.protocol_version == "2025-11-25"
            assert hello.server_info.name == "openenv-gym"
            assert "CartPole-v1" in hello.instructions
            await session.send_ping()
            result = await session.call_tool("reset", {"seed": 1})
            tools = (await session.list_tools()).tools
            jsonschema.validate(result.structured_content, tools[0].output_schema)

    asyncio.run(play(f"{serve('CartPole-v1').base_url}/mcp"))


def test_a_client_of_the_revision_without_sessions_is_told_which_there_are(serve):
    async def play() -> None:
        async with Client(f"{serve('CartPole-v1').base_url}/mcp", mode="2026-07-28") as client:
            with pytest.raises(MCPError, match=r"expected one of 2024-11-05, .*, 2025-11-25"):
                await client.list_tools()

    asyncio.run(play())
