"""Batched remote environments are what ``SyncVectorEnv`` is, element by element."""

from __future__ import annotations

import copy
import importlib
import pickle
import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import NormalizeObservation, RecordEpisodeStatistics

from openenv_gym.address import parse_address
from openenv_gym.endpoints import ConnectOptions, EmbeddedEndpoint, ServerEndpoint
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv, shard_sizes
from openenv_gym.errors import (
    EnvStartError,
    InvalidActionError,
    InvalidRequestError,
    ProtocolError,
    RemoteEnvError,
    RequestTimeoutError,
    ResetNeededError,
    UnknownEnvironmentError,
)
from openenv_gym.launchers.embedded import EMBEDDED
from openenv_gym.protocol import Open
from openenv_gym.workers.built_env import builder_for
from openenv_gym.workers.process import available_cores
from tests.support.envs import Scripted
from tests.support.pairs import in_pairs
from tests.support.rollouts import assert_same

ODD = "tests.support.envs:Batched-v0"
LAKE = "tests.support.envs:Lake-v0"
ENVS = ["CartPole-v1", LAKE, "Blackjack-v1", "Pendulum-v1", ODD]


def embedded(env_id: str, num_envs: int, shards: int = 1, **options: Any) -> RemoteVectorEnv:
    options = {"vectorization": "sync", **options}
    timeout_s = options.pop("timeout_s", 60)
    requests = [Open(env_id, num_envs=size, **options) for size in shard_sizes(num_envs, shards)]
    return RemoteVectorEnv(
        [
            EmbeddedEndpoint(request=request, worker=i, options=ConnectOptions(timeout_s=timeout_s))
            for i, request in enumerate(requests)
        ]
    )


def play(local: SyncVectorEnv, remote: RemoteVectorEnv, steps: int) -> None:
    """Play both with the same seeds and actions; where resets are ours, with masks."""
    assert local.observation_space == remote.observation_space
    assert local.action_space == remote.action_space
    assert local.single_observation_space == remote.single_observation_space
    assert_same(local.reset(seed=3), remote.reset(seed=3))
    local.action_space.seed(0)
    for _ in range(steps):
        actions = local.action_space.sample()
        expected, actual = local.step(copy.deepcopy(actions)), remote.step(actions)
        assert_same(expected, actual)
        done = expected[2] | expected[3]
        if local.metadata["autoreset_mode"] is AutoresetMode.DISABLED and done.any():
            masks = [{"reset_mask": done.copy()} for _ in range(2)]
            assert_same(local.reset(options=masks[0]), remote.reset(options=masks[1]))
    local.close()
    remote.close()


@in_pairs(env_id=ENVS, mode=AutoresetMode, sizes=[(1, 1), (4, 1), (5, 2), (7, 4)])
def test_every_mode_and_shard_is_as_in_process(
    env_id: str, mode: AutoresetMode, sizes: tuple[int, int]
):
    num_envs, shards = sizes
    local = SyncVectorEnv([lambda: gym.make(env_id)] * num_envs, autoreset_mode=mode)
    play(local, embedded(env_id, num_envs, shards, autoreset_mode=mode.value), 120)


@pytest.mark.long
@pytest.mark.parametrize("env_id", ENVS)
def test_two_thousand_steps(env_id: str):
    local = SyncVectorEnv([lambda: gym.make(env_id)] * 8)
    play(local, embedded(env_id, 8, 3), 2000)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["CartPole-v1", LAKE])
@pytest.mark.sample(1)
def test_sixty_four(env_id: str):
    local = SyncVectorEnv([lambda: gym.make(env_id)] * 64, autoreset_mode="SameStep")
    play(local, embedded(env_id, 64, 4, autoreset_mode="SameStep"), 600)


def test_over_servers(serve):
    address = parse_address(serve(LAKE).base_url)
    endpoints = [
        ServerEndpoint(address=address, request=Open(LAKE, num_envs=size))
        for size in shard_sizes(5, 2)
    ]
    play(SyncVectorEnv([lambda: gym.make(LAKE)] * 5), RemoteVectorEnv(endpoints), 100)


def test_the_native_form_is_that_of_gymnasium():
    local = gym.make_vec("CartPole-v1", num_envs=8, vectorization_mode="vector_entry_point")
    remote = embedded("CartPole-v1", 8, vectorization="native")
    assert remote.metadata["autoreset_mode"] is local.metadata["autoreset_mode"]
    assert_same(local.reset(seed=3), remote.reset(seed=3))
    for _ in range(100):
        actions = local.action_space.sample()
        assert_same(local.step(actions), remote.step(actions))
    remote.close()


