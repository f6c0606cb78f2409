"""Opponents play legal moves from the environment's generator alone, as well as they promise."""

from __future__ import annotations

import copy
import functools
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_spiel.python.games  # noqa: F401  registers those written in Python
import pyspiel
import pytest
from open_spiel.python.policy import TabularPolicy, UniformRandomPolicy

from openenv_gym.adapters import search_opponents
from openenv_gym.adapters.opponents import (
    OPPONENTS,
    Opponent,
    opponent_names,
    seat_opponents,
)
from openenv_gym.adapters.search_opponents import (
    TEXT_IS_THE_POSITION,
    MctsOpponent,
    MinimaxOpponent,
)
from openenv_gym.errors import InvalidRequestError

SIMULTANEOUS = -2
CHANCE = -1

GAMES = (
    "tic_tac_toe",
    "connect_four",
    "breakthrough(rows=6,columns=4)",
    "nim",
    "kuhn_poker",
    "leduc_poker",
    "backgammon",
    "pig",
    "kuhn_poker(players=4)",
    "hearts",
    "goofspiel(num_cards=4,players=3)",
    "matrix_rps",
    "cribbage",
    "hanabi",
    "turn_based_simultaneous_game(game=goofspiel(num_cards=4))",
    "misere(game=tic_tac_toe())",
    "python_kuhn_poker",
    "misere(game=python_tic_tac_toe())",
)

NAMES = ("random", "first", "middle", "last", "mcts(simulations=5)", "minimax")


def zero(state: Any, player: int, legal_actions: list[int], rng: np.random.Generator) -> int:
    return 0


class Table:
    """The same probabilities at every state."""

    def __init__(self, probabilities: Any) -> None:
        self.probabilities = probabilities

    def action_probabilities(self, state: Any, player_id: int) -> Any:
        return self.probabilities


def play(
    game: Any, opponents: tuple[Opponent, ...], seed: int, max_moves: int = 60
) -> tuple[list[int], list[float]]:
    """Play a game, and check that each move is legal and that choosing it changes nothing."""
    rng = np.random.default_rng(seed)
    state = game.new_initial_state()
    for _ in range(max_moves):
        if state.is_terminal():
            break
        player = state.current_player()
        if player == CHANCE:
            actions, weights = zip(*state.chance_outcomes(), strict=True)
            state.apply_action(int(rng.choice(actions, p=np.array(weights) / sum(weights))))
            continue
        before = (state.history(), str(state))
        seats = range(game.num_players()) if player == SIMULTANEOUS else [player]
        chosen = []
        for seat in seats:
            legal = state.legal_actions(seat)
            chosen.append(opponents[seat](state, seat, legal, rng) if legal else 0)
            assert type(chosen[-1]) is int
            assert chosen[-1] in legal or not legal
        assert (state.history(), str(state)) == before
        if player == SIMULTANEOUS:
            state.apply_actions(chosen)
        else:
            state.apply_action(chosen[0])
    return state.history(), state.returns()


def seats(policy: Any, game: Any) -> tuple[Opponent, ...] | None:
    try:
        return seat_opponents(policy, game)
    except InvalidRequestError as exc:
        assert "cannot play" in str(exc)
        return None


# --- all of them -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, "uniform"])
@pytest.mark.parametrize("game_name", GAMES)
@pytest.mark.sample(29)
def test_moves_are_legal_and_come_from_the_seed(game_name: str, name: str) -> None:
    game = pyspiel.load_game(game_name)
    if name == "uniform":
        opponents = seat_opponents(UniformRandomPolicy(game), game)
    else:
        opponents = seats(name, game)
    if opponents is None:
        assert name[:4] in ("mcts", "mini")
        return
    assert len(opponents) == game.num_players()
    first = play(game, opponents, seed=1)
    assert play(game, opponents, seed=1) == first
    again = seat_opponents(UniformRandomPolicy(game) if name == "uniform" else name, game)
    assert play(game, again, seed=1) == first
    assert play(game, copy.deepcopy(opponents), seed=1) == first
    assert play(game, pickle.loads(pickle.dumps(opponents)), seed=1) == first


