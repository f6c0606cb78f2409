"""The end of a server when its stdin ends: with the process that holds the other end, if need be.

Knows the standard library only, because the stock peer imports it in a venv of its own.
"""

import os
import signal
import threading


def end_with_stdin() -> None:
    """From now on, the end of stdin is the order to terminate."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
