"""Simultaneous and mean-field games, an agent in every seat, snapshots, and forms of observing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyspiel
import pytest

from openenv_gym.adapters.openspiel_env import OpenSpielEnv
from openenv_gym.errors import EnvStartError, InvalidRequestError, OpenEnvGymError, ResetNeededError
from tests.support.openspiel import (
    EXAMPLES,
    GAMES_BY_KIND,
    assert_same,
    expected_observation,
    load_shared,
    play,
    uniform_population,
)

SIMULTANEOUS_GAMES = (
    "goofspiel",
    "oshi_zumo",
    "laser_tag",
    "coop_box_pushing",
    "markov_soccer",
    "snake",
    "matching_pennies_3p",
    "blotto",
    "capture_the_flag",
    EXAMPLES["repeated_game"],
    "pathfinding",
    "pathfinding(players=2,grid=A.a\nB.b)",
    "python_iterated_prisoners_dilemma",
)


# --- simultaneous games ----------------------------------------------------------------------


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize(("policy", "other"), [("first", 0), ("middle", 1), ("last", 2)])
def test_rock_paper_scissors_pays_its_matrix(policy: str, other: int, seat: int) -> None:
    env = OpenSpielEnv("matrix_rps", agent_player=seat, opponent_policy=policy)
    for own in range(3):
        env.reset(seed=0)
        _, reward, terminated, _, info = env.step(own)
        wanted = (0.0, 1.0, -1.0)[(own - other) % 3]  # paper beats rock, scissors paper
        assert_same((reward, terminated), (wanted, True))
        assert info["returns"] == ([wanted, -wanted] if seat == 0 else [-wanted, wanted])
        assert info["opponent_actions"] == [(1 - seat, other)]
        assert env.history == ([own, other] if seat == 0 else [other, own])


@pytest.mark.parametrize("seat", [0, 1])
def test_the_opponent_chooses_from_the_state_that_the_agent_saw(seat: int) -> None:
    seen = []

    def watch(state: Any, player: int, legal: list[int], rng: np.random.Generator) -> int:
        seen.append((player, state.history(), legal, str(state)))
        return legal[-1]

    env = OpenSpielEnv("goofspiel", agent_player=seat, opponent_policy=watch, render_mode="ansi")
    info = env.reset(seed=0)[1]
    while info["legal_actions"]:
        history, shown = env.history, env.render()
        info = env.step(info["legal_actions"][0])[4]
        player, state_history, legal, text = seen.pop()
        assert (player, state_history, text, seen) == (1 - seat, history, shown, [])
        assert info["opponent_actions"] == [(1 - seat, legal[-1])]


@pytest.mark.parametrize("game", ["laser_tag", "coop_box_pushing", "markov_soccer", "2048", "pig"])
def test_rewards_across_chance_add_up_to_the_returns(game: str) -> None:
    env = OpenSpielEnv(game, agent_player="random")
    for seed in range(3):
        steps = list(play(env, np.random.default_rng(seed), seed=seed))[1:]
        seat = env.snapshot["seat"]
        total = sum(result[2] for result in steps)
        assert total == pytest.approx(steps[-1][-1]["returns"][seat])


# --- mean-field games ------------------------------------------------------------------------


def follow_the_population(game: str, population: Any, history: list[int], seat: int) -> float:
    """The return of a seat, where others are spread like this population."""
    loaded = load_shared(game)
    many = loaded.num_players() > 1
    state = loaded.new_initial_state_for_population(seat) if many else loaded.new_initial_state()
    left = list(history)
    while not state.is_terminal():
        if state.current_player() == pyspiel.PlayerId.MEAN_FIELD:
            support = state.distribution_support()
            state.update_distribution([population.value_str(text, 0.0) for text in support])
        else:
            state.apply_action(left.pop(0))
    return float(state.returns()[seat])


@pytest.mark.parametrize("game", ["mfg_garnet", "python_mfg_predator_prey"])
def test_the_population_decides_what_is_paid(game: str) -> None:
    seats = range(load_shared(game).num_players())
    for seat in seats:
        paid = {}
        for policy in ("random", "first"):
            env = OpenSpielEnv(game, agent_player=seat, opponent_policy=policy)
            steps = list(play(env, np.random.default_rng(0), seed=0))[1:]
            assert {result[-1]["current_player"] for result in steps} == {seat, -4}
            paid[policy] = sum(result[2] for result in steps)
            history = env.history
        wanted = follow_the_population(game, uniform_population(game), history, seat)
        assert paid["random"] == pytest.approx(wanted)
        assert paid["random"] != paid["first"]


def test_a_population_is_any_policy_of_openspiel() -> None:
    from open_spiel.python.policy import UniformRandomPolicy

    game = "mfg_crowd_modelling"
    uniform = UniformRandomPolicy(load_shared(game))
    given, named = OpenSpielEnv(game, opponent_policy=uniform), OpenSpielEnv(game)
    one, other = (list(play(env, np.random.default_rng(0), seed=0)) for env in (given, named))
    assert_same(one, other)
    with pytest.raises(InvalidRequestError, match="policy of the whole population"):
        OpenSpielEnv(game, opponent_policy="mcts")


def test_all_plays_one_population_and_not_several() -> None:
    env = OpenSpielEnv("mfg_crowd_modelling", agent_player="all")
    assert env.reset(seed=0)[0]["current_player"] == 0
    with pytest.raises(InvalidRequestError, match="cannot play several populations"):
        OpenSpielEnv("python_mfg_predator_prey", agent_player="all")


# --- every seat ------------------------------------------------------------------------------


def test_both_seats_of_tic_tac_toe() -> None:
    env = OpenSpielEnv("tic_tac_toe", agent_player="all", all_observations=True)
    observation, info = env.reset(seed=0)
    state = load_shared("tic_tac_toe").new_initial_state()
    for number, action in enumerate((0, 3, 1, 4, 2)):
        assert observation["current_player"] == info["current_player"] == number % 2
        assert_same(observation["observation"], expected_observation(state, number % 2))
        assert observation in env.observation_space
        observation, reward, terminated, _, info = env.step(action)
        state.apply_action(action)
        assert [len(info["observations"]), info["opponent_actions"]] == [2, []]
        wanted = [1.0, -1.0] if number == 4 else [0.0, 0.0]
        assert_same((info["rewards"], reward), (wanted, wanted[number % 2]))
    assert (terminated, info["returns"], info["current_player"]) == (True, [1.0, -1.0], -4)
    assert observation["current_player"] == 0  # who moved last


def step_of_every_seat(env: OpenSpielEnv, state: Any, pick: np.random.Generator) -> list[float]:
    """Ask all who choose at this node, one after the other, and act jointly on pyspiel."""
    num_players = state.num_players()
    before = [expected_observation(state, player) for player in range(num_players)]
    joint = [0] * num_players
    seats = [player for player in range(num_players) if state.legal_actions(player)]
    rewards = [0.0] * num_players
    for seat in seats:
        assert rewards == [0.0] * num_players  # nothing was paid before all have chosen
        player, legal = env._episode.player, env._episode.legal
        assert (player, legal) == (seat, state.legal_actions(seat))
        joint[seat] = int(pick.choice(legal))
        observation, reward, _, _, info = env.step(joint[seat])
        rewards = info["rewards"]
        assert reward == rewards[seat]
        if seat != seats[-1]:
            # What the others choose is not seen.
            following = seats[seats.index(seat) + 1]
            assert_same(observation["observation"], before[following])
            assert (observation["current_player"], info["current_player"]) == (following,) * 2
    state.apply_actions(joint)
    return rewards


@pytest.mark.parametrize("game", SIMULTANEOUS_GAMES)
def test_asked_one_after_the_other_they_act_together(game: str) -> None:
    env = OpenSpielEnv(game, agent_player="all")
    for seed in range(3):
        pick = np.random.default_rng(seed)
        env.reset(seed=seed)
        state = load_shared(game).new_initial_state()
        paid = [0.0] * state.num_players()
        for _ in range(40):
            for action in env.history[len(state.history()) :]:
                state.apply_action(action)  # of chance
            if state.is_terminal():
                break
            rewards = step_of_every_seat(env, state, pick)
            after_chance = state.clone()
            for action in env.history[len(state.history()) :]:
                after_chance.apply_action(action)
            assert env.history == after_chance.history()
            returns = [float(value) for value in after_chance.returns()]
            wanted = [now - then for now, then in zip(returns, paid, strict=True)]
            assert rewards == wanted
            paid = returns


@pytest.mark.parametrize("game", ["kuhn_poker", "leduc_poker", "matrix_rps", "hearts"])
def test_a_drawn_seat_is_even_and_seeded(game: str) -> None:
    env = OpenSpielEnv(game, agent_player="random", max_steps=1)

    def seats(**first: Any) -> list[int]:
        resets: list[dict[str, Any]] = [first, *[{}] * 199]
        return [env.reset(**reset) and env.snapshot["seat"] for reset in resets]

    drawn = seats(seed=4)
    num_players = load_shared(game).num_players()
    counts = np.bincount(drawn, minlength=num_players)
    assert counts.min() > 0.6 * 200 / num_players
    assert seats(seed=4) == drawn
    assert seats(seed=5) != drawn


# --- snapshots -------------------------------------------------------------------------------

SNAPSHOT_GAMES: list[tuple[str, Any]] = [
    *[(game, 0) for game in ("2048", "chess", "backgammon", "hive", "battleship", "pig")],
    *[(game, 1) for game in ("kuhn_poker", "leduc_poker", "gin_rummy", "hanabi", "liars_dice")],
    *[(game, "random") for game in ("hearts", "tarok", "negotiation", "misere(game=tarok())")],
    *[(game, 1) for game in ("goofspiel", "laser_tag", "coop_box_pushing", "matrix_rps")],
    *[(game, "random") for game in ("mfg_crowd_modelling", "python_mfg_predator_prey")],
    *[(game, "all") for game in ("tic_tac_toe", "goofspiel", "matching_pennies_3p", "laser_tag")],
    *[(game, "all") for game in ("mfg_crowd_modelling", "negotiation", "python_kuhn_poker")],
    *[(game, 0) for game in ("stones_and_gems", "solitaire", "python_block_dominoes", "coin_game")],
    *[(EXAMPLES[game], 1) for game in ("start_at", "misere", "repeated_poker", "cached_tree")],
    (EXAMPLES["turn_based_simultaneous_game"], 0),
]
_STEPS_AFTER = 6


def make_pair(game: str, seat: Any) -> list[OpenSpielEnv]:
    return [OpenSpielEnv(game, agent_player=seat, opponent_policy="first") for _ in range(2)]


def restore(env: OpenSpielEnv, snapshot: Any, generator: Any) -> tuple[Any, dict[str, Any]]:
    """Go on from a snapshot that has travelled, with the generator as it was."""
    result = env.reset(seed=9, options={"state": json.loads(json.dumps(snapshot))})
    env.np_random.bit_generator.state = generator
    return result


@pytest.mark.parametrize(("game", "seat"), SNAPSHOT_GAMES)
def test_an_episode_goes_on_from_its_snapshot(game: str, seat: Any) -> None:
    env, other = make_pair(game, seat)
    results, saved = [], []
    for result in play(env, np.random.default_rng(1), seed=1):
        results.append(result)
        saved.append((env.snapshot, env.np_random.bit_generator.state))
        if len(results) > 25:
            break
    for number, (snapshot, generator) in enumerate(saved):
        observation, info = restore(other, snapshot, generator)
        before = results[number]
        assert_same(observation, before[0] if number == 0 else before[1])
        assert_same(info["legal_actions"], before[-1]["legal_actions"])
        assert other.snapshot == snapshot
        for then in results[number + 1 : number + 1 + _STEPS_AFTER]:
            assert_same(other.step(then[0])[0], then[1])
        assert other.history == saved[min(number + _STEPS_AFTER, len(saved) - 1)][0]["actions"]


@pytest.mark.parametrize("game", ["matrix_rps", "connect_four"])
def test_a_restored_end_is_what_the_last_mover_sees(game: str) -> None:
    env, other = make_pair(game, "all")
    seed = {"matrix_rps": 0, "connect_four": 1}[game]
    *_, last = play(env, np.random.default_rng(seed), seed=0)
    assert last[1]["current_player"] == 1
    assert_same(other.reset(options={"state": env.snapshot})[0], last[1])


# What an episode had paid before it was restored is not counted as paid.
@pytest.mark.parametrize("seat", [0, "all"])
@pytest.mark.parametrize("game", ["2048", "solitaire", "mfg_garnet", "coop_box_pushing"])
def test_what_was_paid_before_a_snapshot_is_not_paid_again(game: str, seat: Any) -> None:
    env, other = make_pair(game, seat)
    for number, _ in enumerate(play(env, np.random.default_rng(1), seed=1)):
        if number == 8:
            break
    snapshot, generator = env.snapshot, env.np_random.bit_generator.state
    restore(other, snapshot, generator)
    action = int(np.flatnonzero(env.action_masks())[0])
    assert_same(other.step(action)[1], env.step(action)[1])


def test_what_came_before_the_first_move_is_paid_with_it() -> None:
    env, other = make_pair(EXAMPLES["repeated_game"].replace("repetitions=10", "repetitions=2"), 0)
    env.reset(seed=0)
    restore(other, env.snapshot, env.np_random.bit_generator.state)
    assert_same(other.step(0)[1:3], env.step(0)[1:3])


TEXT_GAMES = ("tic_tac_toe", "kuhn_poker", "goofspiel", "backgammon", "hearts", "laser_tag", "2048")


@pytest.mark.parametrize("game", TEXT_GAMES)
def test_the_text_of_pyspiel_is_a_snapshot(game: str) -> None:
    env = OpenSpielEnv(game, agent_player="random", opponent_policy="first")
    seats = range(load_shared(game).num_players())
    others = [OpenSpielEnv(game, agent_player=seat, opponent_policy="first") for seat in seats]
    for number, result in enumerate(play(env, np.random.default_rng(3), seed=3)):
        text = env.session_state()["serialized_state"]
        state = pyspiel.deserialize_game_and_state(text)[1]
        assert state.history() == env.history
        if not env.history:
            continue  # a text without moves has a test of its own
        other = others[env.snapshot["seat"]]
        observation, info = other.reset(seed=0, options={"state": text})
        assert_same(observation, result[0] if number == 0 else result[1])
        assert_same(info["legal_actions"], result[-1]["legal_actions"])
        if number > 12:
            break


# Theirs are formats of their own, or lack the seed.
WITHOUT_TEXT = {
    "chess",
    "antichess",
    "crazyhouse",
    "shogi",
    "hive",
    "mean_field_lin_quad",
    "mfg_crowd_modelling",
    "mfg_crowd_modelling_2d",
    "mfg_dynamic_routing",
    "mfg_garnet",
    "tarok",
    "negotiation",
    "stones_and_gems",
    EXAMPLES["add_noise"],
    EXAMPLES["bridge_uncontested_bidding"],
}


@pytest.mark.parametrize("game", ["tic_tac_toe", "matrix_rps"])
def test_a_text_without_moves_is_a_snapshot(game: str) -> None:
    env = OpenSpielEnv(game, opponent_policy="first")
    observation, _ = env.reset(seed=0)
    text = env.session_state()["serialized_state"]
    assert_same(env.reset(options={"state": text})[0], observation)


def test_a_text_with_a_number_of_5000_digits_is_refused() -> None:
    env = OpenSpielEnv("tic_tac_toe", opponent_policy="first")
    env.reset(seed=0)
    env.step(0)
    text = env.session_state()["serialized_state"].rstrip("\n") + "\n" + "9" * 5000 + "\n"
    with pytest.raises(InvalidRequestError):
        env.reset(options={"state": text})


@pytest.mark.parametrize(
    "game",
    [
        # pickles
        "python_tic_tac_toe",
        "python_kuhn_poker",
        "python_mfg_crowd_modelling",
        # formats of their own
        "chess",
        "shogi",
        "hive",
        "mfg_crowd_modelling",
        # lacks the seed
        "tarok",
        "negotiation",
        "stones_and_gems",
    ],
)
def test_texts_that_are_more_than_moves_are_refused(game: str) -> None:
    env = OpenSpielEnv(game, opponent_policy="first")
    info = env.reset(seed=0)[1]
    text, history = env.session_state()["serialized_state"], env.history
    with pytest.raises(InvalidRequestError, match="options\\['state'\\]"):
        env.reset(options={"state": text})
    assert env.history == history
    env.step(info["legal_actions"][0])


@pytest.mark.parametrize("game", GAMES_BY_KIND)
def test_the_text_of_any_game_is_restored_or_refused(game: str) -> None:
    env, other = make_pair(game, 0)
    episode = play(env, np.random.default_rng(0), seed=0)
    next(episode)
    _, observation, *_, info = next(episode)
    text = env.session_state()["serialized_state"]
    try:
        restored, restored_info = other.reset(seed=1, options={"state": text})
    except InvalidRequestError:
        assert game.startswith("python") or game in WITHOUT_TEXT
        return
    assert game not in WITHOUT_TEXT
    assert_same(restored, observation)
    assert_same(restored_info["legal_actions"], info["legal_actions"])


def test_a_pickle_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    env = OpenSpielEnv("python_tic_tac_toe")
    env.reset(seed=0)
    text = env.session_state()["serialized_state"]
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("a pickle was loaded"))
    monkeypatch.setattr(
        pyspiel, "deserialize_game_and_state", lambda *_: pytest.fail("pyspiel read the text")
    )
    with pytest.raises(InvalidRequestError, match="such as a pickle, and is never read"):
        env.reset(options={"state": text})


NO_SNAPSHOTS: list[Any] = [
    0,
    1.5,
    True,
    [],
    ["game"],
    b"",
    "",
    "x",
    "\x00",
    {"a": 1},
    {"game": "tic_tac_toe()"},
    "[Game]",
    "# Automatically generated by OpenSpiel SerializeGameAndState\n",
]
CHANGES: dict[str, Any] = {
    "game": ["catch()", "tic_tac_toe", "", 5, None, [], "efg_game(filename=/dev/null)"],
    "actions": [
        [0, 0],
        [9],
        [-1],
        [10**6],
        [2**70],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 0],
        [4] * 10**6,
        [0] * (10**6 + 1),
        [True],
        [1.0],
        ["0"],
        [None],
        [[0]],
        "01",
        5,
        None,
        {"0": 1},
    ],
    "seat": [1, 2, -1, 2**70, True, 0.0, "0", "random", "all", "x", [0], {}],
    "seed": [1.5, "1", True, [], {}],
    "chosen": [5, "x", [0], [[0]], [[0, 1, 2]], [[0, 1.5]], [["0", 1]], [[[], 1]]],
}


@pytest.mark.parametrize("given", NO_SNAPSHOTS, ids=lambda given: repr(given)[:30])
def test_what_is_no_snapshot_is_refused(given: Any) -> None:
    assert_snapshot_refused(OpenSpielEnv("tic_tac_toe", opponent_policy="first"), given)


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, values in CHANGES.items() for value in values],
    ids=lambda value: repr(value)[:30],
)
def test_a_corrupted_snapshot_is_refused(key: str, value: Any) -> None:
    env = OpenSpielEnv("tic_tac_toe", opponent_policy="first")
    env.reset(seed=0)
    env.step(4)
    assert_snapshot_refused(env, {**env.snapshot, key: value})


def assert_snapshot_refused(env: OpenSpielEnv, given: Any) -> None:
    """Refused, and the running episode goes on."""
    env.reset(seed=0)
    env.step(8)
    before = env.snapshot, env.np_random.bit_generator.state
    with pytest.raises(OpenEnvGymError) as caught:
        env.reset(seed=1, options={"state": given})
    assert isinstance(caught.value, InvalidRequestError)
    assert len(str(caught.value)) < 400
    assert (env.snapshot, env.np_random.bit_generator.state) == before
    env.step(7)


@pytest.mark.parametrize("seed", [2**31, 2**70, -(2**40)])
def test_a_snapshot_with_a_seed_that_no_game_takes_is_refused(seed: int) -> None:
    env = OpenSpielEnv("tarok", opponent_policy="first")
    env.reset(seed=0)
    with pytest.raises((InvalidRequestError, EnvStartError)):
        env.reset(options={"state": {**env.snapshot, "seed": seed}})


@pytest.mark.parametrize("chosen", [[[0, 99]], [[5, 0]], [[1, 0]], [[0, 0], [1, 99]]], ids=str)
def test_a_snapshot_with_a_choice_that_cannot_be_is_refused(chosen: Any) -> None:
    env = OpenSpielEnv("goofspiel", agent_player="all")
    env.reset(seed=0)
    before = env.snapshot
    with pytest.raises(InvalidRequestError, match="cannot be restored"):
        env.reset(options={"state": {**before, "chosen": chosen}})
    env.step(0)


@pytest.mark.parametrize("game", ["goofspiel", "tic_tac_toe"])
def test_choices_are_only_of_those_who_choose_at_once(game: str) -> None:
    env = OpenSpielEnv(game, agent_player=0, opponent_policy="first")
    env.reset(seed=0)
    with pytest.raises(InvalidRequestError):
        env.reset(options={"state": {**env.snapshot, "chosen": [[0, 0]]}})


# --- limits and forms ------------------------------------------------------------------------


@pytest.mark.parametrize("game", ["chess", "laser_tag", "mfg_crowd_modelling", "2048"])
def test_max_steps_truncates(game: str) -> None:
    env = OpenSpielEnv(game, max_steps=3, opponent_policy="first")
    for _ in range(2):
        results = list(play(env, np.random.default_rng(0), seed=0))[1:]
        assert [result[3:5] for result in results] == [(False, False)] * 2 + [(False, True)]
        info = results[-1][-1]
        assert info["legal_actions"]
        assert "returns" not in info
        with pytest.raises(ResetNeededError):
            env.step(info["legal_actions"][0])


def test_the_end_of_the_game_is_no_truncation() -> None:
    env = OpenSpielEnv("catch", max_steps=9)
    *_, last = play(env, np.random.default_rng(0), seed=0)
    assert last[3:5] == (True, False)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3"])
def test_max_steps_that_are_none(value: Any) -> None:
    with pytest.raises(InvalidRequestError, match="max_steps is a number of steps"):
        OpenSpielEnv("catch", max_steps=value)


FORM_GAMES = (
    "kuhn_poker",
    "tic_tac_toe",
    "leduc_poker",
    "chess",
    "2048",
    "goofspiel",
    "coin_game",
    *(
        "hearts",
        "python_kuhn_poker",
        "python_tic_tac_toe",
        "mfg_crowd_modelling",
        "stones_and_gems",
    ),
)
TENSORS = {"info_state": "information_state_tensor", "observation": "observation_tensor"}


def forms(state: Any, player: int, shaped: bool) -> dict[str, Any]:
    """All that the game has of a state."""
    game, kind = state.get_game(), state.get_game().get_type()
    found = {}
    for form, method in TENSORS.items():
        if getattr(kind, f"provides_{method}"):
            tensor = np.array(getattr(state, method)(player), np.float32)
            shape = getattr(game, f"{method}_shape")()
            found[form] = tensor.reshape(shape) if shaped else tensor
    if kind.provides_information_state_string:
        found["string"] = state.information_state_string(player)
    elif kind.provides_observation_string:
        found["string"] = state.observation_string(player)
    return found


@pytest.mark.parametrize("shaped", [False, True])
@pytest.mark.parametrize("game", FORM_GAMES)
def test_forms_of_an_observation_are_the_games_own(game: str, shaped: bool) -> None:
    env = OpenSpielEnv(game, observation="dict", shaped=shaped, opponent_policy="first")
    for number, result in enumerate(play(env, np.random.default_rng(0), seed=0)):
        observation = result[0] if number == 0 else result[1]
        wanted = forms(env._episode.state, 0, shaped)
        assert_same(observation, wanted)
        assert observation in env.observation_space
        if number == 5:
            break
    for form in TENSORS.keys() | {"string"}:
        if form not in wanted:
            with pytest.raises(InvalidRequestError, match="has no observation of the form"):
                OpenSpielEnv(game, observation=form)
            continue
        one = OpenSpielEnv(game, observation=form, shaped=shaped, opponent_policy="first")
        observation, _ = one.reset(seed=0)
        assert_same(observation, forms(one._episode.state, 0, shaped)[form])
        assert observation in one.observation_space