@pytest.mark.parametrize("name", ["random", "mcts(simulations=5)", "minimax"])
def test_another_seed_gives_another_game(name: str) -> None:
    game = pyspiel.load_game("tic_tac_toe")
    opponents = seat_opponents(name, game)
    assert len({str(play(game, opponents, seed)[0]) for seed in range(10)}) > 5


@pytest.mark.parametrize(("name", "expected"), [("first", 3), ("middle", 7), ("last", 9)])
def test_fixed_opponents(name: str, expected: int) -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    policy, other = seat_opponents(name, pyspiel.load_game("tic_tac_toe"))
    assert policy is other
    assert policy(None, 0, [3, 5, 7, 9], rng) == expected
    assert policy(None, 0, [4], rng) == 4
    assert rng.bit_generator.state == before


def test_random_is_even() -> None:
    rng = np.random.default_rng(0)
    policy = seat_opponents("random", pyspiel.load_game("tic_tac_toe"))[0]
    counts = np.bincount([policy(None, 0, [1, 2, 4], rng) for _ in range(3000)])
    assert counts[[0, 3]].tolist() == [0, 0]
    assert counts[[1, 2, 4]].min() > 900


def test_an_opponent_is_a_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(game: Any, nth: int = 1) -> Opponent:
        assert game.get_type().short_name == "tic_tac_toe"
        return lambda state, player, legal_actions, rng: legal_actions[nth % len(legal_actions)]

    monkeypatch.setitem(OPPONENTS, "nth", make)
    game = pyspiel.load_game("tic_tac_toe")
    one, two = seat_opponents(["nth", " nth ( nth = -2 ) "], game)
    assert play(game, (one, two), seed=0)[0][:2] == [1, 7]


def test_one_policy_per_seat() -> None:
    game = pyspiel.load_game("kuhn_poker(players=3)")
    policy = TabularPolicy(game)
    first, given, callable_ = seat_opponents(("first", policy, zero), game)
    assert first(None, 0, [4, 5], np.random.default_rng()) == 4
    assert callable_ is zero
    assert given is not policy


# --- Monte Carlo tree search -----------------------------------------------------------------


def score(game: Any, move: Callable[..., int], games: int) -> float:
    """Mean return of seat 0 or 1, in turn, against uniformly random play."""
    rng = np.random.default_rng(0)
    total = 0.0
    for number in range(games):
        state = game.new_initial_state()
        while not state.is_terminal():
            player, legal = state.current_player(), state.legal_actions()
            if player == number % 2:
                state.apply_action(move(state, player, legal, rng))
            else:
                state.apply_action(int(rng.choice(legal)))
        total += state.returns()[number % 2]
    return total / games


@pytest.mark.parametrize("game_name", ["tic_tac_toe", "connect_four"])
def test_mcts_beats_random_by_as_much_as_the_librarys_bot(game_name: str) -> None:
    game = pyspiel.load_game(game_name)
    # One bot for all its moves, as the library's own examples have it.
    bot = pyspiel.MCTSBot(game, pyspiel.RandomRolloutEvaluator(1, 7), 2, 50, 100, True, 7, False)
    ours = score(game, seat_opponents("mcts(simulations=50)", game)[0], games=60)
    theirs = score(game, lambda state, *_: bot.step(state), games=60)
    # A mean of 60 games with a spread of at most 0.6 each: 0.11 for a difference of two.
    assert abs(ours - theirs) < 0.33
    assert ours > 0.6


def test_more_simulations_play_better() -> None:
    game = pyspiel.load_game("connect_four")
    strong, weak = seat_opponents(["mcts(simulations=200)", "mcts(simulations=2)"], game)
    results = [play(game, (strong, weak), seed)[1][0] for seed in range(10)]
    assert sum(results) >= 6


