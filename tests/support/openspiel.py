"""Every game of OpenSpiel that is supported, and its episodes once more on bare pyspiel."""

from __future__ import annotations

import functools
import importlib
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyspiel
import pytest

from openenv_gym.adapters import openspiel_games
from openenv_gym.adapters.openspiel_env import OpenSpielEnv
from openenv_gym.adapters.openspiel_games import REFUSED_GAMES
from openenv_gym.errors import InvalidActionError, ResetNeededError
from openenv_gym.protocol import GetState

importlib.import_module("open_spiel.python.games")
importlib.import_module("open_spiel.python.mfg.games")

EXAMPLES = {
    **openspiel_games.EXAMPLES,
    # To solve a deal double-dummy takes 0.2 s, and it is played out instead.
    "bridge": "bridge(use_double_dummy_result=false)",
    # Ten deals to compare with, as is the default, take 2 s of an episode.
    "bridge_uncontested_bidding": "bridge_uncontested_bidding(num_redeals=1)",
}

EVERY_GAME = [
    EXAMPLES.get(name, name) for name in pyspiel.registered_names() if name not in REFUSED_GAMES
]

_TYPES = {kind.short_name: kind for kind in pyspiel.registered_games()}


def kind_of(game: str) -> tuple[Any, ...]:
    """Who moves, what is drawn, who sees what, in which form: what the adapter asks of a game."""
    kind = _TYPES[game.partition("(")[0]]
    tensors = kind.provides_information_state_tensor, kind.provides_observation_tensor
    return (kind.dynamics, kind.chance_mode, kind.information, *tensors)


OF_EACH_KIND = list({kind_of(game): game for game in reversed(EVERY_GAME)}.values())
"""The first game of each kind; the others of a kind pass through the same lines of ours."""

# Every game, of which those of a kind that another one stands for wait for `make test-long`.
GAMES_BY_KIND = [
    game if game in OF_EACH_KIND else pytest.param(game, marks=pytest.mark.long)
    for game in EVERY_GAME
]

# Games with a generator of their own, and how they are loaded with its seed.
SEEDED = {
    EXAMPLES["add_noise"]: EXAMPLES["add_noise"],
    "bridge_uncontested_bidding(num_redeals=1)": "bridge_uncontested_bidding(num_redeals=1,"
    "rng_seed={})",
    "misere(game=tarok())": "misere(game=tarok(rng_seed={}))",
    "negotiation": "negotiation(rng_seed={})",
    "stones_and_gems": "stones_and_gems(rng_seed={})",
    "tarok": "tarok(rng_seed={})",
}

CHANCE, SIMULTANEOUS, TERMINAL, MEAN_FIELD = -1, -2, -4, -5


def assert_same(left: Any, right: Any) -> None:
    """Equal in value and type, arrays in dtype and shape too."""
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert list(left) == list(right)
        for key, value in left.items():
            assert_same(value, right[key])
    elif isinstance(left, (tuple, list)):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif isinstance(left, np.ndarray):
        assert (left.dtype, left.shape) == (right.dtype, right.shape)
        assert (left == right).all(), (left, right)
    else:
        assert left == right


def play(env: Any, pick: np.random.Generator, **reset: Any) -> Iterator[tuple[Any, ...]]:
    """One episode of random legal moves: what reset and every step returned."""
    observation, info = env.reset(**reset)
    yield observation, info
    over = False
    while not over:
        legal = info["legal_actions"] or [0]
        action = legal[int(pick.integers(len(legal)))]
        result = env.step(action)
        over, info = result[2] or result[3], result[4]
        yield (action, *result)


class Remote:
    """An environment embedded or on a server, with the snapshot that its session carries."""

    def __init__(self, env: Any) -> None:
        self.env = env.unwrapped
        self.reset = self.env.reset
        self.step = self.env.step

    @property
    def snapshot(self) -> dict[str, Any]:
        return self.env._connection.request(GetState()).state["snapshot"]

    @property
    def history(self) -> list[int]:
        return self.snapshot["actions"]


@functools.cache
def load_shared(game: str) -> Any:
    return pyspiel.load_game(game)  # which takes 0.3 s for colored_trails


def load(game: str, seed: int | None = None) -> Any:
    """Return a game, loaded anew with this seed of its own generator where one is given."""
    return load_shared(game) if seed is None else pyspiel.load_game(SEEDED[game].format(seed))


