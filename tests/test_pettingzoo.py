"""Games as environments of PettingZoo: its own tests, the rewards, and every place to run in."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyspiel
import pytest
from gymnasium.utils.env_checker import data_equivalence

from openenv_gym import WebSocketOptions
from openenv_gym import pettingzoo as zoo
from openenv_gym.errors import (
    EnvStartError,
    InvalidActionError,
    InvalidRequestError,
    ResetNeededError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)

with warnings.catch_warnings():
    # PettingZoo's tests import its Connect Four in the way that PettingZoo calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

ALL_SEATS = '{"agent_player": "all", "all_observations": true}'
DOCS = Path(__file__).parents[1] / "docs/multi_agent.md"

GAMES = [
    "tic_tac_toe",
    "connect_four",
    "kuhn_poker",
    "kuhn_poker(players=3)",
    "leduc_poker",
    "backgammon",
    "hanabi",
    "goofspiel",
    "matrix_rps",
    "bargaining",
    "catch",
]
SIMULTANEOUS = ["goofspiel", "matrix_rps", "oshi_zumo", "laser_tag", "matching_pennies_3p"]

# What PettingZoo's tests say of sound environments, its own with a mask among them.
PETTINGZOO_WARNS = (
    "Observation is not a NumPy array",  # it is a dict with the mask in it
    "Observation space for each agent probably should be",  # the same
    "Observation is a single number",  # matrix games tell whether they are over
    "Observation numpy array is all zeros",  # and begin with: they are not
    "Action mask is a single number",
    ".*has the option 'state' only",  # the tests pass an option that no environment has
)


@pytest.fixture
def pettingzoo_may_warn():
    with warnings.catch_warnings():
        for message in PETTINGZOO_WARNS:
            # Gymnasium's logger colours its warnings.
            warnings.filterwarnings("ignore", rf"(\x1b\[33m)?(WARN: )?{message}", UserWarning)
        yield


@pytest.fixture(params=["embedded", "binary", "json"])
def place(request, serve):
    """Keyword arguments that put a game into one of the places outside this process."""

    def arguments(game: str) -> dict[str, object]:
        if request.param == "embedded":
            return {"embedded": True}
        server = serve(f"openspiel:{game}", "--kwargs", ALL_SEATS)
        return {"base_url": server.base_url, "codec": request.param}

    return arguments


def choose(mask, rng) -> int | None:
    """An action by a generator of the test's own, None where there is none."""
    legal = np.flatnonzero(mask)
    return int(rng.choice(legal)) if len(legal) else None


def play(env, seed: int = 0):
    """Plays one game; yields what each agent is told when it is its turn."""
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    for agent in env.agent_iter():
        told = env.last()
        yield agent, *told, {**env.rewards}
        observation, _, termination, truncation, _ = told
        is_dead = termination or truncation
        env.step(None if is_dead else choose(observation["action_mask"], rng))


def play_parallel(env, seed: int = 0):
    rng = np.random.default_rng(seed)
    observations, infos = env.reset(seed=seed)
    yield observations, infos
    while env.agents:
        masks = {agent: observations[agent]["action_mask"] for agent in env.agents}
        told = env.step({agent: choose(mask, rng) for agent, mask in masks.items()})
        observations = told[0]
        yield told


def seeded(env):
    """The same games in every run: PettingZoo's tests draw actions from the spaces as they are."""
    env.reset(seed=0)
    for agent in env.possible_agents:
        env.action_space(agent).seed(0)
    return env


# --- PettingZoo's own tests ---------------------------------------------------------------------


@pytest.mark.usefixtures("pettingzoo_may_warn")
@pytest.mark.parametrize("make", [zoo.env, zoo.raw_env])
@pytest.mark.parametrize("game", GAMES)
def test_pettingzoos_own_tests_pass(game, make):
    api_test(seeded(make(game)), num_cycles=100)
    seed_test(lambda: make(game), num_cycles=50)


