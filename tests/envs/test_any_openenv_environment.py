"""The page "Use any OpenEnv environment", run block by block against servers of these kinds."""

from __future__ import annotations

import json
import re
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.plain_server import Plain, observed, serving

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "any_openenv_environment.md"
SCHEMAS = json.loads((ROOT / "tests/data/first_twelve_schemas.json").read_text(encoding="utf-8"))
NOTHING = {"tool_name": "", "result": None, "error": None}


def called(data: dict[str, Any], answer: str) -> dict[str, Any]:
    result = {"content": [{"type": "text", "text": answer}], "data": answer, "is_error": False}
    return observed(tool_name=data["tool_name"], result=result, error=None)


def tool(name: str, answer: Any) -> Plain:
    return Plain(
        **SCHEMAS["echo_mcp"],
        name=name,
        reset=lambda data, number: {**observed(), "metadata": {"status": "ready"}},
        step=lambda data, number: called(data, answer(data["arguments"])),
    )


def catch() -> Plain:
    def see(done: bool = False) -> dict[str, Any]:
        return observed(
            done, info_state=[0.0] * 50, legal_actions=[] if done else [0, 1, 2],
            game_phase="playing", current_player_id=0, opponent_last_action=None,
        )  # fmt: skip

    return Plain(
        **SCHEMAS["openspiel"],
        reset=lambda data, number: see(),
        step=lambda data, number: see(number >= 9),
        state={"game_name": "catch", "game_params": {}, "num_players": 1},
    )


def trade() -> Plain:
    def step(data: dict[str, Any], number: int) -> dict[str, Any]:
        assert len(data["actions"]) == 3
        return observed(state=[1.0] * 7, portfolio_value=1.0, date="2020-01-02")

    return Plain(
        **SCHEMAS["finrl"],
        reset=lambda data, number: observed(state=[1.0] * 7, portfolio_value=1.0, date=""),
        step=step,
    )


SERVERS = {
    8001: lambda: tool("EchoEnvironment", lambda arguments: arguments["message"]),
    8002: lambda: tool("Search", lambda given: f"{given['limit']} times {given['query']}"),
    8003: catch,
    8004: trade,
}


def test_the_page_is_true(capsys: pytest.CaptureFixture[str]):
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) >= 7
    names: dict[str, Any] = {}
    with ExitStack() as stack:
        urls = {port: stack.enter_context(serving(make())) for port, make in SERVERS.items()}
        for snippet in snippets:  # the later ones use what the first imports
            code = re.sub(r"http://localhost:(\d+)", lambda found: urls[int(found[1])], snippet)
            exec(code, names)
    printed = capsys.readouterr().out
    assert "$.observation.legal_actions: the environment has Discrete(3) by what is" in printed
    assert "one probing reset was made" in printed


def test_what_the_page_shows_is_what_there_is():
    import gymnasium as gym

    with serving(SERVERS[8001]()) as url, warnings.catch_warnings():
        env = gym.make("openenv/remote-v0", base_url=url)
        assert str(env.action_space) == "UnicodeText(0, 1048576)"
        obs, info = env.reset()
        assert (obs, info["missing"]) == ("", ["result.data"])
        env.close()
