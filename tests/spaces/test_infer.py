"""Which fields and spaces a typed environment has, and how each refusal is settled."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import Probed, infer, to_schema

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


def test_constants_are_filled_in_and_the_callers_fields_are_checked():
    kind = {"const": "go", "type": "string", "default": "go"}
    schema = {"properties": {"kind": kind, "a": CHOICE, "b": CHOICE}, "required": ["kind", "a"]}
    found = infer(schema, OBSERVATION, fixed_action={"b": 1})
    assert found.action_data(2) == {"kind": "go", "b": 1, "a": 2}
    assert found.reasons[1:3] == ("$.action.kind: always 'go'", "$.action.b: always 1")
    with pytest.raises(SpaceError, match=r"fields of the action \(kind, a, b\), got 'c'"):
        infer(schema, OBSERVATION, fixed_action={"c": 1})
    with pytest.raises(SpaceError, match=r"other fields than a, which the agent chooses, got 'a'"):
        infer(schema, OBSERVATION, action_key="a", fixed_action={"a": 1})
    only = infer({"properties": {"kind": kind}}, OBSERVATION)
    assert (only.action_key, only.action_space) == ("kind", gs.Discrete(1))


def test_several_keys_and_paths_are_the_callers_to_name():
    inner = {"properties": {"x": CHOICE, "y": NUMBER}, "type": "object"}
    schema = {"properties": {"a": CHOICE, "i": {"$ref": "#/$defs/I"}}, "$defs": {"I": inner}}
    found = infer(schema, schema, action_key=["a", "i.x"], observation_key="i.y")
    assert found.action_space == gs.Dict([("a", gs.Discrete(3)), ("i.x", gs.Discrete(3))])
    assert found.action_data({"a": 1, "i.x": 2}) == {"a": 1, "i": {"x": 2}}
    assert found.observation_space == POSITION
    for key in (5, [], [1], ""):
        with pytest.raises(SpaceError, match=r"expected observation_key"):
            infer(schema, schema, action_key="a", observation_key=key)


def test_a_dict_of_the_caller_names_its_fields():
    space = gs.Dict([("b", gs.Discrete(2)), ("a", gs.Discrete(4))])
    found = infer(TWO, TWO, action_space=space, observation_space=space)
    assert found.action_key == found.observation_key == ("b", "a")
    assert (found.action_space, found.observation_space) == (space, space)
    for wrong in (gs.Dict(a=gs.Discrete(2)), gs.Discrete(2)):
        with pytest.raises(SpaceError, match=r"expected observation_space="):
            infer(TWO, TWO, action_key="a", observation_key=("a", "b"), observation_space=wrong)


@pytest.mark.parametrize("means", ["masks", 5])
def test_what_a_mask_means_is_one_of_two(means: Any):
    with pytest.raises(SpaceError, match=r"mask_means: expected 'mask' or 'indices', got"):
        infer(ACTION, OBSERVATION, mask_means=means)


LIST = {"type": "array", "items": NUMBER}
SPEC = {"shape": [2], "dtype": "float32", "minimum": -1, "maximum": 1}


@pytest.mark.parametrize(
    ("names", "spec", "spaces"),
    [
        (["v"], SPEC, [gs.Box(-1, 1, (2,), np.float32)]),
        (["v"], {"v": SPEC}, [gs.Box(-1, 1, (2,), np.float32)]),
        (["v"], {"shape": "two"}, [gs.Sequence(POSITION)]),
        (["v"], {"shape": [2], "dtype": "object"}, [gs.Sequence(POSITION)]),
        (["v"], {}, [gs.Sequence(POSITION)]),
        (["v"], {"shape": [0], "low": []}, [gs.Box(-np.inf, np.inf, (0,), np.float64)]),
        (["v"], {"shape": [2], "minimum": {"x": 1}}, [gs.Sequence(POSITION)]),
        (["v"], {"shape": [2], "minimum": [0, 1, 2]}, [gs.Sequence(POSITION)]),
        (["v", "w"], SPEC, [gs.Sequence(POSITION)] * 2),
        (["v", "w"], {"w": SPEC}, [gs.Sequence(POSITION), gs.Box(-1, 1, (2,), np.float32)]),
    ],
    ids=str,
)
def test_a_spec_in_the_state_is_of_the_one_field_or_of_the_one_it_names(
    names: list[str], spec: Any, spaces: list[gs.Space[Any]]
):
    schema = {"properties": dict.fromkeys(names, LIST), "required": names}
    seen = Probed(observation={"pos": 1.0}, state={"action_spec": spec})
    found = infer(schema, OBSERVATION, probe=lambda: seen)
    each = [found.action_space] if len(names) == 1 else list(found.action_space.values())
    assert each == spaces


def test_one_probe_is_made_for_all_that_is_open_and_none_for_what_is_not():
    made: list[int] = []

    def probe() -> Probed:
        made.append(1)
        return Probed(observation={"v": [1.0, 2.0], "w": [[1], [2]], "legal_actions": [0, 4]})

    counted = {"type": "integer"}
    action = {"properties": {"n": counted}}
    names = {"v": LIST, "w": {"type": "array", "items": {"type": "array", "items": counted}}}
    legal = {"legal_actions": {"type": "array", "items": counted}}
    found = infer(action, {"properties": {**names, **legal}}, probe=probe)
    assert found.action_space == gs.Discrete(5) and found.has_probed and made == [1]
    assert [space.shape for space in found.observation_space.values()] == [(2,), (2, 1)]
    assert not infer(ACTION, OBSERVATION, probe=probe).has_probed and made == [1]
    unprobed = infer(action, {"properties": {**names, **legal}})
    assert unprobed.observation_space["v"] == gs.Sequence(POSITION)
    assert "no reset shows a list of actions" in unprobed.reasons[-1]


def test_a_space_of_the_caller_reads_pictures_and_flat_lists():
    text = {"properties": {"screen": {"type": "string"}}}
    pixels = gs.Box(0, 255, (1, 2), np.uint8)
    assert infer(ACTION, text, observation_space=pixels).observation_form.read is not None
    flat = {"properties": {"v": LIST, "v_shape": LIST}}
    box = gs.Box(0, 1, (2, 1), np.float32)
    read = infer(ACTION, flat, observation_space=box).observation_form.read
    assert read is not None and read([0, 1], "$").tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize(
    ("legal", "expected"), [([True, False, True], gs.Discrete(3)), ([1 << 70], None)]
)
def test_legal_actions_may_be_booleans_and_are_not_counted_without_end(legal: Any, expected: Any):
    number = {"type": "integer"}
    action = {"properties": {"a": number}, "required": ["a"]}
    seen = {"n": number, "legal_actions": {"type": "array"}}
    observation = {"properties": seen, "required": ["n"]}
    found = infer(
        action, observation, probe=lambda: Probed(observation={"n": 1, "legal_actions": legal})
    )
    if expected is None:
        assert found.legal_actions is None and isinstance(found.action_space, gs.Box)
        assert "no reset shows a list of actions" in found.reasons[-1]
    else:
        assert found.action_space == expected and found.legal_actions is not None
        assert found.legal_actions.read([False, True, True], "$") == [1, 2]