def test_mcts_draws_two_seeds_a_move_and_nothing_where_there_is_no_choice() -> None:
    game = pyspiel.load_game("tic_tac_toe")
    policy = seat_opponents("mcts", game)[0]
    state = game.new_initial_state()
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    assert policy(state, 0, [5], rng) == 5
    policy(state, 0, state.legal_actions(), rng)
    other.random(2)
    assert rng.bit_generator.state == other.bit_generator.state


@pytest.mark.parametrize("simulations", [1, 2, 3])
@pytest.mark.parametrize("game_name", ["tic_tac_toe", "python_tic_tac_toe", "kuhn_poker"])
def test_mcts_of_hardly_any_simulations(game_name: str, simulations: int) -> None:
    game = pyspiel.load_game(game_name)
    play(game, seat_opponents(f"mcts(simulations={simulations})", game), seed=0)


NOT_FOR_MCTS = {
    "cribbage": "rewards before its end",
    "hanabi": "rewards before its end",
    "turn_based_simultaneous_game(game=goofspiel(returns_type=total_points))": None,
    "turn_based_simultaneous_game(game=python_iterated_prisoners_dilemma())": "before its end",
    "goofspiel": "SIMULTANEOUS",
    "matrix_rps": "SIMULTANEOUS",
    "python_iterated_prisoners_dilemma": "SIMULTANEOUS",
    "negotiation": "draws its chance inside",
    "2048": None,  # one player, with rewards on the way: there is nobody to play for
    "cliff_walking": None,
    "mfg_crowd_modelling": None,
}


@pytest.mark.parametrize("game_name", NOT_FOR_MCTS)
def test_mcts_refuses_what_the_bot_cannot_play(game_name: str) -> None:
    game = pyspiel.load_game(game_name)
    reason = NOT_FOR_MCTS[game_name]
    if reason is None:
        assert len(seat_opponents("mcts", game)) == game.num_players()
        return
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        seat_opponents("mcts", game)
    assert game.get_type().short_name in str(caught.value)
    assert "Take 'random'" in str(caught.value)


def test_mcts_agrees_with_the_bots_own_check() -> None:
    evaluator = pyspiel.RandomRolloutEvaluator(1, 1)
    for game_name in (*GAMES, *NOT_FOR_MCTS):
        game = pyspiel.load_game(game_name)
        try:
            pyspiel.MCTSBot(game, evaluator, 2, 5, 10, True, 1, False)
            is_taken = True
        except pyspiel.SpielError:
            is_taken = False
        ours = search_opponents.why_no_mcts(game)
        if game.num_players() > 1 and game_name != "negotiation":
            assert (ours is None) == is_taken, game_name


ALL_GAMES = """
import resource, signal, sys
import numpy as np, pyspiel
import open_spiel.python.games
from openenv_gym.adapters.opponents import seat_opponents
from openenv_gym.adapters.openspiel_games import REFUSED_GAMES
from openenv_gym.errors import InvalidRequestError

for kind in pyspiel.registered_games():
    name = kind.short_name
    if name in REFUSED_GAMES or not kind.default_loadable:
        continue
    game = pyspiel.load_game(name)
    print(name, flush=True)
    try:
        policy = seat_opponents("mcts(simulations=3)", game)[-1]
    except InvalidRequestError:
        continue
    if game.num_players() == 1:
        continue
    rng = np.random.default_rng(0)
    state = game.new_initial_state()
    for move in range(60):
        if state.is_terminal():
            break
        legal = state.legal_actions()
        if state.is_chance_node() or move % 6:
            state.apply_action(legal[int(rng.random() * len(legal))])
            continue
        action = policy(state, state.current_player(), legal, rng)
        assert action in legal
        state.apply_action(action)
print("end")
"""


def test_mcts_never_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALL_GAMES], capture_output=True, text=True, check=False, timeout=110
    )
    assert done.stdout.split()[-1:] == ["end"], (done.returncode, done.stdout[-300:], done.stderr)


