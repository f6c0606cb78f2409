"""Step 5: play. Run it as ``python -m examples.own_environment.main``."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .client import EchoClient
from .models import EchoAction

STOP_TIMEOUT_S = 30.0


@contextmanager
def served(app: str) -> Iterator[str]:
    """Run ``app`` under uvicorn in a process of its own, and yield the URL that it serves.

    The socket listens before uvicorn accepts. So nobody else can take the port, and a client that
    comes too early waits instead of being refused.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        command = [sys.executable, "-m", "uvicorn", app, f"--fd={listener.fileno()}"]
        server = subprocess.Popen([*command, "--log-level=warning"], pass_fds=[listener.fileno()])
    try:
        yield f"http://{host}:{port}"
    finally:
        server.terminate()
        server.wait(STOP_TIMEOUT_S)


def main() -> None:
    with served("examples.own_environment.app:app") as base_url, EchoClient(base_url) as client:
        client.reset()
        for message in ("hello", "world", "bye"):
            result = client.step(EchoAction(message=message))
            print(f"{message!r} -> {result.observation.echo!r}, reward {result.reward}")
        state = client.state()
    assert result.done, "goodbye did not end the episode"
    assert (state.step_count, state.letters) == (3, 13), state
    print(f"{state.letters} letters in {state.step_count} steps")


if __name__ == "__main__":
    main()
