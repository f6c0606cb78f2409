"""``OpenEnvVecEnv`` is what ``DummyVecEnv`` is, to the bit, and so agents learn the same on it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable import evaluation as maskable
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)

from openenv_gym import OpenSpielEnv
from openenv_gym.conformance import first_difference
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    RemoteEnvError,
    ResetNeededError,
    SpaceError,
)
from openenv_gym.sb3 import OpenEnvVecEnv
from tests.support import vec_envs
from tests.support.envs import Scripted

GAMES = ("tic_tac_toe", "kuhn_poker")  # whose steps take longer

# How one is made in process, and the id and arguments that make it elsewhere.
Pair = tuple[Callable[[], gym.Env[Any, Any]], str, dict[str, Any]]
PAIRS: dict[str, Pair] = {
    **{
        env_id: (lambda env_id=env_id: gym.make(env_id), f"openenv/{env_id}", {})
        for env_id in ("CartPole-v1", "FrozenLake-v1", "Pendulum-v1")
    },
    "Mixed": (
        vec_envs.Mixed,
        "openenv/gymnasium-v0",
        {"env_id": "tests.support.vec_envs:Mixed-v0"},
    ),
    "tic_tac_toe": (lambda: OpenSpielEnv("tic_tac_toe"), "openenv/tic_tac_toe-v0", {}),
    "kuhn_poker": (  # observes a Dict
        lambda: OpenSpielEnv("kuhn_poker", agent_player="all"),
        "openenv/kuhn_poker-v0",
        {"agent_player": "all"},
    ),
}


@pytest.fixture(autouse=True)
def one_thread():
    """The order in which threads add up numbers would make two trainings differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pair(name: str, num_envs: int, **arguments: Any) -> tuple[DummyVecEnv, OpenEnvVecEnv]:
    make, env_id, own = PAIRS[name]
    local = DummyVecEnv([make] * num_envs)
    return local, OpenEnvVecEnv(env_id, num_envs, **own, **arguments)


def assert_same(expected: Any, actual: Any) -> None:
    assert first_difference(plain(expected), plain(actual)) is None


def plain(value: Any) -> Any:
    """``DummyVecEnv`` observes an ``OrderedDict``, ``SubprocVecEnv`` and we a dict."""
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return dict(value) if isinstance(value, dict) else value


def play(local: VecEnv, remote: VecEnv, steps: int) -> int:
    """Play both with the same seeds and actions; return how many episodes ended."""
    assert local.observation_space == remote.observation_space
    assert local.action_space == remote.action_space
    assert local.seed(5) == remote.seed(5)
    local.action_space.seed(0)
    ended = 0
    assert_same(local.reset(), remote.reset())
    assert_same(local.reset_infos, remote.reset_infos)
    for number in range(steps):
        actions = np.array([local.action_space.sample() for _ in range(local.num_envs)])
        expected, actual = local.step(actions), remote.step(actions)
        assert_same(expected, actual)
        assert_same(local.reset_infos, remote.reset_infos)
        ended += int(actual[2].sum())
        if number == steps // 2:  # seeds are used once, so this goes on with the generators
            assert_same(local.reset(), remote.reset())
    local.close()
    remote.close()
    return ended


@pytest.mark.parametrize(("num_envs", "shards"), [(1, 1), (3, 2), (8, 3)])
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.sample(5)
def test_everything_is_as_of_dummy_vec_env(name: str, num_envs: int, shards: int):
    steps = 300 if name in GAMES else 800
    assert play(*pair(name, num_envs, shards=shards), steps) >= 3  # Pendulum's last 200 steps


def test_over_servers(serve):
    urls = [serve("CartPole-v1").base_url, serve("CartPole-v1", "--workers", "2").base_url]
    assert play(*pair("CartPole-v1", 5, base_url=urls, max_episode_steps=500), 300) > 5


def test_what_is_returned_may_be_written_to_and_kept():
    _, remote = pair("Mixed", 2)
    first = remote.reset()
    remote.step_async(np.ones((2, 2), np.int64))
    kept = remote.step_wait()
    before = copy.deepcopy(kept)
    first["where"][:] = kept[0]["where"][:] = 7
    kept[1][:] = 7
    kept[3][0]["begins"] = 7
    again = remote.step(np.ones((2, 2), np.int64))
    assert "begins" not in again[3][0] and not (again[0]["where"] == 7).any()
    assert_same(before[2], kept[2])
    assert {type(done) for done in kept[2].tolist()} == {bool} and kept[1].dtype == np.float32
    remote.close()