# --- exact play ------------------------------------------------------------------------------


@pytest.mark.parametrize("game_name", ["tic_tac_toe", "python_tic_tac_toe"])
def test_minimax_never_loses(game_name: str) -> None:
    game = pyspiel.load_game(game_name)
    perfect, random = seat_opponents(["minimax", "random"], game)
    wins = 0
    for seed in range(50):
        as_first = play(game, (perfect, random), seed)[1][0]
        as_second = play(game, (random, perfect), seed)[1][1]
        assert min(as_first, as_second) >= 0
        wins += (as_first > 0) + (as_second > 0)
    assert wins > 60
    for seed in range(20):
        assert play(game, (perfect, perfect), seed)[1] == [0, 0]


def test_minimax_wins_a_won_game() -> None:
    game = pyspiel.load_game("nim(pile_sizes=2;3)")  # misere; the first player can win
    perfect, random = seat_opponents(["minimax", "random"], game)
    assert {play(game, (perfect, random), seed)[1][0] for seed in range(30)} == {1.0}


def values(state: Any) -> float:
    """The value for player 0 by plain search of every history, with nothing kept."""
    if state.is_terminal():
        return state.returns()[0]
    pick = max if state.current_player() == 0 else min
    return pick(values(state.child(action)) for action in state.legal_actions())


SMALL = {  # of each game that is searched by position, one that plain search can check
    "breakthrough": "breakthrough(rows=4,columns=2)",
    "clobber": "clobber(rows=3,columns=3)",
    "connect_four": "connect_four(rows=3,columns=3,x_in_row=3)",
    "mnk": "mnk(m=3,n=2,k=3)",
    "nim": "nim(pile_sizes=1;2;3)",
    "python_tic_tac_toe": None,  # the game of tic_tac_toe, at a tenth of its speed
    "tic_tac_toe": "tic_tac_toe",
}
OTHERS = ("hex(board_size=2)", "misere(game=nim(pile_sizes=1;2;3))", "start_at(history=0;4;8)")


def test_every_game_searched_by_position_is_checked() -> None:
    assert set(SMALL) == set(TEXT_IS_THE_POSITION)


@pytest.mark.parametrize("game_name", [*filter(None, SMALL.values()), *OTHERS])
def test_minimax_knows_exactly_the_best_moves(game_name: str) -> None:
    if game_name.startswith("start_at"):
        game_name = game_name.replace(")", ",game=tic_tac_toe())")
    game = pyspiel.load_game(game_name)
    perfect = MinimaxOpponent(game)
    rng = np.random.default_rng(0)
    for _ in range(8):
        state = game.new_initial_state()
        if game_name == "tic_tac_toe":  # half a million histories from its start
            for _ in range(2):
                state.apply_action(int(rng.choice(state.legal_actions())))
        while not state.is_terminal():
            legal, player = state.legal_actions(), state.current_player()
            sign = 1 if player == 0 else -1
            exact = {action: sign * values(state.child(action)) for action in legal}
            best = [action for action in legal if exact[action] == max(exact.values())]
            chosen = {perfect(state, player, legal, rng) for _ in range(12 * len(best))}
            assert chosen == set(best)
            state.apply_action(int(rng.choice(legal)))


