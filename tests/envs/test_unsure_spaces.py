"""What is a guess of the spaces of other servers is told when the environment is made."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs

from openenv_gym.errors import CapacityError, ResetNeededError
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
from tests.support.plain_server import Plain, action_schema, observation_schema, observed, serving

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


DIGIT = {**INTEGER, "minimum": 0, "maximum": 9}
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


def test_a_reset_that_answers_done_says_so_with_its_metadata():
    server = seeing(observation_schema("n", n=DIGIT), n=1)
    why = {"error": "the key is not set (100 %)"}
    server.reset = lambda data, number: {**observed(True, n=1), "metadata": why}
    said = f"a reset answered done, so that there is no episode to play; it says {why!r}"
    assert told(server=server) == [said, said]
    with made(server) as env:
        with pytest.warns(UserWarning, match="the key is not set"):
            assert env.reset()[1] == {"metadata": why, "reset_done": True}
        with pytest.raises(ResetNeededError, match=r"step without an episode: .*not set \(100 %"):
            env.step(0)
        server.reset = lambda data, number: observed(n=1)
        env.reset()
        for _ in range(4):
            env.step(0)
        with pytest.raises(ResetNeededError, match=r"^step after the end of the episode"):
            env.step(0)


def test_a_probing_reset_that_answers_done_says_so_when_it_is_made():
    server = seeing(observation_schema("v", v=array(NUMBER)), v=[])
    server.reset = lambda data, number: observed(True, v=[])
    with serving(server) as url, pytest.warns(UserWarning, match="it says {'v': \\[\\]}"):
        gym.make("openenv/remote-v0", base_url=url).close()


@pytest.mark.skipif(
    not hasattr(gym.vector, "AutoresetMode"), reason="the vector part needs Gymnasium 1.1"
)
def test_sub_environments_say_the_same():
    server = seeing(observation_schema("n", n=DIGIT), n=1)
    server.reset = lambda data, number: observed(True, n=1)
    with serving(server) as url:
        envs = gym.make_vec("openenv/remote-v0", num_envs=1, base_url=url)
        with pytest.warns(UserWarning, match="a reset answered done"):
            assert envs.reset()[1]["reset_done"].all()
        with pytest.raises(ResetNeededError, match="step without an episode: a reset answered"):
            envs.step([0])
        envs.close()


@pytest.mark.skipif(
    not hasattr(gym.vector, "AutoresetMode"), reason="the vector part needs Gymnasium 1.1"
)
def test_a_server_with_one_session_says_how_to_name_several():
    with serving(seeing(observation_schema("n", n=DIGIT), n=1)) as url:
        envs = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=url)
        with pytest.raises(CapacityError, match=r"at capacity; .*make_vec takes base_url=\["):
            envs.reset()
        envs.close()
