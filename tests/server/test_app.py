"""``create_app`` with names, classes, functions and objects, under a real uvicorn."""

from __future__ import annotations

import threading

import gymnasium as gym
import pytest

from openenv_gym import Action, Environment, Observation, OpenEnvClient, State, create_app
from openenv_gym.errors import (
    CapacityError,
    EnvStartError,
    InvalidActionError,
    InvalidRequestError,
    NotOpenEnvError,
    RemoteEnvError,
    SpaceError,
    UnknownEnvironmentError,
)
from openenv_gym.launchers import ServerProcess
from tests.support.uvicorn_thread import serving


class CountAction(Action):
    by: int = 1


class CountObservation(Observation):
    total: int
    where: str


class CountState(State):
    total: int = 0


class Counter(Environment[CountAction, CountObservation, CountState]):
    """Counts."""

    def __init__(self) -> None:
        self.total, self.steps = 0, 0

    def reset(self, seed=None, episode_id=None, start: int = 0):
        self.total, self.steps = start + (seed or 0), 0
        return self._observe()

    def step(self, action, timeout_s=None):
        if action.by == 13:
            raise ValueError("unlucky")
        self.total, self.steps = self.total + action.by, self.steps + 1
        return self._observe(reward=float(action.by), done=self.steps == 3)

    @property
    def state(self):
        return CountState(total=self.total, step_count=self.steps)

    def _observe(self, **fields):
        return CountObservation(
            total=self.total, where=threading.current_thread().name, metadata={"n": 1}, **fields
        )


class CountClient(OpenEnvClient[CountAction, CountObservation, CountState]):
    pass


class CarelessClient(CountClient):
    def _step_payload(self, action):
        return {"by": action}


def test_a_typed_environment_of_ones_own():
    app = create_app(Counter, CountAction, CountObservation, env_name="counter")
    with serving(app) as url, CountClient(url) as client:
        first = client.reset(seed=5, episode_id="x", start=10)
        assert (first.observation.total, first.reward, first.metadata) == (15, None, {"n": 1})
        assert first.observation.where.startswith("openenv-gym session")
        result = client.step(CountAction(by=2))
        assert (result.observation.total, result.reward, result.done) == (17, 2.0, False)
        assert client.state().total == 17
        with pytest.raises(RemoteEnvError, match="ValueError in step: unlucky"):
            client.step(CountAction(by=13))
        with pytest.raises(InvalidRequestError, match=r"reset of Counter takes .*, got stop"):
            client.reset(stop=3)
        client.reset()
        assert [client.step(CountAction()).done for _ in range(3)] == [False, False, True]


def test_models_are_read_from_the_type_parameters():
    with serving(create_app(Counter)) as url, CountClient(url) as client:
        assert client.reset(start=1).observation.total == 1


def test_a_typed_environment_by_name_in_a_process():
    name = "environment:tests.server.test_app:Counter"
    with serving(create_app(name)) as url, CarelessClient(url) as client:
        assert client.reset(start=1).observation.where == "MainThread"
        with pytest.raises(InvalidActionError, match=r"\$\.action\.by"):
            client.step("x")
        assert client.step(1).observation.total == 2


def test_one_object_is_one_session():
    with serving(create_app(Counter())) as url, CountClient(url) as client:
        client.reset(start=4)
        with pytest.raises(CapacityError, match="1 of 1"), CountClient(url) as second:
            second.reset()
        assert client.step(CountAction()).observation.total == 5


@pytest.mark.parametrize("isolation", ["thread", "inline"])
def test_a_function_that_makes_a_gymnasium_environment(isolation):
    app = create_app(lambda: gym.make("CartPole-v1"), env_name="mine", isolation=isolation)
    with serving(app) as url:
        env = gym.make("openenv/remote-v0", base_url=url)
        assert env.unwrapped.name == "mine"
        assert env.reset(seed=1)[0].tolist() == gym.make("CartPole-v1").reset(seed=1)[0].tolist()
        env.close()


@pytest.mark.filterwarnings("ignore:.*its minimum and maximum are not known")
def test_a_typed_environment_has_no_binary_spaces():
    with serving(create_app(Counter)) as url:
        with pytest.raises(NotOpenEnvError, match="use codec='json' or 'auto'"):
            gym.make("openenv/remote-v0", base_url=url, codec="binary")
        with pytest.raises(SpaceError, match=r"expected one field of the .*total, where"):
            gym.make("openenv/remote-v0", base_url=url, observation_space=gym.spaces.Discrete(9))
        env = gym.make("openenv/remote-v0", base_url=url)
        assert list(env.observation_space) == ["total", "where"]
        assert env.reset(seed=7)[0]["total"] == 7
        env.close()
        env = gym.make(
            "openenv/remote-v0",
            base_url=url,
            action_space=gym.spaces.Discrete(9),
            observation_key="total",
            observation_space=gym.spaces.Discrete(100),
        )
        obs, info = env.reset(seed=7)
        assert (obs, sorted(info)) == (7, ["metadata", "where"])
        assert env.step(3)[:4] == (10, 3.0, False, False)
        assert env.step(0)[:4] == (10, 0.0, False, False)
        assert env.step(0)[:4] == (10, 0.0, True, False)
        env.close()


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "says"),
    [
        (("CartPole-v1", CountAction), {}, InvalidRequestError, "'CartPole-v1' is a name"),
        (
            (Counter,),
            {"isolation": "process"},
            InvalidRequestError,
            "'package.module:Class'",
        ),
        ((Counter,), {"kwargs": {"a": 1}}, InvalidRequestError, "takes no kwargs"),
        (("CartPole-v1",), {"isolation": "docker"}, InvalidRequestError, "'docker'"),
        (("CartPole-v1",), {"kwargs": [["a", 1]]}, InvalidRequestError, "expected a mapping"),
        (("CartPole-v1",), {"max_sessions": 0}, InvalidRequestError, "at least 1"),
        (("Nothing-v0",), {}, UnknownEnvironmentError, "Nothing"),
        ((lambda: 1 / 0,), {}, EnvStartError, "ZeroDivisionError in open"),
        ((object,), {}, EnvStartError, "makes an object of type object; expected a gym"),
    ],
)
def test_what_cannot_be_served(arguments, keywords, error, says):
    with pytest.raises(error, match=says):
        create_app(*arguments, **keywords)


@pytest.mark.parametrize(("isolation", "count"), [("process", 0), ("thread", 1), ("inline", 1)])
@pytest.mark.sample(1)
def test_a_start_without_isolation_is_warned_of_in_one_line(
    isolation: str, count: int, capfd: pytest.CaptureFixture[str]
):
    with ServerProcess("CartPole-v1", f"--isolation={isolation}"):
        pass
    said = [line for line in capfd.readouterr().err.splitlines() if "unsafe" in line]
    assert len(said) == count
    assert all(f"isolation '{isolation}' is unsafe: an environment that crashes" in s for s in said)