@pytest.mark.parametrize(
    ("game_name", "reason"),
    [
        ("connect_four", "200,000 states"),
        ("chess", "200,000 states"),
        ("cursor_go", "200 moves"),
        ("kuhn_poker", "chance"),
        ("pig", "chance"),
        ("dark_hex", "do not see everything"),
        ("hearts", "4 players"),
        ("matrix_rps", "take turns"),
        ("sheriff", "do not see everything"),
    ],
)
def test_minimax_refuses_other_games(game_name: str, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        seat_opponents("minimax", pyspiel.load_game(game_name))
    assert "Take 'mcts'" in str(caught.value)


def test_minimax_stops_at_a_position_that_is_much_larger_than_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    game = pyspiel.load_game("hex(board_size=3)")
    policy = MinimaxOpponent(game)
    monkeypatch.setattr(policy, "_max_visits", 5)
    state = game.new_initial_state()
    state.apply_action(0)
    with pytest.raises(InvalidRequestError, match=r"more than 50 states.*Take 'mcts'.*\[0\]"):
        policy(state, 1, state.legal_actions(), np.random.default_rng(0))


def test_minimax_visits_fewer_states_of_games_written_in_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_opponents, "MAX_VISITS_IN_PYTHON", 1000)
    seat_opponents("minimax", pyspiel.load_game("tic_tac_toe"))
    with pytest.raises(InvalidRequestError, match="more than the 1,000 states"):
        seat_opponents("minimax", pyspiel.load_game("python_tic_tac_toe"))


def test_minimax_forgets_before_memory_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    game = pyspiel.load_game("tic_tac_toe")
    policy = MinimaxOpponent(game)
    expected = play(game, (policy, policy), seed=3)
    monkeypatch.setattr(search_opponents, "_MAX_KEPT", 10)
    assert play(game, (policy, policy), seed=3) == expected
    assert len(policy._best) <= 2


# --- probabilities ---------------------------------------------------------------------------


def skewed(game: Any) -> TabularPolicy:
    policy = TabularPolicy(game)
    rng = np.random.default_rng(5)
    policy.action_probability_array = rng.dirichlet([1.0] * 2, len(policy.states_per_player[0]) * 2)
    return policy


def as_file(policy: TabularPolicy, path: Path) -> Path:
    table = {
        text: {str(action): float(p) for action, p in enumerate(policy.policy_for_key(text))}
        for text in policy.state_lookup
    }
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def after(game: Any, actions: list[int]) -> Any:
    state = game.new_initial_state()
    for action in actions:
        state.apply_action(action)
    return state


def test_moves_have_the_policys_distribution(tmp_path: Path) -> None:
    game = pyspiel.load_game("kuhn_poker")
    policy = skewed(game)
    drawn = seat_opponents(policy, game)[0]
    read = seat_opponents(as_file(policy, tmp_path / "policy.json"), game)[0]
    for deal in ([0, 1], [2, 0], [1, 2, 1]):
        state = after(game, deal)
        player = state.current_player()
        expected = policy.action_probabilities(state, player)[1]
        moves = [
            [opponent(state, player, [0, 1], rng) for _ in range(2000)]
            for opponent in (drawn, read)
            for rng in [np.random.default_rng(11)]
        ]
        assert moves[0] == moves[1]  # the file holds the same
        spread = max(np.sqrt(expected * (1 - expected) / 2000), 1e-3)
        assert abs(np.mean(moves[0]) - expected) < 4 * spread


def test_policy_at_a_node_where_all_choose() -> None:
    game = pyspiel.load_game("matrix_rps")
    opponents = seat_opponents([Table({0: 0.0, 2: 1.0}), "first"], game)
    assert play(game, opponents, seed=0)[0] == [2, 0]
    opponents = seat_opponents(UniformRandomPolicy(game), game)
    assert len({str(play(game, opponents, seed)[0]) for seed in range(40)}) == 9


def test_policies_written_in_cpp() -> None:
    game = pyspiel.load_game("kuhn_poker")
    policy = pyspiel.TabularPolicy({"0": [(0, 0.0), (1, 1.0)], "1p": [(0, 1.0)]})
    opponent = seat_opponents(policy, game)[0]
    rng = np.random.default_rng(0)
    assert opponent(after(game, [0, 1]), 0, [0, 1], rng) == 1
    assert opponent(after(game, [0, 1, 0]), 1, [0, 1], rng) == 0
    with pytest.raises(InvalidRequestError, match="sum to 0"):
        opponent(after(game, [2, 1]), 0, [0, 1], rng)


