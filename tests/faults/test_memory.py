"""Sessions that are over leave no memory behind, not even until the collector comes.

It counts objects and not bytes: an exception that waits for it has the frames of all callers, and
these the environment, its connection and what each caller had in hand.
"""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym.errors import OpenEnvGymError
from openenv_gym.recovery import FaultPolicy
from tests.conftest import WAYS
from tests.faults.conftest import FAULTY
from tests.faults.envs import Faulty
from tests.support.pairs import in_pairs

POLICY = FaultPolicy(restarts=100, backoff_s=0.0)
ENDS = {"closed": None, "raised": Faulty.RAISE, "killed": Faulty.KILL}
SESSIONS = 3


def single(faulty: dict[str, Any], on_fault: Any, action: int | None, *, resets: bool) -> None:
    env = gym.make("openenv/gymnasium-v0", on_fault=on_fault, **faulty)
    env.reset(seed=3)
    env.step(1)
    if action is not None:
        with contextlib.suppress(OpenEnvGymError):
            env.step(action)
    if resets:
        env.reset()
        env.step(1)
    env.close()


def vector(arguments: dict[str, Any], action: int | None) -> None:
    envs = gym.make_vec("openenv/gymnasium-v0", num_envs=2, on_fault=POLICY, **arguments)
    envs.reset(seed=3)
    plain = np.ones(2, np.int64)
    envs.step(plain)
    if action is not None:
        envs.step(np.array([1, action]))
        envs.step(plain)
    envs.step(plain)
    envs.close()


def left_to_the_collector(session: Callable[[], None]) -> Counter[str]:
    """The types of ours of which some sessions leave objects that only the collector frees."""
    session()  # what is made once, and kept
    gc.collect()
    of_others = {id(one) for one in gc.get_objects()}  # which other tests may let go of meanwhile
    gc.disable()
    try:
        for _ in range(SESSIONS):
            session()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = [
            f"{type(one).__module__}.{type(one).__name__}"
            for one in gc.garbage
            if id(one) not in of_others
        ]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    return Counter(kind for kind in kinds if kind.startswith(("openenv_gym.", "httpx.", "ssl.")))


@in_pairs(
    indirect=["reach"], reach=WAYS, end=ENDS, resets=[False, True], on_fault=["truncate", "raise"]
)
@pytest.mark.sample(2)
def test_a_session_leaves_nothing_to_the_collector(
    faulty: dict[str, Any], end: str, resets: bool, on_fault: str
):
    policy = POLICY if on_fault == "truncate" else on_fault
    assert not left_to_the_collector(lambda: single(faulty, policy, ENDS[end], resets=resets))


@in_pairs(end=ENDS, shards=[1, 2], is_served=[False, True])
@pytest.mark.sample(1)
def test_a_vector_environment_leaves_nothing_to_the_collector(
    serve: Callable[..., Any], end: str, shards: int, is_served: bool
):
    where = {"base_url": serve(FAULTY).base_url} if is_served else {}
    arguments = {"env_id": FAULTY, "shards": shards, **where}
    assert not left_to_the_collector(lambda: vector(arguments, ENDS[end]))
