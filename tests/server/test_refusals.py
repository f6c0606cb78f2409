"""Refusals say where, what was expected and what came; and what a server tells nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

import openenv_gym
from openenv_gym.errors import InvalidRequestError, UnknownEnvironmentError
from openenv_gym.launchers import ServerProcess
from openenv_gym.protocol import SUBPROTOCOL, BinaryMessages, Failed, Open, Reset
from openenv_gym.protocol.events import A_SEED
from openenv_gym.wire.arguments import ARGUMENTS_HEADER

SECRET = "s3cr3t"
SERVED = {"secret": SECRET}
FAILING = "tests.support.failing:Failing-v0"
NAMED: dict[str, Any] = {"id": "openenv/gymnasium-v0", "env_id": FAILING}


@pytest.fixture(scope="module")
def url(serve: Callable[..., ServerProcess]) -> str:
    arguments = ("--kwargs", json.dumps(SERVED))
    return serve(FAILING, *arguments).base_url


def over_http(url: str, path: str, body: Any) -> dict[str, Any]:
    response = httpx.post(f"{url}/{path}", json=body, timeout=60)
    assert response.status_code == 422
    return response.json()["detail"]


def over_ws(url: str, message: Any) -> dict[str, Any]:
    with connect(f"{url.replace('http', 'ws')}/ws") as socket:
        socket.send(json.dumps(message))
        return json.loads(socket.recv())["data"]


def over_mcp(url: str, method: str, **params: Any) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(f"{url}/mcp", json=body, timeout=60).json()


def over_tool(url: str, name: str, **arguments: Any) -> dict[str, Any]:
    result = over_mcp(url, "tools/call", name=name, arguments=arguments)["result"]
    return result["_meta"]["openenv-gym/error"]


def parts(said: dict[str, Any]) -> tuple[Any, ...]:
    return said["path"], said["expected"], said["got"]


def test_each_json_route_says_where_a_request_is_wrong(url: str):
    httpx.post(f"{url}/reset", timeout=60)
    over_mcp(url, "tools/call", name="reset")
    an_action = ("$.action.action", "an integer", "'1'")
    for said in (
        over_http(url, "step", {"action": {"action": "1"}}),
        over_ws(url, {"type": "step", "data": {"action": "1"}}),
        over_tool(url, "step", action="1"),
    ):
        assert said["code"] == "INVALID_ACTION"
        assert parts(said) == an_action
    error = over_mcp(url, "tools/call", name="fly")["error"]
    assert error["data"]["path"] == "$.params.name"
    assert error["data"]["got"] == "'fly'"


@pytest.mark.parametrize("seed", [-1, 2**63, 2**70, -(2**90)], ids=str)
def test_a_seed_that_is_none_is_refused_in_the_same_words_everywhere(url: str, seed: int):
    for path, said in (
        ("$.seed", over_http(url, "reset", {"seed": seed})),
        ("$.data.seed", over_ws(url, {"type": "reset", "data": {"seed": seed}})),
        ("$.seed", over_tool(url, "reset", seed=seed)),
    ):
        assert said["message"].startswith(f"{path}: {A_SEED}, got ")
        assert said["path"] == path


@pytest.mark.parametrize("seed", [-1, 2**63], ids=str)
def test_a_client_refuses_a_seed_before_it_is_sent(url: str, seed: int):
    for how in ({}, {"base_url": url}, {"base_url": url, "codec": "json"}):
        one: Any = gym.make("openenv/CartPole-v1" if not how else "openenv/remote-v0", **how)
        several: Any = gym.make_vec(one.spec.id, 2, **how)
        for env in (one, several):
            env.reset(seed=2**63 - 2)
            with pytest.raises(InvalidRequestError, match=r"^seed: expected an integer from 0"):
                env.reset(seed=seed)
            with pytest.raises(gym.error.Error):
                env.reset(seed=seed)
            env.step(0 if env is one else np.zeros(2, np.int64))  # nothing is lost
            env.close()
    refused = pytest.raises(InvalidRequestError, match=r"^seed: expected an integer from 0")
    with openenv_gym.OpenEnvClient(base_url=url) as client, refused:
        client.reset(seed=seed)


def test_a_binary_seed_of_another_client_is_refused_too(url: str):
    messages = BinaryMessages()
    with connect(f"{url.replace('http', 'ws')}/ws", subprotocols=[SUBPROTOCOL]) as socket:
        socket.send(messages.encode_request(1, Open()))
        messages.decode_reply(socket.recv())
        sent = messages.encode_request(2, Reset(2**63 - 1))
        top = (2**63 - 1).to_bytes(8, "big")
        assert sent.count(top) == 1
        socket.send(sent.replace(top, (2**64 - 1).to_bytes(8, "big")))
        reply = messages.decode_reply(socket.recv())[1]
    assert isinstance(reply, Failed)
    assert f"seed: {A_SEED}, got {2**64 - 1}" in reply.message


def test_what_a_server_was_started_with_is_told_nobody(url: str):
    for path in ("schema", "metadata", "openapi.json", "", "state", "readyz", "metrics"):
        assert SECRET not in httpx.get(f"{url}/{path}", timeout=60).text
    asked = {ARGUMENTS_HEADER: json.dumps({"secret": "guess"})}
    assert SECRET not in httpx.get(f"{url}/schema", headers=asked, timeout=60).text
    for codec in ("binary", "json"):
        with pytest.raises(openenv_gym.OpenEnvGymError) as told:
            gym.make(**NAMED, base_url=url, codec=codec, secret="guess")
        assert SECRET not in str(told.value)


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_who_knows_the_arguments_may_name_them(url: str, codec: str):
    env = gym.make(**NAMED, base_url=url, codec=codec, **SERVED)
    env.reset()
    env.close()
    described = httpx.get(f"{url}/schema", headers={ARGUMENTS_HEADER: json.dumps(SERVED)})
    assert described.json()["x-openenv-gym"]["kwargs"] == SERVED


def test_arguments_that_are_others_are_refused_when_the_session_opens(url: str):
    messages = BinaryMessages()
    with connect(f"{url.replace('http', 'ws')}/ws", subprotocols=[SUBPROTOCOL]) as socket:
        socket.send(messages.encode_request(1, Open(kwargs={"secret": "guess"})))
        reply = messages.decode_reply(socket.recv())[1]
    assert isinstance(reply, Failed)
    assert isinstance(reply.to_exception(), UnknownEnvironmentError)
    assert SECRET not in reply.message


def test_arguments_in_a_header_that_are_no_object_are_refused(url: str):
    answer = httpx.get(f"{url}/schema", headers={ARGUMENTS_HEADER: "[1]"}, timeout=60)
    assert answer.status_code == 422
    assert answer.json()["detail"]["path"] == ARGUMENTS_HEADER