def test_a_network_may_answer_in_numpys_numbers() -> None:
    game = pyspiel.load_game("tic_tac_toe")
    values = np.exp(np.arange(9, dtype=np.float32))
    values /= values.sum()
    policy = Table(dict(zip(np.arange(9), values, strict=True)))
    opponent = seat_opponents(policy, game)[0]
    rng = np.random.default_rng(0)
    moves = [opponent(None, 0, list(range(9)), rng) for _ in range(500)]
    assert {type(move) for move in moves} == {int}
    assert abs(moves.count(8) / 500 - values[8]) < 0.1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: 0.5, 1: 0.4}, r"Table has probabilities that sum to 0\.9; they must sum to 1"),
        ({0: 1.5, 1: -0.5}, r"action 0 the probability 1\.5; a probability is a number"),
        ({0: -0.5, 1: 1}, r"action 0 the probability -0\.5"),
        ({0: float("nan"), 1: 1.0}, "action 0 the probability nan"),
        ({0: "1"}, "action 0 the probability '1'"),
        ({0: True}, "action 0 the probability True"),
        ({9: 1.0}, r"a chance to the action 9, which is not legal; legal are \[0, 1\]"),
        ({"0": 0.5, 0: 0.5}, "the action '0' of type str; an action is an integer"),
        ({}, "sum to 0"),
        ([0.5, 0.5], r"gave \[0\.5, 0\.5\] for player 1; action_probabilities returns a dict"),
        (None, "gave None"),
    ],
)
def test_wrong_probabilities_of_a_policy(given: Any, message: str) -> None:
    opponent = seat_opponents(Table(given), pyspiel.load_game("kuhn_poker"))[1]
    with pytest.raises(InvalidRequestError, match=message):
        opponent(None, 1, [0, 1], np.random.default_rng(0))


# --- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read: JSONDecodeError"),
        ("[1]", "holds a list; it must be JSON of the form"),
        ('{"0": [1]}', r"entry '0', holds \[1\]; it must be an object"),
        ('{"0": {"bet": 1}}', "entry '0', has an unknown action 'bet'; .*from 0 to 1"),
        ('{"0": {"2": 1}}', "unknown action '2'"),
        ('{"0": {"-1": 1}}', "unknown action '-1'"),
        ('{"0": {"01": 1}}', "unknown action '01'"),
        ('{"0": {"0": 0.5, "1": 0.499}}', r"entry '0', has probabilities that sum to 0\.999;"),
        ('{"0": {"0": NaN}}', "the probability nan"),
        ('{"0": {"0": 1e400}}', "the probability inf"),
        (f'{{"0": {{"0": 1{"0" * 400}}}}}', "the probability 100"),
        ('{"0": {"0": null}}', "the probability None"),
        ('{"0": {"0": 1, "0": 1}}', "the key '0' is there twice"),
        ('{"0": {"0": 1}, "0": {"1": 1}}', "the key '0' is there twice"),
        ("[" * 100_000, "cannot be read: RecursionError"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=message) as caught:
        seat_opponents(path, pyspiel.load_game("kuhn_poker"))
    assert "policy.json" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    game = pyspiel.load_game("kuhn_poker")
    with pytest.raises(InvalidRequestError, match=r"none\.json' cannot be read: FileNotFound"):
        seat_opponents(tmp_path / "none.json", game)
    with pytest.raises(InvalidRequestError, match="cannot be read: IsADirectoryError"):
        seat_opponents(tmp_path, game)
    (tmp_path / "bytes.json").write_bytes(pickle.dumps({"0": {"0": 1}}))
    with pytest.raises(InvalidRequestError, match="cannot be read: UnicodeDecodeError"):
        seat_opponents(tmp_path / "bytes.json", game)


