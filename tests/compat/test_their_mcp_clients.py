"""``/mcp`` under OpenEnv's own client and validator, and under older clients of MCP.

They are in the venvs of both generations, the first major version of the SDK in that of 0.3.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.compat.generations import Generation

with_0_10 = pytest.mark.parametrize("generation", ["0.10"], indirect=True)
with_0_3 = pytest.mark.parametrize("generation", ["0.3"], indirect=True)

OPENENV = """
import json, sys
from openenv.core.mcp_client import MCPToolClient

said = []
with MCPToolClient(base_url=sys.argv[1]).sync() as env:
    said.append([tool.name for tool in env.list_tools()])
    said.append(env.reset(seed=3).observation.obs)
    said.append(env.call_tool("step", action=1))
    said.append(env.state().step_count)
    try:
        env.call_tool("step", action=7)
    except RuntimeError as exc:
        said.append(str(exc))
    said.append(env.call_tool("reset", seed=3)["observation"]["obs"])
    said.append(env.state().step_count)
print(json.dumps(said))
"""

STEPS = """
import json, sys
from openenv.core.env_server.mcp_types import CallToolAction
from openenv.core.mcp_client import MCPToolClient

said = []
with MCPToolClient(base_url=sys.argv[1]).sync() as env:
    said.append([tool.name for tool in env.list_tools()])
    said.append(env.reset(seed=3).done)
    result = env.step(CallToolAction(tool_name="step", arguments={"action": 1}))
    said.append([result.reward, result.done, env.state().step_count])
    said.append(env.call_tool("state")["step_count"])
    for name in ("step", "jump"):
        try:
            env.call_tool(name, action=7)
        except RuntimeError as exc:
            said.append(str(exc))
    said.append(env.call_tool("reset", seed=3)["done"])
    said.append(env.state().step_count)
print(json.dumps(said))
"""

SDK = """
import asyncio, json, sys
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

async def play():
    async with streamablehttp_client(sys.argv[1] + "/mcp") as (reading, writing, _):
        async with ClientSession(reading, writing) as session:
            hello = await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            first = await session.call_tool("reset", {"seed": 3})
            bad = await session.call_tool("step", {"action": 7})
            drawn = await session.call_tool("render", {})
            return [hello.protocolVersion, tools, first.structuredContent, bad.isError,
                    drawn.content[0].mimeType]

print(json.dumps(asyncio.run(play())))
"""

FASTMCP = """
import asyncio, json, sys
from fastmcp import Client

async def play():
    async with Client(sys.argv[1] + "/mcp") as client:
        tools = [tool.name for tool in await client.list_tools()]
        first = await client.call_tool("reset", {"seed": 3})
        bad = await client.call_tool("step", {"action": 7}, raise_on_error=False)
        return [tools, first.structured_content, first.data.observation.obs, bad.is_error]

print(json.dumps(asyncio.run(play())))
"""

TOOLS = ["reset", "step", "state", "render"]


@pytest.fixture
def base_url(serve) -> str:
    return serve("CartPole-v1", "--max-sessions=1").base_url


def run(generation: Generation, *arguments: str) -> str:
    """What Python prints that has this generation."""
    done = subprocess.run(
        [generation.python, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**generation.environ, "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def said_by(generation: Generation, program: str, base_url: str) -> Any:
    return json.loads(run(generation, "-c", program, base_url).splitlines()[-1])


@with_0_10
def test_openenvs_mcp_client_plays_over_both_routes_in_one_session(generation, base_url):
    tools, obs, stepped, count, error, again, count_again = said_by(generation, OPENENV, base_url)
    assert tools == TOOLS
    assert (stepped["reward"], count, count_again) == (1.0, 1, 0)
    assert error.startswith("Tool 'step' failed: $.action.action: expected one in Discrete(2)")
    assert obs == again


@with_0_10
def test_openenvs_validator_passes(generation, base_url):
    validate = ("-m", "openenv.cli", "validate", "--timeout=30")
    report = run(generation, *validate, "--url", base_url)
    assert "PASS  mcp_endpoint" in report
    assert "PASS  mode_endpoint_consistency" in report
    assert "FAIL" not in report


@with_0_3
def test_the_older_client_lists_and_calls_tools_in_steps(generation, base_url):
    said = said_by(generation, STEPS, base_url)
    tools, first, stepped, count, refused, unknown, again, anew = said
    assert (tools, first, again, anew) == (TOOLS, False, False, 0)
    assert (stepped, count) == ([1.0, False, 1], 1)
    assert refused.startswith("Tool 'step' failed: $.action.action: expected one in Discrete(2)")
    assert refused.endswith("(type: invalid_args)")
    assert unknown.startswith("Tool 'jump' failed: expected a tool among reset, step, state, ")


@with_0_3
def test_the_first_major_version_of_the_sdk(generation, base_url):
    version, tools, first, is_error, kind = said_by(generation, SDK, base_url)
    assert (version, tools) == ("2025-11-25", TOOLS)
    assert (first["done"], is_error, kind) == (False, True, "image/png")


def test_fastmcp_makes_objects_of_results_by_their_schema(generation, base_url):
    tools, first, obs, is_error = said_by(generation, FASTMCP, base_url)
    assert tools == TOOLS
    assert obs == first["observation"]["obs"]
    assert is_error
