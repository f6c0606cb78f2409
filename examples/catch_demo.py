"""Four policies play OpenSpiel's Catch: over a real WebSocket server, then embedded.

A ball falls through ten rows of five columns. Once a row, a paddle in the last row moves left,
stays, or moves right. The OpenEnv tutorial plays the game with four policies and says how often
each catches the ball. Here they play again, and confidence intervals check these claims.

    python -m examples.catch_demo --episodes 5000 --websocket-episodes 50 --seed 0
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gymnasium as gym
from pydantic import ConfigDict
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from openenv_gym import Action, Observation, OpenEnvClient, State
from openenv_gym.launchers.subprocess import ServerProcess

COLUMNS = 5
LEFT, STAY, RIGHT = 0, 1, 2


# --- The typed client: models with OpenEnv's field names, and a class that names them. ---------


class OpenSpielAction(Action):
    action_id: int


class OpenSpielObservation(Observation):
    model_config = ConfigDict(extra="ignore")  # the server sends more fields than this demo needs

    info_state: list[float]
    legal_actions: list[int]
    game_phase: str = "playing"
    current_player_id: int = 0
    opponent_last_action: int | None = None


class OpenSpielState(State):
    game_name: str = "catch"


class OpenSpielClient(OpenEnvClient[OpenSpielAction, OpenSpielObservation, OpenSpielState]):
    pass


# --- The four policies: each sees the flattened grid and the legal actions. --------------------

Policy = Callable[[list[float], list[int]], int]


def random_policy(rng: random.Random) -> Policy:
    return lambda grid, legal: rng.choice(legal)


def always_stay(rng: random.Random) -> Policy:
    return lambda grid, legal: STAY


def smart(rng: random.Random) -> Policy:
    return lambda grid, legal: towards_ball(grid)


def learning(rng: random.Random) -> Policy:
    """Act at random less and less often: epsilon falls to 0.1 in the first 90 actions."""
    steps = 0

    def act(grid: list[float], legal: list[int]) -> int:
        nonlocal steps
        steps += 1
        epsilon = max(0.1, 1 - steps / 100)
        return rng.choice(legal) if rng.random() < epsilon else towards_ball(grid)

    return act


def towards_ball(grid: list[float]) -> int:
    ball = grid.index(1.0) % COLUMNS  # row by row from above, the ball comes before the paddle
    paddle = grid[-COLUMNS:].index(1.0)
    if paddle == ball:
        return STAY
    return RIGHT if paddle < ball else LEFT


@dataclass(frozen=True)
class Player:
    name: str
    make: Callable[[random.Random], Policy]
    claim: float  # the catch rate that the tutorial names


PLAYERS = (
    Player("random", random_policy, 0.20),
    Player("always stay", always_stay, 0.20),
    Player("smart", smart, 1.00),
    Player("learning", learning, 0.85),
)


# --- Endless episodes: the reward of each step, and whether it was the last one. ---------------

Steps = Iterator[tuple[float | None, bool]]


def play_over_websocket(client: OpenSpielClient, policy: Policy, seed: int) -> Steps:
    for given_seed in itertools.chain([seed], itertools.repeat(None)):  # no seed: go on
        result = client.reset(seed=given_seed)
        while not result.done:
            seen = result.observation
            action = OpenSpielAction(action_id=policy(seen.info_state, seen.legal_actions))
            result = client.step(action)
            yield result.reward, result.done


def play_embedded(env: gym.Env, policy: Policy, seed: int) -> Steps:
    for given_seed in itertools.chain([seed], itertools.repeat(None)):
        grid, info = env.reset(seed=given_seed)
        done = False
        while not done:
            action = policy(grid.tolist(), info["legal_actions"])
            grid, reward, done, _, info = env.step(action)
            yield float(reward), done


# --- Counting. ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tally:
    catches: list[bool]
    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        return sum(self.catches) / len(self.catches)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the true rate, by E. B. Wilson's score (1927)."""
        n, z = len(self.catches), 1.959964
        middle = self.rate + z * z / (2 * n)
        half = z * math.sqrt(self.rate * (1 - self.rate) / n + (z / (2 * n)) ** 2)
        scale = 1 + z * z / n
        low = (middle - half) / scale if any(self.catches) else 0.0  # exact in spite of rounding
        high = (middle + half) / scale if not all(self.catches) else 1.0
        return low, high


