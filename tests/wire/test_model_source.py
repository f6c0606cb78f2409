"""The printed classes are Python, and read the messages that their server sends."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from types import ModuleType
from typing import Any

import gymnasium.spaces as gs
import pytest
from pydantic import BaseModel, Field, ValidationError

from openenv_gym import Action, Observation, State
from openenv_gym.spaces import label, to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.wire.model_source import model_source
from openenv_gym.wire.typed import view_for
from tests.support.spaces import CATALOGUE, NAMES, samples

BASE = {side: model.model_json_schema() for side, model in
        {"action": Action, "observation": Observation, "state": State}.items()}  # fmt: skip


def run(source: str) -> Any:
    """Run the module, as after writing it to a file."""
    module = ModuleType("written")
    sys.modules["written"] = module  # where pydantic looks for the names in annotations
    try:
        exec(compile(source, "written.py", "exec", dont_inherit=True), module.__dict__)
    finally:
        del sys.modules["written"]
    return module


def source_of(model: type[BaseModel]) -> str:
    side = {Action: "action", Observation: "observation", State: "state"}[model.__mro__[1]]
    return model_source({**BASE, side: model.model_json_schema()})


@pytest.mark.parametrize("name", NAMES)
def test_the_classes_of_any_space_read_its_messages(name: str):
    space = CATALOGUE[name]
    description = Description(
        environment="Any-v0",
        view="gymnasium",
        action=to_descriptor(space),
        observation=to_descriptor(space),
    )
    view = view_for(description)
    written = run(model_source(view.schemas()))
    for value in samples(space, 3):
        data = json.loads(json.dumps(view.dump_observation(value, True, False, {"a": 1})))
        again = written.AnyObservation.model_validate(data)
        assert again.terminated and again.info == {"a": 1}
        written.AnyAction.model_validate({"action": data["obs"]})


def test_labels_become_names():
    space = label(gs.Box(-1, 1, (2,)), ["angle", "speed"])
    moves = label(gs.Discrete(2), ["left", "right"])
    description = Description(
        environment="Pole-v0",
        view="gymnasium",
        action=to_descriptor(moves),
        observation=to_descriptor(space),
    )
    source = model_source(view_for(description).schemas())
    assert "    angle: float  # -1 to 1\n    speed: float  # -1 to 1\n" in source
    written = run(source)
    assert written.PoleObservation.model_validate({"obs": [0.5, 1]}).obs.angle == 0.5
    action = written.PoleAction(action=1)
    assert action.action is written.PoleActionValue.right and isinstance(action.action, IntEnum)
    assert action.model_dump(mode="json")["action"] == 1


class Tool(BaseModel):
    name: str
    arguments: dict[str, float] = {}


class Node(BaseModel):
    """A tree."""

    children: list[Node] = []
    left: Node | None = None


class OddAction(Action):
    """What "agents" do.

    More of it.
    """

    tool: Tool
    other: Tool | None = None
    tree: Node
    pair: tuple[int, str]
    mode: str = 'a"b\\'
    from_: int = Field(default=3, alias="class")
    tags: list[str] = []
    limit: int = Field(ge=1)
    anything: Any = None


def test_models_of_others_are_written_out():
    written = run(source_of(OddAction))
    data = {
        "tool": {"name": "x", "arguments": {"a": 1.5}},
        "tree": {"children": [{"children": []}], "left": {}},
        "pair": [1, "b"],
        "class": 4,
        "limit": 2,
    }
    again = written.OddAction.model_validate(data)
    assert again.tool.arguments == {"a": 1.5} and again.pair == (1, "b")
    assert again.tree.children[0].left is None
    assert (again.class_, again.mode, again.tags, again.other) == (4, 'a"b\\', [], None)
    assert again.model_dump(by_alias=True)["class"] == 4
    assert "limit: int  # at least 1\n" in source_of(OddAction)
    with pytest.raises(ValidationError, match="pair"):
        written.OddAction.model_validate({**data, "pair": [1]})


HOSTILE = [
    'x"""; import os; os.abort()  # """',
    "a\nimport os\nos.abort()",
    "\\",
    "__import__('os').abort()",
    "",
    "é 漢",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_server_stays_text(text: str):
    schema = {
        "title": text,
        "description": text,
        "properties": {
            text: {"type": "string", "default": text, "description": text},
            "choice": {"enum": [text, 1]},
            "named": {"oneOf": [{"const": 1, "title": text}]},
            "listed": {"prefixItems": [{"title": text, "type": "integer"}]},
            "reference": {"$ref": f"#/$defs/{text}"},
        },
        "required": ["choice", "named", "listed", "reference"],
        "$defs": {text: {"properties": {text: {"type": "integer"}}}},
    }
    run(model_source({**BASE, "action": schema}))


@pytest.mark.parametrize(
    "schema",
    [{}, {"properties": {"a": True}}, {"properties": {"a": {"type": ["integer", "null"]}}},
     {"properties": {"a": {"anyOf": [{}]}, "b": {"$ref": "elsewhere"}, "c": {"allOf": [{}]}}}],
)  # fmt: skip
def test_a_poor_schema_gives_classes_all_the_same(schema: dict[str, Any]):
    run(model_source({**BASE, "observation": schema}))


def test_the_bases_are_not_written_again():
    assert "class State" not in model_source(BASE)
