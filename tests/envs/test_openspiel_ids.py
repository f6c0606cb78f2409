"""The ids of OpenSpiel's games, and the table that they are registered from."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pyspiel
import pytest

import openenv_gym
from openenv_gym.adapters.openspiel_env import OpenSpielEnv
from openenv_gym.adapters.openspiel_games import EXAMPLES, REFUSED_GAMES, load_game
from openenv_gym.adapters.openspiel_survey import GameRow, decode_rows, encode_rows, survey_games
from openenv_gym.envs.registration import GAMES_FILE, register_all, supported_games
from openenv_gym.errors import EnvStartError

ROWS = {row.name: row for row in decode_rows(Path(GAMES_FILE).read_bytes())}

# One of each kind: how it is made, and the size of its action space.
EMBEDDED: dict[str, tuple[dict[str, Any], int]] = {
    "openenv/2048-v0": ({}, 4),  # one player
    "openenv/bridge_uncontested_bidding-v0": ({}, 36),  # chance sampled inside
    "openenv/coin_game-v0": ({}, 5),  # text alone
    "openenv/goofspiel-v0": ({"opponent_policy": "last"}, 13),  # simultaneous
    "openenv/mfg_garnet-v0": ({}, 3),  # mean-field
    "openenv/misere-v0": ({"game_params": {"game": {"name": "tic_tac_toe"}}}, 9),
    "openenv/python_kuhn_poker-v0": ({"agent_player": "all"}, 2),
    "openenv/zerosum-v0": ({"game": EXAMPLES["zerosum"]}, 2),
}


def test_the_table_is_what_the_library_says():
    command = [sys.executable, "-m", "openenv_gym.cli", "list", "--openspiel", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == Path(GAMES_FILE).read_text(encoding="utf-8"), (
        "write it anew: openenv-gym list --openspiel --json --write " + GAMES_FILE
    )


def test_a_row_says_all_of_a_game():
    assert ROWS["kuhn_poker"] == GameRow(
        name="kuhn_poker",
        example="kuhn_poker",
        dynamics="sequential",
        chance="explicit",
        rewards="terminal",
        utility="zero_sum",
        information="imperfect",
        min_players=2,
        max_players=10,
        players=2,
        actions=2,
        info_state=(11,),
        observation=(7,),
        has_string=True,
        default="info_state",
        max_length=3,
        is_python=False,
    )


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("crossword", {"players": None, "actions": None, "default": None, "is_python": None}),
        ("goofspiel", {"dynamics": "simultaneous", "max_players": 10, "actions": 13}),
        ("mfg_garnet", {"dynamics": "mean_field", "rewards": "rewards", "players": 1}),
        ("misere", {"utility": "zero_sum", "players": 2, "max_players": 100}),
        ("phantom_ttt_ir", {"info_state": None, "observation": None, "default": "string"}),
        ("python_tic_tac_toe", {"is_python": True, "observation": (3, 3, 3), "players": 2}),
        ("tarok", {"chance": "sampled", "default": "string", "max_length": 65}),
        ("tic_tac_toe", {"default": "observation", "chance": "deterministic", "info_state": None}),
    ],
)
def test_facts(name: str, facts: dict[str, Any]):
    assert {key: getattr(ROWS[name], key) for key in facts} == facts


@pytest.mark.parametrize("name", ["backgammon", "hearts", "leduc_poker", "oshi_zumo", "y"])
def test_rows_are_what_pyspiel_says(name: str):
    row, game = ROWS[name], pyspiel.load_game(name)
    kind = game.get_type()
    assert row.dynamics.upper() == kind.dynamics.name
    assert kind.chance_mode.name.startswith(row.chance.upper())
    assert row.rewards.upper() == kind.reward_model.name
    assert row.utility.upper() == kind.utility.name
    assert kind.information.name.startswith(row.information.upper())
    assert (row.min_players, row.max_players) == (kind.min_num_players, kind.max_num_players)
    assert (row.players, row.actions) == (game.num_players(), game.num_distinct_actions())
    assert row.max_length == game.max_game_length()
    for has, shape, said in (
        ("information_state_tensor", "information_state_tensor_shape", row.info_state),
        ("observation_tensor", "observation_tensor_shape", row.observation),
    ):
        declared = getattr(kind, f"provides_{has}")
        assert said == (tuple(getattr(game, shape)()) if declared else None)


def test_142_games_and_four_refusals():
    assert len(ROWS) == 142 and list(ROWS) == sorted(ROWS)
    assert {name: row.why_not for name, row in ROWS.items() if row.why_not} == REFUSED_GAMES
    assert {name: row.example for name, row in ROWS.items() if row.example != name} == EXAMPLES
    assert decode_rows(encode_rows(list(ROWS.values()))) == list(ROWS.values())


def test_what_does_not_load_has_its_reason(monkeypatch: pytest.MonkeyPatch):
    every, few = pyspiel.registered_games, ("misere", "chat_game", "catch")
    monkeypatch.setattr(
        *(pyspiel, "registered_games"),
        lambda: [kind for kind in every() if kind.short_name in few],
    )
    monkeypatch.setattr("openenv_gym.adapters.openspiel_survey.EXAMPLES", {})
    catch, chat_game, misere = survey_games()
    assert (catch, chat_game) == (ROWS["catch"], ROWS["chat_game"])
    assert "Missing parameter game" in misere.why_not and misere.actions is None


# --- ids -------------------------------------------------------------------------------------


def test_every_supported_game_is_registered():
    assert supported_games() == [name for name in ROWS if name not in REFUSED_GAMES]
    for name in supported_games():
        spec = gym.spec(f"openenv/{name}-v0")
        assert spec.kwargs == {"game": name} and spec.max_episode_steps is None
        assert spec.to_json() and spec.entry_point == gym.spec("openenv/openspiel-v0").entry_point
    assert not [name for name in REFUSED_GAMES if f"openenv/{name}-v0" in gym.registry]


def test_registering_twice_changes_nothing():
    before = dict(gym.registry)
    register_all()
    assert gym.registry == before


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if not row.why_not])
@pytest.mark.sample(26)
def test_every_game_begins_in_process(name: str):
    env = OpenSpielEnv(ROWS[name].example)
    observation, info = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert info["legal_actions"] or info["game_phase"] == "terminal"
    assert env.action_space.n == ROWS[name].actions
    form = ROWS[name].default
    shape = getattr(ROWS[name], form) if form != "string" else None
    assert isinstance(observation, str) if shape is None else observation.size == size_of(shape)


def size_of(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


@pytest.mark.parametrize("env_id", EMBEDDED)
def test_ids_make_embedded_games(env_id: str):
    kwargs, actions = EMBEDDED[env_id]
    env = gym.make(env_id, disable_env_checker=True, **kwargs)
    try:
        observation, info = env.reset(seed=0)
        assert env.action_space == gym.spaces.Discrete(actions)
        assert env.observation_space.contains(observation)
        result = env.step(info["legal_actions"][0])
        assert env.observation_space.contains(result[0])
    finally:
        env.close()


# --- games that need parameters --------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_game_without_the_parameters_it_needs_says_an_example(name: str):
    with pytest.raises(EnvStartError) as caught:
        load_game(name)
    assert "Missing parameter" in str(caught.value)
    assert str(caught.value).endswith(f"It needs parameters, such as {EXAMPLES[name]}")


def test_the_example_reaches_a_user_of_the_id():
    with pytest.raises(EnvStartError, match=r"such as misere\(game=tic_tac_toe\(\)\)"):
        gym.make("openenv/misere-v0")


def test_the_survey_module_does_not_import_the_library():
    program = "import sys, openenv_gym.adapters.openspiel_survey; print('pyspiel' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=110, check=True
    )
    assert done.stdout == "False\n"


def test_the_table_is_part_of_the_package():
    package = Path(importlib.import_module("openenv_gym.envs").__file__).parent
    assert Path(GAMES_FILE).parent == package and package.parent.name == openenv_gym.__name__
