"""Learn Kuhn poker by playing against oneself, with every seat in one environment.

    python -m examples.self_play
    openenv-gym serve openspiel:kuhn_poker --kwargs '{"agent_player": "all"}'
    python -m examples.self_play --base-url http://localhost:8000

One table of regrets plays both seats (regret matching). For each decision it estimates, from the
hands played, how much better each action would have been than the action played, and chooses in
proportion to that. It is not told the rules. Between perfect players the first one loses 1/18 a
hand, and the two seats come close to that.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import gymnasium as gym
import numpy as np

import openenv_gym  # noqa: F401 - registers the ids

VALUE = -1 / 18  # of a hand for the first player, between perfect players
PASS, BET = 0, 1


def learn(env: gym.Env, hands: int, seed: int) -> float:
    """Play hands against oneself and return what the first player won in each of the last half."""
    rng = np.random.default_rng(seed)
    regrets: dict[bytes, np.ndarray] = defaultdict(lambda: np.zeros(2))
    won = []
    for hand in range(hands):
        observation, info = env.reset(seed=seed if hand == 0 else None)
        decisions = []
        over = False
        while not over:
            # What a player sees holds its seat and its card: the key of its decision.
            key = observation["observation"].tobytes()
            hopes = np.maximum(regrets[key], 0)
            chances = hopes / hopes.sum() if hopes.any() else np.full(2, 0.5)
            chances = 0.95 * chances + 0.05 / 2  # an action that is never played teaches nothing
            action = int(rng.random() < chances[BET])
            decisions.append((key, int(observation["current_player"]), action, chances))
            observation, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated
        won.append(info["returns"][0])
        for key, player, action, chances in decisions:
            # Estimates the worth of each action: the return over its chance if played, else 0.
            worth = np.zeros(2)
            worth[action] = info["returns"][player] / chances[action]
            regrets[key] += worth - info["returns"][player]
    return float(np.mean(won[hands // 2 :]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hands", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--base-url", help="URL of a server; without one the game runs embedded")
    given = parser.parse_args(arguments)
    where = {"base_url": given.base_url} if given.base_url else {"agent_player": "all"}
    with gym.make("openenv/kuhn_poker-v0", **where) as env:
        won = learn(env, given.hands, given.seed)
    print(f"The first player won {won:+.3f} a hand; with perfect play it is {VALUE:+.3f}.")


if __name__ == "__main__":
    main()
