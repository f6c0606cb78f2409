"""OpenSpielEnv plays exactly what pyspiel plays, from its seed alone, and survives bad actions."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pyspiel
import pytest
from gymnasium.utils.env_checker import check_env

from openenv_gym.adapters.openspiel_env import OpenSpielEnv
from openenv_gym.adapters.openspiel_games import REFUSED_GAMES
from openenv_gym.adapters.opponents import OPPONENTS
from openenv_gym.errors import (
    EnvStartError,
    InvalidActionError,
    InvalidRequestError,
    ResetNeededError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)
from tests.support.openspiel import assert_same

pytestmark = pytest.mark.single_env

GAMES = ("catch", "tic_tac_toe", "kuhn_poker", "cliff_walking", "2048", "blackjack")

# One of each kind besides: several opponents, rewards on the way, a game within a game, long
# action lists, wide chance nodes.
MORE_GAMES = (
    "kuhn_poker(players=4)",
    "repeated_leduc_poker",
    "turn_based_simultaneous_game(game=goofspiel(num_cards=4))",
    "misere(game=tic_tac_toe())",
    "chess",
    "hearts",
    "yacht",
    "hanabi",
)

CASES = [
    (game, seat)
    for game in GAMES + MORE_GAMES
    for seat in range(pyspiel.load_game(game).num_players())
]

NOT_ACTIONS = (
    *(10**6, 10**30, -1, "x", 1.5, 1.0, True, None, [0], object()),
    *(np.int64(10**6), np.float32(1), np.bool_(True), np.array([1]), np.array(1.0)),
)


def tensor_of(state: Any, player: int) -> np.ndarray:
    has_info_state = state.get_game().get_type().provides_information_state_tensor
    read = state.information_state_tensor if has_info_state else state.observation_tensor
    return np.array(read(player), np.float32)


def play(env: OpenSpielEnv, pick: np.random.Generator, **reset: Any) -> Iterator[tuple[Any, ...]]:
    """One episode of random legal moves: what reset and every step returned."""
    observation, info = env.reset(**reset)
    yield observation, info
    terminated = False
    while not terminated:
        action = int(pick.choice(info["legal_actions"] or [0]))
        result = env.step(action)
        terminated, info = result[2], result[4]
        yield (action, *result)


class Replay:
    """The same episode on bare pyspiel, told the moves by the environment's history."""

    def __init__(self, game: str, seat: int) -> None:
        self.state = pyspiel.load_game(game).new_initial_state()
        self.seat = seat
        self.paid = 0.0
        self.last_opponent_action: int | None = None
        self.opponent_actions: list[tuple[int, int]] = []

    def follow(self, history: list[int], own_moves: int) -> None:
        """Apply the moves not seen yet, of which this many must be the agent's."""
        new = history[len(self.state.history()) :]
        assert history == self.state.history() + new
        self.opponent_actions = []
        for action in new:
            player = self.state.current_player()
            own_moves -= player == self.seat
            if self.state.is_chance_node():
                assert dict(self.state.chance_outcomes())[action] > 0
            else:
                assert action in self.state.legal_actions()
            if player >= 0 and player != self.seat:
                self.last_opponent_action = action
                self.opponent_actions.append((player, action))
            self.state.apply_action(action)
        assert own_moves == 0
        assert self.state.is_terminal() or self.state.current_player() == self.seat

    def assert_is(self, observation: np.ndarray, info: dict[str, Any]) -> None:
        state = self.state
        legal = [] if state.is_terminal() else state.legal_actions()
        mask = np.zeros(state.get_game().num_distinct_actions(), np.int8)
        mask[np.array(legal, int)] = 1
        assert_same(observation, tensor_of(state, self.seat))
        expected = {
            "legal_actions": legal,
            "action_mask": mask,
            "current_player": state.current_player(),
            "game_phase": info["game_phase"],
            "opponent_actions": self.opponent_actions,
        }
        if self.last_opponent_action is not None:
            expected["opponent_last_action"] = self.last_opponent_action
        if state.is_terminal():
            expected |= {
                "game_phase": "terminal",
                "returns": [float(value) for value in state.returns()],
            }
        assert_same(info, expected)

    def reward(self) -> float:
        before, self.paid = self.paid, float(self.state.returns()[self.seat])
        return self.paid - before


