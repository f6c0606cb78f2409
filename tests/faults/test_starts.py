"""Environments that cannot be built: an error at the start, and given up after a fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from openenv_gym.errors import EnvCrashLoopError, EnvStartError, OpenEnvGymError
from openenv_gym.launchers import ServerProcess
from openenv_gym.recovery import FaultPolicy
from openenv_gym.testing import FaultLedger
from tests.faults.kinds import FAULT

KINDS = ["raise", "abort", "exit", "sys_exit", {"kind": "hold_gil"}]


def open_embedded(**kwargs: Any) -> Any:
    timeout_s = kwargs.pop("timeout_s", 20)
    return gym.make("openenv/gymnasium-v0", env_id=FAULT, timeout_s=timeout_s, **kwargs)


@pytest.mark.parametrize("fault", KINDS, ids=str)
def test_a_constructor_that_fails_is_an_error_of_make(fault: Any):
    timeout_s = 20 if isinstance(fault, str) else 3
    with pytest.raises(OpenEnvGymError):
        open_embedded(plan={"0/0/init": fault}, timeout_s=timeout_s)
    env = open_embedded()  # the next one gets a worker that is well
    env.reset(seed=0)
    env.close()


@pytest.mark.parametrize("fault", ["raise", "abort", "sys_exit"])
@pytest.mark.sample(1)
def test_a_server_whose_environment_cannot_be_built_does_not_start(fault: str):
    kwargs = json.dumps({"plan": {"0/0/init": fault}})
    with pytest.raises(EnvStartError, match="ended with exit code"):
        ServerProcess(FAULT, "--kwargs", kwargs)


@pytest.fixture(params=["embedded", "binary", "json"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes environments with a ledger, of which there is one for each test."""
    servers: list[ServerProcess] = []

    def one(plan: dict[str, Any], on_fault: FaultPolicy) -> Any:
        kwargs = {"plan": plan, "ledger": str(tmp_path)}
        if request.param == "embedded":
            return open_embedded(on_fault=on_fault, **kwargs)
        servers.append(ServerProcess(FAULT, "--kwargs", json.dumps(kwargs)))
        where = {"base_url": servers[0].base_url, "codec": request.param}
        return gym.make("openenv/remote-v0", on_fault=on_fault, **where)

    yield one
    for server in servers:
        server.stop()


@pytest.mark.parametrize("fault", ["raise", "abort", "exit"])
@pytest.mark.sample(3)
def test_one_that_cannot_be_built_again_is_given_up_after_the_budget(
    fault: str, make: Callable[..., Any], tmp_path: Path
):
    policy = FaultPolicy(restarts=3, restarts_within_s=600, max_backoff_s=0)
    env = make({"0/0/3": "kill", "*/1/init": fault}, policy)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]
    with pytest.raises(EnvCrashLoopError, match="again after 3 restarts within 600 s"):
        env.reset()
    fired = [(fault.when, fault.kind) for fault in FaultLedger(tmp_path).fired()]
    # A server whose client could not open an environment tries it itself, for `/readyz`.
    assert fired[:4] == [("3", "kill"), *[("init", fault)] * 3]
    assert fired[4:] in ([], [("init", fault)])
    env.close()


@pytest.mark.sample(1)
def test_one_that_is_slow_to_build_again_is_waited_for(make: Callable[..., Any]):
    slow = {"kind": "sleep", "seconds": 0.3}
    env = make({"0/0/3": "kill", "*/1/init": slow}, FaultPolicy(max_backoff_s=0))
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]
    assert env.reset()[1]["openenv"]["incarnation"] == 1
    assert env.step(0)[3] is False
    env.close()
