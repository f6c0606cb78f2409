"""The scheme ``pettingzoo:``: one agent's seat and all agents, as PettingZoo's own loops play."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

from openenv_gym.adapters.pettingzoo_env import PettingZooAllEnv, PettingZooEnv, make, names
from openenv_gym.adapters.pettingzoo_opponents import agent_policy
from openenv_gym.conformance.parity import check_deterministic, play_parity
from openenv_gym.errors import (
    EnvStartError,
    InvalidRequestError,
    ResetNeededError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)

ZOO = "tests.support.zoo"
TICTACTOE, CONNECT, RPS = "classic/tictactoe-v3", "classic/connect_four-v3", "classic/rps-v2"


def masked(env: gym.Env[Any, Any], info: dict[str, Any]) -> int:
    return int(env.action_space.sample(info["action_mask"]))


# --- one agent ------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", ["player_0", "player_1"])
def test_a_seat_sees_and_gets_what_pettingzoos_own_loop_gives(agent):
    env, loop = make(f"{CONNECT}:{agent}", opponent_policy="first"), pettingzoo.make("aec", CONNECT)
    expected: list[Any] = []
    loop.reset(seed=3)
    for selected in loop.agent_iter():
        seen, reward, terminated, truncated, _ = loop.last()
        over = terminated or truncated
        legal = np.flatnonzero(seen["action_mask"])
        if selected == agent:
            expected.append((seen["observation"], float(reward), terminated, truncated))
        loop.step(None if over else int(legal[-1 if selected == agent else 0]))
    observation, info = env.reset(seed=3)
    got: list[Any] = [(observation, 0.0, False, False)]
    while not (got[-1][2] or got[-1][3]):
        observation, reward, terminated, truncated, info = env.step(info["legal_actions"][-1])
        got.append((observation, reward, terminated, truncated))
    assert len(got) > 3
    assert data_equivalence(got, expected)


def test_the_mask_is_in_the_info_and_the_observation_is_without_it():
    env = make(f"{TICTACTOE}:player_2", opponent_policy="first")
    observation, info = env.reset(seed=0)
    assert observation.shape == (3, 3, 2) and observation.dtype == np.int8
    assert info["action_mask"].tolist() == [0] + [1] * 8
    assert info["legal_actions"] == list(range(1, 9))
    assert env.action_masks().tolist() == [False] + [True] * 8


def test_a_mask_in_an_info_counts_too_and_actions_may_begin_at_one():
    env = make(f"{ZOO}.Nim:bob", opponent_policy="random")
    _, info = env.reset(seed=1)
    assert info["legal_actions"] == [1, 2]
    while True:
        _, reward, terminated, _, info = env.step(info["legal_actions"][0])
        if terminated:
            break
    assert reward in (2.0, -1.0)


def test_a_parallel_environment_has_seats():
    env = make(f"{ZOO}.Race:runner_1", opponent_policy=f"{ZOO}:greedy")
    assert env.reset()[0].tolist() == [0]
    taken = [env.step(1) for _ in range(4)]  # the other one is at its goal after two
    assert [one[0].tolist() for one in taken] == [[1], [2], [3], [4]]
    assert [one[1:4] for one in taken] == [(-1.0, False, False)] * 3 + [(-1.0, True, False)]
    with pytest.raises(ResetNeededError, match="call reset"):
        env.step(1)


def test_the_episode_ends_with_the_agent():
    env = make(f"{ZOO}.Race", opponent_policy="first")
    env.reset()
    assert [env.step(1)[2] for _ in range(2)] == [False, True]
    env.reset()
    assert [env.step(0)[3] for _ in range(6)] == [False] * 5 + [True]


def test_what_an_agent_got_before_its_first_turn_is_in_its_first_reward():
    name, agent = "sisl/pursuit-v5", "pursuer_3"
    loop = pettingzoo.make("aec", name)
    loop.reset(seed=3)
    turns = []
    for selected in loop.agent_iter():
        if selected == agent:
            turns.append(loop.last()[1])
        if len(turns) == 2:
            break
        loop.step(0)
    env = make(f"{name}:{agent}", api="aec", opponent_policy="first")
    env.reset(seed=3)
    assert turns[0] != 0
    assert env.step(0)[1] == pytest.approx(sum(turns), abs=1e-12)


@pytest.mark.parametrize(
    "name", [RPS, "sisl/pursuit-v5"]
)  # a later agent sees in AEC what earlier ones did in the same cycle
def test_both_interfaces_give_a_seat_the_same(name):
    kwargs = {"opponent_policy": "first", "max_cycles": 20}
    envs = [make(name, api=api, **kwargs) for api in ("parallel", "aec")]
    assert data_equivalence(*(env.reset(seed=1)[0] for env in envs))
    for number in range(20):
        one, other = (env.step(number % 3)[:4] for env in envs)
        assert data_equivalence(one, other)


def test_an_agent_that_comes_late_has_its_first_turn_then():
    env = make(f"{ZOO}.Arrivals:runner_1", opponent_policy=f"{ZOO}:greedy")
    assert env.reset()[0].tolist() == [0]
    assert [env.step(1)[:2] for _ in range(4)][-1] == (4, -1.0)
    assert env._game.env.steps == 5


def test_options_reach_the_game():
    env = make(f"{ZOO}.Race")
    observation, info = env.reset(options={"start": 1})
    assert (observation.tolist(), info) == ([1], {"place": 1})


def test_a_game_that_is_over_before_the_first_turn_has_one_step():
    env = make(f"{ZOO}.Nim:cid", heap=2, opponent_policy=f"{ZOO}:greedy")
    env.reset()
    assert env.step(1)[1:4] == (-1.0, True, False)


def test_a_policy_may_be_a_function():
    calls = []

    def policy(observation, agent, action_space, action_mask):
        calls.append((agent, action_mask.tolist()))
        return 1

    env = make(f"{ZOO}.Nim:bob", opponent_policy=policy)
    env.reset()
    env.step(1)
    assert calls == [("ann", [1, 1]), ("cid", [1, 1]), ("ann", [1, 1])]


def test_the_seed_decides_what_the_others_play():
    def played(seed):
        env = make(RPS, opponent_policy="random")
        env.reset(seed=seed)
        return [env.step(0)[:2] for _ in range(10)]

    assert data_equivalence(played(4), played(4))
    assert not data_equivalence(played(4), played(5))


def test_agents_who_draw_at_random_draw_different_numbers():
    env = make(f"{ZOO}.Race", goals=(99, 99, 99), limit=99, opponent_policy="random")
    env.reset(seed=0)
    for _ in range(40):
        env.step(0)
    places = env._game.env.places
    assert 10 < places["runner_1"] != places["runner_2"] > 10


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        (TICTACTOE, {}),
        (f"{TICTACTOE}:all", {}),
        (RPS, {"api": "aec"}),
        ("sisl/pursuit-v5:pursuer_3", {"max_cycles": 30}),
        ("sisl/pursuit-v5:all", {"max_cycles": 30}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(spec|render_fps|Box observation space|int or np.int64)")
def test_gymnasiums_checker_passes(name, kwargs):
    check_env(make(name, **kwargs), skip_render_check=True)


@pytest.mark.parametrize("name", [CONNECT, RPS, f"{ZOO}:all", "sisl/pursuit-v5"])
def test_it_is_deterministic(name):
    check_deterministic(lambda: make(name), seeds=[1], steps=40)


# --- all agents -----------------------------------------------------------------------------


def test_all_agents_of_a_parallel_environment_are_those_of_pettingzoo():
    env, own = make(f"{RPS}:all"), pettingzoo.make("parallel", RPS)
    env.action_space.seed(0)
    seen, _ = own.reset(seed=2)
    observation, info = env.reset(seed=2)
    assert data_equivalence(dict(observation), seen)
    while own.agents:
        action = env.action_space.sample()
        seen, rewards, _, truncations, infos = own.step(action)
        observation, reward, terminated, truncated, info = env.step(action)
        assert data_equivalence(dict(observation), seen)
        assert (reward, info["rewards"]) == (sum(rewards.values()), rewards)
        assert info["truncations"] == truncations
        assert info["infos"] == infos
    assert (terminated, truncated) == (False, True)


def test_agents_that_have_ended_keep_what_they_saw_last():
    env = make(f"{ZOO}:all")  # the module has both interfaces: the parallel one is taken
    _, info = env.reset()
    assert info["agents"] == ["runner_0", "runner_1"]
    both = {"runner_0": 1, "runner_1": 1}
    steps = [env.step(both) for _ in range(4)]
    places = [[float(one[0][agent][0]) for agent in both] for one in steps]
    assert places == [[1, 1], [2, 2], [2, 3], [2, 4]]
    assert [one[1] for one in steps] == [-2.0, -2.0, -1.0, -1.0]
    assert steps[1][4]["agents"] == ["runner_1"]
    assert steps[1][4]["terminations"] == {"runner_0": True, "runner_1": False}
    assert steps[3][2:4] == (True, False)


def test_an_agent_that_is_not_there_yet_has_a_blank_observation():
    env = make(f"{ZOO}.Arrivals:all")
    observation, info = env.reset()
    assert (info["agents"], observation["runner_1"].tolist()) == (["runner_0"], [0])
    _, reward, _, _, info = env.step({"runner_0": 1})
    assert (info["agents"], reward) == (["runner_0", "runner_1"], -1.0)


def test_an_end_that_is_no_termination_of_all_is_a_truncation():
    env = make(f"{ZOO}.Race:all", limit=3)
    env.reset()
    last = [env.step({"runner_0": 1, "runner_1": 0}) for _ in range(3)][-1]
    assert last[2:4] == (False, True)
    assert last[4]["truncations"] == {"runner_0": False, "runner_1": True}


def test_agents_of_an_aec_environment_are_asked_one_by_one():
    env = make(f"{ZOO}:all", api="aec", heap=4)
    assert isinstance(env, PettingZooAllEnv)
    _, info = env.reset()
    asked = []
    while info["agents"]:
        asked += info["agents"]
        masks = {agent: mask.tolist() for agent, mask in info["action_masks"].items()}
        _, reward, terminated, _, info = env.step({asked[-1]: 2})
    assert asked == ["ann", "bob"]
    assert masks == {"ann": [1, 1], "bob": [1, 1], "cid": [1, 1]}
    assert (reward, terminated) == (0.0, True)
    assert info["rewards"] == {"ann": -1.0, "bob": 2.0, "cid": -1.0}


# --- names and arguments --------------------------------------------------------------------


def test_the_names_are_those_of_the_registry():
    assert {TICTACTOE, RPS, "sisl/pursuit-v5"} <= set(names())


@pytest.mark.parametrize("name", ["classic/rps_v2", "classic/rps", "pettingzoo.classic.rps.rps"])
def test_other_spellings_of_an_id(name):
    env = make(name)
    assert isinstance(env, PettingZooEnv)
    assert env.metadata["name"] == "rps_v2"


def test_what_is_rendered_is_the_games_own():
    env = make(f"{ZOO}.Race", render_mode="ansi")
    env.reset()
    assert env.render() == "{'runner_0': 0, 'runner_1': 0}"
    env.close()
    assert env._game.env.was_closed


@pytest.mark.parametrize(
    ("name", "kwargs", "error", "said"),
    [
        (f"{TICTACTOE}:nobody", {}, UnknownEnvironmentError, "agents player_1, player_2; expected"),
        (TICTACTOE, {"agent_player": 2}, UnknownEnvironmentError, "its number from 0"),
        (f"{RPS}:all", {"agent_player": 0}, InvalidRequestError, "leave one out"),
        (f"{RPS}:all", {"opponent_policy": "first"}, InvalidRequestError, "nobody else plays"),
        (RPS, {"opponent_policy": "frist"}, InvalidRequestError, "did you mean 'first'"),
        (RPS, {"opponent_policy": 3}, InvalidRequestError, "'module:function' or a function"),
        (RPS, {"opponent_policy": len}, InvalidRequestError, "does not take"),
        (RPS, {"opponent_policy": f"{ZOO}:gredy"}, UnknownEnvironmentError, "mean .*:greedy"),
        (RPS, {"api": "both"}, InvalidRequestError, "auto, parallel or aec, got 'both'"),
        (TICTACTOE, {"api": "parallel"}, UnknownEnvironmentError, "with the interface parallel"),
        ("classic/tictacto-v3", {}, UnknownEnvironmentError, "did you mean classic/tictactoe-v3"),
        (f"{ZOO}.Rase", {}, UnknownEnvironmentError, "did you mean tests.support.zoo:Race"),
        ("tests.support", {}, UnknownEnvironmentError, "a module with parallel_env or env"),
        (f"{ZOO}.np", {}, UnknownEnvironmentError, "class or a function that makes an AECEnv"),
        (f"{ZOO}.greedy", {}, TypeError, "greedy"),
        (f"{ZOO}.Race", {"goals": ()}, EnvStartError, "expected possible_agents, .*Race has none"),
        ("builtins.dict", {}, EnvStartError, "expected an AECEnv or a ParallelEnv, got"),
        (f"{ZOO}.Race", {"render_mode": "rgb_array"}, UnsupportedRenderModeError, "'ansi'"),
        ("butterfly/pistonball-v6", {}, EnvStartError, "pymunk"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(name, kwargs, error, said):
    with pytest.raises(error, match=said):
        make(name, **kwargs)


def test_a_policy_that_cannot_play_says_so():
    with pytest.raises(InvalidRequestError, match="take 'random', or 'module:function'"):
        agent_policy("first")(None, "walker_0", gym.spaces.Box(-1, 1), None)


# --- elsewhere ------------------------------------------------------------------------------


def test_it_is_the_same_wherever_it_runs(reach):
    name = f"pettingzoo:{CONNECT}:player_1"
    local = make(f"{CONNECT}:player_1")
    remote = gym.make("openenv/gymnasium-v0", env_id=name, **reach(name))
    play_parity(local, remote, seeds=[0, 1], steps=40)
    _, info = remote.reset(seed=0)
    assert np.flatnonzero(remote.unwrapped.action_masks()).tolist() == info["legal_actions"]
    remote.close()


def test_all_agents_are_the_same_wherever_they_run(reach):
    name = f"pettingzoo:{ZOO}.Race:all"
    remote = gym.make("openenv/gymnasium-v0", env_id=name, **reach(name))
    play_parity(make(f"{ZOO}.Race:all"), remote, seeds=[0], steps=30)
    remote.close()


@pytest.mark.long  # imports torch
def test_maskable_ppo_trains_on_a_seat():
    from sb3_contrib import MaskablePPO

    from openenv_gym.sb3 import OpenEnvVecEnv

    name = f"pettingzoo:{CONNECT}"
    envs = OpenEnvVecEnv("openenv/gymnasium-v0", 2, env_id=name, opponent_policy="first")
    agent = MaskablePPO("MlpPolicy", envs, n_steps=32, batch_size=32, seed=0, device="cpu")
    assert agent.learn(128).num_timesteps == 128
    envs.close()
