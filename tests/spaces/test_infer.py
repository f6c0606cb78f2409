"""Which fields and spaces a typed environment has, and how each refusal is settled."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import infer, to_schema

pytestmark = pytest.mark.single_env

CHOICE = {"type": "integer", "minimum": 0, "maximum": 2}
NUMBER = {"type": "number"}
ACTION = {"properties": {"move": CHOICE, "metadata": {"type": "object"}}, "required": ["move"]}
OBSERVATION = {"properties": {"done": {}, "reward": {}, "metadata": {}, "pos": NUMBER}}
POSITION = gs.Box(-np.inf, np.inf, (), np.float64)


def test_the_only_fields_are_the_action_and_the_observation():
    found = infer(ACTION, OBSERVATION)
    assert (found.action_key, found.observation_key) == ("move", "pos")
    assert (found.action_space, found.observation_space) == (gs.Discrete(3), POSITION)


def test_every_decision_has_a_reason():
    assert infer(ACTION, OBSERVATION).reasons == (
        "$.action.move: the only required field; its constraints give Discrete(3)",
        "$.observation.pos: the only field; its constraints give Box(-inf, inf, (), float64)",
    )


def test_the_annotated_field_wins_over_other_fields():
    annotated = {"properties": {"a": CHOICE, "b": to_schema(gs.Discrete(7))}, "required": ["a"]}
    found = infer(annotated, OBSERVATION)
    assert (found.action_key, found.action_space) == ("b", gs.Discrete(7))
    reason = "$.action.b: the only annotated field; its annotation gives Discrete(7)"
    assert found.reasons[0] == reason


def test_the_callers_keys_and_spaces_win_over_all():
    two = {"properties": {"a": to_schema(gs.Discrete(7)), "b": {"type": "string"}}}
    found = infer(two, two, action_key="b", action_space=gs.Discrete(9), observation_key="a")
    assert (found.action_key, found.action_space) == ("b", gs.Discrete(9))
    assert (found.observation_key, found.observation_space) == ("a", gs.Discrete(7))
    assert found.reasons[0] == "$.action.b: action_key=; the space is the caller's action_space="
    assert "observation_key=" in found.reasons[1]


TWO: dict[str, Any] = {"properties": {"a": CHOICE, "b": CHOICE}}
PATTERN = {"properties": {"a": {"type": "string", "pattern": "^(ab|c)$"}}}


def infer_side(side: str, schema: Any, **overrides: Any) -> Any:
    schemas = (schema, OBSERVATION) if side == "action" else (ACTION, schema)
    return infer(*schemas, **overrides)


@pytest.mark.parametrize("side", ["action", "observation"])
@pytest.mark.parametrize("schema", [{}, {"properties": {}}, {"properties": {"a": {}, "b": {}}}])
def test_an_ambiguous_field_is_settled_by_its_key(side: str, schema: Any):
    with pytest.raises(SpaceError, match=f"one field of the {side}.*name it with {side}_key="):
        infer_side(side, schema)


def test_an_action_of_optional_fields_is_ambiguous():
    with pytest.raises(SpaceError, match=r"got a, b; name it with action_key=, or .*fixed_action="):
        infer_side("action", TWO)
    found = infer_side("action", TWO, fixed_action={"b": 2})
    assert (found.action_key, found.action_data(1)) == ("a", {"b": 2, "a": 1})


@pytest.mark.parametrize("side", ["action", "observation"])
def test_several_required_fields_are_a_dict(side: str):
    found = infer_side(side, {**TWO, "required": ["b", "a"]})
    assert getattr(found, f"{side}_key") == ("b", "a")
    space = getattr(found, f"{side}_space")
    assert space == gs.Dict([("b", gs.Discrete(3)), ("a", gs.Discrete(3))])


@pytest.mark.parametrize("side", ["action", "observation"])
def test_an_ambiguous_space_is_settled_by_the_space(side: str):
    with pytest.raises(SpaceError, match=rf"^\$\.{side}\.a: expected .* {side}_space="):
        infer_side(side, PATTERN)
    found = infer_side(side, PATTERN, **{f"{side}_space": gs.Discrete(4)})
    assert getattr(found, f"{side}_space") == gs.Discrete(4)


@pytest.mark.parametrize("side", ["action", "observation"])
def test_a_key_that_names_no_field_is_refused_with_those_that_are(side: str):
    with pytest.raises(SpaceError, match=rf"expected {side}_key to name .* \(a, b\), got 'c'"):
        infer_side(side, TWO, **{f"{side}_key": "c"})


@pytest.mark.parametrize("side", ["action", "observation"])
@pytest.mark.parametrize("schema", [None, [], "x", {"properties": ["a"]}, {"properties": None}])
def test_what_is_no_schema_is_refused(side: str, schema: Any):
    with pytest.raises(SpaceError, match=rf"^\$\.{side}: expected a JSON schema with 'properties'"):
        infer_side(side, schema)


@pytest.mark.parametrize("side", ["action", "observation"])
def test_a_field_without_constraints_is_refused_by_path(side: str):
    with pytest.raises(SpaceError, match=rf"^\$\.{side}\.a: .*{side}_space="):
        infer_side(side, {"properties": {"a": True}})


def test_references_are_resolved_in_the_whole_schema():
    schema = {"properties": {"a": {"$ref": "#/$defs/Move"}}, "$defs": {"Move": CHOICE}}
    assert infer(schema, OBSERVATION).action_space == gs.Discrete(3)
