"""The stock client's loop: ``python -m benchmarks.stock.player sync|async URL``.

For each line of its stdin, ``SEED STEPS``, it plays one round and prints what came of it as
JSON. ``sync`` is the client that a synchronous training loop uses, ``EnvClient.sync()``; ``async``
awaits the same client on an event loop, without the hop to a thread of its own for each call.
"""

import asyncio
import json
import sys
import time

from benchmarks.stock.client import CartPoleClient
from benchmarks.stock.models import CartPoleAction
from benchmarks.workload import Played, Workload


def workload_of(line: str) -> Workload:
    seed, steps = map(int, line.split())
    return Workload(seed, steps)


def tell(played: Played) -> None:
    print(json.dumps(played), flush=True)


def play(client: CartPoleClient, workload: Workload) -> Played:
    actions, episodes = workload.actions(), 0
    result = client.reset(seed=workload.seed)
    started = time.perf_counter()
    for action in actions:
        result = client.step(CartPoleAction(action=action))
        if result.done:
            episodes += 1
            result = client.reset()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(result.observation.obs))


async def play_async(client: CartPoleClient, workload: Workload) -> Played:
    actions, episodes = workload.actions(), 0
    result = await client.reset(seed=workload.seed)
    started = time.perf_counter()
    for action in actions:
        result = await client.step(CartPoleAction(action=action))
        if result.done:
            episodes += 1
            result = await client.reset()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(result.observation.obs))


def serve_sync(url: str) -> None:
    with CartPoleClient(base_url=url).sync() as client:
        for line in sys.stdin:
            tell(play(client, workload_of(line)))


async def serve_async(url: str) -> None:
    async with CartPoleClient(base_url=url) as client:
        # Read in a thread: between the rounds the loop answers the server's pings.
        while line := await asyncio.to_thread(sys.stdin.readline):
            tell(await play_async(client, workload_of(line)))


if __name__ == "__main__":
    mode, base_url = sys.argv[1:]
    if mode == "sync":
        serve_sync(base_url)
    else:
        asyncio.run(serve_async(base_url))
