"""A client that steps all the time, and says for each line that it is sent how long it waited.

``python bystander.py URL`` answers a line with the seconds of its longest step since the last one.
"""

from __future__ import annotations

import select
import sys
import time

import gymnasium as gym

import openenv_gym  # noqa: F401  (registers the ids)

PAUSE_S = 0.001


def main() -> None:
    """Step until there are no more lines."""
    env = gym.make("openenv/remote-v0", base_url=sys.argv[1]).unwrapped
    env.reset(seed=0)
    worst_s, number = 0.0, 0
    while True:
        begin_s = time.perf_counter()
        ended = env.step(number % 2)[2]
        worst_s, number = max(worst_s, time.perf_counter() - begin_s), number + 1
        if ended:
            env.reset()
        if select.select([sys.stdin], [], [], PAUSE_S)[0]:
            if not sys.stdin.readline():
                return
            print(worst_s, flush=True)
            worst_s = 0.0


if __name__ == "__main__":
    main()
