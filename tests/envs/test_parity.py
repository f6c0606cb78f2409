"""Remote episodes equal local ones to the bit, whatever the way."""

from __future__ import annotations

import gymnasium as gym
import pytest

from openenv_gym import OpenSpielEnv
from openenv_gym.conformance import play_parity

pytestmark = pytest.mark.single_env

# Its version went up in Gymnasium 1.4.
TAXI = next(env_id for env_id in gym.registry if env_id.startswith("Taxi-"))


def test_cartpole_for_20_seeds(reach):
    local, remote = gym.make("CartPole-v1"), gym.make("openenv/CartPole-v1", **reach("CartPole-v1"))
    assert play_parity(local, remote, range(20), 200) == 20 * 200
    remote.close()


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "Blackjack-v1", TAXI, "Pendulum-v1"])
@pytest.mark.sample(4)
def test_other_spaces(env_id: str, reach):
    local = gym.make(env_id)
    remote = gym.make(f"openenv/{env_id}", **reach(env_id))
    assert play_parity(local, remote, range(3), 200) == 600
    remote.close()


@pytest.mark.parametrize("isolation", ["inline", "thread"])
@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(2)
def test_isolations(isolation: str, codec: str, serve):
    url = serve("CartPole-v1", "--isolation", isolation).base_url
    remote = gym.make("openenv/CartPole-v1", base_url=url, codec=codec)
    assert play_parity(gym.make("CartPole-v1"), remote, range(3), 200) == 600
    remote.close()


def test_unix_socket(serve, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("uds") / "socket"
    url = serve("CartPole-v1", "--uds", str(path)).base_url
    assert url == f"unix://{path}"
    for codec in ("binary", "json"):
        remote = gym.make("openenv/CartPole-v1", base_url=url, codec=codec)
        assert play_parity(gym.make("CartPole-v1"), remote, range(2), 200) == 400
        remote.close()


@pytest.mark.parametrize("game", ["catch", "tic_tac_toe", "kuhn_poker", "2048", "blackjack"])
@pytest.mark.sample(6)
def test_openspiel(game: str, reach):
    local = OpenSpielEnv(game)
    remote = gym.make(f"openenv/{game}-v0", **reach(f"openspiel:{game}"))
    assert play_parity(local, remote.unwrapped, range(3), steps=60) == 180
    remote.close()


def test_special_floats_and_numpy_infos(reach):
    arguments = reach("tests.support.envs:Scripted-v0")
    remote = gym.make("openenv/gymnasium-v0", env_id="tests.support.envs:Scripted-v0", **arguments)
    local = gym.make("tests.support.envs:Scripted-v0")
    assert_same_resets_and_steps(local.unwrapped, remote.unwrapped)
    remote.close()


def assert_same_resets_and_steps(local, remote):
    from tests.support.envs import Scripted
    from tests.support.rollouts import same

    assert same(local.reset(seed=3), remote.reset(seed=3))
    for action in (0, Scripted.NAN, 0, Scripted.END):
        assert same(local.step(action), remote.step(action))
    assert same(local.reset(options={"a": [1, 2]}), remote.reset(options={"a": [1, 2]}))
