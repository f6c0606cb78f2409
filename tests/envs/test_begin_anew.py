"""What the machine of recovery says is carried out, pauses included."""

from __future__ import annotations

import threading
import time

import pytest

from openenv_gym.envs.begin_anew import begin_anew
from openenv_gym.errors import ConnectionLostError, EnvCrashLoopError
from openenv_gym.recovery import Episode, Event, FaultPolicy, Restarts


def test_each_pause_is_between_half_and_all_of_what_the_policy_says(monkeypatch):
    pauses_s: list[float] = []
    here = threading.get_ident()  # other threads sleep too

    def sleep(seconds: float) -> None:
        if threading.get_ident() == here:
            pauses_s.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    policy = FaultPolicy(restarts=4, backoff_s=10.0, max_backoff_s=25.0)
    episode = Episode(policy, [Restarts(policy, "it")])
    episode.handle(Event.STEPPED)
    episode.failed(ConnectionLostError("gone"), time.monotonic())

    def make(seeds: object) -> None:
        raise ConnectionLostError("gone again")

    effect = episode.handle(Event.RESET_ASKED, time.monotonic(), seeds=[None])
    with pytest.raises(EnvCrashLoopError, match="faulted again after 4 restarts"):
        begin_anew(episode, effect, make)
    longest_s = [0.0, 10.0, 20.0, 25.0]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses_s, longest_s, strict=True))
