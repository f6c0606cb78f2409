"""Stable-Baselines3 learns on environments that it knows by their id alone."""

from __future__ import annotations

import re

import pytest

from examples import train_sb3


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.long
def test_catch_is_learned(capsys: pytest.CaptureFixture[str]) -> None:
    score = train_sb3.main([])

    assert score.positive >= 0.95
    assert score.mean_reward == pytest.approx(2 * score.positive - 1)  # 1 for a catch, else -1
    assert re.search(
        r"over 200 greedy episodes, (9[5-9]|100)\.\d % positive", capsys.readouterr().out
    )


def test_cartpole_is_learned_somewhat() -> None:
    score = train_sb3.main(
        [
            "--env-id=openenv_gym:openenv/gymnasium-v0",
            '--env-kwargs={"env_id": "CartPole-v1"}',
            "--timesteps=8192",
            "--eval-episodes=16",
        ]
    )

    assert score.mean_reward > 50  # one that acts at random stays up for about 22 steps
    assert score.positive == 1.0
