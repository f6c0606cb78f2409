"""The stock client's loop: ``python -m benchmarks.stock.player NAME MODE URL SESSIONS``.

For each line of its stdin, the fields of a workload as JSON, it plays a round and prints what came
of it. ``sync`` is the client that a synchronous training loop uses, ``EnvClient.sync()``.
``vector`` has as many clients as sessions and awaits the steps of all of them together
(``asyncio.gather``), which is faster than one after the other; where an episode has ended, the next
step of its session is a reset, as in Gymnasium's vector environments.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.stock.peer import load
from benchmarks.workload import Played, VectorWorkload, Workload


def play(peer: Any, client: Any, workload: Workload) -> Played:
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
    return Played(seconds, episodes, score, peer.values(result.observation))


async def play_vector(peer: Any, clients: list[Any], workload: VectorWorkload) -> Played:
    act, rows, first = peer.act, workload.actions(), workload.seed or 0
    results = await asyncio.gather(*[c.reset(seed=first + i) for i, c in enumerate(clients)])
    is_over, episodes, score = [False] * len(clients), 0, 0.0
    started = time.perf_counter()
    for row in rows:
        calls = [
            client.reset() if over else client.step(act(result, action))
            for client, over, result, action in zip(clients, is_over, results, row, strict=True)
        ]
        results = await asyncio.gather(*calls)
        for over, result in zip(is_over, results, strict=True):
            score += 0.0 if over else result.reward
        is_over = [bool(result.done) for result in results]
        episodes += sum(is_over)
    seconds = time.perf_counter() - started
    last = [number for result in results for number in peer.values(result.observation)]
    return Played(seconds, episodes, score, last)


async def answer_vector(peer: Any, url: str, sessions: int) -> None:
    async with AsyncExitStack() as stack:
        made = [peer.CLIENT(base_url=url) for _ in range(sessions)]
        clients = [await stack.enter_async_context(client) for client in made]
        # Read in a thread: between the rounds the loop answers the server's pings.
        while line := await asyncio.to_thread(sys.stdin.readline):
            workload = VectorWorkload(*json.loads(line))
            print(json.dumps(await play_vector(peer, clients, workload)), flush=True)


def answer(peer: Any, url: str) -> None:
    with peer.CLIENT(base_url=url).sync() as client:
        for line in sys.stdin:
            print(json.dumps(play(peer, client, Workload(*json.loads(line)))), flush=True)


if __name__ == "__main__":
    name, mode, base_url, count = sys.argv[1:]
    if mode == "sync":
        answer(load(name), base_url)
    else:
        asyncio.run(answer_vector(load(name), base_url, int(count)))
