"""The numbers of actions of OpenSpiel's games."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openenv_gym.envs.registration import GAMES_FILE
from openenv_gym.spaces.known_games import GAMES, actions_of_game


def test_they_are_those_of_the_table_of_games():
    rows: list[dict[str, Any]] = json.loads(Path(GAMES_FILE).read_text(encoding="utf-8"))
    loads = [row for row in rows if row["actions"] and row["name"] == row["example"]]
    assert {row["name"]: (row["actions"], row["players"]) for row in loads} == GAMES


@pytest.mark.parametrize(
    ("state", "n"),
    [({"game_name": "2048"}, 4),
     ({"game_name": "2048", "game_params": {}, "num_players": 1}, 4),
     ({"game_name": "2048", "game_params": {"max_tile": 8}}, None),
     ({"game_name": "hearts", "num_players": 3}, None),
     ({"game_name": "misere"}, None),
     ({"game_name": ["2048"]}, None),
     ({}, None)],
    ids=str,
)  # fmt: skip
def test_a_game_with_parameters_or_other_players_is_not_sure(state: dict[str, Any], n: int | None):
    assert actions_of_game(state) == n