def measure(played: Steps, number: int, advance: Callable[[], None]) -> Tally:
    catches: list[bool] = []
    steps, start = 0, time.perf_counter()
    while len(catches) < number:
        reward, done = next(played)
        steps += 1
        if done:
            catches.append(reward == 1.0)
            advance()
    return Tally(catches, steps, time.perf_counter() - start)


def measure_all(
    websocket_episodes: int, embedded_episodes: int, seed: int, progress: Progress
) -> tuple[list[Tally], list[Tally]]:
    """Return the tallies of all players over WebSocket, and embedded."""
    total = len(PLAYERS) * (websocket_episodes + embedded_episodes)
    task = progress.add_task("starting a server", total=total)
    over_websocket, embedded = [], []

    def advance() -> None:
        progress.advance(task)

    with ServerProcess("openspiel:catch") as server, OpenSpielClient(server.base_url) as client:
        for player in PLAYERS:
            progress.update(task, description=f"{player.name}, over WebSocket")
            played = play_over_websocket(client, player.make(random.Random(seed)), seed)
            over_websocket.append(measure(played, websocket_episodes, advance))

    env = gym.make("openenv/catch-v0")
    for player in PLAYERS:
        progress.update(task, description=f"{player.name}, embedded")
        played = play_embedded(env, player.make(random.Random(seed)), seed)
        embedded.append(measure(played, embedded_episodes, advance))
    env.close()
    return over_websocket, embedded


# --- The report. -------------------------------------------------------------------------------


def percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def table(over_websocket: list[Tally], embedded: list[Tally]) -> Table:
    shown = Table("policy", title="Balls caught, with 95 % intervals")
    for place, results in (("over WebSocket", over_websocket), ("embedded", embedded)):
        shown.add_column(f"{place}\n{len(results[0].catches)} episodes", justify="right")
    shown.add_column("tutorial:\nabout", justify="right")
    for player, *results in zip(PLAYERS, over_websocket, embedded, strict=True):
        cells = [percent(result.rate) for result in results]
        for index, (low, high) in enumerate(result.interval for result in results):
            cells[index] += f" ({100 * low:.1f} to {100 * high:.1f})"
        shown.add_row(player.name, *cells, f"{100 * player.claim:.0f} %")
    return shown


def verdict(results: list[Tally]) -> str:
    """Return a sentence on the tutorial's claims outside the measured intervals."""
    outside = []
    for player, result in zip(PLAYERS, results, strict=True):
        low, high = result.interval
        if not low <= player.claim <= high:
            side = "more" if result.rate > player.claim else "less"
            measured, claim = percent(result.rate), f"{100 * player.claim:.0f} %"
            outside.append(f"{player.name} catches {side} ({measured} against {claim})")
    if not outside:
        return "every claim of the tutorial lies within its interval."
    return f"all claims lie within their intervals but this: {'; '.join(outside)}."


def same_games(over_websocket: list[Tally], embedded: list[Tally]) -> int:
    """Check that the same seed gave the same games in both places; return how many."""
    for player, remote, local in zip(PLAYERS, over_websocket, embedded, strict=True):
        both = min(len(remote.catches), len(local.catches))
        if remote.catches[:both] != local.catches[:both]:
            raise SystemExit(f"{player.name}: the same seed gave other games over WebSocket")
    return both


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Play Catch with the tutorial's four policies.")
    parser.add_argument(
        "--episodes", type=int, default=5000, help="embedded episodes of each policy"
    )
    parser.add_argument(
        "--websocket-episodes", type=int, default=50, help="episodes of each policy over WebSocket"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the games and the policies")
    options = parser.parse_args(arguments)
    if min(options.episodes, options.websocket_episodes) < 1:
        parser.error("expected at least one episode in each place")
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    console = Console(highlight=False)
    with Progress(console=console) as progress:
        over_websocket, embedded = measure_all(
            options.websocket_episodes, options.episodes, options.seed, progress
        )
    both = same_games(over_websocket, embedded)
    console.print(table(over_websocket, embedded))
    console.print(
        f"Over WebSocket {verdict(over_websocket)} Embedded, with tighter intervals, "
        f"{verdict(embedded)}"
    )
    console.print(f"The first {both} episodes of each policy ended alike in both places.")
    remote, local = (
        sum(result.steps for result in results) / sum(result.seconds for result in results)
        for results in (over_websocket, embedded)
    )
    console.print(
        f"Steps per second, resets included: {remote:,.0f} over WebSocket (typed client, JSON), "
        f"{local:,.0f} embedded (Gymnasium, binary)."
    )


if __name__ == "__main__":
    main()
