"""What one client sends does not keep another one waiting, however long it is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gymnasium.spaces as gs
import pytest

from openenv_gym import create_app
from openenv_gym.launchers import ServerProcess
from openenv_gym.server.lengths import lengths_of
from openenv_gym.server.relay_protocol import RelayProtocol
from openenv_gym.spaces.size import json_size
from openenv_gym.wire.messages import MAX_VALUES
from openenv_gym.workers.process import available_cores
from tests.support.attacks import Attack, attacks
from tests.support.uvicorn_thread import serving

MOST = 16 * 2**20
STEP = lengths_of(json_size(gs.Discrete(2)), 1, MOST).step_bytes
ALL = attacks(MOST, STEP)
BYTES_OF_VALUES = 240 * MAX_VALUES
"""What the values of a message take beside its text, at most."""

SAMPLE = [
    *("ws reset of maps", "ws reset of few maps and a text", "ws step of arrays"),
    *("vector step that is too long", "binary open of few tuples", "binary step"),
    *("/reset reset of arrays", "/step step of objects", "/mcp reset of a text"),
]


@pytest.fixture(scope="module")
def url(no_process_is_left: None) -> Iterator[str]:
    app = create_app("CartPole-v1", isolation="process")
    options = {"ws": RelayProtocol, "ws_max_size": MOST, "ws_per_message_deflate": False}
    with serving(app, loop="asyncio", **options) as base_url:
        yield base_url


@pytest.fixture
def longest_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the processor that the longest callback on the loop has taken."""
    longest, run = [0.0], asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        begin_s = time.thread_time()
        run(handle)
        longest[0] = max(longest[0], time.thread_time() - begin_s)

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    return longest


@pytest.mark.parametrize("attack", [one for one in ALL if one.id in SAMPLE], ids=lambda one: one.id)
def test_no_callback_on_the_loop_takes_long(url: str, longest_s: list[float], attack: Attack):
    with attack.on(url) as ask:
        longest_s[0] = 0.0
        assert ask()
    assert 0 < longest_s[0] < 0.05


class Watch:
    """A client that steps all the time, and the memory of its server."""

    def __init__(self, server: ServerProcess) -> None:
        self._process = Path(f"/proc/{server.pid}")
        script = Path(__file__).parents[1] / "support" / "bystander.py"
        command = [sys.executable, str(script), server.base_url]
        pipe = subprocess.PIPE
        self.client = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.worst_s()
        self._before = self._memory("VmRSS")

    def worst_s(self) -> float:
        """The longest step since the last call."""
        assert self.client.stdin is not None
        assert self.client.stdout is not None
        print(file=self.client.stdin, flush=True)
        return float(self.client.stdout.readline())

    def begin(self) -> None:
        """Forget what was measured."""
        (self._process / "clear_refs").write_text("5")
        self.worst_s()

    def more_bytes(self) -> int:
        """How much more memory the server had at its peak than before the first attack."""
        return self._memory("VmHWM") - self._before

    def _memory(self, field: str) -> int:
        status = (self._process / "status").read_text()
        return int(status.partition(f"{field}:")[2].split()[0]) * 1024


@pytest.fixture(scope="module")
def watch(no_process_is_left: None) -> Iterator[tuple[str, Watch]]:
    with ServerProcess("CartPole-v1") as server:
        watch = Watch(server)
        yield server.base_url, watch
        watch.client.kill()
        watch.client.communicate()


@pytest.fixture(scope="module")
def usual_s(watch: tuple[str, Watch]) -> float:
    """The longest step in a second without an attack."""
    watch[1].worst_s()
    time.sleep(1)
    return watch[1].worst_s()


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("attack", ALL, ids=lambda one: one.id)
def test_a_bystander_does_not_wait(watch: tuple[str, Watch], usual_s: float, attack: Attack):
    url, watched = watch
    with attack.on(url) as ask:
        watched.begin()
        begin_s = time.perf_counter()
        answer = ask()
        took_s = time.perf_counter() - begin_s
    worst_s, more_bytes = watched.worst_s(), watched.more_bytes()
    print(
        f"{attack.id:45} {took_s * 1e3:6.0f} ms; bystander {worst_s * 1e3:6.1f} ms "
        f"({worst_s / usual_s:5.1f} times); {more_bytes / 2**20:5.1f} MiB; {answer[:100]}"
    )
    busy = os.getloadavg()[0] / available_cores()  # each waits longer for its turn
    assert worst_s < 0.1 * max(1, busy)
    assert more_bytes <= 2 * MOST + BYTES_OF_VALUES
