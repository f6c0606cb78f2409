"""Infos of a batch: a column of one type is Gymnasium's, any other is one of objects."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import VectorEnv

import tests.support.paying_envs  # noqa: F401 - registers Moody-v0
from openenv_gym.envs.info_batches import batch_infos, joined_infos, merge_infos
from tests.support.rollouts import assert_same

NAN = float("nan")


class _Batcher(VectorEnv):
    """Has Gymnasium's own way to batch infos."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs


@pytest.mark.parametrize(
    "values",
    [
        (1, 2),
        (1, np.int64(2)),
        (0.5, 1),
        (2, True),
        (np.float64(0.5), np.float32(1.5)),
        (np.float32(0.5), np.float32(NAN)),
        (True, np.bool_(False)),
        (np.bool_(True), np.bool_(False)),
        (np.arange(3), np.arange(3, 6)),
        (np.zeros((0, 2), np.int8), np.zeros((0, 2), np.int8)),
        (np.array(["a", "b"]), np.array(["c", "d"])),
        ("a", "bcd"),
        (None, "a"),
        (None, 1),
        ([1], [2, 3]),
        ({"a": 1, "b": {}}, {"a": 2}),
    ],
)
def test_what_has_one_type_is_batched_as_gymnasium_does(values: tuple[Any, Any]):
    expected: dict[str, Any] = {}
    batcher = _Batcher(3)
    for number, value in enumerate(values):
        expected = batcher._add_info(expected, {"said": value}, number)
    assert_same(expected, batch_infos(enumerate({"said": value} for value in values), 3))


@pytest.mark.parametrize(
    "values",
    [
        (1, None),
        (1, 0.5),
        (True, 2),
        (np.int8(1), 2),
        (1, 2**64),
        (1, "one"),
        ({"a": 1}, None),
        (None, {"a": 1}),
        ({"a": 1}, 2),
        (np.arange(2), [0, 1]),
        (np.arange(2), np.arange(3)),
        (np.arange(2), np.arange(1)),
        (np.arange(2), np.arange(2.0)),
        (np.array(["a"]), np.array(["bcd"])),
    ],
)
def test_what_has_several_types_is_kept_as_it_is(values: tuple[Any, Any]):
    infos = batch_infos([(2, {"said": values[0]}), (0, {"said": values[1]})], 3)
    column = infos["said"]
    assert column.dtype == object
    assert_same([values[1], None, values[0]], list(column))
    assert_same(np.array([True, False, True]), infos["_said"])


@pytest.mark.parametrize("counts", [[4], [1, 3], [2, 2], [1, 1, 1, 1]])
def test_the_shards_make_no_difference(counts: list[int]):
    said = [{"a": 1, "d": {"b": 1}}, {}, {"a": None, "d": 3}, {"a": 0.5, "c": np.arange(2)}]
    records, start = [], 0
    for count in counts:
        own = said[start : start + count]
        records.append([(number, info) for number, info in enumerate(own) if info])
        start += count
    assert_same(batch_infos(list(enumerate(said)), 4), joined_infos(records, counts))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (np.array([1, 2]), np.array([0.5]), [np.int64(1), np.int64(2), np.float64(0.5)]),
        (np.array([1, 2]), np.array([None]), [np.int64(1), np.int64(2), None]),
        ({"b": np.array([1, 2])}, "whole", [{"b": np.int64(1)}, {"b": np.int64(2)}, "whole"]),
        ({"b": 1}, [3], [{"b": 1}, {"b": 1}, 3]),
        ("text", "other", ["text", "text", "other"]),
    ],
)
def test_columns_of_other_forms_become_objects(left: Any, right: Any, expected: list[Any]):
    whole = merge_infos([{"a": left}, {"a": right}], [2, 1])["a"]
    assert whole.dtype == object
    assert_same(expected, list(whole))


@pytest.mark.parametrize("codec", ["embedded", "binary", "json"])
def test_infos_that_change_their_type_end_no_step(codec: str, serve: Any):
    env_id = "tests.support.paying_envs:Moody-v0"
    where = {} if codec == "embedded" else {"base_url": serve(env_id).base_url, "codec": codec}
    name = "gymnasium" if codec == "embedded" else "remote"
    kwargs = {"env_id": env_id} if codec == "embedded" else {}
    envs = gym.make_vec(f"openenv/{name}-v0", num_envs=3, **where, **kwargs)
    alone = [gym.make("Moody-v0") for _ in range(3)]
    envs.reset(seed=0)
    firsts = [env.reset(seed=number) for number, env in enumerate(alone)]
    assert len(firsts) == 3
    for _ in range(7):
        infos = envs.step(np.zeros(3, np.int64))[4]
        said = [env.step(0)[4] for env in alone]
        assert_same(batch_infos(enumerate(said), 3), infos)
    envs.close()


def test_the_int_of_a_reset_takes_nothing_from_the_floats_of_steps():
    envs = gym.make_vec("openenv/FrozenLake-v1", num_envs=4)
    envs.reset(seed=0)
    kinds = set()
    for _ in range(30):
        column = envs.step(np.full(4, 2))[4]["prob"]
        kinds.add(column.dtype.kind)
        assert all(value == 1 or np.isclose(value, 1 / 3) for value in column)
    assert kinds == {"f", "O"}
    envs.close()


def test_what_a_mask_leaves_out_is_none():
    infos = [
        {"a": np.array([1, 0]), "_a": np.array([True, False])},
        {"a": np.array(["x"], object), "_a": np.array([True])},
    ]
    merged = merge_infos(infos, [2, 1])
    assert_same([np.int64(1), None, "x"], list(merged["a"]))
    assert_same(np.array([True, False, True]), merged["_a"])


def test_infos_that_are_batched_already_are_put_together():
    infos = [
        {"a": np.array([1.0, 0.0]), "_a": np.array([True, False])},
        {"b": np.array(["x"], dtype=object), "_b": np.array([True])},
        {"a": np.array([2.0]), "_a": np.array([True]), "c": {"d": np.array([3])}},
    ]
    assert_same(
        merge_infos(infos, [2, 1, 1]),
        {
            "a": np.array([1.0, 0.0, 0.0, 2.0]),
            "_a": np.array([True, False, False, True]),
            "b": np.array([None, None, "x", None], dtype=object),
            "_b": np.array([False, False, True, False]),
            "c": {"d": np.array([0, 0, 0, 3])},
        },
    )
