"""Parameters of OpenSpiel games: each is honoured, or refused before it ends the process."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pyspiel
import pytest

from openenv_gym import pettingzoo
from openenv_gym.adapters.openspiel_env import OpenSpielEnv
from openenv_gym.errors import EnvStartError
from openenv_gym.launchers.embedded import EMBEDDED


def test_a_game_has_the_seats_that_its_parameter_says():
    game = "python_liars_poker(players=4,hand_length=3,num_digits=3)"
    env = OpenSpielEnv(game, agent_player="all", all_observations=True)
    assert env.action_space == gym.spaces.Discrete(4 * 3 * 3 + 1)
    seats, is_over = set(), False
    obs, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    while not is_over:
        seats.add(info["current_player"])
        assert env.observation_space.contains(obs)
        obs, _, is_over, _, info = env.step(int(rng.choice(info["legal_actions"])))
    assert seats == {0, 1, 2, 3}
    assert sorted(map(abs, info["returns"])) == [1, 1, 1, 3] and sum(info["returns"]) == 0
    assert pettingzoo.env(game).possible_agents == [f"player_{seat}" for seat in range(4)]
    state = env._episode.state  # what OpenSpiel writes of it, it reads again
    text = pyspiel.serialize_game_and_state(state.get_game(), state)
    assert pyspiel.deserialize_game_and_state(text)[1].returns() == info["returns"]


@pytest.mark.parametrize(
    ("game", "why"),
    [
        ("pathfinding(players=3)", "players=3: the game has 1, which this parameter does not"),
        ("python_liars_poker(players=99)", "players=99: python_liars_poker has from 2 to 10 pl"),
        ("hanabi(players=6)", "players=6: hanabi has from 2 to 5 players"),
        ("add_noise(game=hanabi(players=6),epsilon=0.5,seed=1)", "players=6: hanabi has from 2"),
        ("hanabi(players=0)", "players=0: hanabi has from 2 to 5 players"),
        ("hanabi(colors=1,ranks=1)", "expected that 3 cards are enough for 2 hands of 5"),
        ("go(board_size=99)", "supports board size up to 19"),
        ("universal_poker(numPlayers=3)", "expected that blind has a number for each of 3 players"),
        ("universal_poker(numPlayers=2,firstPlayer=3 1)", "has a player, from 1 to 2, for each"),
        ("universal_poker(stack=10 10)", "nobody's blind is more than the stack"),
        ("universal_poker(numHoleCards=9)", "numHoleCards is from 1 to 5"),
        ("universal_poker(blind=a b)", "stoi"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_and_the_worker_lives(game: str, why: str):
    other = gym.make("openenv/catch-v0")
    other.reset(seed=0)
    pid = EMBEDDED.pid
    with pytest.raises(EnvStartError, match=why):
        gym.make("openenv/openspiel-v0", game=game)
    assert "openenv" not in other.step(1)[4]
    assert EMBEDDED.pid == pid
    other.close()


def test_parameters_that_fit_are_taken():
    three = "numPlayers=3,blind=1 2 0,firstPlayer=3 1,stack=20 20 20"
    for game, seats in (
        (f"universal_poker({three})", 3),
        ("hanabi(colors=1,ranks=2,hand_size=2)", 2),
    ):
        assert OpenSpielEnv(game).openenv_state["num_players"] == seats
