"""Vector environments with the interfaces of gym and of Stable-Baselines3 behind Gymnasium's."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from openenv_gym.adapters.foreign_vector_env import ForeignVectorEnv
from openenv_gym.errors import EnvStartError, InvalidRequestError
from openenv_gym.protocol import Open
from openenv_gym.workers.built_env import build

ROWS = np.zeros((2, 1), np.float32)


class Envs21:
    """Written as for gym 0.21; the last episode ends by a time limit."""

    num_envs = 2
    single_action_space, single_observation_space = gs.Discrete(2), gs.Box(0, 1, (1,), np.float32)
    action_space = gs.Tuple([single_action_space] * 2)

    def __init__(self) -> None:
        self.seeds: Any = None
        self.actions: Any = None

    def seed(self, seeds=None):
        self.seeds = seeds

    def reset(self):
        return ROWS

    def step(self, actions):
        self.actions = actions
        infos = [{"a": 1, "terminal_observation": ROWS[0]}, {"TimeLimit.truncated": True}]
        return ROWS, [1, 2], np.array([True, True]), infos

    def close(self):
        self.actions = "closed"


class Envs26(Envs21):
    """Written as for gym 0.26."""

    action_space = gs.MultiDiscrete([2, 2])

    def reset(self, *, seed=None, options=None):
        self.seeds = seed
        return ROWS, {"lives": np.array([1, 2])}

    def step(self, actions):
        self.actions = actions
        infos = {
            "final_observation": np.array([ROWS[0], None], object),
            "_final_observation": np.array([True, False]),
            "final_info": np.array([{"a": 1}, None], object),
            "_final_info": np.array([True, False]),
        }
        return ROWS, np.ones(2), np.array([True, False]), np.array([False, False]), infos


def make(num_envs: int = 2) -> Any:
    return Envs21()


def test_four_values_become_five_and_a_list_of_infos_becomes_arrays():
    envs = ForeignVectorEnv(Envs21())
    _, rewards, terminated, truncated, infos = envs.step(np.array([1, 0]))
    assert (terminated.tolist(), truncated.tolist()) == ([True, False], [False, True])
    assert (rewards.dtype, rewards.tolist()) == (np.float64, [1.0, 2.0])
    assert (infos["a"].tolist(), infos["_a"].tolist()) == ([1, 0], [True, False])
    assert infos["final_obs"][0] is ROWS[0] or np.array_equal(infos["final_obs"][0], ROWS[0])
    assert envs.foreign.actions == [1, 0]


def test_last_observations_and_infos_have_the_names_of_gymnasium():
    envs = ForeignVectorEnv(Envs26())
    infos = envs.step(np.array([1, 0]))[4]
    assert set(infos) == {"final_obs", "_final_obs", "final_info", "_final_info"}
    assert infos["final_info"]["a"].tolist() == [1, 0]
    assert envs.foreign.actions.tolist() == [1, 0]


@pytest.mark.parametrize("make_one", [Envs21, Envs26])
def test_seeds_go_where_they_are_taken(make_one):
    envs = ForeignVectorEnv(make_one())
    obs, infos = envs.reset(seed=[3, 4])
    assert envs.foreign.seeds == [3, 4]
    assert obs in envs.observation_space
    assert list(infos) == (["lives"] if make_one is Envs26 else [])


def test_it_says_how_it_resets_and_closes():
    envs = ForeignVectorEnv(Envs21())
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    envs.close()
    assert envs.foreign.actions == "closed"
    with pytest.raises(InvalidRequestError, match="reset of Envs21 takes no arguments, got level"):
        envs.reset(options={"level": 1})


def test_a_factory_of_them_is_served_as_a_vector_environment():
    built = build(Open(f"vector:{__name__}:make", num_envs=2))
    assert built.description.about["description"] == "Vector environment Envs21"
    assert built.env.reset(seed=1)[0].shape == (2, 1)
    with pytest.raises(EnvStartError, match=f"a VectorEnv; .* as vector:{__name__}:make"):
        build(Open(f"{__name__}:make"))
