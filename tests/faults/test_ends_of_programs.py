"""However a program ends, nothing is left of its environments: no worker, and no session."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest

from openenv_gym.launchers import ServerProcess
from tests.support.family import has_ended, workers_of
from tests.support.waiting import wait_until

SLOW = "tests.support.envs:Slow-v0"

# Ends without closing its environment; by a signal in the midst of a step.
PROGRAM = textwrap.dedent(
    """
    import os, signal, sys, threading
    import gymnasium as gym, openenv_gym
    from openenv_gym.launchers.embedded import EMBEDDED

    how, url = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job ignores
    if url:
        env = gym.make("openenv/remote-v0", base_url=url)
    else:
        env = gym.make("openenv/gymnasium-v0", env_id="tests.support.envs:Slow-v0")
    env.reset(seed=0)
    env.step(0)
    print(EMBEDDED.pid or 0, flush=True)
    if how.startswith("SIG"):
        ending = os.getpid(), signal.Signals[how]
        threading.Timer(0.1, os.kill, ending).start()
        while True:
            env.step(1)  # takes half a second
    elif how == "raise":
        raise RuntimeError("on purpose")
    elif how == "sys.exit":
        sys.exit(4)
    elif how == "os._exit":
        os._exit(5)
    """
)

CODES = {
    "return": 0,
    "raise": 1,
    "sys.exit": 4,
    "os._exit": 5,
    "SIGINT": -signal.SIGINT,
    "SIGTERM": -signal.SIGTERM,
    "SIGKILL": -signal.SIGKILL,
}
TRACEBACKS = {"raise": "RuntimeError", "SIGINT": "KeyboardInterrupt"}


class End(NamedTuple):
    """What a program left and said."""

    how: str
    code: int
    said: str
    worker: int


def end(how: str, url: str) -> End:
    """Run a program that ends so."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return End(how, done.returncode, done.stderr, int(done.stdout or -1))


@pytest.mark.parametrize(
    "each",
    [
        pytest.param(1, marks=pytest.mark.timeout(300)),  # it starts 14 programs, most with workers
        pytest.param(72, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_nothing_is_left_however_a_program_ends(each: int, record_property: Any):
    with ServerProcess(SLOW, "--resume-grace=1", "--max-sessions=16") as server:
        urls = ["", server.base_url]
        planned = [(how, url) for how in CODES for url in urls] * each
        with ThreadPoolExecutor(4) as programs:
            ends = list(programs.map(lambda one: end(*one), planned))
        for how, code, said, _ in ends:
            assert code == CODES[how], (how, said)
            assert said.count("Traceback") == (how in TRACEBACKS), (how, said)
            assert TRACEBACKS.get(how, "") in said
        embedded = [one.worker for one, (_, url) in zip(ends, planned, strict=True) if not url]
        assert all(pid > 0 for pid in embedded) and len(ends) == 14 * each
        wait_until(lambda: all(map(has_ended, embedded)))
        ready = f"{server.base_url}/readyz"
        with httpx.Client(timeout=60, trust_env=False) as client:
            wait_until(lambda: client.get(ready).json()["sessions"] == 0)
        # One waits for the next session; all others were reaped, too.
        wait_until(lambda: [has_ended(one) for one in workers_of(server.pid)] == [False])
    record_property("programs ended", len(ends))
