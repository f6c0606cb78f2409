"""Actions: what an environment in process takes, a remote one takes, or refuses at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from openenv_gym.errors import InvalidActionError
from openenv_gym.launchers import ServerProcess
from tests.support.rollouts import assert_same, same
from tests.support.spaces import ForeignArray

ACTING = "tests.support.acting:Acting-v0"
PAIR = ([2, 3], [1, 0])
MOVE = np.array([0.125, -1.5], np.float32)
BEYOND = np.float32(-2) + np.float32(0.5) * np.float32(2) * (np.float32(0.2) + np.float32(2))

TAKEN: dict[str, dict[str, Any]] = {
    "float64": {"move": MOVE.astype(np.float64), "grip": 1, "pair": PAIR},
    "lists": {"move": [0.125, -1.5], "grip": 2, "pair": [[2, 3], [1, 0]]},
    "integers": {"move": [0, -1], "grip": np.array(2), "pair": tuple(map(np.array, PAIR))},
    "another order": {"pair": PAIR, "grip": np.int8(1), "move": MOVE},
    "tensors": {"pair": PAIR, "grip": ForeignArray(1), "move": ForeignArray(MOVE)},
    "a list of tensors": {"move": list(map(ForeignArray, MOVE)), "grip": True, "pair": PAIR},
    "rounded": {"move": np.array([BEYOND, -2.0000002], np.float32), "grip": 1, "pair": PAIR},
}
REFUSED: dict[str, Any] = {
    "nothing": None,
    "another key": {"move": MOVE, "grip": 1, "pairs": PAIR},
    "another length": {"move": MOVE, "grip": 1, "pair": PAIR[:1]},
    "ragged": {"move": [[1], [1, 2]], "grip": 1, "pair": PAIR},
    "no number": {"move": MOVE * np.nan, "grip": 1, "pair": PAIR},
    "an object": {"move": object(), "grip": 1, "pair": PAIR},
    "outside": {"move": MOVE, "grip": 0, "pair": PAIR},
}


def test_a_single_environment_takes_what_it_takes_in_process(reach: Any):
    local = gym.make(ACTING, disable_env_checker=True)
    remote = gym.make("openenv/gymnasium-v0", env_id=ACTING, **reach(ACTING))
    local.reset(seed=0)
    remote.reset(seed=0)
    assert float(np.float32(0.2)) < BEYOND
    for name, action in TAKEN.items():
        assert same(local.step(action)[0], remote.step(action)[0]), name
        for wrong in REFUSED.values():
            with pytest.raises(InvalidActionError):
                remote.step(wrong)
    remote.close()


def test_a_float_out_of_bounds_is_the_environments_to_judge_unless_a_schema_bounds_it(reach: Any):
    local = gym.make(ACTING, disable_env_checker=True)
    remote = gym.make("openenv/gymnasium-v0", env_id=ACTING, **reach(ACTING))
    local.reset(seed=0)
    remote.reset(seed=0)
    action = {"move": MOVE * 100, "grip": 1, "pair": PAIR}
    if remote.unwrapped.endpoint.options.codec == "json":
        with pytest.raises(InvalidActionError, match="it lies outside"):
            remote.step(action)
    else:
        assert same(local.step(action)[0], remote.step(action)[0])
    remote.close()


def batch(action: dict[str, Any], count: int) -> dict[str, Any]:
    one = {"move": action["move"], "grip": action["grip"]}
    many: dict[str, Any] = {key: [value] * count for key, value in one.items()}
    return many | {"pair": tuple([part] * count for part in action["pair"])}


@pytest.mark.parametrize("shards", [1, 2])
def test_a_vector_environment_takes_what_it_takes_in_process(shards: int):
    local = SyncVectorEnv([lambda: gym.make(ACTING, disable_env_checker=True)] * 3)
    remote = gym.make_vec("openenv/gymnasium-v0", num_envs=3, env_id=ACTING, shards=shards)
    local.reset(seed=0)
    remote.reset(seed=0)
    for action in TAKEN.values():
        actions = batch(action, 3)
        assert_same(local.step(actions)[0], remote.step(actions)[0])
    arrays = {**actions, "move": ForeignArray(np.stack([MOVE] * 3)), "grip": ForeignArray([1] * 3)}
    assert_same(local.step(arrays)[0], remote.step(arrays)[0])
    remote.close()


def wrecked(actions: dict[str, Any], ended: Any) -> list[dict[str, Any]]:
    """Batches whose actions are wrong for those that have ended."""
    grip, move = np.array(actions["grip"]), np.array(actions["move"])
    grip[ended], move[ended] = -1, np.nan
    rows = [None if has_ended else row for row, has_ended in zip(move, ended, strict=True)]
    return [
        {**actions, "grip": grip},
        {**actions, "grip": ForeignArray(grip), "move": ForeignArray(move)},
        {**actions, "move": rows},
    ]


WAYS = {"one shard": {}, "two shards": {"shards": 2}, "json": {"codec": "json"}}


@pytest.mark.parametrize("way", WAYS)
def test_the_action_of_one_that_has_ended_is_ignored_whatever_it_is(
    way: str, serve: Callable[..., ServerProcess]
):
    local = SyncVectorEnv([lambda: gym.make(ACTING, length=3, disable_env_checker=True)] * 3)
    url = serve(ACTING, "--kwargs", '{"length": 3}').base_url
    remote = gym.make_vec("openenv/remote-v0", num_envs=3, base_url=url, **WAYS[way])
    assert_same(local.reset(seed=0)[0], remote.reset(seed=0)[0])
    right = batch({"move": MOVE, "grip": 1, "pair": PAIR}, 3)
    right["move"] = np.outer([1, 0.5, 0.25], MOVE)
    ended, seen = np.zeros(3, np.bool_), 0
    for number in range(12):
        actions = wrecked(right, ended)[number % 3] if ended.any() else right
        result = remote.step(actions)
        assert_same(local.step(actions)[:4], result[:4])
        ended = result[2]
        seen += ended.any() and not ended.all()
        if not ended.all():
            with pytest.raises(InvalidActionError):
                remote.step(wrecked(right, ~ended)[0])
    assert seen > 2
    remote.close()


def test_send_checks_before_it_sends():
    arguments = {"env_id": ACTING, "shards": 2, "length": 2}
    envs: Any = gym.make_vec("openenv/gymnasium-v0", num_envs=2, **arguments).unwrapped
    envs.async_reset(seed=0)
    envs.recv(2)
    right = batch({"move": MOVE, "grip": 1, "pair": PAIR}, 1)
    with pytest.raises(InvalidActionError, match="it lies outside"):
        envs.send({**right, "grip": [3]}, [1])
    envs.send(right, [1])
    assert envs.recv()[2].tolist() == [True]  # its seed is odd
    envs.send({**right, "grip": [3]}, [1])
    assert envs.recv()[0][0].tolist() == [0.0] * 8
    envs.close()