@pytest.mark.parametrize("shards", [1, 2])
def test_options_of_each_are_used_once(shards: int):
    make, env_id, own = PAIRS["Mixed"]
    local, remote = DummyVecEnv([make] * 4), OpenEnvVecEnv(env_id, 4, shards=shards, **own)
    for options in ({"a": 1}, [{"a": 1}, {"b": np.arange(2)}, {"a": 1}, {"b": np.arange(2)}]):
        for env in (local, remote):
            env.seed(1)
            env.set_options(options)
        assert_same(local.reset(), remote.reset())
        assert_same(local.reset_infos, remote.reset_infos)
    assert_same(local.reset(), remote.reset())
    assert_same(local.reset_infos, remote.reset_infos)
    remote.close()


def test_the_first_reset_may_have_options_of_each():
    remote = OpenEnvVecEnv(
        "openenv/gymnasium-v0", 3, env_id="tests.support.envs:Scripted-v0", shards=2
    )
    remote.set_options([{"a": 1}, {"b": 2}, {"c": 3}])
    assert remote.reset().shape == (3, 2)
    assert [info["options"] for info in remote.reset_infos] == [{"a": 1}, {"b": 2}, {"c": 3}]
    remote.close()


def test_errors_name_what_is_wrong_and_leave_it_usable():
    remote = OpenEnvVecEnv("openenv/gymnasium-v0", 2, env_id="tests.support.envs:Scripted-v0")
    with pytest.raises(ResetNeededError):
        remote.step([0, 0])
    remote.reset()
    for actions in ([0, 9], [0, [1]], None):
        with pytest.raises(InvalidActionError):
            remote.step(actions)
    with pytest.raises(RemoteEnvError, match="told to raise"):
        remote.step([0, Scripted.RAISE])
    remote.step_async([0, Scripted.RAISE])
    assert remote.reset()[:, 0].tolist() == [0, 0]  # cancels the step
    assert remote.step([0, 0])[0][:, 0].tolist() == [1, 1]
    remote.close()
    remote.close()


def test_a_vector_environment_may_be_given():
    envs = gym.make_vec("openenv/CartPole-v1", num_envs=3, autoreset_mode="SameStep")
    local = DummyVecEnv([lambda: gym.make("CartPole-v1")] * 3)
    assert play(local, OpenEnvVecEnv(envs), 100) > 5


