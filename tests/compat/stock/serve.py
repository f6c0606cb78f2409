"""Serves environments with OpenEnv's own ``create_app``, each on a port of its own.

``python -m tests.compat.stock.serve '{"echo": {"environment": "tests.compat.stock.echo"}}'``
prints the URLs as a JSON object, and ends with its stdin. What else an entry has are arguments:
``create_app`` takes those under ``app``, uvicorn those under ``uvicorn``; with ``"by":
"openenv_gym"`` it is the ``create_app`` of that package, which the checkout has.
"""

import importlib
import json
import os
import sys
import threading
from typing import Any

import uvicorn
from openenv.core.env_server.http_server import create_app

MAX_SESSIONS = 8


def app_for(environment: str, app: dict[str, Any], by: str) -> Any:
    served = importlib.import_module(environment).SERVED
    if by == "openenv_gym":
        return importlib.import_module(by).create_app(*served, **app)
    return create_app(*served, **{"max_concurrent_envs": MAX_SESSIONS, **app})


def main(wanted: dict[str, dict[str, Any]]) -> None:
    servers, threads, urls = [], [], {}
    for name, entry in wanted.items():
        application = app_for(entry["environment"], entry.get("app", {}), entry.get("by", ""))
        options = {"log_level": "critical", **entry.get("uvicorn", {})}
        config = uvicorn.Config(application, host="127.0.0.1", port=0, **options)
        sock = config.bind_socket()
        sock.listen()  # who connects from now on is served as soon as the server runs
        scheme = "https" if config.is_ssl else "http"
        urls[name] = f"{scheme}://localhost:{sock.getsockname()[1]}"
        servers.append(uvicorn.Server(config))
        threads.append(threading.Thread(target=servers[-1].run, args=([sock],), daemon=True))
    for thread in threads:
        thread.start()
    print(json.dumps(urls), flush=True)
    while os.read(0, 1):
        pass
    for server in servers:
        server.should_exit = True
    for thread in threads:
        thread.join(2)
    os._exit(0)  # a step that hangs is not waited for


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
