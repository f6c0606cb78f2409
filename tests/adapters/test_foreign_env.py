"""Objects with other interfaces behind ``gymnasium.Env``: what each returns, takes, refuses."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from openenv_gym.adapters.foreign_env import ForeignEnv, has_spaces
from openenv_gym.adapters.foreign_spaces import space_of, space_of_spec
from openenv_gym.errors import EnvStartError, InvalidRequestError, SpaceError

pytestmark = pytest.mark.single_env

LINE = gs.Box(0, 9, (1,), np.float32)


class OldSpace:
    """A space as gym has it: attributes, ``sample`` and ``contains``."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def sample(self) -> Any: ...

    def contains(self, value: Any) -> bool:
        return True


OLD_BOX = OldSpace(low=np.zeros(1), high=np.full(1, 9.0), shape=(1,), dtype=np.dtype("float32"))
OLD_TWO = OldSpace(n=2, shape=(), dtype=np.dtype("int64"))


class Gym21:
    """Walks along a line; written as for gym 0.21."""

    metadata = {"render.modes": ["human", "rgb_array"], "author": "somebody"}
    action_space, observation_space = OLD_TWO, OLD_BOX
    speed = 2

    def __init__(self) -> None:
        self.seeds: list[Any] = []
        self.at = 0

    def seed(self, seed=None):
        self.seeds.append(seed)
        return [seed]

    def reset(self):
        self.at = self.seeds[-1] % 3 if self.seeds else 0
        return np.array([self.at], np.float32)

    def step(self, action):
        self.at += 1
        info = {"TimeLimit.truncated": True} if self.at == 3 else {}
        return np.array([self.at], np.float32), 1.0, np.bool_(self.at >= 3), info

    def render(self, mode="human"):
        return np.full((2, 2, 3), self.at, np.uint8) if mode == "rgb_array" else None