def routing_tensor(state: Any, player: int) -> np.ndarray:
    """What python_dynamic_routing writes for a state, without what was read of it before."""
    tensor = np.zeros(state.get_game().observation_tensor_shape(), np.float32)
    locations = state.get_current_vehicle_locations_as_int()
    tensor[state.current_time_step] = [state.get_location_as_int(player), *locations]
    return tensor.ravel()


def expected_observation(state: Any, player: int, game: Any = None) -> Any:
    """What a player sees by default: a tensor where there is one, else text."""
    game = game or state.get_game()
    kind = game.get_type()
    if kind.short_name == "python_dynamic_routing":
        return routing_tensor(state, player)
    if kind.provides_information_state_tensor and game.information_state_tensor_shape():
        return np.array(state.information_state_tensor(player), np.float32)
    if kind.provides_observation_tensor and game.observation_tensor_shape():
        return np.array(state.observation_tensor(player), np.float32)
    if kind.provides_information_state_string:
        return state.information_state_string(player)
    if kind.provides_observation_string:
        return state.observation_string(player)
    return str(state)


@functools.cache
def uniform_population(game: str) -> Any:
    """How a population of a mean-field game is spread that plays at random."""
    from open_spiel.python.mfg.algorithms.distribution import DistributionPolicy
    from open_spiel.python.policy import UniformRandomPolicy

    loaded = load_shared(game)
    return DistributionPolicy(loaded, UniformRandomPolicy(loaded))


def is_mean_field(game: Any) -> bool:
    return bool(game.get_type().dynamics == pyspiel.GameType.Dynamics.MEAN_FIELD)


class Replay:
    """The same episode on bare pyspiel, told the moves by the environment's history."""

    def __init__(self, game: str, seat: int, seed: int | None = None) -> None:
        self.name, self.seat = game, seat
        self.game = load(game, seed)
        self.num_players = self.game.num_players()
        if is_mean_field(self.game) and self.num_players > 1:
            self.state = self.game.new_initial_state_for_population(seat)
        else:
            self.state = self.game.new_initial_state()
        self.taken = 0
        self.paid = 0.0
        self.last_opponent_action: int | None = None
        self.opponent_actions: list[tuple[int, int]] = []
        self.own_actions: list[int] = []

    def follow(self, history: list[int]) -> None:
        """Apply the moves not seen yet, each only if it could be played."""
        new = history[self.taken :]
        self.taken, self.own_actions = len(history), []
        if not self.is_over:
            self.opponent_actions = []
        new.reverse()
        while new or self.state.current_player() == MEAN_FIELD:
            self._advance(new)
        assert self.is_over or self._is_own_turn()

    def _advance(self, new: list[int]) -> None:
        state, player = self.state, self.state.current_player()
        if player == MEAN_FIELD:
            population = uniform_population(self.name)
            support = state.distribution_support()
            state.update_distribution([population.value_str(text, 0.0) for text in support])
        elif player == SIMULTANEOUS:
            joint = [new.pop() for _ in range(self.num_players)]
            for one, action in enumerate(joint):
                self._note(one, action, state.legal_actions(one))
            state.apply_actions(joint)
        elif player == CHANCE:
            action = new.pop()
            assert dict(state.chance_outcomes())[action] > 0
            state.apply_action(action)
        else:
            action = new.pop()
            assert state.legal_actions()
            self._note(player, action, state.legal_actions())
            state.apply_action(action)

    def _note(self, player: int, action: int, legal: list[int]) -> None:
        assert action in (legal or [0])
        if not legal:
            return  # who has no choice where others choose at once
        if player == self.seat:
            self.own_actions.append(action)
        else:
            self.last_opponent_action = action
            self.opponent_actions.append((player, action))

    @property
    def is_over(self) -> bool:
        return bool(self.state.is_terminal())

    def _is_own_turn(self) -> bool:
        player = self.state.current_player()
        return player == self.seat or (
            player == SIMULTANEOUS and bool(self.state.legal_actions(self.seat))
        )

    def assert_is(self, observation: Any, info: dict[str, Any]) -> None:
        """Compare what the environment says with this state."""
        state = self.state
        legal = [] if self.is_over else state.legal_actions(self.seat)
        mask = np.zeros(self.game.num_distinct_actions(), np.int8)
        for action in legal:
            mask[action] = 1
        expected = {
            "legal_actions": legal,
            "action_mask": mask,
            "current_player": TERMINAL if self.is_over else self.seat,
            "game_phase": info["game_phase"],
            "opponent_actions": self.opponent_actions,
        }
        if self.last_opponent_action is not None:
            expected["opponent_last_action"] = self.last_opponent_action
        if self.is_over:
            expected["game_phase"] = "terminal"
            expected["returns"] = [float(value) for value in state.returns()]
        assert_same(observation, expected_observation(state, self.seat, self.game))
        assert_same(info, expected)

    def reward(self) -> float:
        """Return what the return of the seat grew by since this was last asked."""
        before, self.paid = self.paid, float(self.state.returns()[self.seat])
        return self.paid - before