# --- Gymnasium -------------------------------------------------------------------------------


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.filterwarnings("ignore:.*Box observation space maximum value is .*infinity")
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
def test_gymnasium_check_env(game: str) -> None:
    check_env(OpenSpielEnv(game, render_mode="ansi"))


@pytest.mark.parametrize("game", GAMES)
def test_spaces(game: str) -> None:
    env = OpenSpielEnv(game)
    observation, info = env.reset(seed=0)
    assert env.observation_space == gymnasium.spaces.Box(0, np.inf, observation.shape, np.float32)
    assert env.action_space == gymnasium.spaces.Discrete(
        pyspiel.load_game(game).num_distinct_actions()
    )
    assert observation in env.observation_space
    assert env.action_space.sample(info["action_mask"]) in info["legal_actions"]


def test_import_does_not_load_pyspiel() -> None:
    code = (
        "import sys, openenv_gym.adapters.openspiel_env; "
        "assert not {'pyspiel', 'open_spiel'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- parity with pyspiel ---------------------------------------------------------------------


@pytest.mark.parametrize(("game", "seat"), CASES)
def test_episodes_replay_on_pyspiel(game: str, seat: int) -> None:
    env = OpenSpielEnv(game, agent_player=seat)
    pick = np.random.default_rng(0)
    for seed in range(20 if game in GAMES else 2):
        assert_episode_replays(env, Replay(game, seat), play(env, pick, seed=seed))


def assert_episode_replays(
    env: OpenSpielEnv, replay: Replay, episode: Iterator[tuple[Any, ...]]
) -> None:
    observation, info = next(episode)
    replay.follow(env.history, own_moves=0)
    replay.assert_is(observation, info)
    was_terminal = replay.state.is_terminal()
    rewards = []
    for action, observation, reward, terminated, truncated, info in episode:
        assert was_terminal or env.history[len(replay.state.history())] == action
        replay.follow(env.history, own_moves=0 if was_terminal else 1)
        replay.assert_is(observation, info)
        assert_same(reward, replay.reward())
        assert terminated is replay.state.is_terminal()
        assert truncated is False
        rewards.append(reward)
    assert sum(rewards) == pytest.approx(info["returns"][replay.seat])


def test_catch_pays_plus_and_minus_one() -> None:
    env = OpenSpielEnv("catch")
    pick = np.random.default_rng(0)
    rewards = {list(play(env, pick, seed=seed))[-1][2] for seed in range(20)}
    assert rewards == {1.0, -1.0}


def test_reward_of_the_opponents_last_move_is_kept() -> None:
    env = OpenSpielEnv("tic_tac_toe", opponent_policy="first")  # the opponent takes 0, 1, 2
    env.reset(seed=0)
    assert [env.step(action)[1:3] for action in (8, 4, 3)] == [
        (0.0, False),
        (0.0, False),
        (-1.0, True),
    ]


@pytest.mark.parametrize("game", GAMES)
def test_info_is_new_at_each_step(game: str) -> None:
    env = OpenSpielEnv(game)
    observation, info = env.reset(seed=0)
    kept = copy.deepcopy((observation, info))
    env.step(info["legal_actions"][0])
    assert_same((observation, info), kept)
    env.reset(seed=0)
    observation[:] = 7
    legal = list(info["legal_actions"])
    _, info = env.reset(seed=0)
    info["legal_actions"].clear()
    info["action_mask"][:] = 0
    assert np.flatnonzero(env.action_masks()).tolist() == legal


# --- seeds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("game", GAMES)
def test_seed_and_actions_give_the_episode(game: str) -> None:
    envs = [OpenSpielEnv(game), OpenSpielEnv(game)]
    for _ in range(2):  # the second time a generator that was used before
        for seed in range(5):
            one, other = (list(play(env, np.random.default_rng(1), seed=seed)) for env in envs)
            assert_same(one, other)


@pytest.mark.parametrize("game", ["catch", "tic_tac_toe", "kuhn_poker", "2048", "blackjack"])
def test_seeds_differ(game: str) -> None:
    env = OpenSpielEnv(game)
    histories = set()
    for seed in range(20):
        list(play(env, np.random.default_rng(1), seed=seed))
        histories.add(tuple(env.history))
    assert len(histories) > 1


@pytest.mark.parametrize("game", ["catch", "tic_tac_toe", "kuhn_poker", "2048", "blackjack"])
def test_unseeded_reset_goes_on_with_the_generator(game: str) -> None:
    def histories(resets: list[dict[str, Any]]) -> list[list[int]]:
        env = OpenSpielEnv(game)
        found = []
        for reset in resets:
            list(play(env, np.random.default_rng(1), **reset))
            found.append(env.history)
        return found

    unseeded = histories([{"seed": 3}] + [{}] * 15)
    assert histories([{"seed": 3}] + [{}] * 15) == unseeded
    assert any(history != unseeded[0] for history in unseeded[1:])
    assert histories([{"seed": 3}, {"seed": 3}]) == [unseeded[0]] * 2


def test_only_its_own_generator_is_used() -> None:
    env = OpenSpielEnv("kuhn_poker")
    env.reset(seed=5)
    first = env.history
    np.random.seed(0)
    env.np_random = np.random.default_rng(5)
    env.reset()
    env.np_random = np.random.default_rng(5)
    again = env.reset() and env.history
    env.np_random = np.random.default_rng(5)
    assert (env.reset() and env.history) == again
    assert first == again  # Gymnasium seeds a PCG64, as default_rng does


def test_reset_refuses_options() -> None:
    env = OpenSpielEnv("catch")
    env.reset(seed=0, options={})
    before = env.np_random.bit_generator.state
    with pytest.raises(InvalidRequestError, match="the option 'state' only, got 'rows'"):
        env.reset(seed=1, options={"rows": 5})
    assert env.np_random.bit_generator.state == before


# --- actions ---------------------------------------------------------------------------------


def env_with_a_taken_field(illegal_action: Any) -> OpenSpielEnv:
    env = OpenSpielEnv("tic_tac_toe", opponent_policy="first", illegal_action=illegal_action)
    env.reset(seed=0)
    env.step(4)  # and the opponent takes 0
    return env


def test_illegal_action_terminates() -> None:
    env = env_with_a_taken_field("terminate")
    observation, reward, terminated, truncated, info = env.step(np.int64(4))
    assert_same((reward, terminated, truncated), (-1.0, True, False))
    assert env.history == [4, 0]
    state = pyspiel.load_game("tic_tac_toe").new_initial_state()
    state.apply_action(4)
    state.apply_action(0)
    assert_same(observation, tensor_of(state, 0))
    assert_same(
        info,
        {
            "legal_actions": [],
            "action_mask": np.zeros(9, np.int8),
            "current_player": -4,
            "game_phase": "terminal",
            "opponent_actions": [],
            "opponent_last_action": 0,
            "returns": [-1.0, 0.0],
            "illegal_action": 4,
        },
    )
    assert not env.action_masks().any()
    with pytest.raises(ResetNeededError):
        env.step(1)
    env.reset()
    env.step(4)


def test_illegal_action_pays_the_minimum_utility_of_the_game() -> None:
    env = OpenSpielEnv("leduc_poker")
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(0)  # nobody can fold before there is a bet
    assert_same((reward, terminated, info["illegal_action"]), (-13.0, True, 0))
    assert info["returns"][0] == -13.0


def test_illegal_action_raises_and_leaves_the_game() -> None:
    env = env_with_a_taken_field("raise")
    before = env.np_random.bit_generator.state
    with pytest.raises(InvalidActionError, match=r"4 is not legal now.*1, 2, 3, 5, 6, 7, 8\."):
        env.step(4)
    assert env.history == [4, 0]
    assert env.np_random.bit_generator.state == before
    _, _, terminated, _, info = env.step(3)
    assert terminated is False
    assert "illegal_action" not in info


def test_the_list_of_legal_actions_in_a_message_is_cut() -> None:
    env = OpenSpielEnv("go", illegal_action="raise")
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(InvalidActionError, match=r"and 3\d\d more\. ") as caught:
        env.step(0)
    assert len(str(caught.value)) < 300


def test_illegal_action_is_replaced_at_random() -> None:
    played = set()
    for seed in range(50):
        env = OpenSpielEnv("tic_tac_toe", opponent_policy="first", illegal_action="random")
        env.reset(seed=seed)
        env.step(4)
        _, reward, _, _, info = env.step(4)
        assert (reward, info["illegal_action"]) == (0.0, 4)
        assert env.history[:2] == [4, 0]
        played.add(env.history[2])
    assert played == {1, 2, 3, 5, 6, 7, 8}


@pytest.mark.parametrize("illegal_action", ["terminate", "raise", "random"])
@pytest.mark.parametrize("game", GAMES)
def test_no_action_of_the_space_leaves_the_game(game: str, illegal_action: Any) -> None:
    env = OpenSpielEnv(game, illegal_action=illegal_action)
    for action in NOT_ACTIONS:
        _, info = env.reset(seed=0)
        history, generator = env.history, env.np_random.bit_generator.state
        with pytest.raises(InvalidActionError, match="An action is an integer from 0 to"):
            env.step(action)
        assert env.history == history, action
        assert env.np_random.bit_generator.state == generator, action
        env.step(info["legal_actions"][-1])


@pytest.mark.parametrize(
    "action", [2, np.int64(2), np.int8(2), np.uint64(2), np.array(2)], ids=repr
)
def test_integers_of_numpy_are_actions(action: Any) -> None:
    env = OpenSpielEnv("catch")
    env.reset(seed=0)
    info = env.step(action)[4]
    assert "illegal_action" not in info
    assert env.history[1:] == [2]
    assert type(env.history[1]) is int


@pytest.mark.parametrize("use", ["step", "action_masks", "render", "history"])
def test_before_the_first_reset(use: str) -> None:
    env = OpenSpielEnv("catch", render_mode="ansi")
    with pytest.raises(ResetNeededError, match=f"{use} was called before the first reset"):
        env.step(0) if use == "step" else getattr(env, use)()


@pytest.mark.parametrize("game", GAMES)
def test_step_after_the_end(game: str) -> None:
    env = OpenSpielEnv(game)
    last = list(play(env, np.random.default_rng(0), seed=0))[-1]
    for action in (0, 10**6, None):
        with pytest.raises(ResetNeededError, match="after the end"):
            env.step(action)
    assert env.action_masks().tolist() == last[-1]["action_mask"].tolist()
    env.reset()
    env.step(int(np.flatnonzero(env.action_masks())[0]))


def test_action_masks() -> None:
    env = env_with_a_taken_field("raise")
    masks = env.action_masks()
    assert masks.dtype == np.bool_
    assert np.flatnonzero(masks).tolist() == [1, 2, 3, 5, 6, 7, 8]
    masks[:] = False
    assert env.action_masks().sum() == 7


# --- opponents -------------------------------------------------------------------------------


def test_an_opponent_is_a_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def second(state: Any, player: int, legal: list[int], rng: np.random.Generator) -> int:
        seen.append((player, list(legal)))
        return legal[1]

    monkeypatch.setitem(OPPONENTS, "second", lambda game: second)
    env = OpenSpielEnv("tic_tac_toe", opponent_policy="second")
    env.reset(seed=0)
    env.step(0)
    assert env.history == [0, 2]
    assert seen == [(1, [1, 2, 3, 4, 5, 6, 7, 8])]


def test_an_illegal_move_of_an_opponent_never_reaches_the_game() -> None:
    env = OpenSpielEnv("tic_tac_toe", opponent_policy=lambda state, player, legal, rng: 10**6)
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"policy of player 1 played 1000000; legal"):
        env.step(0)
    with pytest.raises(ResetNeededError):  # the agent is not to move, so nothing may be played
        env.step(1)


