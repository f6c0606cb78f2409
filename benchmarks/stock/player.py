"""The stock client's loop: ``python -m benchmarks.stock.player NAME sync|async URL``.

For each line of its stdin, ``SEED STEPS``, it plays one round and prints what came of it as
JSON. ``sync`` is the client that a synchronous training loop uses, ``EnvClient.sync()``; ``async``
awaits the same client on an event loop, without the hop to a thread of its own for each call.
"""

import asyncio
import json
import sys
import time
from typing import Any

from benchmarks.stock.peer import Peer, load
from benchmarks.workload import Played, Workload


def workload_of(line: str) -> Workload:
    seed, steps = map(int, line.split())
    return Workload(seed, steps)


def tell(played: Played) -> None:
    print(json.dumps(played), flush=True)


def play(peer: Peer, client: Any, workload: Workload) -> Played:
    inputs, act, episodes, score = peer.inputs(workload), peer.act, 0, 0.0
    result = client.reset(seed=workload.seed)
    started = time.perf_counter()
    for given in inputs:
        result = client.step(act(result, given))
        score += result.reward
        if result.done:
            episodes += 1
            result = client.reset()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(peer.values(result.observation)), score)


async def play_async(peer: Peer, client: Any, workload: Workload) -> Played:
    inputs, act, episodes, score = peer.inputs(workload), peer.act, 0, 0.0
    result = await client.reset(seed=workload.seed)
    started = time.perf_counter()
    for given in inputs:
        result = await client.step(act(result, given))
        score += result.reward
        if result.done:
            episodes += 1
            result = await client.reset()
    seconds = time.perf_counter() - started
    return Played(seconds, episodes, tuple(peer.values(result.observation)), score)


def serve_sync(peer: Peer, url: str) -> None:
    with peer.client(base_url=url).sync() as client:
        for line in sys.stdin:
            tell(play(peer, client, workload_of(line)))


async def serve_async(peer: Peer, url: str) -> None:
    async with peer.client(base_url=url) as client:
        # Read in a thread: between the rounds the loop answers the server's pings.
        while line := await asyncio.to_thread(sys.stdin.readline):
            tell(await play_async(peer, client, workload_of(line)))


if __name__ == "__main__":
    name, mode, base_url = sys.argv[1:]
    if mode == "sync":
        serve_sync(load(name), base_url)
    else:
        asyncio.run(serve_async(load(name), base_url))