def play_native(local: Any, remote: RemoteVectorEnv, steps: int, seed: int | None = 3) -> None:
    """As :func:`play`, of two that step all their sub-environments by themselves."""
    assert remote.metadata["autoreset_mode"] is local.metadata["autoreset_mode"]
    assert_same(local.reset(seed=seed), remote.reset(seed=seed))
    remote.action_space.seed(0)
    for _ in range(steps):
        actions = remote.action_space.sample().astype(np.int32)
        assert_same(local.step(actions), remote.step(actions))
    local.close()
    remote.close()


def test_a_vector_env_is_served_as_it_is(reach):
    name = "vector:tests.support.envs:cartpoles"
    local = gym.make_vec("CartPole-v1", num_envs=4, vectorization_mode="vector_entry_point")
    arguments = reach(name)
    arguments.pop("codec", None)
    remote = gym.make_vec("openenv/gymnasium-v0", num_envs=4, shards=1, env_id=name, **arguments)
    play_native(local, remote, 60)


@pytest.mark.filterwarnings("ignore:.*precision lowered by casting")  # of EnvPool's own spaces
def test_envpool_is_served_as_it_is():
    from tests.support.envs import pool

    endpoint = EmbeddedEndpoint(
        request=Open("vector:tests.support.envs:pool", {"seed": 5}, num_envs=8)
    )
    remote = RemoteVectorEnv([endpoint])
    assert remote.action_space == gym.spaces.MultiDiscrete([2] * 8)
    play_native(pool(8, seed=5), remote, 200, seed=None)


def test_ale_is_served_in_its_vector_form():
    name = "ale_py:ALE/Breakout-v5"
    importlib.import_module("ale_py")
    local = gym.make_vec("ALE/Breakout-v5", num_envs=3)
    remote = gym.make_vec("openenv/gymnasium-v0", num_envs=3, env_id=name)
    assert remote.observation_space.shape == (3, 4, 84, 84)
    play_native(local, remote, 60)


def test_a_vector_object_serves_one_session():
    made = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
    build = builder_for(lambda: made, "two poles", is_shared=True)
    assert build(Open(None)).description.num_envs == 2
    assert build(Open(None, num_envs=2)).env.reset(seed=0)[0].shape == (2, 4)
    with pytest.raises(EnvStartError, match="has 2 sub-environments, and 3 were asked for"):
        build(Open(None, num_envs=3))
    single = builder_for(lambda: gym.make("CartPole-v1"), "pole", is_shared=True)
    with pytest.raises(InvalidRequestError, match="pole is one object"):
        single(Open(None, num_envs=2))
    many = builder_for(lambda: gym.make("CartPole-v1"), "pole")
    assert many(Open(None, num_envs=3)).env.num_envs == 3


@pytest.mark.parametrize(
    ("name", "says"),
    [("vector:nowhere:f", "no module named"), ("vector:os:getcwd", "no keyword arguments"),
     ("vector:tests.support.envs:Scripted", "unexpected keyword")],
)  # fmt: skip
def test_what_makes_no_vector_env_is_refused(name: str, says: str):
    with pytest.raises((UnknownEnvironmentError, EnvStartError), match=says):
        gym.make_vec("openenv/gymnasium-v0", num_envs=2, env_id=name)


def test_seeds_may_be_a_list():
    seeds = [5, None, 7]
    local, remote = (
        SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 3),
        embedded("CartPole-v1", 3, 2),
    )
    expected, actual = local.reset(seed=seeds)[0], remote.reset(seed=seeds)[0]
    assert_same(expected[[0, 2]], actual[[0, 2]])
    with pytest.raises(InvalidRequestError, match="one for each of 3"):
        remote.reset(seed=[1, 2])
    remote.close()


@pytest.mark.parametrize(
    "mask", [[True, False], np.array([1, 0]), np.array([True]), np.zeros(2, bool)]
)
def test_wrong_masks_are_refused(mask: Any):
    remote = embedded("CartPole-v1", 2)
    remote.reset(seed=0)
    with pytest.raises(InvalidRequestError, match="reset_mask"):
        remote.reset(options={"reset_mask": mask})
    remote.step(np.zeros(2, np.int64))
    remote.close()


