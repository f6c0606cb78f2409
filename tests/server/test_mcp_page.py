"""docs/mcp.md: its example runs, its session is what a server says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from openenv_gym.launchers import ServerProcess

PAGE = (Path(__file__).parents[2] / "docs/mcp.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"


def block(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture(scope="module")
def base_url(serve) -> str:
    server: ServerProcess = serve("FrozenLake-v1", "--kwargs", '{"is_slippery": false}')
    return server.base_url


def matches(said: Any, expected: Any) -> bool:
    if expected == "...":
        return True
    if isinstance(expected, dict) and isinstance(said, dict):
        return said.keys() == expected.keys() and all(matches(said[k], expected[k]) for k in said)
    if isinstance(expected, list) and isinstance(said, list):
        return len(said) == len(expected) and all(map(matches, said, expected))
    return said == expected


def test_the_example_runs(base_url, capsys):
    program = block("python")
    assert ADDRESS in program
    exec(compile(program.replace(ADDRESS, base_url), "docs/mcp.md", "exec"), {})
    assert capsys.readouterr().out == "1\n"


def test_the_session(base_url):
    with httpx.Client(base_url=base_url, timeout=60) as client:
        answers: list[Any] = []
        for line in block("json session").splitlines():
            who, message = line[0], json.loads(line[2:])
            if who == "<":
                assert matches(answers.pop(0), message), line
                continue
            assert not answers
            answer = client.post("/mcp", json=message)
            if "id" in message:
                answers.append(answer.json())
            if session := answer.headers.get("Mcp-Session-Id"):
                client.headers["Mcp-Session-Id"] = session
        assert not answers


def test_the_tools_of_the_page_are_those_of_the_server(base_url):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    tools = httpx.post(f"{base_url}/mcp", json=body, timeout=60).json()["result"]["tools"]
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == [tool["name"] for tool in tools]


def test_the_address_is_where_the_config_says():
    config = json.loads(block("json config"))
    assert config["mcpServers"]["frozen_lake"]["url"] == f"{ADDRESS}/mcp"
