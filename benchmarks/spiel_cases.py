"""The ways to step a game of OpenSpiel: what each case starts, and how it plays a round.

The agent plays random legal actions, and the opponent draws its own from a generator that the
round's number seeds. All cases draw alike, so all play the same episodes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.rounds import Case, Player
from benchmarks.ways import Served, case, made, stock_cases
from benchmarks.workload import AGENT, GAME, Played, Workload
from openenv_gym.adapters.openspiel_env import OpenSpielEnv

OPPONENT, TERMINAL = 1, -4  # what current_player() says


def play(env: gym.Env[Any, Any], workload: Workload) -> Played:
    """Play a round as a training loop would that asks which actions are legal."""
    draws, episodes, score = workload.draws(), 0, 0.0
    obs, info = env.reset(seed=workload.seed)
    started = time.perf_counter()
    for draw in draws:
        legal = info["legal_actions"]
        obs, reward, terminated, truncated, info = env.step(legal[int(draw * len(legal))])
        score += float(reward)
        if terminated or truncated:
            episodes += 1
            obs, info = env.reset()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(obs.tolist()), score)


def play_bare(game: Any, observer: Any, workload: Workload) -> Played:
    """Play the same round by the calls to pyspiel that no environment can do without.

    Only what a step is about: no checks, no info, no objects but the observation. The agent
    begins, so a reset has nobody to wait for.
    """
    draws, episodes, score, paid = workload.draws(), 0, 0.0, 0.0
    random = np.random.default_rng(workload.seed).random
    observe, tensor = observer.set_from, observer.tensor
    state = game.new_initial_state()
    legal = state.legal_actions()
    started = time.perf_counter()
    for draw in draws:
        state.apply_action(legal[int(draw * len(legal))])
        while (player := state.current_player()) == OPPONENT:
            others = state.legal_actions()
            state.apply_action(others[int(random() * len(others))])
        total = state.returns()[AGENT]
        score += total - paid
        paid = total
        observe(state, AGENT)
        obs = tensor.copy()
        if player == TERMINAL:
            episodes += 1
            state, paid = game.new_initial_state(), 0.0
            observe(state, AGENT)
            obs = tensor.copy()
        legal = state.legal_actions()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(obs.tolist()), score)


def play_rl(game: Any, workload: Workload) -> Played:
    """Play the same round on OpenSpiel's ``rl_environment``, whose tensors are lists."""
    draws, episodes, score = workload.draws(), 0, 0.0
    time_step = game.reset(workload.seed)
    started = time.perf_counter()
    for draw in draws:
        legal = time_step.observations["legal_actions"][AGENT]
        time_step = game.step(legal[int(draw * len(legal))])
        score += float(time_step.rewards[AGENT])
        if time_step.last():
            episodes += 1
            time_step = game.reset()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(time_step.observations["info_state"][AGENT]), score)


@contextmanager
def bare() -> Iterator[Player]:
    import pyspiel
    from open_spiel.python.observation import make_observation

    game = pyspiel.load_game(GAME)
    observer = make_observation(game)
    yield lambda workload: play_bare(game, observer, workload)


@contextmanager
def rl_environment() -> Iterator[Player]:
    from benchmarks.rl_game import RlGame

    game = RlGame()
    yield lambda workload: play_rl(game, workload)


SERVED = Served(environment=f"openspiel:{GAME}", env_id=f"openenv/{GAME}-v0", play=play)


def all_cases(stock_python: Path | None) -> list[Case]:
    """Return the cases in the order of the tables; without a stock Python there is no stock."""
    serve = SERVED.open
    cases = [
        case("limit", "bare", "bare pyspiel calls", bare),
        case("ours", "in_process", "in process", lambda: made(lambda: OpenSpielEnv(GAME), play)),
        case("peer", "rl_environment", "rl_environment, in process", rl_environment),
        case("ours", "embedded", "embedded", SERVED.embedded),
        case("ours", "ws_inline", "WebSocket, inline", lambda: serve("inline")),
        case("ours", "ws_process", "WebSocket, process", lambda: serve("process")),
        case("ours", "ws_json", "WebSocket, process, JSON", lambda: serve("process", "json")),
    ]
    return cases if stock_python is None else [*cases, *stock_cases(stock_python, "openspiel")]