@pytest.mark.parametrize("shards", [1, 2])
def test_a_reset_of_some_leaves_the_others_to_be_reset(shards: int):
    remote = embedded("tests.support.envs:Scripted-v0", 2, shards, autoreset_mode="Disabled")
    remote.reset(seed=0)
    remote.step(np.full(2, Scripted.END))
    for place, ended in enumerate(([0, 1], [1])):
        with pytest.raises(ResetNeededError, match=re.escape(f"the episodes of {ended};")):
            remote.step(np.zeros(2, np.int64))
        remote.reset(options={"reset_mask": np.arange(2) == place})
    assert remote.step(np.zeros(2, np.int64))[0][:, 0].tolist() == [1.0, 1.0]  # none was sent
    remote.close()


@pytest.mark.parametrize("shards", [1, 2])
def test_wrong_actions_are_refused_before_anything_is_sent(shards: int):
    remote = embedded("CartPole-v1", 2, shards)
    with pytest.raises(ResetNeededError):
        remote.step(np.zeros(2, np.int64))
    remote.reset(seed=0)
    for actions in (np.zeros(3, np.int64), np.array([0, 2]), np.zeros(2, np.float32), "ab", None):
        with pytest.raises(InvalidActionError, match="expected an action in MultiDiscrete"):
            remote.step(actions)
    assert_same(remote.step(np.ones(2, np.int64))[1], np.ones(2))
    remote.close()


def test_step_async_and_step_wait():
    remote = embedded("CartPole-v1", 4, 2)
    twin = embedded("CartPole-v1", 4, 1)
    assert_same(remote.reset(seed=1), twin.reset(seed=1))
    actions = np.array([0, 1, 0, 1])
    with pytest.raises(ProtocolError, match="without step_async"):
        remote.step_wait()
    remote.step_async(actions)
    for call in (remote.reset, lambda: remote.step(actions), lambda: remote.step_async(actions)):
        with pytest.raises(ProtocolError, match="under way"):
            call()
    assert_same(twin.step(actions), remote.step_wait())
    remote.step_async(actions)
    remote.close()
    twin.close()


def test_send_and_recv_return_who_is_ready(tmp_path):
    gate = tmp_path / "gate"
    remote = embedded("tests.support.envs:Gated-v0", 3, 3, kwargs={"gate": str(gate)})
    remote.async_reset(seed=0)
    first, seen = remote.recv(count=3), []
    assert first[4]["env_id"].tolist() == [0, 1, 2]
    assert_same(first[1:4], (np.zeros(3), np.zeros(3, bool), np.zeros(3, bool)))
    remote.send(np.array([1, 0, 0]), [0, 1, 2])  # the first waits
    while len(set(seen)) < 3:
        observations, rewards, *_, info = remote.recv()
        assert len(observations) == len(rewards) == len(info["env_id"])
        seen += info["env_id"].tolist()
        assert 0 not in seen or gate.exists()
        remote.send(np.zeros(len(rewards), np.int64), info["env_id"])
        if {1, 2} <= set(seen):
            gate.touch()
    remote.close()


def test_sent_and_received_is_the_same_as_stepped():
    stepped, sent = embedded("FrozenLake-v1", 4, 2), embedded("FrozenLake-v1", 4, 2)
    expected = stepped.reset(seed=2)
    sent.async_reset(seed=2)
    observations, *_, info = sent.recv(count=4)
    info.pop("env_id")
    assert_same(expected, (observations, info))
    for _ in range(50):
        actions = stepped.action_space.sample()
        sent.send(actions, np.arange(4))
        result = sent.recv(count=4)
        assert result[4].pop("env_id").tolist() == [0, 1, 2, 3]
        assert_same(stepped.step(actions), result)
    stepped.close()
    sent.close()


def test_a_reset_of_some_before_that_of_all_is_refused():
    remote = embedded("CartPole-v1", 4, 2)
    with pytest.raises(ResetNeededError, match="leave options\\['reset_mask'\\] out first"):
        remote.reset(options={"reset_mask": np.array([True, True, False, False])})
    assert remote.reset(seed=0)[0].shape == (4, 4)
    remote.close()