class Wrapped21:
    """A wrapper of gym 0.21, which passes everything on."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def reset(self, **kwargs):
        return self.env.reset(**kwargs)

    def render(self, mode="human", **kwargs):
        return self.env.render(mode, **kwargs)

    def __getattr__(self, name):
        return getattr(self.env, name)


class Gym26:
    """Written as for gym 0.26."""

    action_space, observation_space, render_mode = OLD_TWO, OLD_BOX, None
    seed_given: Any = None
    options_given: Any = None

    def reset(self, *, seed=None, options=None):
        self.seed_given, self.options_given = seed, options
        return np.zeros(1, np.float32), {"lives": 3}

    def step(self, action):
        return np.ones(1, np.float32), 1.0, np.bool_(False), np.bool_(True), None


class TimeStep(NamedTuple):
    step_type: int
    reward: Any
    discount: Any
    observation: Any


class Array:
    """A spec of dm_env."""

    def __init__(self, shape, dtype, **bounds):
        self.shape, self.dtype = shape, np.dtype(dtype)
        vars(self).update(bounds)


class DmEnv:
    """Written as for dm_env."""

    actions: list[Any]

    def __init__(self, discount: float = 0.0) -> None:
        self.discount, self.actions = discount, []

    def observation_spec(self):
        return OrderedDict(speed=Array((), float), at=Array((2,), "float32", minimum=0, maximum=1))

    def action_spec(self):
        return [Array((1,), "float32", minimum=-1, maximum=1), Array((), "int32", num_values=3)]

    def reset(self):
        return TimeStep(0, None, None, self.seen(0.0))

    def step(self, action):
        self.actions.append(action)
        return TimeStep(2, 1.5, self.discount, self.seen(0.5))

    def seen(self, speed):
        return OrderedDict(speed=speed, at=np.zeros(2, np.float32))


class Returning:
    """A plain object that returns what it is told to."""

    def __init__(self, first: Any, after: Any = None) -> None:
        self.first, self.after = first, after

    def reset(self):
        return self.first

    def step(self, action):
        return self.after


def plain(first: Any, after: Any = None, observation_space: Any = LINE) -> ForeignEnv:
    return ForeignEnv(Returning(first, after), gs.Discrete(2), observation_space)


@pytest.mark.parametrize("make", [Gym21, lambda: Wrapped21(Gym21())])
def test_four_values_of_gym_become_five(make):
    env = ForeignEnv(make())
    assert env.reset(seed=1)[1] == {}
    assert env.step(0)[1:] == (1.0, False, False, {})
    assert env.step(0)[1:] == (1.0, False, True, {"TimeLimit.truncated": True})
    assert env.step(0)[1:] == (1.0, True, False, {})
    assert type(env.step(0)[2]) is bool


@pytest.mark.parametrize("make", [Gym21, lambda: Wrapped21(Gym21())])
def test_a_seed_goes_to_the_method_where_reset_takes_none(make):
    env = ForeignEnv(make())
    assert env.takes_seed
    assert env.reset(seed=5)[0] == 2
    assert env.reset()[0] == 2
    assert env.foreign.seeds == [5]


def test_without_any_way_to_seed_it_says_so():
    assert not plain(np.zeros(1, np.float32)).takes_seed


def test_gym_26_gets_seed_and_options_and_keeps_its_info():
    env = ForeignEnv(Gym26())
    assert env.reset(seed=3, options={"hard": True})[1] == {"lives": 3}
    assert (env.foreign.seed_given, env.foreign.options_given) == (3, {"hard": True})
    assert env.step(0)[1:] == (1.0, False, True, {})


def test_options_go_by_name_and_others_are_refused():
    class Levels(Gym21):
        def reset(self, level=0):
            return np.array([level], np.float32)

    env = ForeignEnv(Levels())
    assert env.reset(options={"level": 4})[0] == 4
    with pytest.raises(InvalidRequestError, match=r"reset of Levels takes level, got speed"):
        env.reset(options={"speed": 1})


def test_render_gets_the_mode_where_it_takes_one():
    env = ForeignEnv(Wrapped21(Gym21()), render_mode="rgb_array")
    env.reset()
    assert env.render().shape == (2, 2, 3)
    assert env.metadata["render_modes"] == ["human", "rgb_array"]
    assert env.metadata["author"] == "somebody"


def test_render_gets_the_mode_where_it_hides_what_it_takes():
    class Hidden(Gym21):
        def render(self, *args, **kwargs):
            return super().render(*args, **kwargs)

    env = ForeignEnv(Hidden(), render_mode="rgb_array")
    assert env.can_render("rgb_array")
    assert env.render().shape == (2, 2, 3)


@pytest.mark.parametrize(("discount", "flags"), [(0.0, (True, False)), (1.0, (False, True))])
def test_the_discount_of_the_last_time_step_tells_how_it_ended(discount, flags):
    env = ForeignEnv(DmEnv(discount))
    env.reset()
    _, reward, *ends, info = env.step((np.zeros(1, np.float32), np.int64(2)))
    assert (reward, tuple(ends), info) == (1.5, flags, {"discount": discount})


def test_values_of_dm_env_fit_their_spaces_and_actions_their_specs():
    env = ForeignEnv(DmEnv())
    assert list(env.observation_space.spaces) == ["speed", "at"]
    assert env.reset()[0] in env.observation_space
    env.step((np.zeros(1, np.float32), np.int64(2)))
    (row, choice) = env.foreign.actions[0]
    assert type(env.foreign.actions[0]) is list
    assert (row.dtype, choice.dtype, choice.shape) == (np.float32, np.int32, ())


def test_dm_env_of_its_own_package():
    dm_env = pytest.importorskip("dm_env", reason="dm_env is not installed")
    specs = dm_env.specs

    class Bandit(dm_env.Environment):
        def reset(self):
            return dm_env.restart(np.zeros(1))

        def step(self, action):
            return dm_env.truncation(reward=2.0, observation=np.ones(1), discount=0.5)

        def observation_spec(self):
            return specs.BoundedArray((1,), float, 0, 1)

        def action_spec(self):
            return specs.DiscreteArray(2)

    env = ForeignEnv(Bandit())
    assert env.action_space == gs.Discrete(2)
    assert env.reset()[0].tolist() == [0]
    assert env.step(1)[1:] == (2.0, False, True, {"discount": 0.5})


PAIR = gs.Tuple([gs.Discrete(2), gs.Dict(a=gs.Discrete(2))])


@pytest.mark.parametrize(
    ("returned", "space", "expected"),
    [
        ((np.zeros(1, np.float32), {"a": 1}), LINE, (np.zeros(1), {"a": 1})),
        ((1, {"a": 1}), PAIR, ((1, {"a": 1}), {})),
        (((1, {"a": 1}), {"lives": 3}), PAIR, ((1, {"a": 1}), {"lives": 3})),
        (((1, {"a": 1}), {"a": 3}), PAIR, ((1, {"a": 1}), {"a": 3})),
        ((1, 2), gs.Tuple([gs.Discrete(2), gs.Discrete(3)]), ((1, 2), {})),
    ],
)
def test_an_observation_that_looks_like_a_pair_with_an_info(returned, space, expected):
    assert plain(returned, observation_space=space).reset() == expected


@pytest.mark.parametrize(
    ("given", "space", "expected"),
    [
        ([3], LINE, np.array([3], np.float32)),
        (np.array([0.5]), LINE, np.array([0.5], np.float32)),
        (np.array([True]), gs.MultiBinary(1), np.array([1], np.int8)),
        ([1, 0], gs.MultiDiscrete([2, 2]), np.array([1, 0])),
        (np.array([1]), gs.Discrete(2), np.int64(1)),
        ([[1], 0], gs.Tuple([LINE, gs.Discrete(2)]), (np.array([1], np.float32), 0)),
        ({"a": [1]}, gs.Dict(a=LINE), {"a": np.array([1], np.float32)}),
    ],
)
def test_an_observation_gets_the_form_of_its_space(given, space, expected):
    seen = plain(given, observation_space=space).reset()[0]
    assert seen in space
    assert gym.utils.env_checker.data_equivalence(seen, expected)


@pytest.mark.parametrize("given", [np.zeros((2, 2)), np.array([0.5]), [[1], [2, 3]]])
def test_an_observation_that_cannot_get_that_form_is_passed_on(given):
    space = gs.Box(0, 255, (1,), np.uint8)
    assert plain(given, observation_space=space).reset()[0] is given


def test_rounded_observations_are_told_once(caplog):
    env = plain(np.array([0.1]))
    env.reset()
    env.reset()
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "observations of Returning have another dtype than the observation space says"
    ]


@pytest.mark.parametrize("reward", [2, np.array([2.0]), [2.0], np.float32(2)])
def test_a_reward_is_a_number(reward):
    env = plain(0, (np.zeros(1, np.float32), reward, False, {}))
    assert env.step(0)[1] == 2
    assert np.ndim(env.step(0)[1]) == 0


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (3, r"step of Returning: expected observation, reward, done and info, .* got 3$"),
        ((1, 2, 3), r"got 3 values$"),
        ((None, 0.0, False, {}), "expected an observation, got None"),
        (([0], 0.0, False, "text"), "expected a dict as the info, got 'text'"),
        (([0], 0.0, np.array([True, False]), {}), "done: expected a boolean"),
    ],
)
def test_a_step_that_makes_no_sense_is_told(after, said):
    with pytest.raises(ValueError, match=said):
        plain([0], after).step(0)


def test_what_lacks_spaces_is_told_how_to_get_them():
    with pytest.raises(EnvStartError, match=r"action_space of Returning, .* give action_space="):
        ForeignEnv(Returning(0))
    assert [has_spaces(one) for one in (Returning(0), Gym21(), DmEnv())] == [False, True, True]


OLD_SPACES = {
    "discrete": (OLD_TWO, gs.Discrete(2)),
    "start": (OldSpace(n=2, shape=(), start=3), gs.Discrete(2, start=3)),
    "box": (OLD_BOX, LINE),
    "binary": (OldSpace(n=4, shape=(4,)), gs.MultiBinary(4)),
    "rows": (OldSpace(n=(2, 3), shape=(2, 3)), gs.MultiBinary([2, 3])),
    "vector": (OldSpace(nvec=np.array([2, 3]), dtype=np.dtype("int64")), gs.MultiDiscrete([2, 3])),
    "tuple": (OldSpace(spaces=[OLD_TWO, OLD_BOX]), gs.Tuple([gs.Discrete(2), LINE])),
    "dict": (
        OldSpace(spaces=OrderedDict(b=OLD_TWO, a=OldSpace(spaces=(OLD_TWO,)))),
        gs.Dict(OrderedDict(b=gs.Discrete(2), a=gs.Tuple([gs.Discrete(2)]))),
    ),
    "text": (
        OldSpace(max_length=3, min_length=1, character_set=frozenset("ab")),
        gs.Text(3, charset="ab"),
    ),
    "sequence": (OldSpace(feature_space=OLD_TWO), gs.Sequence(gs.Discrete(2))),
    "graph": (
        OldSpace(node_space=OLD_BOX, edge_space=None),
        gs.Graph(LINE, None),
    ),
}


@pytest.mark.parametrize("kind", OLD_SPACES)
def test_spaces_of_gym(kind):
    old, expected = OLD_SPACES[kind]
    made = space_of(old)
    assert made == expected
    assert list(getattr(made, "spaces", ())) == list(getattr(expected, "spaces", ()))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Array((2,), "int8"), gs.Box(-128, 127, (2,), np.int8)),
        (Array((), float), gs.Box(-np.inf, np.inf, (), float)),
        (
            Array((2,), "uint8", minimum=[1, 2], maximum=9),
            gs.Box(np.uint8([1, 2]), np.uint8([9, 9]), dtype=np.uint8),
        ),
        ((Array((), int, num_values=3),), gs.Tuple([gs.Discrete(3)])),
    ],
)
def test_specs_of_dm_env(spec, expected):
    assert space_of_spec(spec) == expected


@pytest.mark.parametrize(
    "wrong", [OldSpace(), OldSpace(low=np.ones(1), high=np.zeros(1), shape=(2,), dtype="<U1")]
)
def test_a_space_of_no_known_kind_is_refused(wrong):
    with pytest.raises(SpaceError, match="space: "):
        space_of(wrong)


def test_attributes_of_the_object_can_be_read_and_set():
    env = ForeignEnv(Wrapped21(Gym21()))
    assert env.get_wrapper_attr("speed") == 2
    env.set_wrapper_attr("at", 7)
    assert env.foreign.env.at == env.at == 7
    with pytest.raises(AttributeError, match="_hidden"):
        _ = env._hidden


def test_gymnasium_finds_nothing_to_complain_of():
    check_env(ForeignEnv(Gym21()), skip_render_check=True)