def test_one_opponent_per_seat() -> None:
    env = OpenSpielEnv(
        "kuhn_poker(players=3)", agent_player=1, opponent_policy=["first", "random", "last"]
    )
    _, info = env.reset(seed=0)
    assert (env.history[3:], info["opponent_last_action"]) == ([0], 0)
    _, _, _, _, info = env.step(0)
    assert env.history[4:] == [0, 1, 0]  # seat 2 bets, seat 0 folds
    assert info["opponent_last_action"] == 0


def test_game_phase_and_last_action_of_the_opponent() -> None:
    first = OpenSpielEnv("tic_tac_toe", opponent_policy="last")
    _, info = first.reset(seed=0)
    assert (info["game_phase"], info["opponent_last_action"]) == ("initial", None)
    info = first.step(0)[4]
    assert (info["game_phase"], info["opponent_last_action"]) == ("playing", 8)
    second = OpenSpielEnv("tic_tac_toe", opponent_policy="last", agent_player=1)
    _, info = second.reset(seed=0)
    assert (info["game_phase"], info["opponent_last_action"]) == ("playing", 8)
    _, info = first.reset()
    assert info["opponent_last_action"] is None


@pytest.mark.parametrize("illegal_action", ["terminate", "raise", "random"])
def test_game_over_before_the_agents_turn(illegal_action: Any) -> None:
    env = OpenSpielEnv(
        "start_at(game=tic_tac_toe(),history=0;3;1;4)",  # where the first free field wins
        agent_player=1,
        opponent_policy="first",
        illegal_action=illegal_action,
    )
    observation, info = env.reset(seed=0)
    assert (info["game_phase"], info["legal_actions"]) == ("terminal", [])
    assert info["returns"] == [1.0, -1.0]
    history = env.history
    with pytest.raises(InvalidActionError):
        env.step(10**6)
    assert_same(env.step(1), (observation, -1.0, True, False, info))
    assert env.history == history
    with pytest.raises(ResetNeededError):
        env.step(1)