@pytest.mark.usefixtures("pettingzoo_may_warn")
@pytest.mark.parametrize("game", SIMULTANEOUS)
def test_pettingzoos_own_parallel_tests_pass(game):
    parallel_api_test(seeded(zoo.parallel_env(game)), num_cycles=100)
    # This one samples without the mask.
    parallel_seed_test(lambda: zoo.parallel_env(game, illegal_action="terminate"), num_cycles=50)


@pytest.mark.usefixtures("pettingzoo_may_warn")
@pytest.mark.parametrize("game", ["tic_tac_toe", "goofspiel"])
@pytest.mark.sample(3)
def test_pettingzoos_own_tests_pass_elsewhere(game, place):
    env = seeded(zoo.env(game, **place(game)))
    api_test(env, num_cycles=20)
    env.close()
    seed_test(lambda: zoo.env(game, **place(game)), num_cycles=10)


@pytest.mark.usefixtures("pettingzoo_may_warn")
def test_pettingzoos_own_parallel_tests_pass_elsewhere(place):
    env = seeded(zoo.parallel_env("goofspiel", **place("goofspiel")))
    parallel_api_test(env, num_cycles=20)
    env.close()


@pytest.mark.usefixtures("pettingzoo_may_warn")
def test_they_pass_embedded_for_a_game_of_cards():
    env = seeded(zoo.env("leduc_poker", embedded=True))
    api_test(env, num_cycles=20)
    env.close()


@pytest.mark.usefixtures("pettingzoo_may_warn")
def test_pettingzoos_tests_cannot_check_text():
    with pytest.raises(AttributeError, match="'str' object has no attribute 'dtype'"):
        api_test(zoo.env("liars_dice_ir"), num_cycles=10)


# --- What agents are told ------------------------------------------------------------------------


@pytest.mark.parametrize("game", [*GAMES, "liars_dice_ir"])
def test_rewards_sum_up_to_the_returns_of_the_game(game):
    env = zoo.raw_env(game)
    for seed in range(5):
        paid, told = dict.fromkeys(env.possible_agents, 0.0), dict[str, float]()
        for agent, observation, reward, termination, _, info, _ in play(env, seed):
            assert env.observation_space(agent).contains(observation)
            paid[agent] += reward
            if termination and agent not in told:
                told[agent] = info["returns"][env.possible_agents.index(agent)]
        assert paid == pytest.approx(replayed(env, game))
        assert told == pytest.approx(replayed(env, game))


def replayed(env, game) -> dict[str, float]:
    state = pyspiel.load_game(game).new_initial_state()
    actions = env._game.history
    while actions:
        count = state.num_players() if state.is_simultaneous_node() else 1
        now, actions = actions[:count], actions[count:]
        if count > 1:
            state.apply_actions(now)
        else:
            state.apply_action(now[0])
    assert state.is_terminal()
    return dict(zip(env.possible_agents, state.returns(), strict=True))


def test_everybody_is_told_what_it_sees_and_only_the_one_to_move_has_a_choice():
    env = zoo.env("leduc_poker")
    for agent, *_ in play(env, 3):
        if env.terminations[agent]:
            break
        state = env.unwrapped._game._episode.state
        for seat, other in enumerate(env.possible_agents):
            seen = env.observe(other)
            assert seen["observation"].tolist() == state.information_state_tensor(seat)
            assert np.flatnonzero(seen["action_mask"]).tolist() == env.infos[other]["legal_actions"]
            assert any(seen["action_mask"]) == (other == agent)
        assert env.state() in env.state_space
        assert env.state().shape == (2, 30)


def test_the_spaces_of_each_agent_are_seeded_alone():
    env = zoo.env("tic_tac_toe")
    first, second = map(env.observation_space, env.possible_agents)
    second.seed(5)
    expected = second.sample()
    second.seed(5)
    first.seed(6)
    assert data_equivalence(second.sample(), expected)


