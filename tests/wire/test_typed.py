"""The typed faces: actions are read strictly, observations written as their schema says."""

from __future__ import annotations

import json
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from openenv_gym.errors import InvalidActionError, ProtocolError
from openenv_gym.spaces import to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.wire.models import Action, Observation, State
from openenv_gym.wire.typed import GymnasiumView, ModelView, OpenSpielView, TypedView, view_for
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES, samples

BOX = gs.Box(-1, 1, (2,), np.float32)


def describe(action: gs.Space[Any], observation: gs.Space[Any] = BOX, **more: Any) -> Description:
    spaces = {"action": to_descriptor(action), "observation": to_descriptor(observation)}
    return Description(**{"environment": "Push-v1", "view": "gymnasium", **spaces, **more})


def openspiel(**state: Any) -> OpenSpielView:
    state = {"game_name": "tic_tac_toe", "game_params": {}, **state}
    return OpenSpielView(describe(gs.Discrete(9), view="openspiel", state=state))


@pytest.mark.parametrize("name", NAMES)
def test_actions_and_observations_of_every_space_pass_their_schemas(name: str):
    space = CATALOGUE[name]
    view = GymnasiumView(describe(space, space))
    for value in samples(space, 3):
        data = view.dump_observation(value, False, True, {"n": np.int8(1)})
        text = json.dumps(data, allow_nan=False)
        Draft202012Validator(view.observation_schema).validate(json.loads(text))
        action = {"action": json.loads(text)["obs"]}
        Draft202012Validator(view.action_schema).validate(action)
        assert space.contains(view.parse_action(action))


def test_an_observation_has_the_fields_of_gymnasium():
    data = GymnasiumView(describe(gs.Discrete(3))).dump_observation(
        np.array([np.nan, -0.0], np.float32), True, False, {"a": np.float32(1), "b": [1]}
    )
    assert json.dumps(data) == json.dumps(
        {
            "obs": ["NaN", -0.0],
            "terminated": True,
            "truncated": False,
            "info": {"a": 1.0, "b": [1]},
            "info_types": {"/a": "scalar:float32:"},
        }
    )


def test_the_models_are_named_after_the_environment():
    for name, stem in [
        ("CartPole-v1", "CartPole"),
        ("openspiel:tic_tac_toe", "TicTacToe"),
        ("catch(rows=5)", "Catch"),
        ("ALE/Pong-v5", "ALEPong"),
        ("-v0", "Env"),
    ]:
        view = GymnasiumView(describe(gs.Discrete(3), environment=name))
        assert view.action_schema["title"] == f"{stem}Action"
        assert view.observation_schema["title"] == f"{stem}Observation"


def test_an_action_has_one_required_field():
    schema = GymnasiumView(describe(gs.Discrete(3))).action_schema
    assert schema["required"] == ["action"]
    assert set(schema["properties"]) == {"action", "metadata"}
    assert schema["additionalProperties"] is False


REFUSED: list[tuple[gs.Space[Any], Any, str, str]] = [
    *((gs.Discrete(3), value, "$.action.action: expected an integer", repr(value)) for value in
      ("1", True, 1.0, 1.5, None, [1], {}, 2**70)),
    *((gs.Discrete(3), value, "$.action.action: expected one in Discrete(3)", repr(value))
      for value in (3, -1)),
    (BOX, [0.5, "1"], "$.action.action: expected float32 values", "[0.5, '1']"),
    (BOX, [0.5, True], "$.action.action: expected float32 values", "[0.5, True]"),
    (BOX, [0.5, 2.0], "$.action.action: expected one in Box(", "[0.5, 2.0]"),
    (BOX, ["NaN", 0], "$.action.action: expected one in Box(", "['NaN', 0]"),
    (BOX, [0.5], "$.action.action: expected shape (2,)", "(1,)"),
    (gs.Box(0, 255, (1,), np.uint8), [256], "$.action.action: expected uint8 values", "[256]"),
    (gs.Box(0, 255, (1,), np.uint8), [-1], "$.action.action: expected uint8 values", "[-1]"),
    (gs.Dict(a=gs.Discrete(2)), {"a": True}, "$.action.action.a: expected an integer", "True"),
    (gs.Tuple((gs.Discrete(2),)), ["1"], "$.action.action[0]: expected an integer", "'1'"),
    (gs.Text(3), "toolong", "$.action.action: expected one in Text(", "'toolong'"),
    (gs.MultiBinary(2), [0, 2], "$.action.action: expected one in MultiBinary(2)", "[0, 2]"),
]  # fmt: skip


@pytest.mark.parametrize(("space", "value", "expected", "got"), REFUSED, ids=str)
def test_a_wrong_action_is_refused_by_path(space: Any, value: Any, expected: str, got: str):
    with pytest.raises(InvalidActionError) as caught:
        GymnasiumView(describe(space)).parse_action({"action": value})
    text = str(caught.value)
    assert text.startswith(expected)
    assert f"got {got}" in text
    assert text.endswith("An action of PushAction has the fields metadata, action")


