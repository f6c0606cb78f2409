"""Every OpenSpiel game is played exactly as pyspiel plays it, seeded, and without a crash."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from openenv_gym.adapters.openspiel_env import IllegalAction, OpenSpielEnv
from openenv_gym.conformance import play_parity
from openenv_gym.errors import InvalidActionError
from openenv_gym.launchers import ServerProcess
from tests.support.openspiel import (
    EVERY_GAME,
    GAMES_BY_KIND,
    SEEDED,
    Remote,
    assert_same,
    check_bad_actions,
    is_mean_field,
    load_shared,
    play,
    replay_episode,
)

# Of each game, the first of them to its end; most wait for `make test-long`.
EPISODES = [4, pytest.param(20, marks=pytest.mark.long)]
SERVED_EPISODES = [8, pytest.param(20, marks=pytest.mark.long)]
# The library solves a deal double-dummy, which takes 0.2 s and more.
FEWER_EPISODES = {
    "bridge": 3,
    "bridge_uncontested_bidding(num_redeals=1)": 4,
    # Games in Python whose population takes seconds to move.
    "colored_trails": 2,
    "mean_field_lin_quad": 2,
    "python_mfg_crowd_avoidance": 1,
    "python_mfg_periodic_aversion": 1,
    "python_mfg_predator_prey": 1,
}


# --- parity with pyspiel ---------------------------------------------------------------------


@pytest.mark.slow  # over all games
@pytest.mark.parametrize("episodes", EPISODES)
@pytest.mark.parametrize("game", [*EVERY_GAME, "bridge"])
def test_episodes_replay_on_pyspiel(game: str, episodes: int) -> None:
    num_players = load_shared(game).num_players()
    make = functools.cache(functools.partial(OpenSpielEnv, game))
    episodes = min(episodes, FEWER_EPISODES.get(game, episodes))
    for seed in range(episodes):
        # One game to its end, however long; seats in turn, and then drawn.
        max_steps = 2000 if seed == 0 else 50
        seat: Any = "random" if seed >= episodes // 2 else seed % num_players
        env = make(agent_player=seat, max_steps=max_steps)
        assert replay_episode(env, game, seed, max_steps) == seat or seat == "random"


@pytest.mark.slow  # over all games
@pytest.mark.parametrize("game", GAMES_BY_KIND)
def test_embedded_episodes_replay_on_pyspiel(game: str) -> None:
    arguments: Any = {"agent_player": "random", "illegal_action": "random", "max_steps": 12}
    remote = gym.make("openenv/openspiel-v0", game=game, **arguments).unwrapped
    for seed in range(2 if game in FEWER_EPISODES else 4):
        replay_episode(Remote(remote), game, seed, 12)
    play_parity(OpenSpielEnv(game, **arguments), remote, range(1), 12)
    for action in (10**6, -1, 1.5, None):
        with pytest.raises(InvalidActionError):
            remote.step(action)
    remote.reset(seed=0)
    remote.close()


@pytest.mark.slow
@pytest.mark.parametrize("episodes", SERVED_EPISODES)
@pytest.mark.parametrize(
    "game",
    [
        # sequential, chance, hidden cards
        "chess",
        "backgammon",
        "leduc_poker",
        "hearts",
        # simultaneous
        "goofspiel",
        "laser_tag",
        # mean field, chance inside
        "mfg_crowd_modelling",
        "tarok",
    ],
)
@pytest.mark.sample(3)
def test_episodes_over_websocket_replay_on_pyspiel(
    game: str, episodes: int, serve: Callable[..., ServerProcess]
) -> None:
    arguments: Any = {"agent_player": "random", "illegal_action": "random", "max_steps": 30}
    url = serve(f"openspiel:{game}", "--kwargs", json.dumps(arguments)).base_url
    for codec, count in (("binary", episodes), ("json", 4)):
        remote = gym.make("openenv/openspiel-v0", game=game, base_url=url, codec=codec).unwrapped
        for seed in range(count):
            replay_episode(Remote(remote), game, seed, 30)
        play_parity(OpenSpielEnv(game, **arguments), remote, range(1), 30)
        remote.close()


# --- Gymnasium -------------------------------------------------------------------------------


@pytest.mark.parametrize("game", GAMES_BY_KIND)
# The tensors have no upper bound that a game would state.
@pytest.mark.filterwarnings("ignore:.*Box observation space maximum value is .*infinity")
# It would take an id of Gymnasium's registry; the environment is made directly here.
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
def test_gymnasium_check_env(game: str) -> None:
    check_env(OpenSpielEnv(game, render_mode="ansi"))


# --- seeds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "game", [*GAMES_BY_KIND, *(game for game in SEEDED if game not in EVERY_GAME)]
)
def test_seed_and_actions_give_the_episode(game: str) -> None:
    used, new = (OpenSpielEnv(game, agent_player="random", max_steps=25) for _ in range(2))
    list(play(used, np.random.default_rng(5), seed=5))
    resets: list[dict[str, Any]] = [{"seed": 1}, {}, {"seed": 1}, {"seed": 2}, {}]
    for reset in resets[: 2 if game in FEWER_EPISODES else None]:
        pick = 1, len(reset)
        one = list(play(used, np.random.default_rng(pick), **reset))
        other = list(play(new, np.random.default_rng(pick), **reset))
        assert_same(one, other)
        assert_same(used.snapshot, new.snapshot)


# The map of stones_and_gems has nothing on it that moves at random, and add_noise has its seed.
@pytest.mark.parametrize("game", ["tarok", "misere(game=tarok())", "negotiation"])
def test_chance_inside_a_game_differs_with_the_seed(game: str) -> None:
    env = OpenSpielEnv(game, opponent_policy="first", max_steps=40)

    def episode(**reset: Any) -> str:
        return repr(list(play(env, np.random.default_rng(1), **reset)))

    first = episode(seed=3)
    following = [episode() for _ in range(5)]
    assert len({first, *following}) > 1
    assert [episode(seed=3), *(episode() for _ in range(5))] == [first, *following]
    assert len({episode(seed=seed) for seed in range(5)}) > 1


# --- snapshots -------------------------------------------------------------------------------


@pytest.mark.parametrize("game", GAMES_BY_KIND)
def test_each_step_is_the_same_from_a_snapshot(game: str) -> None:
    kind, num_players = load_shared(game), load_shared(game).num_players()
    several_populations = is_mean_field(kind) and num_players > 1
    for seat in ("random",) if several_populations else ("random", "all"):
        env, other = (
            OpenSpielEnv(game, agent_player=seat, opponent_policy="first") for _ in range(2)
        )
        results = play(env, np.random.default_rng(2), seed=2)
        before = next(results)[0]
        saved = env.snapshot, env.np_random.bit_generator.state
        for _, (action, observation, reward, *over, _info) in zip(range(12), results, strict=False):
            assert_same(other.reset(options={"state": saved[0]})[0], before)
            other.np_random.bit_generator.state = saved[1]
            result = other.step(action)
            assert_same(result[0], observation)
            assert result[1] == pytest.approx(reward, rel=1e-12, abs=1e-12)
            assert list(result[2:4]) == over
            before, saved = observation, (env.snapshot, env.np_random.bit_generator.state)


# --- bad actions -----------------------------------------------------------------------------


@pytest.mark.parametrize("game", GAMES_BY_KIND)
def test_bad_actions_leave_the_game(game: str) -> None:
    found = {check_bad_actions(game, what) for what in get_args(IllegalAction)}
    assert len(found) == 1


@pytest.mark.long  # in this process all games of a kind are tried above
@pytest.mark.timeout(120)
def test_bad_actions_end_no_process() -> None:
    code = (
        "from tests.support.openspiel import EVERY_GAME, check_bad_actions\n"
        "found = 0\n"
        "for game in EVERY_GAME:\n"
        "    for what in ('terminate', 'raise', 'random'):\n"
        "        print(game, what, flush=True)\n"
        "        was_illegal = check_bad_actions(game, what)\n"
        "    found += was_illegal\n"
        "print('survived', found)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stdout.splitlines()[-1]
    assert (done.returncode, last.split()[0]) == (0, "survived"), (last, done.stderr[-2000:])
    # In the others, such as matrix games, every action is always legal.
    assert int(last.split()[1]) > 80
