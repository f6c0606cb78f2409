"""``close()`` ends within a few seconds, whatever the environment does, and leaves nobody behind.

Nothing here is timed. A connection's own patience is longer than a test may take.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest

from openenv_gym import Action, Observation, OpenEnvClient, RemoteVectorEnv, State, from_client
from openenv_gym.envs import remote_env, shard, shards
from openenv_gym.errors import ResetNeededError
from openenv_gym.launchers import ServerProcess
from openenv_gym.launchers.embedded import EMBEDDED
from openenv_gym.protocol import Step
from openenv_gym.sb3 import OpenEnvVecEnv
from tests.support.family import embedded_workers, family_of, workers_of
from tests.support.hanging import Hanging

HANGING = "tests.support.hanging:Hanging-v0"
HANG = {"hang": "close"}
WITHIN_S = 1.0
PATIENCE_S = 600.0


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (remote_env, shard, shards):
        monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", WITHIN_S)


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """One of whose environments may take as long to close as they like."""
    with ServerProcess(HANGING, "--close-timeout=1", "--step-timeout=0") as started:
        yield started


class Press(Action):
    action: int


class Seen(Observation):
    model_config = {"extra": "ignore"}
    obs: list[float]


class Client(OpenEnvClient[Press, Seen, State]):
    """Needs its type parameters only."""


def one(**arguments: Any) -> gym.Env[Any, Any]:
    return gym.make("openenv/gymnasium-v0", env_id=HANGING, timeout_s=PATIENCE_S, **arguments)


def several(**arguments: Any) -> Any:
    """Four, on a server where one is named."""
    env_id = "openenv/remote-v0" if "base_url" in arguments else "openenv/gymnasium-v0"
    named = {} if "base_url" in arguments else {"env_id": HANGING}
    return gym.make_vec(env_id, num_envs=4, timeout_s=PATIENCE_S, **named, **arguments)


def assert_a_fresh_one_is_made() -> None:
    env = one()
    env.reset()
    assert env.step(0)[0][0] == 1.0
    env.close()


def test_an_embedded_environment_that_does_not_close_is_ended_with_its_worker():
    env = one()
    env.reset(options=HANG)
    hung = psutil.Process(EMBEDDED.pid)
    env.close()
    env.close()
    assert psutil.wait_procs([hung], timeout=20)[1] == []
    assert_a_fresh_one_is_made()


def test_an_embedded_worker_that_was_stopped():
    env = one()
    env.reset()
    stopped = psutil.Process(EMBEDDED.pid)
    stopped.suspend()
    env.close()
    assert psutil.wait_procs([stopped], timeout=20)[1] == []
    assert_a_fresh_one_is_made()


def test_an_embedded_worker_in_which_another_one_computes_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(remote_env, "CLOSE_TIMEOUT_S", 0.1)
    busy, leaves = one().unwrapped, one()
    busy.reset(seed=1)
    leaves.reset()
    busy._connection.begin(Step(Hanging.SLOW))  # 1.5 s
    leaves.close()
    assert busy._connection.finish().obs[0] == 1.0
    busy.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.parametrize("how", ["hang", "stop"])
@pytest.mark.sample(1)
def test_an_environment_of_a_server(how: str, codec: str, server: ServerProcess):
    env = gym.make("openenv/remote-v0", base_url=server.base_url, codec=codec, timeout_s=PATIENCE_S)
    family_of(server.pid, 3)  # with a forkserver
    spare = {process.pid for process in workers_of(server.pid)}  # the session gets this one
    env.reset(options=HANG if how == "hang" else None)
    own = [process for process in workers_of(server.pid) if process.pid in spare]
    assert len(own) == 1
    if how == "stop":
        own[0].suspend()
    env.close()
    assert psutil.wait_procs(own, timeout=20)[1] == []


@pytest.mark.parametrize("reach", ["embedded", "binary", "json"])
@pytest.mark.parametrize("how", ["hang", "stop"])
@pytest.mark.sample(1)
def test_sub_environments(how: str, reach: str, server: ServerProcess):
    there = {} if reach == "embedded" else {"base_url": server.base_url, "codec": reach}
    envs = several(**there)
    envs.reset(options=HANG if how == "hang" else None)
    if how == "stop":
        embedded = reach == "embedded"
        count = len(envs._shards) if embedded else 0
        for process in embedded_workers(count) if embedded else workers_of(server.pid):
            with contextlib.suppress(psutil.NoSuchProcess):  # it told what is served, and is gone
                process.suspend()
    envs.close()
    assert envs.closed


def test_those_of_a_vec_env():
    envs = OpenEnvVecEnv(several(shards=2, autoreset_mode="SameStep"))
    envs.set_options(HANG)
    envs.reset()
    hung = embedded_workers(2)
    envs.close()
    envs.close()
    assert psutil.wait_procs(hung, timeout=20)[1] == []


def test_those_that_are_dead_already():
    envs = several(shards=2)
    envs.reset()
    for worker in embedded_workers(2):
        worker.kill()
    envs.close()
    assert envs.closed


@pytest.mark.parametrize("form", ["one", "several"])
@pytest.mark.sample(1)
def test_a_client_that_does_not_close(form: str, server: ServerProcess):
    clients = [Client(server.base_url, timeout_s=PATIENCE_S) for _ in range(2)]
    if form == "one":
        env = from_client(clients[0])
        env.reset(options=HANG)
        env.close()
        return
    envs = RemoteVectorEnv.from_clients(clients)
    envs.reset(options=HANG)
    assert envs.step(np.zeros(2, np.int64))[1].tolist() == [1.0, 1.0]
    envs.close()


@pytest.mark.long
def test_the_typed_client(server: ServerProcess):
    with Client(server.base_url, timeout_s=PATIENCE_S) as client:
        client.reset(options=HANG)


@pytest.mark.parametrize("reach", ["embedded", "binary", "json"])
@pytest.mark.sample(1)
def test_what_comes_after_it_is_no_fault(reach: str, server: ServerProcess):
    there = {} if reach == "embedded" else {"base_url": server.base_url, "codec": reach}
    envs = several(**there)
    for _ in range(2):
        obs, info = envs.reset(seed=7)
        assert obs[:, 0].tolist() == [0.0] * 4 and "openenv" not in info
        envs.step(np.zeros(4, np.int64))
        envs.close()
        assert envs.closed
        with pytest.raises(ResetNeededError, match=r"call reset\(\)"):
            envs.step(np.zeros(4, np.int64))
