"""What the type parameters of a client say, and what a server adds to it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pytest
from pydantic import BaseModel

from openenv_gym import Action, Observation
from openenv_gym.errors import InvalidActionError, InvalidRequestError
from openenv_gym.wire.client_schemas import (
    action_maker,
    merged_schema,
    plain,
    schema_of,
    type_arguments,
)

ActT = TypeVar("ActT")
ObsT = TypeVar("ObsT")
T = TypeVar("T")


class Client(Generic[ActT, ObsT]):
    pass


class Move(BaseModel):
    to: int


@dataclass
class Seen:
    cells: list[int]


class Side(enum.Enum):
    LEFT = "left"


class Direct(Client[Move, Seen]):
    pass


class Inherited(Direct):
    pass


class Half(Client[Move, T], Generic[T]):
    pass


class Whole(Half[Seen]):
    pass


class Swapped(Client[ObsT, ActT], Generic[ActT, ObsT]):
    """Uses the names of the variables for the other of the two."""


class SwappedBack(Swapped[Seen, Move]):
    pass


@pytest.mark.parametrize("kind", [Direct, Inherited, Whole, SwappedBack])
def test_type_parameters_wherever_they_stand(kind):
    found = type_arguments(kind)
    assert (found["ActT"], found["ObsT"]) == (Move, Seen)


def test_what_is_left_open_is_not_there():
    assert "ObsT" not in type_arguments(Half)
    assert type_arguments(Half)["ActT"] is Move
    assert type_arguments(int) == {}


@pytest.mark.parametrize("kind", [None, Any, dict[str, Any], dict, Action, Observation])
def test_what_has_no_fields_has_no_schema(kind):
    assert schema_of(kind) is None


@pytest.mark.parametrize("kind", [Move, Seen, Move | Seen])
def test_models_dataclasses_and_unions_have_one(kind):
    assert schema_of(kind) is not None


OWN = {
    "type": "object",
    "properties": {"to": {"type": "integer"}, "note": {"type": "string"}, "any": {}},
    "required": ["to"],
}
OPTIONAL = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


def test_a_server_narrows_the_fields_of_the_class_and_adds_none():
    narrow = {"type": "integer", "minimum": 0, "maximum": 2}
    served = {"properties": {"to": narrow, "any": {"type": "boolean"}, "more": {}}}
    merged = merged_schema(OWN, served)
    assert merged is not None
    assert merged["properties"] == {
        "to": narrow,
        "note": {"type": "string"},
        "any": {"type": "boolean"},
    }
    assert merged["required"] == ["to"]


def test_a_field_of_another_type_stays_the_clients():
    merged = merged_schema(OWN, {"properties": {"to": {"type": "string", "enum": ["a"]}}})
    assert merged is not None and merged["properties"]["to"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("own", "served", "is_taken"),
    [
        (OPTIONAL, {"type": "integer", "maximum": 3}, True),
        ({"type": "integer"}, OPTIONAL, False),
        ({"$ref": "#/$defs/Side"}, {"type": "string", "enum": ["left"]}, True),
        ({"$ref": "#/$defs/Seen"}, {"type": "string"}, False),  # the client has parsed it
        ({"type": "string"}, {}, False),
        ({"$ref": "#/$defs/Tree"}, {"type": "object"}, True),
    ],
)
def test_which_field_is_narrower(own, served, is_taken):
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}
    definitions = {"Side": {"type": "string"}, "Seen": {"type": "object"}, "Tree": tree}
    document = {"properties": {"at": own}, "$defs": definitions}
    merged = merged_schema(document, {"properties": {"at": served}})
    assert merged is not None and merged["properties"]["at"] == (served if is_taken else own)


def test_a_definition_of_itself_says_nothing():
    loop = {"anyOf": [{"$ref": "#/$defs/Loop"}]}
    served = {"properties": {"to": {"$ref": "#/$defs/Loop"}}, "$defs": {"Loop": loop}}
    merged = merged_schema(OWN, served)
    assert merged is not None and merged["properties"]["to"] == {"type": "integer"}


def test_definitions_that_clash_stay_the_clients():
    own = {"properties": {"at": {"$ref": "#/$defs/P"}}, "$defs": {"P": {"type": "integer"}}}
    served = {
        "properties": {"at": {"anyOf": [{"$ref": "#/$defs/P"}]}},
        "$defs": {"P": {"type": "string"}, "Q": {}},
    }
    merged = merged_schema(own, served)
    assert merged is not None and merged["properties"] == own["properties"]
    assert merged["$defs"]["P"] == {"type": "integer"}
    served["$defs"]["P"] = {"type": "integer"}
    merged = merged_schema(own, served)
    assert merged is not None and merged["properties"] == served["properties"]


def test_one_side_alone():
    assert merged_schema(None, OWN) is OWN
    assert merged_schema(OWN, None) is OWN
    assert merged_schema(None, None) is None


def test_actions_of_a_class_of_a_dataclass_of_a_union_and_of_none():
    class Say(BaseModel):
        kind: Literal["say"]
        text: str

    assert action_maker(Move)({"to": 1}) == Move(to=1)
    assert action_maker(Seen)({"cells": [1]}) == Seen([1])
    assert action_maker(Move | Say)({"kind": "say", "text": "ja"}) == Say(kind="say", text="ja")
    assert action_maker(dict[str, Any])({"to": 1}) == {"to": 1}


def test_an_action_that_its_class_refuses():
    with pytest.raises(InvalidActionError, match=r"(?s)Move refuses the fields \{'too': 1\}: .*to"):
        action_maker(Move)({"too": 1})


def test_values_as_json():
    class Room(BaseModel):
        side: Side
        seen: Seen
        grid: Any

    room = Room(side=Side.LEFT, seen=Seen([1, 2]), grid=np.eye(2, dtype=np.int8))
    assert plain(room) == {
        "side": "left",
        "seen": {"cells": [1, 2]},
        "grid": [[1, 0], [0, 1]],
    }
    assert plain({"x": np.float32(0.5), "y": None}) == {"x": 0.5, "y": None}
    assert np.isnan(plain({"x": float("nan")})["x"])


def test_a_value_that_json_cannot_say():
    with pytest.raises(InvalidRequestError, match="object"):
        plain({"x": object()})


def test_definitions_that_name_each_other_are_read_once():
    branches = [{"$ref": f"#/$defs/n{i}"} for i in range(60)]
    served = {
        "properties": {"to": {"$ref": "#/$defs/n0"}},
        "$defs": {f"n{i}": {"anyOf": [*branches, True, {"type": "string"}]} for i in range(60)},
    }
    merged = merged_schema(OWN, served)
    assert merged is not None and merged["properties"]["to"] == {"type": "integer"}
