"""A package with a space of its own, MiniGrid: its missions are text."""

from __future__ import annotations

import gymnasium as gym
import minigrid
import numpy as np
import pytest

from openenv_gym.conformance import play_parity

ENV_IDS = ["MiniGrid-FourRooms-v0", "BabyAI-GoToLocal-v0"]


@pytest.fixture(autouse=True)
def registered() -> None:
    gym.register_envs(minigrid)


@pytest.mark.parametrize("env_id", ENV_IDS)
@pytest.mark.sample(2)
def test_missions_and_grids_are_the_same_remotely(env_id: str, reach):
    name, arguments = f"minigrid:{env_id}", reach(f"minigrid:{env_id}")
    if arguments.get("codec") == "json":
        pytest.skip("over JSON a numpy integer of a Discrete is a Python int, see below")
    remote = gym.make("openenv/gymnasium-v0", env_id=name, **arguments)
    assert isinstance(remote.observation_space["mission"], gym.spaces.Text)
    assert play_parity(gym.make(env_id), remote, range(2), 60) == 120
    remote.close()


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_over_json_the_values_and_their_order_are_the_same(env_id: str, serve):
    name = f"minigrid:{env_id}"
    url = serve(name).base_url
    local = gym.make(env_id)
    remote = gym.make("openenv/gymnasium-v0", env_id=name, base_url=url, codec="json")
    expected, actual = local.reset(seed=5)[0], remote.reset(seed=5)[0]
    for action in (0, 2, 1, 2):
        assert list(actual) == list(expected) == ["image", "direction", "mission"]
        assert actual["mission"] == expected["mission"]
        assert actual["direction"] == expected["direction"]
        assert actual["image"].dtype == np.uint8
        assert np.array_equal(actual["image"], expected["image"])
        expected, actual = local.step(action)[0], remote.step(action)[0]
    remote.close()
