"""The check finds what differs, wherever it is, and says nothing of what does not."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from openenv_gym.conformance import (
    NotDeterministicError,
    ParityError,
    check_deterministic,
    play_parity,
)
from openenv_gym.conformance.judge import TRANSPORTS, Play, judge

TOLD: dict[str, Any] = {
    "obs": {"camera": np.array([0.0, 1.0], np.float32)},
    "reward": 1.0,
    "terminated": False,
    "truncated": False,
    "info": {"prob": 0.5, "legal": [0, 1], "at": np.nan},
}


class Told(gym.Env[Any, Any]):
    """Says what it is told, from its third step on."""

    def __init__(self, **said: Any) -> None:
        self.action_space = spaces.Box(-1, 1, (2,))
        self.observation_space = spaces.Dict({"camera": spaces.Box(0, 1, (2,))})
        self.said = {**TOLD, **said}
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        return TOLD["obs"], TOLD["info"]

    def step(self, action: Any):
        self.steps += 1
        return tuple((self.said if self.steps > 2 else TOLD).values())


INFO = TOLD["info"]
ODD_NAN = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0].item()
PLANTED = {
    "dtype": ({"obs": {"camera": np.array([0.0, 1.0])}}, '$.obs["camera"]: '),
    "shape": ({"obs": {"camera": np.array([[0, 1]], np.float32)}}, '$.obs["camera"]: '),
    "sign of zero": (
        {"obs": {"camera": np.array([-0.0, 1.0], np.float32)}},
        '$.obs["camera"][0]: expected numpy.float32 0.0, got numpy.float32 -0.0',
    ),
    "payload of NaN": ({"info": {**INFO, "at": ODD_NAN}}, '$.info["at"]: expected float nan (b'),
    "list and tuple": (
        {"info": {**INFO, "legal": (0, 1)}},
        '$.info["legal"]: expected list [0, 1], got tuple (0, 1)',
    ),
    "further key": ({"info": {**INFO, "x": 1}}, "$.info: expected the keys 'prob', 'legal', "),
    "order of keys": (
        {"info": dict(reversed(INFO.items()))},
        "$.info: expected the keys in the order 'prob', 'legal', 'at', got 'at', 'legal', 'prob'",
    ),
    "reward that is no float": ({"reward": 1}, "$.reward: expected float 1.0, got int 1"),
    "flag that is no bool": (
        {"terminated": np.bool_(False)},
        "$.terminated: expected bool False, got numpy.bool False",
    ),
    "flag": ({"truncated": True}, "$.truncated: expected bool False, got bool True"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_difference_is_found_where_it_is(case: str):
    said, sentence = PLANTED[case]
    with pytest.raises(ParityError) as caught:
        play_parity(Told(), Told(**said), [7], 5)
    assert str(caught.value).startswith(f"seed 7, step 2: {sentence}")


def test_equal_ones_are_equal():
    assert play_parity(Told(), Told(), range(3), 5) == 15


def test_what_is_documented_is_no_difference():
    local = Told(reward=np.float32(1), terminated=np.bool_(False), info={**INFO, "it": object()})
    left_out: set[str] = set()
    assert play_parity(local, Told(), [0], 5, left_out) == 5
    assert left_out == {'$.info["it"]'}


def test_resets_are_compared():
    class Other(Told):
        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
            return TOLD["obs"], {} if self.steps or seed == 1 else TOLD["info"]

    with pytest.raises(ParityError, match=r"^seed 1, first reset: \$\.info: expected the keys"):
        play_parity(Told(), Other(), [1], 5)
    ends = {"terminated": True}
    with pytest.raises(ParityError, match=r"^seed 0, reset after step 2: \$\.info: "):
        play_parity(Told(**ends), Other(**ends), [0], 5)


def test_buffers_and_actions_that_are_written_to_are_no_way_around():
    class Writer(Told):
        buffer = np.zeros(2, np.float32)  # which both share

        def step(self, action: Any):
            result = super().step(action)
            self.buffer[:] = action
            action[:] = 0
            return {"camera": self.buffer}, *result[1:]

    class Reader(Writer):
        def step(self, action: Any):
            return super().step(action + np.float32(1))

    assert play_parity(Writer(), Writer(), [0], 5) == 5
    with pytest.raises(ParityError, match=r'step 0: \$\.obs\["camera"\]\[0\]'):
        play_parity(Writer(), Reader(), [0], 5)


@pytest.mark.parametrize("kind", [ParityError, NotDeterministicError])
def test_the_errors_travel(kind: type[Exception]):
    for again in (pickle.loads(pickle.dumps(kind("text"))), copy.deepcopy(kind("text"))):
        assert type(again) is kind
        assert again.args == ("text",)


def test_an_environment_that_differs_from_itself_is_named():
    told = iter([Told(), Told(reward=2.0)])
    with pytest.raises(NotDeterministicError, match=r"two instances .* differ, .*reward"):
        check_deterministic(lambda: next(told), [0], 5)
    check_deterministic(lambda: Told(reward=1, info={"it": object()}), [0], 5)


ODD = "tests.conformance.odd_envs"
QUICK = Play(seeds=1, steps=5, transports=("embedded",))


@pytest.mark.parametrize(
    ("env_id", "line"),
    [
        ("Quiet-v0", "embedded: identical: 5 steps compared"),
        ("Pid-v0", "embedded: differs: seed 0, first reset: $.obs[1]: expected numpy.float64 "),
        ("Dice-v0", "in process: nondeterministic: two instances in one process differ, so "),
        ("Raise-v0", "in process: raises: ValueError: told to raise"),
        ("Elsewhere-v0", "embedded: differs: raises RemoteEnvError_OSError: "),
        ("Nothing-v0", "in process: could not be built: UnknownEnvironmentError"),
    ],
)
def test_the_verdict(env_id: str, line: str):
    (outcome,) = judge(f"{ODD}:{env_id}", QUICK)
    assert str(outcome).startswith(f"{ODD}:{env_id}  {line}")


def test_pictures_are_played_for_fewer_steps_as_json_only():
    play = Play(seeds=1, steps=4, picture_steps=2, transports=("embedded", "json"))
    assert [outcome.steps for outcome in judge(f"{ODD}:Picture-v0", play)] == [4, 2]


def test_infos_that_cannot_travel_are_named():
    outcomes = list(judge(f"{ODD}:Secretive-v0", Play(seeds=1, steps=5)))
    assert [outcome.verdict for outcome in outcomes] == ["identical"] * 3
    assert {tuple(outcome.left_out) for outcome in outcomes} == {
        ('$.info["kept"][1]', '$.info["model"]')
    }


# The other classic ones are played in tests/envs/test_parity.py, for old Gymnasiums too.
# One for each simulator, and for each form of observations and actions; the others are long.
SHORT = ["CliffWalking-v1", "LunarLander-v3", "InvertedPendulum-v5"]
OTHERS = [
    "Acrobot-v1",
    "MountainCarContinuous-v0",
    "MountainCar-v0",
    "CliffWalkingSlippery-v1",
    "FrozenLake8x8-v1",
    "BipedalWalker-v3",
    "HalfCheetah-v5",
    "Humanoid-v5",
    "Reacher-v5",
    "Ant-v5",
]
ENVIRONMENTS = [
    *SHORT,
    *(pytest.param(env_id, marks=pytest.mark.long) for env_id in OTHERS),
]


# Box2D's bindings, made by SWIG, say this when they are imported, and crash if it is an error.
SWIG = "ignore:builtin type .* has no __module__ attribute:DeprecationWarning"


def assert_identical(env_id: str, play: Play, json_steps: int) -> None:
    steps = play.seeds * play.steps
    found = [
        (outcome.transport, outcome.verdict, outcome.steps, outcome.detail)
        for outcome in judge(env_id, play)
    ]
    expected = zip(TRANSPORTS, (steps, steps, json_steps), strict=True)
    assert found == [(name, "identical", count, "") for name, count in expected]


@pytest.mark.filterwarnings(SWIG)
@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_gymnasiums_environments(env_id: str):
    assert_identical(env_id, Play(), json_steps=600)


@pytest.mark.long  # test_atari plays pictures, too
@pytest.mark.filterwarnings(SWIG)
def test_car_racing():
    assert_identical("CarRacing-v3", Play(seeds=1, steps=50, picture_steps=50), json_steps=50)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "game",
    ["Breakout", *(pytest.param(game, marks=pytest.mark.long) for game in ("MsPacman", "Pong"))],
)
def test_atari(game: str):
    assert_identical(
        f"ale_py:ALE/{game}-v5", Play(seeds=2, steps=25, picture_steps=25), json_steps=50
    )
