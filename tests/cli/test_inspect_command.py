"""``openenv-gym inspect``, as a user calls it."""

from __future__ import annotations

import json

import pytest

from openenv_gym.cli import main


def test_it_shows_spaces_models_schemas_and_messages(capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", "CartPole-v1"]) == 0
    text = capsys.readouterr().out
    order = [
        "CartPole-v1",
        "action       Discrete(2)   (field 'action')",
        "because $.observation.obs: the only annotated field",
        "class CartPoleObs(NamedTuple):\n    cart_position: float  # -4.8 to 4.8",
        "class CartPoleObservation(Observation):",
        "JSON schema of the action\n------",
        '"x-gymnasium-space": {',
        "JSON schema of the state\n------",
        "Messages, played with seed 0\n------",
    ]
    places = [text.find(part) for part in order]
    assert -1 not in places and places == sorted(places)
    assert 'client: step\n  {"type": "step", "data": {"action": ' in text
    assert 'server: observation\n  {"type": "observation", "data": {"observation": {"obs"' in text


def test_long_arrays_are_cut_for_people_and_whole_in_json(capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", "openspiel:catch"]) == 0
    assert '"… 42 more"]' in capsys.readouterr().out
    assert main(["inspect", "openspiel:catch", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spaces"]["action"] == {"field": "action_id", "space": "Discrete(3)"}
    assert len(found["examples"][1]["message"]["data"]["observation"]["info_state"]) == 50
    assert found["examples_are_played"] is True and found["problem"] is None
    assert len(found["reasons"]) == 2 and "class CatchAction" in found["models"]


def test_arguments_are_passed(capsys: pytest.CaptureFixture[str]):
    kwargs = '{"map_name": "8x8", "is_slippery": false}'
    assert main(["inspect", "FrozenLake-v1", "--kwargs", kwargs]) == 0
    assert "observation  Discrete(64)" in capsys.readouterr().out


OWN = "environment:examples.own_environment.environment:EchoEnvironment"


def test_a_typed_environment_has_the_spaces_of_its_fields(capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", OWN]) == 0
    shown = capsys.readouterr().out
    assert "class EchoAction(Action):\n    message: str" in shown
    assert "action       UnicodeText(1, 1048576)   (field 'message')" in shown


def test_spaces_that_stay_open_are_shown_and_an_error(capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", OWN, "--observation-key", "metadata"]) == 1
    shown = capsys.readouterr()
    assert "class EchoAction(Action):\n    message: str" in shown.out
    assert "observation_space=" in shown.err and shown.err.startswith("openenv-gym: $.observation")


def test_fields_are_fixed_and_several_keys_are_a_dict(capsys: pytest.CaptureFixture[str]):
    arguments = ["--fixed-action", '{"game_name": "catch"}', "--action-key", "action_id"]
    assert main(["inspect", "openspiel:catch", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "because $.action.game_name: always 'catch'" in shown


@pytest.mark.parametrize("target", ["Nothing-v0", "http://127.0.0.1:9", "openspiel:catsh"])
def test_what_is_not_there_is_one_line(target: str, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", target]) == 1
    assert capsys.readouterr().err.startswith("openenv-gym: ")