FIELDS: list[tuple[Any, str]] = [
    ({}, "$.action.action: Field required, got nothing"),
    ({"action": 1, "x": 5}, "$.action.x: Extra inputs are not permitted, got 5"),
    ({"action": 1, "metadata": 5}, "$.action.metadata: Input should be a valid dictionary, got 5"),
]


@pytest.mark.parametrize(("data", "expected"), FIELDS, ids=str)
def test_wrong_fields_are_refused_by_path(data: Any, expected: str):
    with pytest.raises(InvalidActionError) as caught:
        GymnasiumView(describe(gs.Discrete(3))).parse_action(data)
    assert expected in str(caught.value)


def test_an_action_of_this_process_may_be_a_value_of_the_space():
    view = GymnasiumView(describe(BOX))
    value = np.array([0.5, 1.0], np.float32)
    assert same(view.parse_action({"action": value}), value)


def test_an_openspiel_game_has_openenvs_fields():
    view = openspiel()
    info = {"legal_actions": [1, 2], "current_player": 1, "opponent_last_action": 4}
    data = view.dump_observation(np.zeros(2, np.float32), True, False, info)
    assert data == {
        "info_state": [0.0, 0.0],
        "terminated": True,
        "truncated": False,
        "info": info,
        "info_types": {},
        "legal_actions": [1, 2],
        "game_phase": "playing",
        "current_player_id": 1,
        "opponent_last_action": 4,
    }
    Draft202012Validator(view.observation_schema).validate(data)
    assert view.dump_observation(np.zeros(2, np.float32), False, False, {})["legal_actions"] == []
    assert set(view.state_schema["properties"]) >= {"game_name", "game_params", "num_players"}


@pytest.mark.parametrize("more", [{}, {"game_name": "catch"}, {"game_name": "tic_tac_toe"}])
def test_an_openspiel_action_may_repeat_the_game_or_openenvs_default(more: dict[str, Any]):
    assert openspiel().parse_action({"action_id": 4, "game_params": {}, **more}) == 4


OTHER_GAMES: list[tuple[Any, str]] = [
    ({"game_name": "chess"}, "$.action.game_name: expected 'tic_tac_toe'"),
    ({"game_name": None}, "$.action.game_name: expected 'tic_tac_toe'"),
    ({"game_name": ["chess"]}, "$.action.game_name: expected 'tic_tac_toe'"),
    ({"game_params": {"rows": 3}}, "$.action.game_params: expected {}"),
    ({"action_id": 9}, "$.action.action_id: expected one in Discrete(9)"),
    ({"action_id": "4"}, "$.action.action_id: expected an integer"),
]


@pytest.mark.parametrize(("more", "expected"), OTHER_GAMES, ids=str)
def test_another_game_is_refused(more: dict[str, Any], expected: str):
    with pytest.raises(InvalidActionError) as caught:
        openspiel().parse_action({"action_id": 4, **more})
    assert str(caught.value).startswith(expected)


class Speak(Action):
    words: list[str]
    loud: bool = False


SCHEMAS = {
    "action": Speak.model_json_schema(),
    "observation": Observation.model_json_schema(),
    "state": State.model_json_schema(),
}


def test_a_users_models_are_handed_through():
    view = ModelView(SCHEMAS)
    assert view.schemas() == SCHEMAS
    assert view.parse_action({"words": ["a"], "loud": 1}) == {"words": ["a"], "loud": 1}
    data = view.dump_observation({"x": np.array([1.5, np.inf]), "y": float("nan")}, 0, 0, {})
    assert data == {"x": [1.5, "Infinity"], "y": "NaN"}


def test_a_users_action_is_validated_where_its_class_is_known():
    view = ModelView(SCHEMAS, Speak)
    read = view.parse_action({"words": ["a"]})
    assert read == {"words": ["a"], "loud": False, "metadata": {}}
    with pytest.raises(InvalidActionError, match=r"^\$\.action\.words\[1\]: .*, got 5\. An action"):
        view.parse_action({"words": ["a", 5]})


@pytest.mark.parametrize(
    ("name", "kind"), [("gymnasium", GymnasiumView), ("openspiel", OpenSpielView)]
)
def test_the_description_names_its_view(name: str, kind: type[TypedView]):
    assert type(view_for(describe(gs.Discrete(2), view=name))) is kind
    model = Description(environment="x", view="model", schemas=SCHEMAS)
    assert type(view_for(model)) is ModelView


def test_a_view_that_this_version_does_not_have_is_refused():
    with pytest.raises(ProtocolError, match="a view among gymnasium, openspiel, model, got 'x'"):
        view_for(describe(gs.Discrete(2), view="x"))
    with pytest.raises(ProtocolError, match="needs both spaces"):
        view_for(Description(environment="x", view="gymnasium"))
