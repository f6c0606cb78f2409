"""Replies that come too late, and connections that are cut in the middle of a step.

Between client and server is a proxy. Every step has a number of its own, which the observation
repeats, beside how many steps the environment has counted in the episode: so it shows whether an
answer is that of another request, and whether a step was taken twice or not at all.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from benchmarks.children import stderr_to
from benchmarks.faults.cases import PLAIN
from benchmarks.faults.peers import StockPlayer, target_server
from benchmarks.faults.target_env import ENV_ID
from benchmarks.faults.ways import POLICY
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.launchers import ServerProcess
from openenv_gym.testing import FaultProxy
from openenv_gym.testing.proxy_link import Direction

LATE_S = 0.5  # how long a client waits for a step
STEPS_AFTER = 3  # how many steps are taken after each disturbance

_ENDLESS = '--kwargs={"episode_steps": 1048576}'
_DIRECTIONS: tuple[Direction, Direction] = ("to_server", "to_client")


@dataclass(kw_only=True)
class Connections:
    """What came of disturbances."""

    way: str  # which client and server
    disturbed: int = 0  # how often
    continued: int = 0  # how often a reset, where one was needed, and the steps after it worked
    unnoticed: int = 0  # how often the disturbed step was answered all the same
    answers: int = 0  # how many replies there were after the first disturbance
    mismatched: int = 0  # how many of them answer another request
    miscounted: int = 0  # how often the environment had counted other steps than the client


class Ours:
    """A single environment, on any server."""

    def __init__(self, url: str, codec: str, timeout_s: float) -> None:
        options: dict[str, Any] = {"base_url": url, "codec": codec, "timeout_s": timeout_s}
        self._env = gym.make("openenv/remote-v0", on_fault=POLICY, **options)
        self._needs_reset = False
        self.close = self._env.close

    def open(self) -> None:
        """Begin with a new client."""
        if self._needs_reset:
            self.reset()

    def reset(self) -> bool:
        """Begin an episode; return whether that worked."""
        self._env.reset()
        self._needs_reset = False
        return True

    def step(self, number: int) -> tuple[int, int] | None:
        """Return the numbers that the observation has; None where the step failed."""
        if self._needs_reset:
            return None
        obs, _, terminated, truncated, info = self._env.step(number)
        self._needs_reset = terminated or truncated
        return None if "openenv" in info else (int(obs[0]), int(obs[1]))


class Stock(StockPlayer):
    """A stock client in a process of its own, likewise."""

    def __init__(self, python: Path, *where: Any) -> None:
        super().__init__(python)
        self._where = where

    def open(self) -> None:
        self.connect(0, *self._where)

    def reset(self) -> bool:
        return "error" not in self.act("reset")

    def step(self, number: int) -> tuple[int, int] | None:
        told = self.act("step", number=number)
        return None if "error" in told else (told["number"], told["steps"])


Pair = contextlib.AbstractContextManager[tuple[Ours | Stock, FaultProxy]]


@contextlib.contextmanager
def our_client(
    codec: str, timeout_s: float, isolation: str = "process"
) -> Iterator[tuple[Ours, FaultProxy]]:
    """Our client on our server."""
    server = ServerProcess(ENV_ID, _ENDLESS, f"--isolation={isolation}", "--workers=2")
    with server, FaultProxy(server.base_url) as proxy:
        client = Ours(proxy.base_url, codec, timeout_s)
        yield client, proxy
        client.close()


@contextlib.contextmanager
def stock_client(python: Path, timeout_s: float) -> Iterator[tuple[Stock, FaultProxy]]:
    """A stock client on a stock server."""
    with (
        target_server(python) as server,
        FaultProxy(server.line()) as proxy,
        Stock(python, proxy.base_url, timeout_s) as client,
    ):
        yield client, proxy


def late_replies(way: str, pair: Pair, count: int) -> Connections:
    """Have ``count`` replies come when the client has given up waiting; it goes on by itself."""
    with stderr_to(), pair as (client, proxy):
        play = Play(way, client)
        for _ in range(count):
            proxy.delay(3 * LATE_S, "to_client")
            play.disturb()
            proxy.heal()  # what is late comes now
            play.go_on()
    return play.found


def cuts(way: str, pair: Pair, count: int) -> Connections:
    """Cut ``count`` connections, at another byte of a request or a reply each time."""
    with stderr_to(), pair as (client, proxy):
        play = Play(way, client)
        before = {name: proxy.passed(name) for name in _DIRECTIONS}
        play.step()
        lengths = {name: max(1, proxy.passed(name) - before[name]) for name in _DIRECTIONS}
        for number in range(count):
            direction = _DIRECTIONS[number % 2]
            # Multiplied by a prime, so that a few cuts are spread over the whole message, too.
            at = (number // 2) * 7 % lengths[direction]
            proxy.cut_after(at, direction, "close" if number % 4 < 2 else "reset")
            play.disturb()
            proxy.heal()
            if not play.go_on():
                play.begin()
    return play.found


class Play:
    """Steps of one client, by number, and what is wrong with the answers."""

    def __init__(self, way: str, client: Any) -> None:
        self.found = Connections(way=way)
        self._client, self._number, self._steps = client, PLAIN, 0
        self.begin()

    def begin(self) -> None:
        """Begin with a new client."""
        self._client.open()
        self._client.reset()
        self._steps = 0
        self.step()

    def disturb(self) -> None:
        """Take the step that is disturbed."""
        self.found.disturbed += 1
        self.found.unnoticed += self.step()

    def go_on(self) -> bool:
        """Take steps, after a reset where one is needed; return whether that worked."""
        works = self.step()
        if not works:
            self._steps = 0
            works = self._client.reset() and self.step()
        works = works and all(self.step() for _ in range(STEPS_AFTER - 1))
        self.found.continued += works
        return works

    def step(self) -> bool:
        """Take a step; return whether it was answered."""
        self._number += 1
        try:
            told = self._client.step(self._number)
        except OpenEnvGymError:
            told = None
        if told is None:
            return False
        self._steps += 1
        if self.found.disturbed:
            self.found.answers += 1
            self.found.mismatched += told[0] != self._number
            self.found.miscounted += told[1] != self._steps
            self._steps = told[1]  # each mistake counts once
        return True