def test_what_a_file_does_not_hold_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text('{"0": {"0": 0, "1": 1}, "1": {"0": 0.5, "1": 0.5}}', encoding="utf-8")
    game = pyspiel.load_game("kuhn_poker")
    opponent = pickle.loads(pickle.dumps(seat_opponents(path, game)))[0]
    path.unlink()  # it was read once
    rng = np.random.default_rng(0)
    assert opponent(after(game, [0, 1]), 0, [0, 1], rng) == 1
    with pytest.raises(InvalidRequestError, match="has no entry for the information state '2' of"):
        opponent(after(game, [2, 1]), 0, [0, 1], rng)
    with pytest.raises(InvalidRequestError, match=r"json', entry '0', gives a chance to .* 1, whi"):
        opponent(after(game, [0, 1]), 0, [0], rng)


def test_file_of_a_game_with_observations_only(tmp_path: Path) -> None:
    game = pyspiel.load_game("pig")
    assert not game.get_type().provides_information_state_string
    state = game.new_initial_state()
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({state.observation_string(0): {"1": 1}}), encoding="utf-8")
    assert seat_opponents(path, game)[0](state, 0, [0, 1], np.random.default_rng(0)) == 1


# --- what is refused, and names --------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("randm", "no opponent policy 'randm'. Did you mean 'random'"),
        ("Random", "Did you mean 'random'"),
        ("", "There are: random, first, middle, last, mcts, minimax"),
        ("policy.json", "A string is never a path: .* a pathlib.Path"),
        ("random)", "no opponent policy"),
        ("random(seed=1)", r"'random' takes no parameters; got 'random\(seed=1\)'"),
        ("mcts(sims=1)", r"'mcts' takes simulations=<integer>; got 'mcts\(sims=1\)'"),
        ("mcts(simulations=1.5)", "takes simulations=<integer>"),
        ("mcts(simulations=1,simulations=2)", "takes simulations=<integer>"),
        ("mcts(simulations=1,)", "takes simulations=<integer>"),
        ("mcts(500)", "takes simulations=<integer>"),
        ("mcts(simulations=0)", "an integer from 1 to 100,000 for this game; got 0"),
        ("mcts(simulations=-5)", "got -5"),
        ("mcts(simulations=100001)", "got 100001"),
        ("mcts(simulations=" + "9" * 5000 + ")", "takes simulations=<integer>"),
        (None, "takes a name, a pathlib.Path of a file, .*; got None"),
        (5, "got 5"),
        (b"random", "got b'random'"),
        ({"0": "random"}, "got {'0': 'random'}"),
        (UniformRandomPolicy, "a class: give an instance of it"),
        (lambda state, legal_actions, rng: 0, r"called with \(state, player, legal_actions, rng\)"),
        (["first"], "2 seats, and the list has 1 entries"),
        ([], "the list has 0 entries"),
        (["first", ["first"]], r"got \['first'\]"),
        (["first", 5], "got 5"),
        (["first", "randm"], "Did you mean 'random'"),
    ],
)
def test_wrong_policies(policy: Any, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        seat_opponents(policy, pyspiel.load_game("tic_tac_toe"))


def test_fewer_simulations_for_games_written_in_python() -> None:
    for name in ("python_tic_tac_toe", "misere(game=python_tic_tac_toe())"):
        game = pyspiel.load_game(name)
        MctsOpponent(game, np.int64(10_000))
        with pytest.raises(InvalidRequestError, match="1 to 10,000 for this game; got 10001"):
            MctsOpponent(game, 10_001)
    for wrong in (True, 1.5, "5", None):
        with pytest.raises(InvalidRequestError, match="mcts takes simulations"):
            MctsOpponent(pyspiel.load_game("nim"), wrong)


def test_names() -> None:
    game = pyspiel.load_game("kuhn_poker")
    assert opponent_names("mcts(simulations=5)") == "mcts(simulations=5)"
    assert opponent_names(["random", Path("/secret/place/policy.json")]) == [
        "random",
        "policy.json",
    ]
    assert opponent_names((zero, functools.partial(zero), TabularPolicy(game))) == [
        "zero",
        "partial",
        "TabularPolicy",
    ]
