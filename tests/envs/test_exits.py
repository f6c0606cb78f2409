"""Ctrl-C and the end of the interpreter, in the midst of a step that does not end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from openenv_gym.launchers import ServerProcess
from tests.support.waiting import wait_until

HANGING = "tests.support.hanging:Hanging-v0"
BUSY_S = 0.5

# Steps into what computes without an end: in the main thread, or in one that nobody waits for.
TRAINER = textwrap.dedent(
    """
    import signal, sys, threading
    import gymnasium as gym, numpy as np, openenv_gym
    from openenv_gym.launchers.embedded import EMBEDDED

    form, url, thread = sys.argv[1:]
    SPIN = 2
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job ignores
    more = {"base_url": url} if url else {"env_id": "tests.support.hanging:Hanging-v0"}
    env_id = "openenv/remote-v0" if url else "openenv/gymnasium-v0"
    if form == "one":
        env, action = gym.make(env_id, **more), SPIN
    else:
        more = more if url else {**more, "shards": 3}
        env, action = gym.make_vec(env_id, num_envs=3, **more), np.full(3, SPIN)
    env.reset(seed=0)
    print(*(worker.pid for worker in EMBEDDED._workers.values()), flush=True)
    if thread:
        threading.Thread(target=env.step, args=(action,), daemon=True).start()
        sys.stdin.readline()
    else:
        env.step(action)
    """
)


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with ServerProcess(HANGING, "--close-timeout=1") as started:
        yield started


@pytest.fixture
def where(reach: str, request: pytest.FixtureRequest) -> tuple[str, list[psutil.Process]]:
    """The URL that the trainer is told, "" for embedded workers; the server, where there is one."""
    if reach == "embedded":
        return "", []
    server = request.getfixturevalue("server")
    return server.base_url, [psutil.Process(server.pid)]


def begin(form: str, url: str, thread: str = "") -> tuple[Any, list[psutil.Process]]:
    """A trainer in a process group of its own, as a shell starts it, and its workers."""
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER, form, url, thread],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return trainer, [psutil.Process(int(pid)) for pid in trainer.stdout.readline().split()]


def wait_until_busy(processes: list[psutil.Process]) -> None:
    """Wait until one of them, or of their children, has computed for a while more."""
    families = [one for each in processes for one in (each, *each.children(recursive=True))]
    before = [computed_s(one) for one in families]
    wait_until(
        lambda: any(
            computed_s(one) - time_s > BUSY_S for one, time_s in zip(families, before, strict=True)
        ),
        timeout_s=60,
    )


def computed_s(process: psutil.Process) -> float:
    try:
        return process.cpu_times().user
    except psutil.NoSuchProcess:  # a child may have come to its end
        return 0.0


@pytest.mark.parametrize("reach", ["embedded", "served"])
@pytest.mark.parametrize("form", ["one", "several"])
@pytest.mark.sample(1)
def test_ctrl_c_is_one_keyboard_interrupt_and_nothing_else(form, reach, where):
    url, servers = where
    trainer, workers = begin(form, url)
    wait_until_busy(workers or servers)
    os.killpg(trainer.pid, signal.SIGINT)
    said = trainer.communicate(timeout=50)[1]
    assert trainer.returncode == -signal.SIGINT
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1, said
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert psutil.wait_procs(workers, timeout=20)[1] == []


@pytest.mark.parametrize("reach", ["embedded", "served"])
@pytest.mark.parametrize("form", ["one", "several"])
@pytest.mark.sample(1)
def test_an_environment_that_hangs_does_not_keep_the_interpreter(form, reach, where):
    url, servers = where
    trainer, workers = begin(form, url, "thread")
    wait_until_busy(workers or servers)
    said = trainer.communicate("go\n", timeout=50)[1]
    assert (trainer.returncode, said) == (0, "")
    assert psutil.wait_procs(workers, timeout=20)[1] == []