# --- games and arguments ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("game", "reason"),
    [
        ("catch(rows=-5)", "tensor is empty"),
        ("bargaining(instances_file=/dev/null)", "'instances_file': it reads a file"),
        ("colored_trails(boards_file=/dev/null)", "'boards_file': it reads a file"),
        ("misere(game=efg_game(filename=/dev/null))", "reads a file"),
        ("start_at(history=0,game=misere(game=nfg_game(filename=/dev/null)))", "reads a file"),
        *[(name, "not supported") for name in REFUSED_GAMES],
        *[(f"{name}(filename=/dev/null)", "not supported") for name in REFUSED_GAMES],
    ],
)
def test_refused_games(game: str, reason: str) -> None:
    with pytest.raises(UnknownEnvironmentError, match=reason):
        OpenSpielEnv(game)


def test_a_game_within_game_params_is_looked_at() -> None:
    inner = {"name": "efg_game", "filename": "/dev/null"}
    with pytest.raises(UnknownEnvironmentError, match="reads a file"):
        OpenSpielEnv("misere", game_params={"game": inner})
    with pytest.raises(InvalidRequestError, match="Game parameters have"):
        OpenSpielEnv("misere", game_params={"game": list(inner.items())})


@pytest.mark.parametrize("game", ["katch", "misere(game=katch())"])
def test_unknown_game_gets_a_hint(game: str) -> None:
    with pytest.raises(UnknownEnvironmentError, match=r"no game 'katch'. Did you mean 'catch'"):
        OpenSpielEnv(game)
    with pytest.raises(UnknownEnvironmentError, match="lists them"):
        OpenSpielEnv("????")