def test_what_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch):
    cart_pole = "openenv/CartPole-v1"
    with pytest.raises(InvalidRequestError, match="'openenv/CartPole-v1' may be one"):
        OpenEnvVecEnv("CartPole-v1")
    with pytest.raises(InvalidRequestError, match="autoreset_mode: it is always 'SameStep'"):
        OpenEnvVecEnv(cart_pole, 2, autoreset_mode="NextStep")
    with pytest.raises(InvalidRequestError, match="num_envs: expected a number from 1"):
        OpenEnvVecEnv(cart_pole, 0)
    with pytest.raises(InvalidRequestError, match="got SyncVectorEnv"):
        OpenEnvVecEnv(gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")]))
    envs = gym.make_vec(cart_pole, num_envs=2)
    with pytest.raises(InvalidRequestError, match="'SameStep', got 'NextStep'"):
        OpenEnvVecEnv(envs)
    with pytest.raises(InvalidRequestError, match="go with an id only"):
        OpenEnvVecEnv(envs, 2)
    envs.close()
    closed = []
    monkeypatch.setattr(RemoteVectorEnv, "close_extras", lambda self, **_: closed.append(self))
    with pytest.raises(SpaceError, match="observation Tuple"):
        OpenEnvVecEnv("openenv/Blackjack-v1")
    assert len(closed) == 1


def test_infos_of_a_vector_form_of_its_own_are_refused():
    remote = OpenEnvVecEnv("openenv/CartPole-v1", 2)
    with pytest.raises(InvalidRequestError, match="vectorization='sync'"):
        remote._envs._merged([{"key": np.zeros(2), "_key": np.ones(2, bool)}], [2])
    remote.close()


def test_attributes_and_methods_are_those_that_are_known_here():
    _, remote = pair("CartPole-v1", 3)
    assert str(remote) == "<OpenEnvVecEnv CartPole-v1 x3>"
    assert remote.get_attr("action_space", [0, 2]) == [remote.action_space] * 2
    assert remote.get_attr("observation_space", 1) == [remote.observation_space]
    assert remote.get_attr("render_mode") == [None] * 3
    assert [spec.id for spec in remote.get_attr("spec")] == ["openenv/CartPole-v1"] * 3
    assert remote.env_is_wrapped(Monitor) == [False] * 3
    for name in ("missing", "_private", "action_masks"):
        assert not remote.has_attr(name)
    remote.reset()
    with pytest.raises(AttributeError, match="action_masks"):
        remote.env_method("action_masks")
    remote.close()


def test_pictures():
    _, env_id, own = PAIRS["Mixed"]
    remote = OpenEnvVecEnv(env_id, 3, shards=2, render_mode="rgb_array", **own)
    remote.reset()
    remote.step(np.ones((3, 2), np.int64))
    assert remote.render_mode == "rgb_array" and remote.metadata["render_fps"] == 7
    assert [image.shape for image in remote.get_images()] == [(4, 5, 3)] * 3
    assert [frame.shape for frame in remote.env_method("render", indices=[1])] == [(4, 5, 3)]
    assert remote.render().shape == (8, 10, 3)
    remote.close()
    blind = OpenEnvVecEnv(env_id, 2, **own)
    with pytest.warns(UserWarning, match="expected render_mode='rgb_array'"):
        assert blind.get_images() == [None, None]
    blind.close()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_opens_sessions_of_its_own(duplicate: Any):
    _, remote = pair("CartPole-v1", 3, shards=2)
    remote.seed(4)
    twin = duplicate(remote)
    assert_same(remote.reset(), twin.reset())
    for _ in range(50):
        assert_same(remote.step([1, 0, 1]), twin.step([1, 0, 1]))
    assert twin.spec == remote.spec
    twin.close()
    remote.close()


def test_action_masks_are_of_the_episode_under_way():
    _, remote = pair("tic_tac_toe", 3, shards=2)
    assert remote.has_attr("action_masks")
    with pytest.raises(ResetNeededError):
        remote.env_method("action_masks")
    observations, ended = remote.reset(), 0
    rng = np.random.default_rng(0)
    for _ in range(100):
        masks = remote.env_method("action_masks")
        assert [mask.dtype for mask in masks] == [np.bool_] * 3
        empty = observations.reshape(3, 3, 9)[:, 0]  # the first plane has the empty cells
        assert_same(np.stack(masks), empty.astype(bool))
        assert_same(remote.env_method("action_masks", indices=[2]), masks[2:])
        actions = [rng.choice(np.flatnonzero(mask)) for mask in masks]
        observations, _, dones, infos = remote.step(actions)
        assert not any("illegal_action" in info for info in infos)
        ended += dones.sum()
    assert ended > 20
    remote._latest = [{"legal_actions": [0, 8]}] * 3
    assert_same(remote.env_method("action_masks")[0], np.array([True, *[False] * 7, True]))
    remote.close()


class Watch(BaseCallback):
    """Keeps the infos of a training."""

    def __init__(self) -> None:
        super().__init__()
        self.infos: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        self.infos += self.locals["infos"]
        return True


def test_maskable_ppo_plays_legal_moves_only():
    env = VecMonitor(OpenEnvVecEnv("openenv/tic_tac_toe-v0", 4, shards=2))
    agent, watch = MaskablePPO("MlpPolicy", env, n_steps=32, seed=0, device="cpu"), Watch()
    agent.learn(512, callback=watch)
    assert sum("episode" in info for info in watch.infos) > 50
    assert not any("illegal_action" in info for info in watch.infos)
    unseen = VecMonitor(OpenEnvVecEnv("openenv/tic_tac_toe-v0", 4))
    mean, _ = maskable.evaluate_policy(agent, unseen, 20)
    assert -1 <= mean <= 1
    env.close()
    unseen.close()


def trained(env: VecEnv, timesteps: int) -> tuple[PPO, list[Any], np.ndarray]:
    """The agent, the returns and lengths of its episodes, and all its parameters."""
    monitored, watch = VecMonitor(env), Watch()
    agent = PPO(
        "MlpPolicy",
        monitored,
        learning_rate=1e-3,
        n_steps=128,
        batch_size=256,
        seed=0,
        device="cpu",
    )
    agent.learn(timesteps, callback=watch)
    episodes = [info["episode"] for info in watch.infos if "episode" in info]
    vector = torch.nn.utils.parameters_to_vector(agent.policy.parameters()).detach().numpy()
    return agent, [(float(one["r"]), int(one["l"])) for one in episodes], vector


def test_ppo_learns_the_same_to_the_bit():
    local, remote = pair("CartPole-v1", 8, shards=2)
    _, expected_episodes, expected = trained(local, 4096)
    _, episodes, parameters = trained(remote, 4096)
    assert len(episodes) > 50 and episodes == expected_episodes
    assert_same(expected, parameters)
    remote.close()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_what_ppo_learns_is_worth_something():
    agent, _, _ = trained(OpenEnvVecEnv("openenv/CartPole-v1", 8), 15_360)
    unseen = VecMonitor(OpenEnvVecEnv("openenv/CartPole-v1", 8))
    unseen.seed(100)
    mean, _ = evaluate_policy(agent, unseen, 32)
    assert mean > 150  # one that acts at random stays up for about 22 steps
    unseen.close()


@pytest.mark.parametrize(("algorithm", "name"), [(DQN, "FrozenLake-v1"), (SAC, "Pendulum-v1")])
def test_algorithms_with_a_replay_buffer_learn_the_same(algorithm: Any, name: str):
    vectors = []
    for env in pair(name, 2):
        agent = algorithm("MlpPolicy", env, seed=0, device="cpu", learning_starts=50)
        agent.learn(150)
        parameters = torch.nn.utils.parameters_to_vector(agent.policy.parameters())
        vectors.append(parameters.detach().numpy())
        env.close()
    assert_same(*vectors)


def test_wrappers_of_stable_baselines3_run_over_it(tmp_path: Path):
    local, remote = pair("CartPole-v1", 4, shards=2)
    wrapped = [
        VecNormalize(VecFrameStack(VecMonitor(env, str(tmp_path / name)), 2))
        for env, name in ((local, "local"), (remote, "remote"))
    ]
    assert wrapped[0].seed(3) == wrapped[1].seed(3)
    assert_same(wrapped[0].reset(), wrapped[1].reset())
    for _ in range(200):
        actions = [wrapped[0].action_space.sample() for _ in range(4)]
        left, right = (env.step(np.array(actions)) for env in wrapped)
        for info in (*left[3], *right[3]):
            info.get("episode", {}).pop("t", None)  # seconds
        assert_same(left, right)
    wrapped[1].save(str(tmp_path / "statistics"))
    again = VecNormalize.load(str(tmp_path / "statistics"), wrapped[1].venv)
    assert_same(wrapped[0].obs_rms.mean, again.obs_rms.mean)
    for env in wrapped:
        env.close()
    assert '"env_id": "openenv/CartPole-v1"' in (tmp_path / "remote.monitor.csv").read_text()


def test_agents_are_saved_loaded_and_judged(tmp_path: Path):
    local, remote = pair("Mixed", 2)
    scores = []
    for env in (local, remote):
        agent = PPO("MultiInputPolicy", env, n_steps=32, seed=0, device="cpu").learn(128)
        agent.save(tmp_path / "agent")
        loaded = PPO.load(tmp_path / "agent", env=env, device="cpu")
        env.seed(9)
        scores.append(evaluate_policy(loaded, VecMonitor(env), 10))
        loaded.learn(64)
    assert scores[0] == scores[1]
    remote.close()


def test_without_stable_baselines3_it_says_what_to_install():
    code = "import sys; sys.modules['stable_baselines3'] = None; import openenv_gym.sb3"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "pip install 'openenv-gym[sb3]'" in done.stderr


def test_functions_of_this_process_play_as_in_dummy_vec_env():
    functions = [
        lambda length=length: gym.make("CartPole-v1", max_episode_steps=length) for length in (3, 5)
    ]
    local = DummyVecEnv(list(functions))
    envs = RemoteVectorEnv.from_functions(functions, autoreset_mode="SameStep", shards=2)
    remote = OpenEnvVecEnv(envs)
    for vec_env in (local, remote):
        vec_env.seed(4)
    assert np.array_equal(local.reset(), remote.reset())
    for _ in range(12):
        actions = np.array([0, 1])
        for expected, actual in zip(local.step(actions)[:3], remote.step(actions)[:3], strict=True):
            assert np.array_equal(expected, actual)
    local.close()
    remote.close()
