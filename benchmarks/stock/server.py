"""A stock server: ``python -m benchmarks.stock.server NAME SESSIONS``.

It prints its URL and ends with its stdin.
"""

import sys

import uvicorn
from openenv.core.env_server.http_server import create_app

from benchmarks.children import end_with_stdin
from benchmarks.stock.peer import load


def main(name: str, sessions: int) -> None:
    peer = load(name)
    models = (peer.CLIENT.ACTION, peer.CLIENT.OBSERVATION)
    app = create_app(peer.ENVIRONMENT, *models, env_name=name, max_concurrent_envs=sessions)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")
    sock = config.bind_socket()
    sock.listen()  # who connects from now on is served as soon as the server runs
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    end_with_stdin()
    uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
