"""The demo, as ``make demo`` runs it, and the numbers behind its table."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray

from examples import catch_demo
from examples.catch_demo import LEFT, PLAYERS, RIGHT, STAY, Player, Tally

ROOT = Path(__file__).parents[2]
ACTIONS = 9  # from the first row to the last

Chances = NDArray[np.float64]
PolicyChances = Callable[[int, int, int], Chances]
"""Of the columns of ball and paddle, and the number of actions before in its life: the chances
of the three actions."""


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "examples.catch_demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_demo_says_the_same_when_run_twice() -> None:
    runs = [run_demo("--episodes=40", "--websocket-episodes=4") for _ in range(2)]

    assert [(run.returncode, run.stderr) for run in runs] == [(0, ""), (0, "")]
    # What was measured in seconds differs.
    told = [re.split("Balls caught|Steps per second", run.stdout)[1] for run in runs]
    assert told[0] == told[1]
    for player in PLAYERS:
        assert re.search(rf"{player.name} .*{100 * player.claim:.0f} %", told[0])
    assert "100.0 % (51.0 to 100.0)" in told[0]  # smart, four of four
    assert "100.0 % (91.2 to 100.0)" in told[0]  # and forty of forty
    assert "The first 4 episodes of each policy ended alike in both places." in told[0]


@pytest.mark.long
def test_another_seed_gives_other_games() -> None:
    first, second = (
        run_demo("--episodes=40", "--websocket-episodes=1", f"--seed={seed}") for seed in (1, 2)
    )

    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout.split("Steps")[0] != second.stdout.split("Steps")[0]


def test_no_episodes_are_refused() -> None:
    with pytest.raises(SystemExit, match="2"):
        catch_demo.main(["--episodes=0"])


# --- The rates that follow from the rules, computed without playing. ---------------------------


def catch_rate(policy: PolicyChances, episode: int) -> float:
    """Follow the paddle's column through the policy's episode of this number, as chances."""
    caught = 0.0
    for ball in range(5):
        paddle = np.eye(5)[2]  # it begins in the middle
        for action in range(ACTIONS):
            paddle = paddle @ paddle_moves(policy, ball, ACTIONS * episode + action)
        caught += float(paddle[ball]) / 5
    return caught


def paddle_moves(policy: PolicyChances, ball: int, before: int) -> Chances:
    """Return the chances of the paddle's next column, a row for each column it may be in."""
    moves = np.zeros((5, 5))
    for column, action in product(range(5), (LEFT, STAY, RIGHT)):
        following = min(max(column + action - 1, 0), 4)
        moves[column, following] += policy(ball, column, before)[action]
    return moves


def smart_chances(ball: int, paddle: int, before: int) -> Chances:
    chances: Chances = np.eye(3)[np.sign(ball - paddle) + 1]
    return chances


def learning_chances(ball: int, paddle: int, before: int) -> Chances:
    epsilon = max(0.1, 1 - (before + 1) / 100)
    return epsilon / 3 + (1 - epsilon) * smart_chances(ball, paddle, before)


CHANCES: dict[str, PolicyChances] = {
    "random": lambda ball, paddle, before: np.full(3, 1 / 3),
    "always stay": lambda ball, paddle, before: np.eye(3)[STAY],
    "smart": smart_chances,
    "learning": learning_chances,
}


@pytest.mark.parametrize("player", PLAYERS, ids=lambda player: player.name)
@pytest.mark.sample(1)
def test_the_measured_rate_is_the_one_that_follows_from_the_rules(player: Player) -> None:
    episodes = 1000
    env = gym.make("openenv/catch-v0")
    played = catch_demo.play_embedded(env, player.make(random.Random(5)), seed=5)
    result = catch_demo.measure(played, episodes, lambda: None)
    env.close()

    rates = [catch_rate(CHANCES[player.name], episode) for episode in range(12)]
    rates += rates[-1:] * (episodes - len(rates))  # epsilon falls no more
    expected = float(np.mean(rates))
    deviation = math.sqrt(expected * max(1 - expected, 0) / episodes)
    assert result.rate == pytest.approx(expected, abs=4 * deviation)
    assert result.steps == ACTIONS * episodes


def test_the_rules_say_which_claims_are_true() -> None:
    fresh = {
        name: np.mean([catch_rate(chances, episode) for episode in range(50)])
        for name, chances in CHANCES.items()
    }

    assert fresh == pytest.approx(
        {"random": 0.2, "always stay": 0.2, "smart": 1.0, "learning": 0.8816}, abs=1e-4
    )
    assert catch_rate(learning_chances, 100) == pytest.approx(0.9448, abs=1e-4)


# --- Small parts. ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ball", "paddle", "action"), [(0, 2, LEFT), (4, 3, RIGHT), (2, 2, STAY), (1, 0, RIGHT)]
)
def test_smart_moves_towards_the_ball(ball: int, paddle: int, action: int) -> None:
    grid = np.zeros((10, 5))
    grid[3, ball] = grid[9, paddle] = 1.0

    assert catch_demo.towards_ball(grid.ravel().tolist()) == action


@pytest.mark.parametrize(
    ("caught", "played", "low", "high"),
    [(10, 50, 0.1124, 0.3304), (50, 50, 0.9287, 1.0), (0, 50, 0.0, 0.0713), (1, 1, 0.2065, 1.0)],
)
def test_the_interval_is_wilsons(caught: int, played: int, low: float, high: float) -> None:
    result = Tally([True] * caught + [False] * (played - caught), 9 * played, 1.0)

    assert result.interval == pytest.approx((low, high), abs=1e-4)
    assert all(a <= b for a, b in pairwise((0.0, low, caught / played, high, 1.0)))
    if caught in (0, played):
        assert result.rate in result.interval  # exactly, so that a claim of 100 % can hold


def test_the_verdict_names_what_holds_and_what_fails() -> None:
    caught = [Tally([True] * n + [False] * (100 - n), 900, 1.0) for n in (20, 40, 100, 85)]

    assert catch_demo.verdict(caught) == (
        "all claims lie within their intervals but this: "
        "always stay catches more (40.0 % against 20 %)."
    )
