"""Objects of other interfaces by name: how each is told from others, and what it is given."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym import Action, Environment, Observation, State
from openenv_gym.adapters.foreign_env import ForeignEnv
from openenv_gym.errors import EnvStartError, InvalidRequestError, UnsupportedRenderModeError
from openenv_gym.protocol import Open
from openenv_gym.server.settings import ServerSettings, json_object
from openenv_gym.spaces import to_descriptor
from openenv_gym.workers.built_env import build, builder_for

HERE = __name__
LINE = gs.Box(0, 9, (1,), np.float32)
BY_HAND = {"action_space": gs.Discrete(2), "observation_space": LINE}


class Old:
    """Walks, as gym 0.21 has it; ``state`` is that of its simulation."""

    metadata = {"render.modes": ["rgb_array"]}
    action_space, observation_space = gs.Discrete(2), LINE

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.state = np.array([start], np.float32)

    def reset(self):
        self.state = np.array([self.start], np.float32)
        return self.state.copy()

    def step(self, action):
        self.state += 1
        return self.state.copy(), 1.0, False, {}

    def render(self, mode="human"):
        return np.zeros((2, 2, 3), np.uint8)


class OldWithState(Old):
    """Has a ``state`` in its class too, as typed environments have, and names no model."""

    state = np.zeros(1, np.float32)


class NoSpaces(Old):
    """Its spaces are given by hand."""

    action_space = observation_space = None  # type: ignore[assignment]


class TakesSpaces(Old):
    """Has a parameter for a space."""

    def __init__(self, observation_space: Any) -> None:
        super().__init__(int(observation_space.high[0]))


class Move(Action):
    by: int = 0


class Seen(Observation):
    total: int = 0


class Typed(Environment):
    """A typed environment that also has spaces."""

    action_space, observation_space = gs.Discrete(2), LINE

    def reset(self) -> Seen:
        return Seen()

    def step(self, action: Move) -> Seen:
        return Seen(total=action.by)

    @property
    def state(self) -> State:
        return State()


def make(start: int = 0) -> Any:
    return Old(start)


def make_spacious(observation_space: Any) -> Any:
    env = gym.make("CartPole-v1")
    env.observation_space = observation_space
    return env


@pytest.mark.parametrize("name", ["Old", "make", "OldWithState"])
def test_an_object_with_spaces_is_adapted(name):
    built = build(Open(f"{HERE}:{name}", max_episode_steps=2))
    assert isinstance(built.env.unwrapped, ForeignEnv)
    assert (built.description.view, built.description.seeded) == ("gymnasium", False)
    assert built.env.reset()[0].tolist() == [0]
    assert [built.env.step(0)[3] for _ in range(2)] == [False, True]
    assert built.description.about["description"].startswith(f"Environment {'Old'}")


def test_a_typed_environment_with_spaces_stays_typed():
    assert build(Open(f"{HERE}:Typed")).description.view == "model"


def test_a_factory_of_this_process_may_make_one():
    built = builder_for(make, "mine")(Open())
    assert built.env.reset()[0].tolist() == [0]
    assert build(Open(f"{HERE}:make", num_envs=3)).env.reset()[0].shape == (3, 1)


def test_spaces_given_by_hand():
    built = build(Open(f"{HERE}:NoSpaces", {"start": 2, **BY_HAND}))
    assert built.env.reset()[0].tolist() == [2]
    assert built.env.observation_space == LINE


def test_a_space_that_a_class_has_a_parameter_for_is_its_own():
    kwargs = {"observation_space": to_descriptor(gs.Box(0, 5, (1,)))}
    assert build(Open(f"{HERE}:TakesSpaces", kwargs)).env.reset()[0].tolist() == [5]


def test_a_registered_id_gets_a_space_too():
    gym.register("Spacious-v0", f"{HERE}:make_spacious")
    try:
        made = build(Open("Spacious-v0", {"observation_space": to_descriptor(LINE)}))
        assert made.env.observation_space == LINE
    finally:
        del gym.registry["Spacious-v0"]


def test_spaces_for_what_has_its_own_are_refused():
    with pytest.raises(InvalidRequestError, match=r"action_space and observation_space: expected"):
        build(Open(f"{HERE}:Typed", dict(BY_HAND)))


def test_an_object_without_spaces_is_told_what_to_do():
    says = "set action_space and observation_space in the constructor of .*NoSpaces"
    with pytest.raises(EnvStartError, match=says):
        build(Open(f"{HERE}:NoSpaces"))


def test_it_draws_in_a_mode_of_its_own():
    built = build(Open(f"{HERE}:make", render_mode="rgb_array"))
    built.env.reset()
    assert built.env.render().shape == (2, 2, 3)
    with pytest.raises(UnsupportedRenderModeError, match=r"one of \['rgb_array'\] for .*Old"):
        build(Open(f"{HERE}:Old", render_mode="ansi"))


def test_spaces_by_hand_reach_an_embedded_worker_and_warn_of_seeds():
    env = gym.make("openenv/gymnasium-v0", env_id=f"{HERE}:NoSpaces", start=4, **BY_HAND)
    with pytest.warns(UserWarning, match="seed"):
        assert env.reset(seed=1)[0].tolist() == [4]
    env.close()


def test_spaces_by_hand_on_the_command_line():
    kwargs = json_object(json.dumps({name: to_descriptor(one) for name, one in BY_HAND.items()}))
    settings = ServerSettings(environment=f"{HERE}:NoSpaces", kwargs=kwargs)
    built = build(settings.admit(Open(num_envs=2)))
    assert built.env.reset()[0].tolist() == [[0], [0]]
    assert built.env.single_observation_space == LINE
