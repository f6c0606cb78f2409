"""Many sessions of stock OpenEnv: ``python -m benchmarks.vector_stock server|player ...``.

``server NAME SESSIONS`` prints its URL and ends with its stdin. ``player NAME SESSIONS URL``
plays a round for each line of its stdin, the fields of a workload as JSON, and prints what came
of it. Server and client are those of the stock peer of one session; each session of the player is
a client of its own, and the steps of all of them are awaited together (``asyncio.gather``), which
is faster than to call them one after the other. Where an episode has ended, the next step of its
session is a reset, as Gymnasium's vector environments do it.
"""

import asyncio
import json
import sys
import time
from typing import Any

import uvicorn
from openenv.core.env_server.http_server import create_app

from benchmarks.lifeline import end_with_stdin
from benchmarks.stock.peer import Peer, load
from benchmarks.vector_workload import VectorWorkload


def serve(name: str, sessions: int) -> None:
    peer = load(name)
    app = create_app(
        peer.environment, peer.action, peer.observation, env_name=name, max_concurrent_envs=sessions
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")
    sock = config.bind_socket()
    sock.listen()  # who connects from now on is served as soon as the server runs
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    end_with_stdin()
    uvicorn.Server(config).run(sockets=[sock])


async def play(peer: Peer, clients: list[Any], workload: VectorWorkload) -> list[Any]:
    act, rows = peer.act, workload.actions()
    first = workload.seed or 0
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
    return [seconds, episodes, score, last]


async def answer(name: str, sessions: int, url: str) -> None:
    peer = load(name)
    clients = [peer.client(base_url=url) for _ in range(sessions)]
    try:
        for client in clients:
            await client.__aenter__()
        # Read in a thread: between the rounds the loop answers the server's pings.
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await play(peer, clients, VectorWorkload(*json.loads(line)))))
            sys.stdout.flush()
    finally:
        await asyncio.gather(*[client.close() for client in clients], return_exceptions=True)


if __name__ == "__main__":
    role, environment, count, *rest = sys.argv[1:]
    if role == "server":
        serve(environment, int(count))
    else:
        asyncio.run(answer(environment, int(count), *rest))
