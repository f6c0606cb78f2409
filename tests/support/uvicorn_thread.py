"""uvicorn in a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    """Serves ``app``, and gives its URL.

    Args:
        app: An ASGI application.
        **options: Of ``uvicorn.Config``.
    """
    # To configure logging is to close all handlers that there are. One of absl, which a part of
    # OpenSpiel imports, closes with it the stream that pytest captures standard error with.
    defaults = {"log_config": None, "log_level": "error", "ws": "websockets-sansio"}
    config = uvicorn.Config(app, host="127.0.0.1", port=0, **{**defaults, **options})
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        sock.close()
