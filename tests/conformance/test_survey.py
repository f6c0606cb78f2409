"""Many environments, of which one that crashes or hangs stops no other."""

from __future__ import annotations

import gymnasium as gym
import pytest

from openenv_gym.conformance.judge import Judgement, Play
from openenv_gym.conformance.page import page
from openenv_gym.conformance.survey import complaint, registry_ids, survey
from openenv_gym.envs.registration import BASE_URL_VARIABLE

ODD = "tests.conformance.odd_envs"
PLAY = Play(seeds=1, steps=5, transports=("embedded",))


def test_a_crash_ends_itself_only(monkeypatch: pytest.MonkeyPatch):
    # The embedded environment stays embedded.
    monkeypatch.setenv(BASE_URL_VARIABLE, "http://127.0.0.1:9")
    crash, quiet = survey([f"{ODD}:Crash-v0", f"{ODD}:Quiet-v0"], PLAY, jobs=2)
    assert (crash.verdict, crash.detail) == (
        "stopped",
        "the process ended with exit code 7: about to crash",
    )
    assert (quiet.verdict, quiet.steps) == ("identical", 5)


def test_a_hang_ends_in_time():
    (hang,) = survey([f"{ODD}:Hang-v0"], PLAY, timeout_s=2)
    assert (hang.verdict, hang.detail) == ("stopped", "no end within 2 s")


def test_the_ids_are_those_of_the_registry_and_the_newest_atari_games():
    ids = registry_ids()
    assert {"CartPole-v1", "HalfCheetah-v2", "ale_py:ALE/Pong-v5", "phys2d/CartPole-v1"} < {*ids}
    assert len([name for name in ids if "Pong" in name]) == 1
    assert not [name for name in ids if name.startswith("openenv/")]
    assert all(name.rpartition(":")[2] in gym.registry for name in ids)


OUTCOMES = [
    Judgement(env_id="a:B-v0", transport="embedded", verdict="identical", family="a", steps=5),
    Judgement(env_id="C-v1", transport="embedded", verdict="differs", family="c", detail="x | <y>"),
    Judgement(env_id="D-v1", verdict="not built", detail="no jax"),
    Judgement(env_id="E-v1", verdict="not built", detail="no jax"),
    Judgement(env_id="F-v1", verdict="stopped", detail="no end"),
]


def test_the_page():
    text = page(OUTCOMES, PLAY, "openenv-gym parity --all")
    assert "| command | `openenv-gym parity --all` |" in text
    assert "| judged | 2 environments: 1 identical over every transport, 1 not |" in text
    assert "| not judged | 3 environments, listed at the end |" in text
    assert (
        "## a\n\n| environment | embedded |\n|---|---|\n| `a:B-v0` | identical, 5 steps |" in text
    )
    assert "| `C-v1` | **differs**: x \\| &lt;y> |" in text
    assert "| `D-v1`, `E-v1` | not built: no jax |" in text


def test_complaints():
    assert complaint(OUTCOMES[:1]) is None
    assert complaint(OUTCOMES[2:4]) is None
    assert complaint(OUTCOMES[2:4], named=["E-v1"]) == (
        "E-v1 could not be judged: see the lines above"
    )
    assert complaint(OUTCOMES) == (
        "C-v1 differ from what they say in process; F-v1 could not be judged: see the lines above"
    )