def test_what_an_agent_was_told_before_its_move_is_not_paid_again():
    env = zoo.env("cliff_walking")
    env.reset()
    for _ in range(3):
        env.step(1)  # the way up
        assert env.last()[1] == env.rewards["player_0"] == -1.0


def test_a_reward_for_a_move_of_another_waits_for_the_agents_turn():
    env = zoo.env("tic_tac_toe")
    env.reset()
    for action in (0, 3, 1, 4, 2):
        env.step(action)
    assert env.rewards == {"player_0": 1.0, "player_1": -1.0}
    assert [env.last()[1:4], env.agent_selection] == [(1.0, True, False), "player_0"]
    env.step(None)
    assert [env.last()[1:4], env.agent_selection] == [(-1.0, True, False), "player_1"]
    env.step(None)
    assert env.agents == []


@pytest.mark.parametrize("game", SIMULTANEOUS)
def test_aec_and_parallel_play_the_same_game(game):
    aec, parallel = zoo.raw_env(game), zoo.parallel_env(game)
    rounds = play_parallel(parallel, 7)
    observations, _ = next(rounds)
    aec_rng = np.random.default_rng(7)
    aec.reset(seed=7)
    for told in rounds:
        observations_after, rewards, terminations, truncations, infos = told
        for agent in aec.possible_agents:
            assert aec.agent_selection == agent
            seen = aec.last()[0]
            assert data_equivalence(seen, observations[agent])
            aec.step(choose(seen["action_mask"], aec_rng))
        assert (aec.rewards, aec.terminations, aec.truncations) == (
            rewards,
            terminations,
            truncations,
        )
        assert aec._game.history == parallel._game.history
        observations = observations_after
    assert all(terminations.values())
    assert {agent: info["returns"] for agent, info in infos.items()} == {
        agent: info["returns"] for agent, info in aec.infos.items()
    }


@pytest.mark.parametrize("game", ["tic_tac_toe", "goofspiel"])
def test_a_game_is_the_same_in_every_place(game, place):
    here, there = zoo.env(game), zoo.env(game, **place(game))
    assert there.possible_agents == here.possible_agents
    assert there.observation_space("player_1") == here.observation_space("player_1")
    for told_here, told_there in zip(play(here, 5), play(there, 5), strict=True):
        assert data_equivalence(told_here, told_there, exact=True)
    there.close()


def test_a_parallel_game_is_the_same_in_every_place(place):
    there = zoo.parallel_env("goofspiel", **place("goofspiel"))
    here = zoo.parallel_env("goofspiel")
    pairs = zip(play_parallel(here, 5), play_parallel(there, 5), strict=True)
    assert all(data_equivalence(*pair, exact=True) for pair in pairs)
    there.close()


def test_the_metadata_names_the_game():
    assert str(zoo.env("catch(rows=5)")) == "catch(rows=5)"
    aec, parallel = zoo.raw_env("goofspiel"), zoo.parallel_env("goofspiel")
    assert aec.metadata["render_modes"] == ["ansi", "rgb_array"]
    kinds = [env.metadata["is_parallelizable"] for env in (aec, parallel)]
    assert kinds == [False, True]


def test_text_has_no_state():
    env = zoo.env("liars_dice_ir")
    env.reset()
    with pytest.raises(NotImplementedError, match="no tensor to stack"):
        env.state()


def test_the_game_is_drawn():
    env = zoo.env("tic_tac_toe", render_mode="ansi")
    env.reset()
    env.step(4)
    assert env.render() == "...\n.x.\n..."


def test_it_is_drawn_elsewhere():
    env = zoo.env("tic_tac_toe", render_mode="rgb_array", embedded=True)
    env.reset()
    assert env.render().shape[2] == 3
    env.close()


# --- Beginnings and ends -------------------------------------------------------------------------

