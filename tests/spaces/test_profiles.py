"""The environments that OpenEnv began with, by the schemas that their pydantic models give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import json_codec
from openenv_gym.spaces import from_descriptor, infer
from openenv_gym.spaces.probing import Probed
from openenv_gym.spaces.profiles import PROFILES
from openenv_gym.spaces.unicode_text import UnicodeText
from openenv_gym.wire.schema_view import SchemaView

pytestmark = pytest.mark.single_env

FILE = Path(__file__).parents[1] / "data" / "first_twelve_schemas.json"
SCHEMAS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))

TEXT = UnicodeText()
SAID = gs.Dict([("role", TEXT), ("content", TEXT)])


def whole(low: Any, *shape: int) -> gs.Space[Any]:
    box = {"type": "Box", "dtype": "int64", "shape": list(shape), "low": low, "high": "Infinity"}
    return from_descriptor(box)


ANY = whole("-Infinity")
TOKENS = gs.Sequence(whole(0))
FLOATS = gs.Box(-np.inf, np.inf, (4,), np.float64)


def texts(*names: str, **more: gs.Space[Any]) -> gs.Dict:
    return gs.Dict([*((name, TEXT) for name in names), *more.items()])


# name: the observation of a first message, the two spaces, an action, and its data on the wire
CASES: dict[str, tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]] = {
    "echo": (
        {"echoed_message": "ready ✓", "message_length": 7},
        TEXT, TEXT, "é", {"message": "é"},
    ),
    "echo_mcp": (
        {},
        TEXT, TEXT, "é",
        {"type": "call_tool", "tool_name": "echo_message", "arguments": {"message": "é"}},
    ),
    "openspiel": (
        {"info_state": [0.0, 1.0, 0.0, 0.0], "legal_actions": [0, 1, 2], "game_phase": "initial",
         "current_player_id": 0, "opponent_last_action": None},
        gs.Discrete(3), FLOATS, 2, {"action_id": 2},
    ),
    "connect4": (
        {"board": [[0] * 7] * 6, "legal_actions": list(range(7))},
        gs.Discrete(7),
        gs.Box(-1, 1, (6, 7), np.int64),
        6, {"column": 6},
    ),
    "atari": (
        {"screen": [0, 255] * 12, "screen_shape": [2, 4, 3], "legal_actions": [0, 1, 3],
         "lives": 3, "episode_frame_number": 0, "frame_number": 0},
        gs.Discrete(4), gs.Box(0, 255, (2, 4, 3), np.uint8), 3, {"action_id": 3},
    ),
    "browsergym": (
        {"text": "[1] Ünïcode", "url": "http://x", "screenshot": None, "goal": "click",
         "axtree_txt": "", "pruned_html": "<a>", "error": "", "last_action_error": False},
        TEXT,
        texts("text", "url", "goal", "axtree_txt", "pruned_html", "error",
              last_action_error=gs.Discrete(2)),
        "click('1')", {"action_str": "click('1')"},
    ),
    "coding": (
        {"stdout": "", "stderr": "", "exit_code": 0},
        TEXT, texts("stdout", "stderr", exit_code=ANY),
        "print('ü')\n", {"code": "print('ü')\n"},
    ),
    "chat": (
        {"messages": [{"role": "system", "content": "Sei nett."}], "tokens": [1, 2, 3]},
        TOKENS, gs.Dict([("messages", gs.Sequence(SAID)), ("tokens", TOKENS)]),
        (np.array(5), np.array(7)), {"tokens": [5, 7]},
    ),
    "git": (
        {"success": True, "message": "ready", "output": "", "error": "",
         "repos": [{"name": "a", "url": "b"}]},
        gs.Dict([("action_type", gs.Discrete(3)),
                 *texts("repo_name", "command", "working_dir").items()]),
        gs.Dict([("success", gs.Discrete(2)), *texts("message", "output", "error").items()]),
        {"action_type": 2, "repo_name": "a", "command": "status", "working_dir": "a"},
        {"action_type": "execute_git_command", "repo_name": "a", "command": "status",
         "working_dir": "a"},
    ),
    "finrl": (
        {"state": [1e6, 2.5, 3.5, 0.0], "portfolio_value": 1e6, "date": "2020-01-01"},
        gs.Sequence(gs.Box(-1, 1, (), np.float64)),
        FLOATS, (np.array(0.5),), {"actions": [0.5]},
    ),
    "sumo_rl": (
        {"observation": [0.0, 1.0, 0.5, 0.25], "observation_shape": [4], "action_mask": [0, 1],
         "sim_time": 0.0},
        gs.Discrete(2), FLOATS, 1, {"phase_id": 1},
    ),
    "maze": (
        {"legal_actions": [2], "current_position": [0, 0], "previous_position": [0, 0]},
        gs.Discrete(4),
        gs.Dict([("current_position", whole("-Infinity", 2)),
                 ("previous_position", whole("-Infinity", 2))]),
        3, {"action": 3},
    ),
    "textarena": (
        {"prompt": "Rate!", "messages": [{"sender_id": -1, "content": "ç", "category": "PROMPT"}],
         "current_player_id": 0, "legal_players": [0], "info": {"turn": 1}},
        TEXT,
        texts("prompt", messages=gs.Sequence(
            gs.Dict([("sender_id", ANY), ("content", TEXT), ("category", TEXT)])
        )),
        "[crane]", {"message": "[crane]"},
    ),
    "dipg_safety": (
        {"context": "A study", "question": "Why?"},
        TEXT, texts("context", "question"), "Because", {"llm_response": "Because"},
    ),
}  # fmt: skip


def infer_case(name: str) -> Any:
    schemas, first = SCHEMAS[name], CASES[name][0]
    return infer(
        schemas["action"],
        schemas["observation"],
        probe=lambda: Probed(observation=first),
        environment="EchoEnvironment" if name == "echo_mcp" else None,
    )


def test_every_profile_and_every_schema_is_tested():
    assert CASES.keys() == SCHEMAS.keys()
    assert {profile.name for profile in PROFILES} == {name.removesuffix("_mcp") for name in CASES}
    assert len(PROFILES) == len(CASES) == 14


@pytest.mark.parametrize("name", CASES)
def test_a_known_environment_has_the_spaces_of_its_profile(name: str):
    first, action_space, observation_space, action, data = CASES[name]
    found = infer_case(name)
    assert found.action_space == action_space
    assert found.observation_space == observation_space
    profile = name.removesuffix("_mcp")
    assert found.reasons[0] == f"$: the fields are those of {profile}, whose profile is used"
    view = SchemaView(found, SCHEMAS[name]["observation"])
    assert action in found.action_space
    assert view.dump_action(action) == data
    result = view.load_result({"observation": first, "reward": None, "done": False}, is_first=True)
    assert result.obs in found.observation_space
    held = {result_key.partition(".")[0] for result_key in _keys(found.observation_key)}
    assert {key for key in first if key not in held} <= result.info.keys() | {"legal_actions"}


def _keys(key: Any) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else key


@pytest.mark.parametrize("name", CASES)
def test_samples_of_the_action_are_what_the_schema_allows(name: str):
    jsonschema = pytest.importorskip("jsonschema", reason="the old venvs hold no jsonschema")
    found = infer_case(name)
    check = jsonschema.Draft202012Validator(SCHEMAS[name]["action"])
    found.action_space.seed(3)
    codec = json_codec(found.action_form)
    for _ in range(20):
        data = found.action_data(codec.to_json(found.action_space.sample()))
        check.validate(json.loads(json.dumps(data)))


@pytest.mark.parametrize(
    ("name", "legal"),
    [("openspiel", [0, 1, 2]), ("connect4", list(range(7))), ("atari", [0, 1, 3]),
     ("sumo_rl", [0, 1]), ("maze", [2])],
)  # fmt: skip
def test_games_tell_their_legal_actions(name: str, legal: list[int]):
    found = infer_case(name)
    view = SchemaView(found, SCHEMAS[name]["observation"])
    result = view.load_result({"observation": CASES[name][0]}, is_first=True)
    assert result.info["legal_actions"] == legal


def test_the_caller_wins_over_a_profile():
    schemas = SCHEMAS["finrl"]
    found = infer(
        schemas["action"],
        schemas["observation"],
        action_space=gs.Box(-1, 1, (3,), np.float32),
        observation_key=["portfolio_value", "date"],
    )
    assert found.action_space == gs.Box(-1, 1, (3,), np.float32)
    assert list(found.observation_space) == ["portfolio_value", "date"]


def test_a_name_tells_apart_what_has_the_fields_of_every_tool():
    schemas = SCHEMAS["echo_mcp"]
    found = infer(
        schemas["action"],
        schemas["observation"],
        environment="Another",
        fixed_action={"tool_name": "search"},
        action_key="arguments.query",
        action_space=TEXT,
    )
    assert found.action_data("x") == {
        "type": "call_tool", "tool_name": "search", "arguments": {"query": "x"},
    }  # fmt: skip
    assert found.observation_key == "result"
