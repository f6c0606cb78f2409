"""Batched sessions in JSON, for other languages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from websockets.sync.client import ClientConnection, connect

from openenv_gym.launchers import ServerProcess


class Client:
    """Sends and receives JSON, and knows nothing else."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def receive(self) -> dict[str, Any]:
        return json.loads(self.socket.recv())

    def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        self.socket.send(json.dumps({"type": kind, "data": data}))
        return self.receive()


@contextmanager
def connected(server: ServerProcess | str, query: str) -> Iterator[Client]:
    base_url = server if isinstance(server, str) else server.base_url
    with connect(f"{base_url.replace('http', 'ws')}/ws?{query}", proxy=None) as socket:
        yield Client(socket)


def test_every_list_has_one_for_each(serve):
    local = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 3)
    with connected(serve("CartPole-v1"), "num_envs=3&vectorization=sync") as client:
        first = client.ask("reset", seed=5)["data"]
        assert first["observation"]["obs"] == local.reset(seed=5)[0].tolist()
        assert (first["reward"], first["done"]) == (None, False)
        for _ in range(30):
            observations, rewards, terminated, truncated, _ = local.step(np.array([1, 0, 1]))
            data = client.ask("step", action=[1, 0, 1])["data"]
            assert data["observation"]["obs"] == observations.tolist()
            assert data["reward"] == rewards.tolist()
            assert data["done"] is bool(terminated.any())
            assert data["observation"]["terminated"] == terminated.tolist()
            assert data["observation"]["truncated"] == truncated.tolist()
            assert data["observation"]["info"] == [{}, {}, {}]


def test_the_end_of_an_episode_is_in_the_info(serve):
    with connected(serve("FrozenLake-v1"), "num_envs=2&autoreset_mode=SameStep") as client:
        client.ask("reset", seed=[1, None])
        for _ in range(200):
            data = client.ask("step", action=[2, 1])["data"]
            assert all("prob" in info for info in data["observation"]["info"])
            if data["done"]:
                break
        ended = data["observation"]["info"][data["observation"]["terminated"].index(True)]
        assert isinstance(ended["final_obs"], int) and "prob" in ended["final_info"]


def test_a_mask_says_which_are_reset(serve):
    with connected(serve("FrozenLake-v1"), "num_envs=2&autoreset_mode=Disabled") as client:
        client.ask("reset", seed=1)
        client.ask("step", action=[2, 2])
        masked = client.ask("reset", options={"reset_mask": [False, True]})["data"]
        assert masked["observation"]["obs"][1] == 0


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("num_envs=x", "expected a number in the URL"),
        ("num_envs=0", "expected 1 to 1024"),
        ("num_envs=99999", "expected 1 to 1024"),
        ("num_envs=2&autoreset_mode=Never", "autoreset_mode: expected one of"),
        ("num_envs=2&vectorization=fast", "vectorization: expected one of"),
    ],
)
def test_what_makes_no_sense_is_said(query: str, says: str, serve):
    with connected(serve("FrozenLake-v1"), query) as client:
        assert says in client.ask("reset")["data"]["message"]


def test_wrong_messages_leave_the_session_as_it_was(serve):
    with connected(serve("CartPole-v1"), "num_envs=2") as client:
        client.ask("reset", seed=0)
        for data in ({"action": [0]}, {"action": [0, 2]}, {"action": [True, 0]}, {"action": 0}):
            reply = client.ask("step", **data)
            assert (reply["type"], reply["data"]["code"]) == ("error", "INVALID_ACTION")
        for data in ({"seed": [1, -1]}, {"seed": "a"}, {"options": {"reset_mask": [1, 0]}}):
            assert client.ask("reset", **data)["type"] == "error"
        assert client.ask("step", action=[0, 1])["data"]["reward"] == [1.0, 1.0]


def test_a_vector_env_over_plain_http(serve):
    url = serve("vector:tests.support.envs:cartpoles").base_url
    with httpx.Client(base_url=url, timeout=60) as client:
        assert client.post("/reset", json={"seed": 1}).json()["done"] is False
        answer = client.post("/step", json={"action": {"action": [1]}}).json()
        assert answer["reward"] == [1.0]
        client.post("/close")
