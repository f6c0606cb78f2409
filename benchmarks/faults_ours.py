"""A campaign of faults on environments of ours."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym

from benchmarks.faults_cases import DEADLINE_S, FAULT_STEP, NUM_ENVS, Kind, Trial
from openenv_gym.conformance import same
from openenv_gym.envs.faults import FaultPolicy
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.launchers import ServerProcess
from openenv_gym.launchers.embedded import EMBEDDED
from openenv_gym.testing import FaultEnv, FaultLedger

WAYS = ("ws_process", "ws_json", "embedded")
ENV_ID = "openenv_gym.testing:Fault-v0"
# What is measured is how soon it can be over, so nothing waits before it begins anew.
_POLICY = FaultPolicy(restarts=1_000_000, backoff_s=0.0)


def campaign(way: str, kind: Kind, faults: int) -> Trial:
    """Have the first of the environments fail ``faults`` times."""
    trial = Trial(way=way, kind=kind.name, flagged=0)
    with tempfile.TemporaryDirectory() as folder:
        plan = {f"0/*/{FAULT_STEP}": kind.name}
        with _opened(way, {"plan": plan, "ledger": folder}, kind) as envs:
            try:
                _play(envs, faults, trial)
            except OpenEnvGymError as exc:
                trial.ended = type(exc).__name__
        trial.injected = len(FaultLedger(folder).fired())
    return trial


@contextlib.contextmanager
def _opened(way: str, kwargs: dict[str, Any], kind: Kind) -> Iterator[list[Any]]:
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"on_fault": _POLICY}
        if kind.is_hang:
            options["timeout_s"] = DEADLINE_S
        if way == "embedded":
            stack.callback(EMBEDDED.stop)
            options |= {"id": "openenv/gymnasium-v0", "env_id": ENV_ID, **kwargs}
        else:
            # Warm workers, so that the deadline is one of steps and not of starting processes.
            arguments = ["--kwargs", json.dumps(kwargs), f"--workers={NUM_ENVS + 1}"]
            server = stack.enter_context(ServerProcess(ENV_ID, *arguments))
            codec = "json" if way == "ws_json" else "binary"
            options |= {"id": "openenv/remote-v0", "base_url": server.base_url, "codec": codec}
        envs = [gym.make(**options) for _ in range(NUM_ENVS)]
        for env in envs:
            stack.callback(env.close)
        yield envs


def _play(envs: list[Any], faults: int, trial: Trial) -> None:
    twins = [FaultEnv(env=i) for i in range(NUM_ENVS)]  # what the others give without faults
    disturbed: set[int] = set()
    for i, env in enumerate(envs):
        env.reset(seed=i)
        twins[i].reset(seed=i)
    action = 0
    while len(trial.recovery_s) < faults:
        action = 1 - action
        for i, env in enumerate(envs):
            began = time.perf_counter()
            result = env.step(action)
            is_fault = "openenv" in result[4]
            if i == 0:
                trial.flagged = (trial.flagged or 0) + is_fault
            if i > 0 and i not in disturbed and not same(result, twins[i].step(action)):
                disturbed.add(i)
            if not (result[2] or result[3]):
                continue
            first = env.reset()
            if i == 0 and is_fault:
                trial.recovery_s.append(time.perf_counter() - began)
            if i > 0 and i not in disturbed and not same(first[0], twins[i].reset()[0]):
                disturbed.add(i)
        trial.continued = len(trial.recovery_s)
        trial.harmed = 1 + len(disturbed)
