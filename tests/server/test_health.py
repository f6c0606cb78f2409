"""``/livez``, ``/readyz`` and ``/metrics``: how a server is, as seen from outside."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from openenv_gym import create_app
from openenv_gym.errors import EnvStartError, OpenEnvGymError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import BinaryMessages, Open, Step
from openenv_gym.server import metrics
from openenv_gym.server.canary import PERIOD_S, Canary
from openenv_gym.server.monitor import BUCKETS_S, Histogram, Monitor
from openenv_gym.server.process_backend import ProcessBackend
from openenv_gym.server.settings import ServerSettings
from openenv_gym.server.watchdog import Watchdog
from openenv_gym.workers.output import Output
from openenv_gym.workers.process import WorkerProcess
from tests.support.failing import Failing
from tests.support.waiting import wait_until

FAILING = "tests.support.failing:Failing-v0"
OWN = {"X-OpenEnv-Session": "new"}


def ready(url: str) -> tuple[int, str, str]:
    answer = httpx.get(f"{url}/readyz", timeout=60)
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)
    body = answer.json()
    return answer.status_code, body["status"], body.get("reason", "")


def counted(url: str) -> dict[tuple[str, ...], float]:
    """The samples of ``/metrics``, by their name and the values of their labels."""
    parser = pytest.importorskip("prometheus_client.parser", reason="openenv-gym[metrics]")
    answer = httpx.get(f"{url}/metrics", timeout=60)
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix("openenv_gym_"), *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def raise_in_one_of_two(url: str) -> None:
    """Have one of two sub-environments raise three times, and be begun anew by its worker."""
    envs = gym.make_vec("openenv/remote-v0", 2, base_url=url)
    envs.reset()
    envs.step(np.zeros(2, np.int64))
    for _ in range(3):
        envs.step(np.array([0, Failing.OPEN_FILE]))
        envs.step(np.zeros(2, np.int64))
    envs.close()


def test_a_server_is_not_ready_while_environments_cannot_be_built(tmp_path: Path):
    flag = tmp_path / "flag"
    with ServerProcess(FAILING, "--kwargs", json.dumps({"flag": str(flag)})) as server:
        url = server.base_url
        assert ready(url) == (200, "ready", "")
        flag.touch()
        begin_s = time.monotonic()
        assert httpx.post(f"{url}/reset", timeout=60).status_code == 500
        wait_until(lambda: ready(url)[1] == "failing")
        assert time.monotonic() - begin_s < 10
        assert f"RuntimeError in open: there is a file {flag}" in ready(url)[2]
        assert counted(url)["opens_total", "failed"] == 1
        flag.unlink()
        wait_until(lambda: ready(url)[0] == 200)  # without a client that tries
        assert httpx.post(f"{url}/reset", timeout=60).status_code == 200


def test_what_a_client_asks_for_itself_does_not_count():
    now_s, built = 0.0, []

    async def build() -> None:
        built.append(now_s)
        if now_s > 2 * PERIOD_S:
            raise EnvStartError("it raised\nTraceback")

    async def play() -> None:
        nonlocal now_s
        canary = Canary(build, lambda: now_s)
        for _ in range(3):  # clients whose environment could not be built
            canary.send()
            await asyncio.sleep(0)
        assert canary.look() == ""
        assert len(built) == 1
        now_s = 3 * PERIOD_S
        canary.send()
        await asyncio.sleep(0.01)
        assert canary.look() == "it raised"
        canary.opened()
        assert canary.look() == ""

    asyncio.run(play())


def test_a_server_is_not_alive_while_its_event_loop_is_late():
    arguments = ("--isolation=inline", "--kwargs", '{"slow_s": 1.5}')
    with ServerProcess(FAILING, *arguments) as server:
        url = server.base_url
        assert httpx.get(f"{url}/livez", timeout=60).json()["status"] == "alive"
        httpx.post(f"{url}/reset", timeout=60)
        body = {"action": {"action": Failing.SLOW}}
        step = threading.Thread(target=httpx.post, args=(f"{url}/step",), kwargs={"json": body})
        step.start()
        time.sleep(0.3)
        late = httpx.get(f"{url}/livez", timeout=60)
        assert late.status_code == 503
        assert late.json()["loop_lag_s"] > 1
        assert late.headers["retry-after"]
        step.join()
        wait_until(lambda: httpx.get(f"{url}/livez", timeout=60).status_code == 200)


def test_what_happens_is_counted():
    with ServerProcess(FAILING, "--max-sessions=1") as server:
        url = server.base_url
        before = counted(url)
        assert {value for name, value in before.items() if name[0].endswith("_total")} == {0}
        env: Any = gym.make("openenv/remote-v0", base_url=url, on_fault="raise")
        env.reset()
        for _ in range(3):
            env.step(0)
        full = httpx.post(f"{url}/reset", headers=OWN, timeout=60)
        assert full.status_code == 503
        assert full.headers["retry-after"]
        assert ready(url) == (503, "full", "all 1 sessions are in use (--max-sessions)")
        during = counted(url)
        for action in (Failing.OPEN_FILE, Failing.EXIT):
            with pytest.raises(OpenEnvGymError):
                env.step(action)
        env.close()
        httpx.get(url, headers={"Origin": "https://evil.example"})
        httpx.post(f"{url}/step", json={"action": {"action": "1"}}, timeout=60)
        raise_in_one_of_two(url)
        wait_until(lambda: counted(url)["sessions", "ending"] == 0)
        after = counted(url)
    assert during["sessions", "idle"] == during["max_sessions",] == 1
    assert during["opens_total", "opened"] == 1
    assert 1 <= during["step_seconds_count",] <= 3  # a sample of them
    assert during["step_seconds_bucket", "+Inf"] == during["step_seconds_count",]
    assert 0 <= during["loop_lag_seconds",] < 60
    assert after["refusals_total", "capacity_reached"] == 1
    assert after["refusals_total", "origin"] == 1
    assert after["refusals_total", "reset_needed"] == 1
    assert after["faults_total", "env_raised"] == 1 + 3
    assert after["restarts_total", "environment"] == 3
    assert after["faults_total", "worker_died"] == 1


def test_without_prometheus_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    with TestClient(create_app(Failing, env_name="failing")) as client:
        answer = client.get("/metrics", headers={"host": "localhost"})
    assert answer.status_code == 501
    assert "pip install 'openenv-gym[metrics]'" in answer.text


def test_a_histogram_counts_each_duration_once():
    histogram = Histogram()
    for duration_s in (BUCKETS_S[0], BUCKETS_S[0] * 1.01, 1000.0):
        histogram.observe(duration_s)
    assert (histogram.counts[0], histogram.counts[1], histogram.counts[-1]) == (1, 1, 1)
    assert sum(histogram.counts) == 3
    assert histogram.sum_s == pytest.approx(1000.0, rel=1e-3)


def test_a_step_whose_time_is_not_taken_is_passed_on_as_it_came():
    async def play() -> list[Any]:
        settings, monitor = ServerSettings(environment="CartPole-v1"), Monitor()
        worker = WorkerProcess(output=Output())
        backend = await ProcessBackend.start(worker, settings, Watchdog(), monitor)
        await backend.request(BinaryMessages().encode_request(1, Open("CartPole-v1")))
        asked = []
        backend._protocol.ask = lambda body, on_reply, due_s: asked.append(on_reply)  # type: ignore[method-assign]
        for _ in range(3):
            backend.ask(BinaryMessages().encode_request(2, Step(0)), print)
        backend.look()
        backend.ask(BinaryMessages().encode_request(2, Step(0)), print)
        await backend.close()
        return [one is print for one in asked]

    assert asyncio.run(play()) == [False, True, True, False]
