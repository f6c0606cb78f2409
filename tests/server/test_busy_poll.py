"""The loop stays awake as long as that pays, and sleeps where it does not."""

from __future__ import annotations

import asyncio

import pytest

from openenv_gym.server import busy_poll as module
from openenv_gym.server.busy_poll import BusyPoll, PolledWait


class Clock:
    """Goes on with each look, so that none comes too late on a machine that is busy."""

    now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch):
    """How often the loop looked, counted in its last item."""
    counts: list[int] = []
    clock = Clock()

    def count() -> None:
        counts[-1] += 1
        clock.now_s += 0.0003

    monkeypatch.setattr(module, "offer_core", count)
    monkeypatch.setattr(module, "time", clock)
    return counts


async def settled(busy_poll: BusyPoll) -> None:
    while busy_poll._is_looking:
        await asyncio.sleep(0)


def waits(
    looks: list[int], busy_poll: BusyPoll, wait: PolledWait, rounds: int, *, comes: bool
) -> list[int]:
    """How often the loop looked in each of ``rounds`` waits that end soon, or late."""

    async def play() -> None:
        for _ in range(rounds):
            looks.append(0)
            wait.begin()
            if comes:
                await asyncio.sleep(0)
                wait.end()
            await settled(busy_poll)
            wait.end()

    asyncio.run(play())
    return looks[-rounds:]


def test_it_looks_until_it_has_come_and_no_longer(
    looks: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "SPIN_S", 60.0)
    busy_poll = BusyPoll()
    counts = waits(looks, busy_poll, PolledWait(busy_poll), 3, comes=True)
    assert all(0 < count < 5 for count in counts)


def test_where_nothing_comes_most_waits_are_slept_through(
    looks: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "SPIN_S", 0.001)
    busy_poll = BusyPoll()
    counts = waits(looks, busy_poll, PolledWait(busy_poll), 31, comes=False)
    assert [i for i, count in enumerate(counts) if count] == [0, 2, 6, 14, 30]


def test_what_comes_soon_makes_it_worth_it_again(looks: list[int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SPIN_S", 0.001)
    busy_poll = BusyPoll()
    wait = PolledWait(busy_poll)
    waits(looks, busy_poll, wait, 1, comes=False)
    monkeypatch.setattr(module, "SPIN_S", 60.0)
    counts = waits(looks, busy_poll, wait, 4, comes=True)
    assert [count > 0 for count in counts] == [False, True, True, True]


def test_who_waits_for_long_does_not_keep_others_asleep_or_awake(
    looks: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "SPIN_S", 0.001)
    busy_poll = BusyPoll()
    slow, quick = PolledWait(busy_poll), PolledWait(busy_poll)
    waits(looks, busy_poll, slow, 20, comes=False)
    monkeypatch.setattr(module, "SPIN_S", 60.0)
    assert all(waits(looks, busy_poll, quick, 3, comes=True))
    assert waits(looks, busy_poll, slow, 2, comes=True) == [0, 0]
