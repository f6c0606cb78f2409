"""Headers of the caller go with every request, whichever name the environment has."""

from __future__ import annotations

import copy
import re
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from openenv_gym import OpenEnvClient, WebSocketOptions, from_client, inspect, typed_models
from openenv_gym.cli import main
from openenv_gym.endpoints import ConnectOptions
from openenv_gym.errors import AuthenticationError, EnvStartError, InvalidRequestError
from tests.support.proxy import Proxy

OPTIONS = WebSocketOptions(headers={"Authorization": "Bearer secret"})


@pytest.fixture(scope="module")
def locked(serve: Callable[..., Any]) -> Iterator[Callable[[str], str]]:
    """Gives the URL of a server behind a proxy that answers 401 without the token."""
    proxies: dict[str, Proxy] = {}

    def url_of(environment: str) -> str:
        if environment not in proxies:
            proxies[environment] = Proxy(serve(environment).base_url, token="secret")
        return proxies[environment].base_url

    yield url_of
    for proxy in proxies.values():
        proxy.close()


def play_one(env: gym.Env) -> None:
    env.reset(seed=0)
    env.step(1)
    env.close()


def play_many(envs: Any) -> None:
    envs.reset(seed=0)
    envs.step(np.array([1, 1]))
    envs.close()


@pytest.mark.parametrize(
    ("env_id", "own", "environment"),
    [
        ("openenv/CartPole-v1", {}, "CartPole-v1"),
        ("openenv/CartPole-v1", {"codec": "json"}, "CartPole-v1"),
        ("openenv/gymnasium-v0", {"env_id": "CartPole-v1"}, "CartPole-v1"),
        ("openenv/catch-v0", {}, "openspiel:catch"),
        ("openenv/openspiel-v0", {"game": "catch"}, "openspiel:catch"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value.values()),
)
def test_every_id_takes_them(locked, env_id, own, environment):
    url = locked(environment)
    play_one(gym.make(env_id, base_url=url, options=OPTIONS, **own))
    if "codec" not in own:
        play_many(gym.make_vec(env_id, num_envs=2, base_url=url, options=OPTIONS, **own))
    with pytest.raises(AuthenticationError, match="HTTP 401"):
        gym.make(env_id, base_url=url, **own)


def test_who_looks_on_and_who_trains_takes_them(locked, capsys):
    url = locked("CartPole-v1")
    named = "openenv/CartPole-v1"
    assert inspect(url, options=OPTIONS).name == "CartPole-v1"
    assert inspect(url, options=ConnectOptions(options=OPTIONS)).name == "CartPole-v1"
    assert inspect(named, kwargs={"base_url": url}, options=OPTIONS).name == "CartPole-v1"
    assert typed_models(url, options=OPTIONS).action(action=1).action.name == "push_right"
    models = typed_models(named, base_url=url, options=OPTIONS)
    with OpenEnvClient(url, models=models, options=OPTIONS) as client:
        assert client.reset(seed=0).done is False
        play_one(from_client(client))  # whose schemas are asked for, too
    main(["inspect", url, "--header", "Authorization: Bearer secret"])
    assert capsys.readouterr().out.startswith("CartPole-v1\n")
    sb3 = pytest.importorskip("openenv_gym.sb3")
    envs = sb3.OpenEnvVecEnv(named, 2, base_url=url, options=OPTIONS)
    assert envs.reset().shape == (2, 4)
    envs.close()


def test_an_environment_may_have_an_argument_of_this_name():
    with pytest.raises(EnvStartError, match="unexpected keyword argument 'options'"):
        gym.make("openenv/CartPole-v1", options={"size": 3})
    play_one(gym.make("openenv/CartPole-v1", options=None))


def test_they_are_refused_where_there_is_no_server():
    says = re.escape("options=WebSocketOptions(...) needs a server: pass base_url=")
    for make in (
        lambda: gym.make("openenv/CartPole-v1", options=OPTIONS),
        lambda: gym.make_vec("openenv/CartPole-v1", num_envs=2, options=OPTIONS),
        lambda: inspect("CartPole-v1", options=OPTIONS),
        lambda: typed_models("CartPole-v1", options=OPTIONS),
    ):
        with pytest.raises(InvalidRequestError, match=says):
            make()
    with pytest.raises(InvalidRequestError, match=r"expected a WebSocketOptions, .* got a dict"):
        gym.make("openenv/remote-v0", base_url="http://localhost:1", options={"headers": {}})


def test_what_is_printed_of_them_holds_no_secret():
    assert "secret" not in repr(OPTIONS)


def test_a_copy_has_the_same_tls_context_and_headers_of_its_own():
    context = ssl.create_default_context()
    options = WebSocketOptions(headers={"X-A": "1"}, ssl_context=context)
    copied = copy.deepcopy(options)  # as Gymnasium makes of a spec
    assert copied == options
    assert copied.ssl_context is context
    assert copied.headers is not options.headers