WON = {"game": "tic_tac_toe()", "actions": [0, 3, 1, 4, 2]}


def test_a_game_that_is_over_at_the_reset():
    env = zoo.env("start_at(game=tic_tac_toe(),history=0;3;1;4;2)")
    env.reset()
    told = [(agent, *told[1:4]) for agent, *told in iterate(env)]
    assert told == [("player_0", 1.0, True, False), ("player_1", -1.0, True, False)]
    assert env.agents == []


def test_what_was_paid_before_a_snapshot_is_not_paid_again():
    env = zoo.env("tic_tac_toe")
    env.reset(options={"state": WON})
    told = [(agent, *told[1:4]) for agent, *told in iterate(env)]
    assert told == [("player_0", 0.0, True, False), ("player_1", 0.0, True, False)]


def iterate(env):
    for agent in env.agent_iter():
        yield agent, *env.last()
        env.step(None)


def test_a_parallel_game_that_is_over_at_the_reset_ends_with_the_first_step():
    env = zoo.parallel_env("matrix_rps")
    observations, _ = env.reset(options={"state": {"game": "matrix_rps()", "actions": [1, 0]}})
    assert not any(seen["action_mask"].any() for seen in observations.values())
    _, rewards, terminations, _, infos = env.step({})
    assert rewards == {"player_0": 0.0, "player_1": 0.0}  # they were paid before the snapshot
    assert all(terminations.values())
    assert infos["player_1"]["returns"] == [1.0, -1.0]
    assert env.agents == []


def test_a_reset_in_the_middle_of_the_end():
    env = zoo.env("tic_tac_toe")
    env.reset(options={"state": WON})
    env.step(None)
    assert env.agents == ["player_1"]
    env.reset()
    assert (env.agents, env.agent_selection) == (["player_0", "player_1"], "player_0")
    assert len(list(play(env))) > 5


def test_a_snapshot_is_gone_on_from():
    env = zoo.env("tic_tac_toe")
    env.reset(options={"state": {"game": "tic_tac_toe()", "actions": [4]}})
    assert env.agent_selection == "player_1"
    assert env.last()[0]["action_mask"].tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]


def test_other_options_draw_a_warning():
    with pytest.warns(UserWarning, match=r"has the option 'state' only, not \['sate'\]"):
        zoo.env("catch").reset(options={"sate": 1})


def test_steps_are_limited():
    aec = zoo.env("tic_tac_toe", max_steps=2)
    told = [(agent, *flags) for agent, _, _, *flags, _, _ in play(aec)]
    assert [flags for _, *flags in told] == [[False, False]] * 2 + [[False, True]] * 2
    parallel = zoo.parallel_env("goofspiel", max_steps=2)
    *_, (_, _, terminations, truncations, _) = told = list(play_parallel(parallel))
    assert len(told) == 3
    assert (set(terminations.values()), set(truncations.values())) == ({False}, {True})


def test_the_end_of_the_game_is_no_truncation():
    env = zoo.parallel_env("matrix_rps", max_steps=1)
    *_, (_, _, terminations, truncations, _) = play_parallel(env)
    assert (set(terminations.values()), set(truncations.values())) == ({True}, {False})


# --- Actions that are not legal ------------------------------------------------------------------


def test_an_illegal_action_raises_and_changes_nothing(place):
    env = zoo.raw_env("tic_tac_toe", **place("tic_tac_toe"))
    env.reset()
    env.step(4)
    before = env.last()
    with pytest.raises(
        InvalidActionError, match=r"player_1: the action 4 is not legal now\. Legal"
    ):
        env.step(4)
    for action in (9, -1, None, "4", 1.0):
        with pytest.raises(
            InvalidActionError, match=r"player_1: the action .* is no integer from 0"
        ):
            env.step(action)
    assert data_equivalence(env.last(), before)
    env.step(np.int64(0))
    assert env.agent_selection == "player_0"
    env.close()


