"""Environments that say what their actions mean, as Atari's do."""

from __future__ import annotations

import gymnasium as gym
import pytest

from openenv_gym.adapters.gymnasium_host import host


class Meaning(gym.Env):
    """An environment with two actions, and its words for them."""

    action_space, observation_space = gym.spaces.Discrete(2), gym.spaces.Discrete(1)

    def __init__(self, *meanings: object) -> None:
        self.meanings = meanings

    def get_action_meanings(self) -> tuple[object, ...]:
        return self.meanings


def labels(env: gym.Env) -> list[str] | None:
    action = host(env, "any").description.action
    return None if action is None else action.get("labels")


def test_the_actions_of_an_atari_game_have_names():
    ale_py = pytest.importorskip("ale_py", reason="needs ale_py")
    gym.register_envs(ale_py)
    with gym.make("ALE/Breakout-v5") as env:
        assert labels(env) == ["noop", "fire", "right", "left"]


@pytest.mark.parametrize("meanings", [("A",), ("A", "A"), ("A", "B!"), ("A", None, 3), ()])
def test_words_that_do_not_fit_are_no_names(meanings):
    assert labels(Meaning("NOOP", "FIRE")) == ["noop", "fire"]
    assert labels(Meaning(*meanings)) is None


def test_a_wrapper_that_changes_the_actions_changes_their_meaning():
    env = gym.wrappers.TransformAction(
        Meaning("NOOP", "FIRE"), lambda action: action - 5, gym.spaces.Discrete(2, start=5)
    )
    assert labels(env) is None