def test_what_cannot_be_sent_is_refused():
    remote = embedded("CartPole-v1", 4, 2)
    with pytest.raises(ProtocolError, match="recv without send"):
        remote.recv()
    with pytest.raises(ResetNeededError, match="async_reset"):
        remote.send(np.zeros(2, np.int64), [0, 1])
    remote.reset(seed=0)
    for env_id in ([0], [1, 0], [0, 1, 2], [4], [], [0, 0]):
        if env_id:
            with pytest.raises(InvalidRequestError, match="env_id: expected the numbers"):
                remote.send(np.zeros(len(env_id), np.int64), env_id)
    remote.send(np.zeros(2, np.int64), [2, 3])
    with pytest.raises(InvalidRequestError, match="not under way"):
        remote.send(np.zeros(2, np.int64), [2, 3])
    with pytest.raises(ProtocolError, match="under way"):
        remote.step(np.zeros(4, np.int64))
    assert remote.recv()[4]["env_id"].tolist() == [2, 3]
    remote.close()


def test_a_lost_shard_is_made_anew_by_reset():
    remote = embedded("tests.support.envs:Scripted-v0", 4, 2, timeout_s=50)
    expected = remote.reset(seed=0)
    assert [shard.connection.timeout_s for shard in remote._shards] == [50, 50]
    lose_patience(remote)
    with pytest.raises(RequestTimeoutError):
        remote.step(np.array([0, 0, Scripted.HANG, 0]))
    EMBEDDED.stop()  # the worker still hangs: it is killed
    assert_same(remote.reset(seed=0), expected)
    lose_patience(remote)
    remote.send(np.array([0, Scripted.HANG]), [2, 3])
    with pytest.raises(RequestTimeoutError, match="no answer from 1 shards within"):
        remote.recv()
    EMBEDDED.stop()
    remote.async_reset(seed=0)
    assert_same(remote.recv(count=4)[0], expected[0])
    remote.close()


def lose_patience(remote: RemoteVectorEnv) -> None:
    """Wait for a step no longer than this; a reset, which starts workers, has its time."""
    for connection in [shard.connection for shard in remote._shards]:
        connection.timeout_s = 6


def test_urls_are_enough(serve):
    urls = [serve("CartPole-v1").base_url, serve("CartPole-v1", "--workers", "2").base_url]
    for source in (urls[0], urls):
        remote = RemoteVectorEnv(source, num_envs=3)
        local = gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="vector_entry_point")
        if isinstance(source, str):
            assert_same(local.reset(seed=1), remote.reset(seed=1))
        assert remote.reset(seed=0)[0].shape == (3, 4)
        remote.close()
    with pytest.raises(InvalidRequestError, match="num_envs: expected"):
        RemoteVectorEnv(urls)


def test_a_server_says_over_how_many_sessions_it_is_best_used(serve):
    cores = available_cores()
    url = serve("FrozenLake-v1").base_url
    small = serve("FrozenLake-v1", "--max-sessions=7").base_url
    native = serve("CartPole-v1").base_url
    for env_id, base_url, vectorization, expected in [
        ("FrozenLake-v1", url, "auto", min(cores, 16)),
        ("FrozenLake-v1", small, "auto", 1),
        ("FrozenLake-v1", [url, small], "auto", min(cores, 16) + 1),
        ("CartPole-v1", native, "auto", 1),
        ("CartPole-v1", native, "sync", min(cores, 16)),
    ]:
        envs = gym.make_vec(
            f"openenv/{env_id}", num_envs=40, base_url=base_url, vectorization=vectorization
        )
        assert len(envs.unwrapped._shards) == expected
        assert envs.reset(seed=0)[0].shape[0] == 40
        envs.close()


def test_an_error_in_one_shard_leaves_the_others_in_step():
    remote = embedded("tests.support.envs:Scripted-v0", 4, 2)
    remote.reset(seed=0)
    with pytest.raises(RemoteEnvError, match="told to raise"):
        remote.step(np.array([0, 0, Scripted.RAISE, 0]))
    observations, *_ = remote.step(np.zeros(4, np.int64))
    assert observations[:, 0].tolist() == [2.0, 2.0, 2.0, 1.0]
    remote.close()


def test_wrappers_of_gymnasium_run_over_it():
    made = [SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 4), embedded("CartPole-v1", 4, 2)]
    wrapped = [NormalizeObservation(RecordEpisodeStatistics(env)) for env in made]
    for env in wrapped:
        env.reset(seed=0)
    for _ in range(60):
        actions = wrapped[0].action_space.sample()
        left, right = (env.step(actions) for env in wrapped)
        for infos in (left[4], right[4]):
            infos.get("episode", {}).pop("t", None)  # seconds
        assert_same(left, right)
    for env in wrapped:
        env.close()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_opens_sessions_of_its_own(duplicate: Any):
    remote = embedded("CartPole-v1", 3, 2)
    remote.reset(seed=0)
    twin = duplicate(remote)
    assert_same(twin.reset(seed=1), remote.reset(seed=1))
    twin.close()
    assert str(remote) == "<RemoteVectorEnv CartPole-v1 x3>"
    remote.close()
    remote.close()


