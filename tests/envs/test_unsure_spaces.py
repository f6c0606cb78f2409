"""What is a guess of the spaces of other servers is told when the environment is made."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces as gs

from tests.envs.test_foreign_servers import (
    FREE,
    INTEGER,
    NUMBER,
    SERVERS,
    TEXT,
    array,
    made,
    seeing,
)
from tests.support.plain_server import Plain, action_schema, observation_schema

pytestmark = pytest.mark.single_env


def told(**arguments: Any) -> list[str]:
    """What is not sure of an environment, which is told when it is made and not later."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with made(**arguments) as env:
            assert env.reset()
            env.reset()
    said = [str(each.message).partition(": ")[2] for each in caught]
    return [text.partition(": ")[2].removesuffix("\x1b[0m") for text in said]


GUESSED = "$.action.{}: Discrete({}) is inferred from the legal actions of one reset "


def test_a_number_of_actions_that_one_reset_showed_is_told_as_a_guess():
    assert told(server=SERVERS["legal"]()) == [
        GUESSED.format("cell", 4) + "($.observation.legal_actions), and the environment may have "
        "more actions; pass action_space=Discrete(n) with their number"
    ]
    assert told(server=SERVERS["mask"]()) == []  # which has an entry for each action
    assert told(server=SERVERS["legal"](), action_space=gs.Discrete(9)) == []


def spiel(legal: list[int], **state: Any) -> Plain:
    """As OpenEnv's OpenSpiel server, whose schemas say nothing of the game."""
    fields = {"info_state": [0.0, 1.0], "legal_actions": legal, "current_player_id": 0}
    server = seeing(
        observation_schema("info_state", "legal_actions", info_state=array(NUMBER),
                           legal_actions=array(INTEGER), current_player_id=INTEGER),
        action_schema("action_id", action_id=INTEGER, game_name=TEXT, game_params=FREE),
        **fields,
    )  # fmt: skip
    server.state = state
    return server


@pytest.mark.parametrize(
    ("legal", "state", "n"),
    [([2], {"game_name": "2048"}, 4),
     ([], {"game_name": "othello", "game_params": {}, "num_players": 2}, 65),
     ([0, 3], {"game_name": "hex", "game_params": {"board_size": 5}}, None),
     ([0, 3], {"game_name": "liars_dice", "num_players": 3}, None),
     ([0, 4], {"game_name": "2048"}, None),
     ([0, 3], {"game_name": "my_own_game"}, None),
     ([0, 3], {}, None)],
)  # fmt: skip
def test_a_game_that_is_named_has_the_actions_of_our_table(legal, state, n):
    server = spiel(legal, **state)
    guess = [] if n else [GUESSED.format("action_id", max(legal) + 1)]
    assert [text[: len(guess[0])] if guess else text for text in told(server=server)] == guess
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with made(server) as env:
            assert env.action_space == gs.Discrete(n or max(legal) + 1)
            assert np.flatnonzero(env.reset() and env.unwrapped.action_masks()).tolist() == legal


OPEN: list[tuple[dict[str, Any], list[str]]] = [
    (INTEGER, ["a: its minimum and maximum are not known"]),
    ({**INTEGER, "minimum": 0}, ["a: its maximum is not known"]),
    (array({**NUMBER, "minimum": -1, "maximum": 1}), ["a: its length is not known"]),
    (array(INTEGER), ["a: its length is not known", "a[*]: its minimum and maximum are not known"]),
    (
        {**array(INTEGER), "minItems": 2, "maxItems": 2},
        ["a: its minimum and maximum are not known"],
    ),
    ({**INTEGER, "minimum": 0, "maximum": 3}, []),
    (NUMBER, []),
    (array(TEXT), []),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "ends"), OPEN, ids=str)
def test_an_action_without_bounds_is_told(schema: dict[str, Any], ends: list[str]):
    server = seeing(observation_schema("n", n=INTEGER), action_schema("a", a=schema), n=1)
    assert told(server=server) == [
        f"$.action.{end}, so that an agent may go beyond what the environment takes; "
        "pass action_space= with its bounds"
        for end in ends
    ]