def test_an_illegal_action_may_end_the_game(place):
    env = zoo.env("tic_tac_toe", illegal_action="terminate", **place("tic_tac_toe"))
    env.reset()
    env.step(4)
    env.step(4)
    assert env.rewards == {"player_0": 0.0, "player_1": -1.0}
    assert env.terminations == {"player_0": True, "player_1": True}
    assert env.infos["player_0"]["illegal_action"] == 4
    env.close()


def test_of_illegal_actions_at_once_the_first_counts():
    env = zoo.parallel_env("goofspiel", illegal_action="terminate")
    env.reset(seed=0)
    both = dict.fromkeys(env.agents, 5)
    env.step(both)
    _, rewards, terminations, _, _ = env.step(both)
    assert rewards == {"player_0": -1.0, "player_1": 0.0}
    assert all(terminations.values())


def test_parallel_actions_are_checked_before_any_is_played():
    env = zoo.parallel_env("goofspiel")
    env.reset(seed=0)
    for second in ({}, {"player_1": None}, {"player_1": 99}):
        with pytest.raises(
            InvalidActionError, match=r"player_1: the action .* is no integer from 0"
        ):
            env.step({"player_0": 3} | second)
    with pytest.raises(InvalidRequestError, match="has no agent 'player_2'; it has"):
        env.step({"player_0": 3, "player_1": 3, "player_2": 3})
    assert [action for action in env._game.history if action == 3] == []
    env.step({"player_0": 3, "player_1": 3})
    with pytest.raises(InvalidActionError, match="player_0: the action 3 is not legal now"):
        env.step({"player_0": 3, "player_1": 3})


def test_steps_without_an_episode():
    for env, action in [(zoo.raw_env("catch"), 0), (zoo.parallel_env("matrix_rps"), {})]:
        with pytest.raises(ResetNeededError, match="without agents: call reset"):
            env.step(action)
    with pytest.raises(AssertionError, match="reset"):  # PettingZoo's wrapper
        zoo.env("catch").step(0)


# --- Arguments -----------------------------------------------------------------------------------


def test_arguments_reach_the_game():
    env = zoo.env(
        "catch", game_params={"rows": 5, "columns": 3}, observation="observation", shaped=True
    )
    env.reset()
    assert env.observe("player_0")["observation"].shape == (5, 3)


def test_arguments_are_compared_with_those_of_the_server(serve):
    url = serve("openspiel:tic_tac_toe", "--kwargs", ALL_SEATS).base_url
    with pytest.raises(UnknownEnvironmentError, match="expected the arguments that openspiel:tic"):
        zoo.env("tic_tac_toe", base_url=url, shaped=True)
    with pytest.raises(InvalidRequestError, match="JSON protocol cannot say keyword arguments"):
        zoo.env("tic_tac_toe", base_url=url, codec="json", shaped=True)
    with pytest.raises(UnknownEnvironmentError, match="expected openspiel:catch at"):
        zoo.env("catch", base_url=url)


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_a_game_for_one_player_is_played_where_it_is_served_as_it_is(serve, codec):
    url, options = serve("openspiel:catch").base_url, WebSocketOptions()
    local, remote = zoo.env("catch"), zoo.env("catch", base_url=url, codec=codec, options=options)
    for env in (local, remote):
        env.reset(seed=1)
    for agent in local.agent_iter():
        (seen, *rest), (expected, *known) = remote.last(), local.last()
        assert np.array_equal(seen["observation"], expected["observation"])
        assert seen["action_mask"].tolist() == expected["action_mask"].tolist()
        assert rest == known
        assert remote.observation_space(agent) == local.observation_space(agent)
        action = None if known[1] else 2
        local.step(action)
        remote.step(action)
    assert not remote.agents
    remote.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_a_server_for_one_seat_is_refused(serve, codec):
    one = serve("openspiel:tic_tac_toe").base_url
    with pytest.raises(InvalidRequestError, match="tic_tac_toe: one agent does not play every"):
        zoo.env("tic_tac_toe", base_url=one, codec=codec)
    blind = serve("openspiel:tic_tac_toe", "--kwargs", '{"agent_player": "all"}').base_url
    env = zoo.env("tic_tac_toe", base_url=blind, codec=codec)
    with pytest.raises(InvalidRequestError, match="what all players see: start the server with"):
        env.reset()
    env.close()


