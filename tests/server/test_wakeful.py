"""The loop stays awake as long as that pays, and sleeps where it does not."""

from __future__ import annotations

import asyncio

import pytest

from openenv_gym.server import wakeful as module
from openenv_gym.server.wakeful import Wakeful


def looks_of(wakeful: Wakeful, monkeypatch: pytest.MonkeyPatch, rounds: int, *, hears: bool):
    """How often the loop looked in each of ``rounds`` waits."""
    counts: list[int] = []

    def count() -> None:
        counts[-1] += 1

    monkeypatch.setattr(module, "offer_core", count)

    async def wait() -> None:
        counts.append(0)
        wakeful.expect()
        if hears:
            wakeful.hear()
        while wakeful._is_looking:
            await asyncio.sleep(0)

    async def play() -> None:
        for _ in range(rounds):
            await wait()

    asyncio.run(play())
    return counts


def test_it_looks_again_until_the_moment_is_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SPIN_S", 0.01)
    counts = looks_of(Wakeful(), monkeypatch, 3, hears=True)
    assert min(counts) > 1


def test_where_nothing_is_heard_most_waits_are_slept_through(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SPIN_S", 0.001)
    counts = looks_of(Wakeful(), monkeypatch, 31, hears=False)
    assert [i for i, count in enumerate(counts) if count] == [0, 2, 6, 14, 30]


def test_hearing_makes_it_worth_it_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SPIN_S", 0.001)
    wakeful = Wakeful()
    looks_of(wakeful, monkeypatch, 1, hears=False)
    counts = looks_of(wakeful, monkeypatch, 4, hears=True)
    assert [count > 0 for count in counts] == [False, True, True, True]
