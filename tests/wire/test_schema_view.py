"""A client reads observations as the schemas of its server say, or says what is wrong."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import InvalidRequestError, NotOpenEnvError
from openenv_gym.spaces import infer, to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.wire.schema_view import SchemaView
from openenv_gym.wire.typed import GymnasiumView
from tests.support.rollouts import same

BOX = gs.Box(-np.inf, np.inf, (2,), np.float32)
OURS = GymnasiumView(
    Description(
        environment="E",
        view="gymnasium",
        action=to_descriptor(gs.Discrete(3, start=-1)),
        observation=to_descriptor(BOX),
    )
)
NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
THEIRS = {"properties": {"pos": NUMBERS, "name": {"type": "string"}, "done": {}, "metadata": {}}}


def ours() -> SchemaView:
    return SchemaView(infer(OURS.action_schema, OURS.observation_schema), OURS.observation_schema)


def theirs(schema: dict[str, Any] = THEIRS, key: str = "pos") -> SchemaView:
    return SchemaView(infer(OURS.action_schema, schema, observation_key=key), schema)


def test_what_our_server_writes_is_read_to_the_bit():
    obs = np.array([np.inf, -0.0], np.float32)
    info = {"mask": np.array([1, 0], np.int8), "t": (1, np.float32(2)), 3: "three"}
    data = {"observation": OURS.dump_observation(obs, False, True, info), "reward": "-Infinity"}
    result = ours().load_result(data)
    assert same(tuple(result), (obs, float("-inf"), False, True, info))


def test_an_action_is_written_under_its_key():
    assert ours().dump_action(np.int64(-1)) == {"action": -1}


def test_others_are_sent_the_bound_for_what_lies_a_rounding_beyond_it():
    angle = {"type": "number", "minimum": -2.0, "maximum": 0.2}
    observation = {"properties": {"pos": NUMBERS}}
    view = SchemaView(infer({"properties": {"angle": angle}}, observation), observation)
    assert view.dump_action(np.float32(0.20000005)) == {"angle": 0.2}
    assert view.dump_action(0.1) == {"angle": 0.1}


def test_done_alone_means_terminated():
    result = theirs().load_result({"observation": {"pos": [1, 2]}, "reward": 1, "done": True})
    assert (result.terminated, result.truncated, result.reward) == (True, False, 1.0)
    cut = {"observation": {"pos": [1, 2], "truncated": True}, "done": True}
    assert theirs().load_result(cut)[2:4] == (False, True)
    assert theirs().load_result(cut).reward is None


def test_the_other_fields_are_the_info():
    observation = {"pos": [1, 2], "name": "x", "done": True, "reward": 5}
    assert theirs().load_result({"observation": observation}).info == {"name": "x"}
    with_metadata = {"observation": observation, "metadata": {"a": 1}}
    assert theirs().load_result(with_metadata).info == {"name": "x", "metadata": {"a": 1}}


def test_booleans_of_other_servers_are_read_as_their_space_says():
    schema = {"properties": {"won": {"type": "boolean"}}}
    assert same(theirs(schema, "won").load_result({"observation": {"won": True}}).obs, 1)
    board = {"type": "object", "properties": {"x": {"type": "boolean"}}}
    view = theirs({"properties": {"board": board}}, "board")
    assert view.load_result({"observation": {"board": {"x": False}}}).obs == {"x": 0}


NO_OBSERVATION = [{}, {"observation": None}, {"observation": []}, {"observation": {"other": 1}}]


@pytest.mark.parametrize("data", NO_OBSERVATION, ids=str)
def test_a_reply_without_the_observation_is_refused(data: dict[str, Any]):
    with pytest.raises(NotOpenEnvError, match=r"^\$\.data\.observation: .* field 'obs', got"):
        ours().load_result(data)


FULL = OURS.dump_observation(np.zeros(2, np.float32), False, False, {})
MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"observation": {**FULL, "obs": [1]}}, "$.data.observation.obs: expected shape"),
    ({"observation": {**FULL, "obs": [1, True]}}, "$.data.observation.obs: expected float32"),
    *(({"observation": {**FULL, "info": info}}, "$.data.observation.info: expected an object")
      for info in (None, [], 5)),
    *(({"observation": {**FULL, "info_types": types}}, "the types")
      for types in ([1], "x", {"": 5}, {"": "bytes"})),
    *(({"observation": FULL, "reward": reward}, "$.data.reward: expected a number")
      for reward in ("1", "abc", [], {}, "1.5")),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), MALFORMED, ids=str)
def test_a_malformed_reply_is_refused_by_path(data: dict[str, Any], expected: str):
    with pytest.raises(InvalidRequestError) as caught:
        ours().load_result(data)
    assert str(caught.value).startswith(expected)


def test_what_other_servers_leave_out_is_the_default_or_blank_and_named():
    schema = {
        "properties": {"n": {"type": "integer"}, "m": {"type": "integer", "default": 4},
                       "t": {"type": "string"}},
        "required": ["n", "m", "t"],
    }  # fmt: skip
    view = SchemaView(infer(OURS.action_schema, schema), schema)
    first = view.load_result({"observation": {}}, is_first=True)
    assert first.obs == {"n": 0, "m": 4, "t": ""}
    assert first.info == {"missing": ["n", "m", "t"]}
    later = view.load_result({"observation": {"n": 1}})
    assert later.obs == {"n": 1, "m": 4, "t": ""} and later.info == {"missing": ["m", "t"]}
    with pytest.raises(NotOpenEnvError, match="field 'n', 'm', 't'"):
        view.load_result({"observation": {"m": 1, "t": ""}})
