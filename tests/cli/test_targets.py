"""What a person types as the name of an environment."""

from __future__ import annotations

import gymnasium as gym
import pytest

import openenv_gym  # noqa: F401 - registers the namespace
from openenv_gym.cli.targets import target_of


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("openenv/CartPole-v1", "CartPole-v1"),
        ("openenv/catch-v0", "openspiel:catch"),
        ("CartPole", "CartPole-v1"),
        ("openenv/CartPole", "CartPole-v1"),
        ("catch", "openspiel:catch"),
        ("catch-v0", "openspiel:catch"),
    ],
)
def test_another_spelling_stands_for_the_name_that_a_server_knows(typed, name, capsys):
    assert target_of(typed) == name
    assert capsys.readouterr().err == f"openenv-gym: {typed} is {name}\n"


@pytest.mark.parametrize(
    "name",
    [
        "CartPole-v0",
        "CartPole-v9",
        "openspiel:catch",
        "openenv/remote-v0",
        "my_env.py:MyEnv",
        "my_env.MyEnv",
        "http://127.0.0.1:8000",
        "no id",
    ],
)
def test_everything_else_is_its_own_name(name, capsys):
    assert target_of(name) == name
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("registered_catch")
def test_what_gymnasium_knows_goes_before_a_game():
    assert target_of("catch-v0") == "catch-v0"


@pytest.fixture
def registered_catch():
    gym.register("catch-v0", lambda: None)
    yield
    del gym.registry["catch-v0"]


def test_an_id_without_a_version_is_made_as_the_newest():
    env = gym.make("openenv/gymnasium-v0", env_id="MountainCar")
    with env, gym.make("MountainCar-v0") as local:
        assert env.observation_space == local.observation_space
        assert env.reset(seed=3)[0].tolist() == local.reset(seed=3)[0].tolist()
