"""Schemas that pydantic makes of models as OpenEnv environments have them."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Literal

import gymnasium.spaces as gs
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field

from openenv_gym.codecs import json_codec
from openenv_gym.errors import SpaceError
from openenv_gym.spaces import infer, read_schema
from openenv_gym.spaces.unicode_text import MAX_LENGTH, UnicodeText
from tests.spaces.test_from_schema_values import CASES


def text(low: int, high: int) -> gs.Text:
    return UnicodeText(high, min_length=low)


class Action(BaseModel):
    model_config = ConfigDict(extra="forbid")
    metadata: dict[str, Any] = Field(default_factory=dict)


class EchoAction(Action):
    message: str = Field(min_length=1, max_length=80)


class UnboundedEchoAction(Action):
    message: str


class CodeAction(Action):
    code: str = Field(max_length=500)


class Connect4Action(Action):
    column: Annotated[int, Field(ge=0, lt=7)]


class Cell(int, Enum):
    EMPTY = 0
    MINE = 1
    THEIRS = -1


Row = Annotated[list[Cell], Field(min_length=7, max_length=7)]


class Connect4Observation(Action):
    board: Annotated[list[Row], Field(min_length=6, max_length=6)]


class AtariAction(Action):
    action: Literal["NOOP", "FIRE", "LEFT", "RIGHT"]


class OptionalAction(Action):
    action: Literal["buy", "sell"] | None = None


class Move(BaseModel):
    kind: Literal["move"] = "move"
    by: tuple[float, Annotated[int, Field(gt=0, le=3)]]


class Say(BaseModel):
    kind: Literal["say"] = "say"
    words: str = Field(max_length=9)
    loud: bool = False


class ToolAction(Action):
    call: Move | Say = Field(discriminator="kind")


class OptionalToolAction(Action):
    call: Annotated[Move | Say, Field(discriminator="kind")] | None = None


class Tree(BaseModel):
    children: list[Tree] = []


class TreeAction(Action):
    tree: Tree


class FreeAction(Action):
    arguments: dict[str, int]


MOVE = gs.Dict(
    [
        ("kind", gs.Discrete(1)),
        (
            "by",
            gs.Tuple([gs.Box(-np.inf, np.inf, (), np.float64), gs.Discrete(3, start=1)]),
        ),
    ]
)
SAY = gs.Dict([("kind", gs.Discrete(1)), ("words", text(0, 9)), ("loud", gs.Discrete(2))])
MODELS: list[tuple[type[Action], gs.Space[Any], list[Any]]] = [
    (EchoAction, text(1, 80), ["hello", "a"]),
    (UnboundedEchoAction, text(0, MAX_LENGTH), ["", "naïve 🙂"]),
    (CodeAction, text(0, 500), ["print('x')\n", ""]),
    (Connect4Action, gs.Discrete(7), [0, 6]),
    (Connect4Observation, gs.MultiDiscrete(np.full((6, 7), 3)), [[[0, 1, -1, 0, 0, 0, 1]] * 6]),
    (AtariAction, gs.Discrete(4), ["NOOP", "RIGHT"]),
    (OptionalAction, gs.Discrete(3), ["buy", "sell", None]),
    (
        ToolAction,
        gs.OneOf([MOVE, SAY]),
        [{"kind": "move", "by": [0.5, 3]}, {"kind": "say", "words": "hey", "loud": True}],
    ),
    (
        OptionalToolAction,
        gs.OneOf([gs.OneOf([MOVE, SAY]), gs.Discrete(1)]),
        [None, {"kind": "say", "words": "", "loud": False}],
    ),
]


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return json.loads(json.dumps(model.model_json_schema()))


OBSERVATION = {"properties": {"pos": {"type": "number"}}}


@pytest.mark.parametrize(("model", "space", "values"), MODELS, ids=str)
def test_a_model_gives_the_space_of_its_field(
    model: type[Action], space: gs.Space[Any], values: list[Any]
):
    schema = schema_of(model)
    found = infer(schema, OBSERVATION)
    assert found.action_space == space
    codec, check = json_codec(found.action_form), Draft202012Validator(schema)
    for value in values:
        assert codec.to_json(codec.from_json(value, "$")) == value
        assert codec.from_json(value, "$") in space
    space.seed(3)
    for _ in range(20):
        data = json.loads(json.dumps({found.action_key: codec.to_json(space.sample())}))
        check.validate(data)
        model.model_validate_json(json.dumps(data))


REFUSED = [
    (FreeAction, r"^\$\.action\.arguments: expected an object with 'properties'"),
    (TreeAction, r"^\$\.action\.tree\.children\[\*\]: expected no recursive schema"),
]


@pytest.mark.parametrize(("model", "message"), REFUSED, ids=str)
def test_what_fixes_no_space_is_refused_by_path(model: type[Action], message: str):
    with pytest.raises(SpaceError, match=f"{message}.*action_space=.*action_key="):
        infer(schema_of(model), OBSERVATION)


TODAY = [case[0] for case in CASES if "additionalItems" not in case[0]]  # a keyword of older drafts


@pytest.mark.parametrize("schema", TODAY, ids=str)
def test_every_value_of_the_space_is_one_of_the_schema(schema: dict[str, Any]):
    Draft202012Validator.check_schema(schema)
    form = read_schema(schema)
    form.space.seed(1)
    check, codec = Draft202012Validator(schema), json_codec(form)
    for _ in range(20):
        check.validate(json.loads(json.dumps(codec.to_json(form.space.sample()), allow_nan=False)))
