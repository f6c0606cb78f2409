"""Many sessions that end together: few workers end at once, and the server answers meanwhile."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
import httpx
import pytest

from openenv_gym.faults import FaultKind
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import Open, Reset, Step
from openenv_gym.server.backends import Backend, Backends
from openenv_gym.server.engine import Engine
from openenv_gym.server.settings import ServerSettings
from openenv_gym.server.watchdog import ENDS_PER_CORE
from openenv_gym.workers.process import available_cores
from tests.support.family import workers_of
from tests.support.parting import HANGS
from tests.support.waiting import wait_until

PARTING = "tests.support.parting:Parting-v0"
AT_ONCE = ENDS_PER_CORE * available_cores()


@contextmanager
def serving(folder: Path, *arguments: str, **kwargs: float) -> Iterator[ServerProcess]:
    given = f"--kwargs={json.dumps({'folder': str(folder), **kwargs})}"
    with ServerProcess(PARTING, given, "--workers=0", "--resume-grace=0", *arguments) as server:
        (folder / "closed").unlink()  # of the environment that the server was described by
        yield server


def play(server: ServerProcess, count: int, action: int = 0) -> list[gym.Env]:
    envs = [gym.make("openenv/remote-v0", base_url=server.base_url) for _ in range(count)]
    for env in envs:
        env.reset()
        env.step(action)
    return envs


def leave(envs: list[gym.Env]) -> None:
    """Have the clients go without a word, as those of a process that was killed."""
    for env in envs:
        env.unwrapped._connection.give_up()


def closings(folder: Path) -> list[tuple[float, float]]:
    """When each environment began to close, and when it was closed."""
    file = folder / "closed"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(float(begin), float(end)) for begin, end in map(str.split, lines)]


def most_at_once(spans: list[tuple[float, float]]) -> int:
    return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)


def longest_silence_s(server: ServerProcess, until: threading.Event) -> float:
    """The longest time that ``/livez`` took to answer."""
    longest = 0.0
    with httpx.Client(base_url=server.base_url, timeout=60) as client:
        while not until.is_set():
            begin = time.monotonic()
            assert client.get("/livez").status_code == 200
            longest = max(longest, time.monotonic() - begin)
            time.sleep(0.01)
    return longest


@pytest.mark.parametrize(
    ("count", "close_s"),
    [(12, 0.1), pytest.param(200, 0.0, marks=[pytest.mark.long, pytest.mark.timeout(600)])],
)
def test_few_end_at_once_everyone_closes_and_the_server_answers(
    count: int, close_s: float, tmp_path: Path
):
    silences: list[float] = []
    have_ended = threading.Event()
    with serving(tmp_path, f"--max-sessions={count}", close_s=close_s) as server:
        envs = play(server, count)
        asking = threading.Thread(
            target=lambda: silences.append(longest_silence_s(server, have_ended))
        )
        asking.start()
        left_s = time.monotonic()
        leave(envs)
        wait_until(lambda: not workers_of(server.pid), 100)
        took_s = time.monotonic() - left_s
        have_ended.set()
        asking.join()
        print(f"{count} sessions ended in {took_s:.1f} s; /livez took {silences[0]:.3f} s at most")
        assert len(closings(tmp_path)) == count  # nobody was killed before
        assert silences[0] < 1
        if close_s:
            assert most_at_once(closings(tmp_path)) <= AT_ONCE


def test_those_that_hang_at_their_end_are_killed_and_the_others_have_their_turn(tmp_path: Path):
    with serving(tmp_path, "--close-timeout=0.5") as server:
        hanging, others = play(server, AT_ONCE, HANGS), play(server, 2)
        leave([*hanging, *others])
        wait_until(lambda: not workers_of(server.pid))
        assert len(closings(tmp_path)) == len(others)


def test_one_that_may_close_for_ever_gives_up_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("openenv_gym.server.process_backend._TURN_S", 0.1)
    monkeypatch.setattr("openenv_gym.server.watchdog.ENDS_PER_CORE", 1)
    monkeypatch.setattr("openenv_gym.server.watchdog.available_cores", lambda: 1)
    settings = ServerSettings(
        environment=PARTING, workers=0, kwargs={"folder": str(tmp_path)}, close_timeout_s=0
    )

    async def play(backends: Backends, action: int) -> Backend:
        backend = await backends.make()
        engine = Engine(backend)
        for request in (settings.admit(Open()), Reset(), Step(action)):
            await engine.execute(request)
        return backend

    async def end_two() -> None:
        backends = Backends(settings)
        hanging, other = await play(backends, HANGS), await play(backends, 0)
        ending = asyncio.ensure_future(hanging.close())
        await asyncio.sleep(0)
        await other.close()
        assert len(closings(tmp_path)) == 1
        assert not ending.done()
        backends.watchdog.kill_all(FaultKind.SERVER_DRAINING, "the test is over")
        await ending
        backends.close()

    asyncio.run(end_two())
