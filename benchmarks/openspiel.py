"""One step of tic_tac_toe: beside bare pyspiel calls, its peers, and stock OpenEnv.

The agent plays random legal actions, and the opponent draws its own from a generator that the
round's number seeds. All cases draw alike, so all play the same episodes in turns. The targets are
those of the project.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks import report
from benchmarks.rounds import Case, Group, Player, Ratio, case, measure
from benchmarks.ways import made, served, stock_cases
from benchmarks.workload import AGENT, GAME, Played, Workload
from openenv_gym.adapters.openspiel_env import OpenSpielEnv

OURS = f"openenv/{GAME}-v0"
OPPONENT, TERMINAL = 1, -4  # what current_player() says

RATIOS = (
    Ratio(name="in_process_to_bare", over={"in_process": 1}, under={"bare": 1}, at_most=1.5),
    Ratio.faster("embedded_faster_than_stock", "stock", "embedded", 5.0),
    Ratio.faster("process_faster_than_stock", "stock", "ws_process", 5.0),
    Ratio.faster("inline_faster_than_stock", "stock", "ws_inline"),
    Ratio.faster("json_faster_than_stock", "stock", "ws_json"),
)

STOCK = "openenv, gymnasium and open_spiel"
OPTIONS = {"rounds": (21, "of all cases"), "steps": (2000, "a round")}


def play(env: Any, workload: Workload) -> Played:
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
    return Played(seconds, episodes, score, tuple(obs.tolist()))


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
    return Played(seconds, episodes, score, tuple(obs.tolist()))


@contextmanager
def bare() -> Iterator[Player]:
    import pyspiel
    from open_spiel.python.observation import make_observation

    game = pyspiel.load_game(GAME)
    observer = make_observation(game)
    yield lambda workload: play_bare(game, observer, workload)


def all_cases(stock_python: Path | None) -> list[Case]:
    """Return the cases in the order of the tables; without a stock Python there is no stock."""

    def ours(name: str, label: str, isolation: str, codec: str = "binary") -> Case:
        server = (f"openspiel:{GAME}", [f"--isolation={isolation}"])
        return case("ours", name, label, served, *server, gym.make, play, id=OURS, codec=codec)

    cases = [
        case("limit", "bare", "bare pyspiel calls", bare),
        case("ours", "in_process", "in process", made, lambda: OpenSpielEnv(GAME), play),
        case("ours", "embedded", "embedded", made, gym.make, play, id=OURS),
        ours("ws_inline", "WebSocket, inline", "inline"),
        ours("ws_process", "WebSocket, process", "process"),
        ours("ws_json", "WebSocket, process, JSON", "process", "json"),
    ]
    return [*cases, *stock_cases(stock_python, "openspiel")]


def run(options: argparse.Namespace) -> None:
    run = report.Run("openspiel", options, (*report.PACKAGES, "open-spiel"), ["open_spiel"])
    result = measure(Group(all_cases(run.python), options.steps, GAME), options.rounds)
    ratios, ratio_table = report.compared(RATIOS, result.times_us)
    data = {
        "rounds": options.rounds,
        "steps_per_round": options.steps,
        "cases": report.cases_json(result, "us_per_step"),
        "ratios": ratios,
    }
    about = f"{options.rounds} rounds of {options.steps} steps."
    run.publish(data, [report.times_table("one tic_tac_toe step", result), ratio_table], about)