@pytest.mark.parametrize(
    ("game", "params", "error"),
    [
        ("catch(rows=5", None, InvalidRequestError),
        ("catch(rows=5)x", None, InvalidRequestError),
        ("catch(rows=5)", {"columns": 4}, InvalidRequestError),
        ("catch", [("rows", 5)], InvalidRequestError),
        ("catch", {1: 5}, InvalidRequestError),
        ("catch", {"rows": None}, InvalidRequestError),
        (None, None, InvalidRequestError),
        ("catch", {"rows": "5"}, EnvStartError),
        ("catch(foo=1)", None, EnvStartError),
        ("misere", None, EnvStartError),
    ],
)
def test_parameters_that_cannot_be_used(game: Any, params: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        OpenSpielEnv(game, game_params=params)


@pytest.mark.parametrize(
    ("game", "params"),
    [
        ("catch(rows=5,columns=4)", None),
        ("catch", {"rows": 5, "columns": 4}),
        ("catch", {"rows": np.int64(5), "columns": 4}),
    ],
)
def test_game_parameters(game: str, params: Any) -> None:
    env = OpenSpielEnv(game, game_params=params)
    assert env.observation_space.shape == (20,)
    assert env.openenv_state["game_params"] == {"rows": 5, "columns": 4}


@pytest.mark.parametrize("seat", [1, -1, True, None, "0", 0.0])
def test_seats_that_do_not_exist(seat: Any) -> None:
    with pytest.raises(InvalidRequestError, match="agent_player is a seat"):
        OpenSpielEnv("catch", agent_player=seat)


def test_illegal_action_is_one_of_three() -> None:
    with pytest.raises(InvalidRequestError, match="one of terminate, raise, random; got 'skip'"):
        OpenSpielEnv("catch", illegal_action="skip")


def test_openenv_state() -> None:
    env = OpenSpielEnv("misere(game=tic_tac_toe())", agent_player=1, opponent_policy="first")
    expected = {
        "game_name": "misere",
        "game_params": {"game": {"name": "tic_tac_toe"}},
        "agent_player": 1,
        "opponent_policy": "first",
        "num_players": 2,
    }
    assert env.openenv_state == expected
    env.openenv_state["game_params"]["game"].clear()
    assert env.openenv_state == expected
    assert OpenSpielEnv().openenv_state["game_params"] == {}


# --- rendering and copies --------------------------------------------------------------------


def test_render_ansi() -> None:
    env = OpenSpielEnv("tic_tac_toe", opponent_policy="first", render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == "...\n...\n..."
    env.step(4)
    assert env.render() == "o..\n.x.\n..."


def test_render_without_a_mode_warns() -> None:
    env = OpenSpielEnv("catch")
    env.reset(seed=0)
    with pytest.warns(UserWarning, match='render_mode="ansi"'):
        assert env.render() is None


@pytest.mark.parametrize("mode", ["human", "rgb", 5])
def test_other_render_modes_do_not_exist(mode: Any) -> None:
    with pytest.raises(UnsupportedRenderModeError, match="there are: ansi, rgb_array"):
        OpenSpielEnv("catch", render_mode=mode)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("game", ["tic_tac_toe", "kuhn_poker", "2048"])
def test_a_copy_goes_on_alike_and_alone(game: str, copied: Any) -> None:
    env = OpenSpielEnv(game)
    _, info = env.reset(seed=0)
    twin = copied(env)
    history = env.history
    action = info["legal_actions"][0]
    there = twin.step(action)
    assert env.history == history
    assert_same(env.step(action), there)
    assert twin.history == env.history