@pytest.mark.parametrize("embedded", [False, True])
def test_games_of_the_wrong_kind_are_refused(embedded):
    with pytest.raises(InvalidRequestError, match="tic_tac_toe: its players do not choose at"):
        zoo.parallel_env("tic_tac_toe", embedded=embedded)
    for make in (zoo.env, zoo.parallel_env):
        with pytest.raises(InvalidRequestError, match="a mean-field game has a population"):
            make("mfg_crowd_modelling", embedded=embedded)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embedded": True, "base_url": "http://x"}, "two places: give one of them"),
        ({"codec": "json"}, "codec, options and token need base_url"),
        ({"codec": "json", "embedded": True}, "codec, options and token need base_url"),
        ({"timeout_s": 1.0}, "timeout_s base_url or embedded=True"),
        ({"timeout_s": -1.0, "embedded": True}, "timeout_s: expected seconds above 0"),
        ({"max_steps": 0}, "max_steps is a number of steps from 1"),
        ({"max_steps": True}, "max_steps is a number of steps from 1"),
        ({"illegal_action": "random"}, "illegal_action is 'raise' or 'terminate'; got 'random'"),
        ({"observation": "picture"}, "observation is one of"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    for make in (zoo.env, zoo.raw_env, zoo.parallel_env):
        with pytest.raises(InvalidRequestError, match=message):
            make("matrix_rps", **arguments)


def test_what_opens_nothing_says_so():
    with pytest.raises(UnknownEnvironmentError, match="OpenSpiel has no game 'tic_tac_to'"):
        zoo.env("tic_tac_to")
    with pytest.raises(EnvStartError, match="OpenSpiel does not load kuhn_poker"):
        zoo.env("kuhn_poker(players=99)")
    with pytest.raises(UnsupportedRenderModeError, match="'human' does not exist"):
        zoo.env("catch", render_mode="human")


# --- The rest ------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_by_itself(again):
    env = zoo.env("leduc_poker")
    env.reset(seed=1)
    env.step(1)
    twin = again(env)
    for one in (env, twin):
        one.step(1)
    assert data_equivalence(env.last(), twin.last())
    env.reset(seed=2)
    assert len(twin.unwrapped._game.history) > len(env.unwrapped._game.history)


def test_a_copy_of_a_game_elsewhere_begins_anew():
    env = zoo.parallel_env("matrix_rps", embedded=True)
    env.reset()
    twin = copy.deepcopy(env)
    twin.reset()
    actions = {"player_0": 1, "player_1": 0}
    assert data_equivalence(env.step(actions), twin.step(actions))
    env.close()
    twin.close()


def test_without_pettingzoo_the_import_says_what_to_install():
    program = "import sys; sys.modules['pettingzoo'] = None; import openenv_gym.pettingzoo"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'openenv-gym[pettingzoo]'" in done.stderr


def test_an_embedded_game_loads_no_simulator_here():
    program = (
        "import sys; from openenv_gym import pettingzoo as zoo\n"
        "env = zoo.env('catch', embedded=True); env.reset(); env.step(0); env.close()\n"
        "assert 'pyspiel' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_the_page_runs(serve, capsys):
    url = serve("openspiel:tic_tac_toe", "--kwargs", ALL_SEATS).base_url
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(block.replace("http://localhost:8000", url), names)
    # The page plays at random, so that either may win, or nobody.
    shown = capsys.readouterr().out
    assert any(f"{returns}" in shown for returns in ([1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]))