def test_what_makes_no_sense_is_refused(serve):
    with pytest.raises(InvalidRequestError, match="at least one shard"):
        RemoteVectorEnv([])
    with pytest.raises(InvalidRequestError, match="num_envs: expected a number from 1"):
        embedded_request(Open("CartPole-v1", num_envs=0))
    for codec, says in (("json", "openenv/remote-v0, which takes codec='json'"), ("jso", "json")):
        with pytest.raises(InvalidRequestError, match=says):
            gym.make_vec("openenv/CartPole-v1", num_envs=2, codec=codec)
    gym.make_vec("openenv/CartPole-v1", num_envs=1, codec="binary").close()
    with pytest.raises(InvalidRequestError, match="vectorization: expected one of"):
        embedded_request(Open("CartPole-v1", num_envs=2, vectorization="fast"))
    with pytest.raises(InvalidRequestError, match="autoreset_mode: expected one of NextStep"):
        embedded_request(Open("CartPole-v1", num_envs=2, autoreset_mode="Never"))
    with pytest.raises(InvalidRequestError, match="of one environment"):
        RemoteVectorEnv(
            [
                EmbeddedEndpoint(request=Open("CartPole-v1", num_envs=1)),
                EmbeddedEndpoint(request=Open("Pendulum-v1", num_envs=1)),
            ]
        )
    address = parse_address(serve("CartPole-v1").base_url)
    with pytest.raises(InvalidRequestError, match="expected 1 to 1024"):
        RemoteVectorEnv([ServerEndpoint(address=address, request=Open(None, num_envs=2000))])


def embedded_request(request: Open) -> RemoteVectorEnv:
    return RemoteVectorEnv([EmbeddedEndpoint(request=request)])


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Blackjack-v1", "Pendulum-v1"])
def test_make_vec_gives_what_gymnasium_gives(env_id: str):
    local = gym.make_vec(env_id, num_envs=5)
    remote = gym.make_vec(f"openenv/{env_id}", num_envs=5)
    assert isinstance(remote, RemoteVectorEnv)
    assert remote.spec is not None and remote.spec.id == f"openenv/{env_id}"
    assert_same(local.reset(seed=1), remote.reset(seed=1))
    for _ in range(220):  # beyond the time limit
        actions = local.action_space.sample()
        assert_same(local.step(actions), remote.step(actions))
    local.close()
    remote.close()


def test_make_vec_takes_gymnasiums_arguments(serve):
    urls = [serve("CartPole-v1").base_url, serve("CartPole-v1", "--workers", "2").base_url]
    short = gym.make_vec(
        "openenv/CartPole-v1",
        num_envs=3,
        base_url=urls,
        vectorization="sync",
        max_episode_steps=3,
        autoreset_mode="SameStep",
    )
    assert short.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    short.reset(seed=0)
    for expected in ([False] * 3, [False] * 3, [True] * 3):
        *_, truncated, info = short.step(np.array([0, 1, 0]))
        assert truncated.tolist() == expected
    assert info["_final_obs"].all()
    short.close()
    whatever = gym.make_vec("openenv/remote-v0", num_envs=2, base_url=urls[0])
    assert whatever.reset(seed=0)[0].shape == (2, 4)
    whatever.close()


def test_games_are_batched_too():
    envs = gym.make_vec("openenv/kuhn_poker-v0", num_envs=3, max_episode_steps=1, shards=2)
    observations, infos = envs.reset(seed=0)
    assert observations.shape == (3, 11) and infos["action_mask"].tolist() == [[1, 1]] * 3
    *_, terminated, truncated, _ = envs.step(np.zeros(3, np.int64))
    assert (terminated | truncated).all()
    envs.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"num_envs": 0}, "num_envs: expected a number from 1"),
        ({"shards": 0}, "shards: expected a number from 1"),
        ({"vectorization": "fast"}, "vectorization: expected one of"),
        ({"timeout_s": -1}, "timeout_s"),
    ],
)
def test_make_vec_refuses_what_makes_no_sense(arguments: dict[str, Any], says: str):
    with pytest.raises(InvalidRequestError, match=says):
        gym.make_vec("openenv/CartPole-v1", **{"num_envs": 2, **arguments})