def replay_episode(env: OpenSpielEnv | Remote, game: str, seed: int, max_steps: int) -> int:
    """Play an episode of random legal moves, compare it with pyspiel, and return its seat."""
    episode = play(env, np.random.default_rng(seed), seed=seed)
    observation, info = next(episode)
    snapshot = env.snapshot
    assert snapshot["game"] == str(load_shared(game))
    replay = Replay(game, snapshot["seat"], snapshot["seed"])
    replay.follow(env.history)
    assert replay.own_actions == []
    assert info["game_phase"] == "initial" or replay.opponent_actions or replay.is_over
    replay.assert_is(observation, info)
    was_over, steps, total = replay.is_over, 0, 0.0
    for action, observation, reward, terminated, truncated, info in episode:
        replay.follow(env.history)
        assert replay.own_actions == ([] if was_over else [action])
        assert info["game_phase"] == ("terminal" if terminated else "playing")
        replay.assert_is(observation, info)
        assert_same(reward, replay.reward())
        steps, total = steps + 1, total + reward
        assert terminated is replay.is_over
        assert truncated is (not terminated and steps == max_steps)
    if replay.is_over:
        assert np.isclose(total, info["returns"][replay.seat], rtol=1e-9, atol=1e-9)
    return replay.seat


# --- actions that are none -------------------------------------------------------------------

NOT_ACTIONS = (10**6, 2**70, -1, True, 1.5, None, "x")  # no game has a million actions


def assert_refused(env: OpenSpielEnv, action: Any, error: type[Exception]) -> None:
    """An action is refused, and the game and the generator are as they were."""
    before = env.snapshot, env.np_random.bit_generator.state
    with pytest.raises(error):
        env.step(action)
    assert (env.snapshot, env.np_random.bit_generator.state) == before


def to_an_illegal_action(env: OpenSpielEnv) -> tuple[int | None, float]:
    """Play on until an action of the space is not legal; return it and what was paid so far."""
    pick = np.random.default_rng(0)
    info, over, paid = env.reset(seed=0)[1], False, 0.0
    while not over and info["legal_actions"]:
        illegal = np.flatnonzero(info["action_mask"] == 0)
        if illegal.size:
            return int(pick.choice(illegal)), paid
        _, reward, terminated, truncated, info = env.step(int(pick.choice(info["legal_actions"])))
        over, paid = terminated or truncated, paid + reward
    return None, paid


def check_bad_actions(game: str, illegal_action: Any) -> bool:
    """Give a game actions that it must not see; return whether one in range was illegal."""
    # The population that plays "first" is made at once, the random one in seconds.
    env = OpenSpielEnv(game, illegal_action=illegal_action, opponent_policy="first", max_steps=20)
    env.reset(seed=0)
    for action in (*NOT_ACTIONS, int(env.action_space.n)):
        assert_refused(env, action, InvalidActionError)
    action, paid = to_an_illegal_action(env)
    if action is not None:
        check_illegal_action(env, action, paid, illegal_action)
    deque(play(env, np.random.default_rng(0)), maxlen=0)
    for after_the_end in (0, 10**6, -1, None):
        assert_refused(env, after_the_end, ResetNeededError)
    deque(play(env, np.random.default_rng(0)), maxlen=0)
    return action is not None


def check_illegal_action(env: OpenSpielEnv, action: int, paid: float, what: str) -> None:
    """Play an illegal action, and look at what ``illegal_action`` promises of it."""
    history, seat = env.history, env.snapshot["seat"]
    legal = np.flatnonzero(env.action_masks()).tolist()
    if what == "raise":
        assert_refused(env, action, InvalidActionError)
        env.step(legal[0])
        return
    _, reward, terminated, _, info = env.step(action)
    assert info["illegal_action"] == action
    if what == "terminate":
        lowest = float(load_shared(env.snapshot["game"]).min_utility())
        assert (reward, terminated, env.history) == (lowest, True, history)
        assert info["returns"][seat] == paid + reward
        assert_refused(env, legal[0], ResetNeededError)
        return
    dynamics = load_shared(env.snapshot["game"]).get_type().dynamics
    is_joint = dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS
    assert env.history[len(history) + (seat if is_joint else 0)] in legal
