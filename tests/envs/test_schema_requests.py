"""How often a server is asked for its schemas: once, however many sessions there are."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym import create_app
from openenv_gym.client.websocket import WebSocketOptions
from tests.support.uvicorn_thread import serving


class Counting:
    """An application whose HTTP requests are counted by path."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.requests: Counter[str] = Counter()
        self.tags: list[bytes | None] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.requests[scope["path"]] += 1
        elif scope["type"] == "websocket":
            self.tags.append(dict(scope["headers"]).get(b"x-tag"))
        await self.app(scope, receive, send)

    def schemas(self) -> int:
        """How many requests there were since this was last called."""
        return self.requests.pop("/schema", 0)


@contextmanager
def counted() -> Iterator[tuple[Counting, str]]:
    app = Counting(create_app("CartPole-v1", workers=1))
    with serving(app) as url:
        yield app, url


def test_by_the_shards_of_one_server():
    with counted() as (app, url):
        for arguments in ({"shards": 3}, {}):
            envs = gym.make_vec("openenv/CartPole-v1", num_envs=6, base_url=url, **arguments)
            envs.reset(seed=1)
            envs.step(np.zeros(6, np.int64))
            assert app.schemas() == 1
            copied = pickle.loads(pickle.dumps(envs))  # which may be made much later
            assert app.schemas() == 1
            copied.close()
            envs.close()
        patient = gym.make_vec("openenv/CartPole-v1", 6, base_url=url, shards=3, timeout_s=60)
        assert app.schemas() == 0  # its deadlines do not matter
        patient.close()


def test_by_whatever_is_served():
    with counted() as (app, url):
        for arguments in ({"shards": 3}, {}):
            envs = gym.make_vec("openenv/remote-v0", num_envs=6, base_url=url, **arguments)
            assert app.schemas() == 1
            envs.reset(seed=1)
            assert app.schemas() == 0
            envs.close()


@pytest.mark.parametrize("codec", ["auto", "binary", "json"])
def test_what_is_asked_and_said_with_options_of_the_caller(codec: str):
    options = WebSocketOptions(headers={"X-Tag": "mine"})
    with counted() as (app, url):
        arguments = {"base_url": url, "codec": codec, "options": options}
        envs = gym.make_vec("openenv/remote-v0", num_envs=2, **arguments)
        envs.reset()
        envs.close()
        assert app.tags and set(app.tags) == {b"mine"}


def test_by_plain_sessions():
    with counted() as (app, url):
        envs = gym.make_vec("openenv/remote-v0", num_envs=4, base_url=url, codec="json")
        assert app.schemas() == 1
        envs.reset(seed=1)
        envs.step(np.zeros(4, np.int64))
        envs.reset()
        assert app.schemas() == 0
        envs.close()
